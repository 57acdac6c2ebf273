"""A trial as a study file that runs it again."""

from __future__ import annotations

import json

from pydantic import ValidationError

from tunecli.errors import DatabaseError
from tunecli.report.records import StudyRecord, TrialRecord
from tunecli.study_file.printing import to_yaml
from tunecli.study_file.settings import TrialConfig


def study_file_of(study: StudyRecord, trial: TrialRecord) -> str:
    """YAML; empty for a trial of another program, which has no configuration.

    Raises:
        DatabaseError: the stored configuration is not one of this version.
    """
    if trial.config is None:
        return ""
    try:
        config = TrialConfig.model_validate_json(json.dumps(trial.config))
    except ValidationError as error:
        raise DatabaseError(
            f"The configuration of trial {trial.number} of study `{study.name}` is damaged: "
            f"{error.error_count()} of its settings make no sense to this version."
        ) from error
    return to_yaml(config, f"{study.name}-{trial.number}")
