from __future__ import annotations

from pathlib import Path

import pytest
from study_makers import SUMMARY

from tunecli.database.write import StudyDatabase
from tunecli.errors import DatabaseError
from tunecli.search.resume import StoredStudy, create_study
from tunecli.search.study.begun_defaults import FIRST
from tunecli.search.study.study_folder import StudyFolder
from tunecli.search.workers.messages import DataReady
from tunecli.study_file.settings.search_settings import FOLLOWS_EVIDENCE
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.study_file import StudyFile

TEXT = """
data: digits
model: MLP
optimizer: {AdamW: {lr: {float: [1e-4, 1e-1], log: true}}}
"""
OLD = {"search.sampler": "TPESampler", "search.pruner": "MedianPruner", "search.parallel": 8}


def read(text: str, *overrides: str) -> StudyFile:
    return StudyFile.from_text(text, "digits.yaml", overrides)


def begun(folder: Path, text: str, *overrides: str) -> tuple[StudyDatabase, StudyFolder]:
    """A study of this version."""
    place = StudyFolder(folder, "digits")
    place.folder.mkdir()
    study = read(text, *overrides).completed("classification", 1797)
    return create_study(place, study, DataReady(0, SUMMARY, {}), []), place


@pytest.fixture
def old(tmp_path: Path) -> StudyDatabase:
    """A study that began with the first version's defaults: its file does not write them."""
    database, _ = begun(tmp_path, TEXT)
    resolved = read(TEXT, *(f"{k}={v}" for k, v in OLD.items()))
    database.set_attributes(
        {"resolved": resolved.completed("classification", 1797).to_yaml(), "parallel": 8}
    )
    return database


def test_every_setting_that_may_follow_evidence_had_a_first_default() -> None:
    assert FIRST.keys() == {*FOLLOWS_EVIDENCE}


def test_a_study_goes_on_with_the_defaults_that_it_began_with(old: StudyDatabase) -> None:
    stored = StoredStudy.read(old)
    search = stored.study.search
    assert {name: getattr(search, name) for name in FIRST} == FIRST
    again = stored.resumed(read(TEXT))
    assert stored.changes_to(again) == ()
    assert again.search.pruner == Component(name="MedianPruner")
    assert stored.record_edits(stored.completed(again), old).parallel == [(0, 8)]


def test_what_is_written_now_is_an_edit(old: StudyDatabase) -> None:
    stored = StoredStudy.read(old)
    [change] = stored.changes_to(stored.resumed(read(f"{TEXT}search: {{parallel: 2}}")))
    assert str(change) == "search.parallel: 8 → 2"


def test_what_is_no_longer_written_takes_the_default_of_today(tmp_path: Path) -> None:
    database, _ = begun(tmp_path, f"{TEXT}search: {{pruner: none}}")
    stored = StoredStudy.read(database)
    [change] = stored.changes_to(stored.resumed(read(TEXT)))
    assert str(change) == "search.pruner: none → {MedianPruner: {warmup: 0.33}}"
    database.close()


def test_auto_stays_what_it_was(old: StudyDatabase) -> None:
    stored = StoredStudy.read(old)
    assert read(TEXT).search.sampler != stored.study.search.sampler
    written = f"{TEXT}search: {{sampler: auto, trials: 99}}"
    [change] = stored.changes_to(stored.resumed(read(written)))
    assert str(change) == "search.trials: 50 → 99"


@pytest.mark.parametrize("search", ["[", "{parallel: many}", "{sampler: [1]}"])
def test_a_damaged_study_is_said_to_be_damaged(old: StudyDatabase, search: str) -> None:
    old.set_attributes({"resolved": f"search: {search}"})
    with pytest.raises(DatabaseError, match="it holds invalid values"):
        StoredStudy.read(old)
