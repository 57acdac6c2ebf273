"""A trial as a study file that repeats it."""

from __future__ import annotations

import json

from pydantic import ValidationError

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.errors import DatabaseError
from tunecli.study_file.print_study import to_yaml
from tunecli.study_file.settings.settings import TrialConfig


def config_yaml(study: StudyRecord, trial: TrialRecord) -> str:
    """Return a trial's configuration as YAML; empty for a trial of another program.

    Raises:
        DatabaseError: the stored configuration is not one of this version.
    """
    if trial.config is None:
        return ""
    return to_yaml(config_of(study, trial), f"{study.name}-{trial.number}")


def config_of(study: StudyRecord, trial: TrialRecord) -> TrialConfig:
    """Return the configuration that a trial was trained with.

    Raises:
        DatabaseError: the configuration is not one of this version, or the trial has none.
    """
    if trial.config is None:
        raise DatabaseError(
            f"Trial {trial.number} of study `{study.name}` was not made by tunecli: the database "
            "contains no configuration for it."
        )
    try:
        return TrialConfig.model_validate_json(json.dumps(trial.config))
    except ValidationError as error:
        raise DatabaseError(
            f"The configuration of trial {trial.number} of study `{study.name}` is damaged: "
            f"{error.error_count()} of its settings are invalid in this version."
        ) from error
