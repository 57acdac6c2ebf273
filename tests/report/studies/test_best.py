from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from study_makers import CONFIG, complete, made, mlp

from tunecli.database.records import StudyRecord, TrialRecord, read_study
from tunecli.errors import DatabaseError
from tunecli.numerics import NUMERICS
from tunecli.report.studies.best import config_yaml
from tunecli.study_file.study_file import StudyFile


def test_a_trial_is_a_study_file_that_runs_again(tmp_path: Path) -> None:
    study = read_study(made(tmp_path, [(mlp(0.1), complete(0.9))]))
    text = config_yaml(study, study.trials[0])
    again = StudyFile.from_text(text, "again.yaml").completed("classification", 1797)
    assert (again.name, again.parameters, again.search.trials) == ("digits-0", (), 1)
    now = CONFIG.model_copy(update={"numerics": NUMERICS})
    assert again.resolve(lambda name, range: pytest.fail(name)) == now


def study(config: dict[str, object] | None) -> StudyRecord:
    trials = (TrialRecord(1, 0, "complete", config=config),)
    return StudyRecord("sqlite://", 1, "s", "accuracy", "maximize", trials)


def test_a_trial_of_another_program_has_none() -> None:
    other = study(None)
    assert config_yaml(other, other.trials[0]) == ""


def test_a_damaged_configuration_is_one_clear_error() -> None:
    config = json.loads(CONFIG.model_dump_json())
    whole = study(config)
    assert config_yaml(whole, whole.trials[0])
    for broken in ({}, config | {"seed": "none"}, config | {"more": 1}):
        damaged = replace(whole.trials[0], config=broken)
        with pytest.raises(
            DatabaseError, match="configuration of trial 0 of study `s` is damaged"
        ):
            config_yaml(whole, damaged)
