"""A trial as a study file that runs it again."""

from __future__ import annotations

import json

from tunecli.report.records import StudyRecord, TrialRecord
from tunecli.study_file.printing import to_yaml
from tunecli.study_file.settings import TrialConfig


def study_file_of(study: StudyRecord, trial: TrialRecord) -> str:
    """YAML; empty for a trial of another program, which has no configuration."""
    if trial.config is None:
        return ""
    config = TrialConfig.model_validate_json(json.dumps(trial.config))
    return to_yaml(config, f"{study.name}-{trial.number}")
