from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from study_makers import SUMMARY

from tunecli.database.write import StudyDatabase
from tunecli.errors import DatabaseError, StudyChangedError
from tunecli.search.resume import StoredStudy, create_study, keep_model_files
from tunecli.search.study.study_folder import StudyFolder
from tunecli.search.workers.messages import DataReady
from tunecli.study_file.settings.metric_names import label
from tunecli.study_file.study_file import Study, StudyFile

TEXT = """
data: digits
model: MLP
optimizer: {AdamW: {lr: {float: [1e-4, 1e-1], log: true}}}
objective: {maximize: accuracy}
"""


@pytest.fixture
def database(tmp_path: Path) -> StudyDatabase:
    """A new study in its place."""
    place = StudyFolder(tmp_path, "digits")
    place.folder.mkdir()
    study = StudyFile.from_text(TEXT, "digits.yaml").completed("classification", 1797)
    return create_study(place, study, DataReady(0, SUMMARY, {"torch": "2.9", "commit": "a"}), [])


def test_only_the_same_content_goes_on(database: StudyDatabase) -> None:
    stored = StoredStudy.read(database)
    stored.refuse_other_data(SUMMARY)
    with pytest.raises(
        StudyChangedError, match=r"has changed since its first trial.*\n.*--as NAME"
    ):
        stored.refuse_other_data(replace(SUMMARY, fingerprint="1" * 64))


def test_a_study_of_the_first_numerics_knows_its_data_by_the_first_fingerprint(
    database: StudyDatabase,
) -> None:
    stored = StoredStudy.read(database)
    assert (stored.numerics, stored.study.numerics) == (1, 2)
    stored.refuse_other_data(
        replace(SUMMARY, fingerprint="1" * 64, first_fingerprint=SUMMARY.fingerprint)
    )
    with pytest.raises(StudyChangedError, match="or version 2 of tunecli's arithmetic gives"):
        stored.refuse_other_data(replace(SUMMARY, first_fingerprint="1" * 64))


@pytest.mark.parametrize(("began_with", "continued"), [(2, 2), (3, 3), (1, 2), (9, 3)])
def test_a_study_resumes_with_its_own_arithmetic(
    tmp_path: Path, began_with: int, continued: int
) -> None:
    place = StudyFolder(tmp_path, "digits")
    place.folder.mkdir()
    file = StudyFile.from_text(TEXT, "digits.yaml")
    described = DataReady(0, SUMMARY, {"numerics": str(began_with)})
    created = create_study(place, file.completed("classification", 1797), described, [])
    stored = StoredStudy.read(created)
    resumed = stored.completed(file)
    assert stored.changes_to(file) == ()
    assert stored.study.first_config.numerics == resumed.first_config.numerics == continued


def test_targets_that_differ_in_64_bits_only_are_other_data() -> None:
    one = replace(SUMMARY, fingerprint="1" * 64, first_fingerprint="0" * 64)
    assert one.has_content_of(one)
    assert not one.has_content_of(replace(one, fingerprint="2" * 64))


def test_other_versions_are_named_and_another_commit_is_not(database: StudyDatabase) -> None:
    stored = StoredStudy.read(database)
    now = {"torch": "2.10", "commit": "b", "new": "1", "numerics": "2"}
    assert stored.differences(now) == ["torch: 2.9 → 2.10"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("format", 2, r"written by a newer version of tunecli \(format 2.*It was not changed"),
        ("study_file", "data: nowhere", "its study file is invalid"),
        ("study_file", ["data"], "holds invalid values"),
        ("summary", {}, "holds invalid values"),
        ("parallel", "many", "holds invalid values"),
        ("edits", [{}], "holds invalid values"),
    ],
)
def test_what_cannot_be_gone_on_with_is_one_line(
    database: StudyDatabase, key: str, value: object, message: str
) -> None:
    database.set_attributes({key: value})
    with pytest.raises(DatabaseError, match=message) as told:
        StoredStudy.read(database)
    assert "\n" not in str(told.value)


OF_TWO = replace(SUMMARY, classes=("no", "yes"), class_counts=(1000, 437))
BINARY = TEXT.replace("accuracy", "f1") + "metrics: [precision]\n"


def stored_with(tmp_path: Path, positive: str | None) -> StoredStudy:
    """A study of two classes; without a positive class, as versions before it stored them."""
    place = StudyFolder(tmp_path, "digits")
    place.folder.mkdir()
    study = StudyFile.from_text(BINARY, "digits.yaml")
    completed = study.completed("classification", 1797, (), positive)
    summary = replace(OF_TWO, positive=positive)
    return StoredStudy.read(create_study(place, completed, DataReady(0, summary), []))


def test_a_study_without_a_positive_class_keeps_its_averages(tmp_path: Path) -> None:
    stored = stored_with(tmp_path, None)
    assert stored.changes_to(StudyFile.from_text(BINARY, "digits.yaml")) == ()
    assert [label(one.metric) for one in stored.study.objectives] == ["f1"]
    described = replace(OF_TWO, positive="yes", guess={"f1_binary": 0.0})
    assert stored.as_scored(described).positive is None
    assert stored.as_scored(described).guess == OF_TWO.guess


def test_the_positive_class_may_be_written_and_not_changed(tmp_path: Path) -> None:
    stored = stored_with(tmp_path, "yes")
    assert [label(one.metric) for one in stored.study.objectives] == ["f1_binary"]

    def edited(name: str) -> StudyFile:
        text = BINARY.replace("data: digits", f"data: {{source: digits, positive: {name}}}")
        return StudyFile.from_text(text, "digits.yaml")

    stored.refuse_unless_same(StudyFile.from_text(BINARY, "digits.yaml"))
    stored.refuse_unless_same(edited("yes"))
    with pytest.raises(StudyChangedError, match=r"data.positive: yes → no"):
        stored.refuse_unless_same(edited("no"))


def test_a_tolerance_is_stored_although_no_trial_is_left(database: StudyDatabase) -> None:
    """It changes only the report; an edit of the search waits for the next call that trains."""
    stored = StoredStudy.read(database)
    tolerant = TEXT.replace("accuracy}", "accuracy, tolerance: 0.002}")
    for text, news in (
        (TEXT, ()),
        (tolerant + "search: {sampler: Random}\n", ()),
        (tolerant, ("objective.tolerance: none → 0.002",)),
    ):
        study = StudyFile.from_text(text, "digits.yaml")
        stored.refuse_unless_same(study)
        assert stored.record_report_edits(stored.completed(study), database) == news
    again = StoredStudy.read(database)
    assert again.study.tolerance == 0.002
    assert "tolerance: 0.002" in database.attributes().resolved


def test_no_trial_depends_on_the_tolerance() -> None:
    plain, tolerant = (
        StudyFile.from_text(TEXT.replace("accuracy}", after), "digits.yaml").completed(
            "classification", 1797
        )
        for after in ("accuracy}", "accuracy, tolerance: 0.002}")
    )
    assert tolerant.resolve(lambda name, range_: 0.01) == plain.resolve(lambda name, range_: 0.01)


def test_other_word_vectors_are_refused_and_new_names_are_added(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("good 1 2\n")
    (tmp_path / "b.txt").write_text("good 3 4\n")

    def read(vectors: str) -> Study:
        text = "data: {source: t.csv, target: y, text: t}\noptimizer: {SGD: {lr: 0.1}}\n"
        text += f"model: {{TextCNN: {{vectors: {vectors}}}}}\n"
        file = StudyFile.from_text(text, str(tmp_path / "s.yaml"))
        return file.completed("classification", 100)

    place = StudyFolder(tmp_path / "runs", "s")
    place.folder.mkdir(parents=True)
    first, more = read("a.txt"), read("{choice: [a.txt, b.txt]}")
    made = create_study(place, first, DataReady(0, SUMMARY, {}), [])
    assert StoredStudy.read(made).attributes.model_files == {}  # as in an older version's study
    StoredStudy.read(made).refuse_other_models(first)
    keep_model_files(first, made)
    assert [*StoredStudy.read(made).attributes.model_files] == ["a.txt"]
    keep_model_files(more, made)
    stored = StoredStudy.read(made)
    assert [*stored.attributes.model_files] == ["a.txt", "b.txt"]
    stored.refuse_other_models(more)
    (tmp_path / "b.txt").write_text("good 5 6\n")
    stored.refuse_other_models(first)
    with pytest.raises(
        StudyChangedError, match=r"^b.txt has changed since the first trial.*\n.*--as NAME"
    ):
        stored.refuse_other_models(more)
    (tmp_path / "a.txt").unlink()
    with pytest.raises(StudyChangedError, match=r"^a.txt, b.txt have changed"):
        stored.refuse_other_models(more)
    made.close()
