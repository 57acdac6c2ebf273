"""A study as earlier calls left it: what it was, what was edited since, what may go on."""

from __future__ import annotations

import dataclasses
import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from tunecli.data.summary import DataSummary
from tunecli.errors import DatabaseError, StudyChangedError, StudyFileError
from tunecli.numerics import NUMERICS, version_of
from tunecli.search.baselines import lacking, read_baselines
from tunecli.search.cells import refuse_nonsense
from tunecli.search.database import StudyDatabase
from tunecli.search.enumeration import Point
from tunecli.search.messages import Described
from tunecli.search.place import Place
from tunecli.search.trials import Trial
from tunecli.search.urls import shown
from tunecli.study_file.code_hashes import changed_files
from tunecli.study_file.counts import count
from tunecli.study_file.edits import Change, changes
from tunecli.study_file.metrics import label
from tunecli.study_file.settings import Objective
from tunecli.study_file.study_file import StudyFile
from tunecli.training.evaluation import Baseline

FORMAT = 1  # of what a study database holds beside Optuna's tables


@dataclass(frozen=True)
class Edits:
    """What was changed in the study file since the first call, as far as the search must know.

    Attributes:
        parallel: (first trial, parallel) of each value of `search.parallel`.
        segment: the first trial since the space or the sampler changed.
        news: sentences on the changes of this call.
    """

    parallel: Sequence[tuple[int, int]]
    segment: int
    news: tuple[str, ...]

    @classmethod
    def none(cls, study: StudyFile) -> Edits:
        """Of a new study."""
        return cls([(0, study.search.parallel)], 0, ())


@dataclass(frozen=True)
class Stored:
    """A study of an earlier call.

    Attributes:
        study: as the search went on with it last, completed.
        environment: versions and hardware of the first call.
        parallel: of the first call; later ones stand in the edits.
        edits: entries of `tunecli:edits`.
        code: hash of each file and package of the user's own, at the first call.
        loaded: content hash of each file of the user's own that was ever imported, by its path
            from the study file's folder.
        baselines: untuned models that were scored; None in a study of a version that had none.
    """

    study: StudyFile
    summary: DataSummary
    environment: dict[str, str]
    parallel: int
    edits: list[dict[str, Any]]
    trials: list[Trial]
    code: dict[str, str] = dataclasses.field(default_factory=dict)
    loaded: dict[str, str] = dataclasses.field(default_factory=dict)
    baselines: tuple[Baseline, ...] | None = None

    @classmethod
    def read(cls, database: StudyDatabase) -> Stored:
        """What the database holds.

        Raises:
            StudyChangedError: the study was made by another program.
            DatabaseError: it was made by a newer tunecli, or is damaged.
        """
        with refuse_nonsense(database.url):
            text = database.attribute("study_file")
            if text is None:
                raise StudyChangedError(
                    "The database holds a study of this name that tunecli did not make. "
                    "Use --as NAME to start one beside it."
                )
            _refuse_newer(database)
            edits = [_edit(entry) for entry in database.attribute("edits", [])]
            newest = edits[-1] if edits else {}
            study = _study_file(
                newest.get("study_file", text),
                database.attribute("file"),
                newest.get("overrides", database.attribute("overrides")),
            )
            summary = TypeAdapter(DataSummary).validate_python(database.attribute("summary"))
            _refuse_default_test(study, summary)
            return cls(
                study=study.completed(summary.task, summary.n_rows, summary.given),
                summary=summary,
                environment=dict(database.attribute("environment")),
                parallel=operator.index(database.attribute("parallel")),
                edits=edits,
                trials=database.trials(),
                code=dict(database.attribute("code", {})),
                loaded=dict(database.attribute("loaded_code", {})),
                baselines=read_baselines(database),
            )

    def is_finished(self, n_total: int) -> bool:
        """Whether there is nothing left to do."""
        if self.baselines is not None and lacking(self.study, self.baselines):
            return False
        return len(self.trials) >= n_total and all(
            trial.outcome is not None for trial in self.trials
        )

    def changes_to(self, study: StudyFile) -> tuple[Change, ...]:
        """How `study` differs from what is stored."""
        completed = study.completed(self.summary.task, self.summary.n_rows, self.summary.given)
        return changes(self.study, completed)

    def refuse_unless_same(self, study: StudyFile) -> None:
        """Let only edits pass that leave scores comparable.

        Raises:
            StudyChangedError: with the readable difference and the ways out.
        """
        refused = [change for change in self.changes_to(study) if change.effect == "refused"]
        if refused:
            lines = "\n".join(f"  {change}" for change in refused)
            raise StudyChangedError(
                f"Study {study.name} has {count(len(self.trials), 'trial')} that these edits "
                f"would make incomparable:\n{lines}\n{_ways_out()}"
            )

    def refuse_other_code(self, study: StudyFile) -> None:
        """Let only the same code of the user's own pass.

        Raises:
            StudyChangedError: its content differs from that of the first call.
        """
        files = changed_files(Path(study.file).parent, self.loaded)
        changed = files or study.changed_code(self.code)
        if changed:
            have = "have" if len(changed) > 1 else "has"
            raise StudyChangedError(
                f"{', '.join(changed[:5])} {have} changed since the first trial of study "
                f"{study.name}, so that scores would not be comparable.\n{_ways_out()}"
            )

    def refuse_other_data(self, summary: DataSummary) -> None:
        """Let only the same data pass.

        Raises:
            StudyChangedError: the content differs from that of the first trial.
        """
        if not self.summary.has_content_of(summary):
            is_other = self.numerics != NUMERICS
            reason = f", or numerics version {NUMERICS} of tunecli reads it differently"
            raise StudyChangedError(
                f"The data of study {self.study.name} has changed since its first trial"
                f"{reason if is_other else ''}, so that scores would not be comparable.\n"
                f"{_ways_out()}"
            )

    def differences(self, environment: dict[str, str]) -> list[str]:
        """Versions and hardware that are not those of the first trial, each in words."""
        return [
            f"{name}: {self.environment[name]} → {value}"
            for name, value in environment.items()
            if name not in ("commit", "numerics") and self.environment.get(name, value) != value
        ]

    @property
    def numerics(self) -> int:
        """The version of the arithmetic at the first trial; older studies do not name it."""
        return version_of(self.environment)

    def record_edits(self, study: StudyFile, database: StudyDatabase) -> Edits:
        """Store this call's edits with the first trial that they touch."""
        found = self.changes_to(study)
        edits = list(self.edits)
        if found:
            edits.append(
                {
                    "first_trial": len(self.trials),
                    "changes": [str(change) for change in found],
                    "starts_sampler_over": any(map(_starts_sampler_over, found)),
                    "parallel": study.search.parallel,
                    "study_file": study.text,
                    "overrides": list(study.overrides),
                }
            )
            database.set_attributes({"edits": edits, "resolved": study.to_yaml()})
        moved = [edit for edit in edits if edit["starts_sampler_over"]]
        return Edits(
            parallel=[
                (0, self.parallel),
                *((edit["first_trial"], edit["parallel"]) for edit in edits),
            ],
            segment=moved[-1]["first_trial"] if moved else 0,
            news=tuple(str(change) for change in found),
        )


def create_study(
    place: Place,
    study: StudyFile,
    described: Described,
    start_with: Sequence[Point],
    learned: Sequence[dict[str, Any]] = (),
) -> StudyDatabase:
    """Make the database of a new study, with all that must not change under it."""
    assert study.objective is not None
    assert described.summary is not None
    return StudyDatabase.create(
        place.url,
        place.name,
        [objective.direction for objective in study.objectives],
        {
            "format": FORMAT,
            "study_file": study.text,
            "file": study.file,
            "overrides": list(study.overrides),
            "resolved": study.to_yaml(),
            "summary": dataclasses.asdict(described.summary),
            "objective": objective_attribute(study.objective),
            "objectives": [objective_attribute(objective) for objective in study.objectives],
            "start_with": list(start_with),
            "learned": list(learned),
            "parallel": study.search.parallel,
            "code": study.code_in_use,
            "loaded_code": below(study, described.code),
            "environment": described.environment,
            "baselines": [],
        },
    )


def keep_loaded_code(study: StudyFile, database: StudyDatabase, files: Mapping[str, str]) -> None:
    """Store what was imported, beside what was before.

    Raises:
        StudyChangedError: a file was imported before with another content.
    """
    before = dict(database.attribute("loaded_code", {}))
    now = below(study, files)
    for path, content in now.items():
        if before.get(path, content) != content:
            raise StudyChangedError(
                f"{path} has changed while study {study.name} is searched, so that scores would "
                f"not be comparable.\n{_ways_out()}"
            )
    if not now.keys() <= before.keys():
        database.set_attributes({"loaded_code": before | now})


def below(study: StudyFile, files: Mapping[str, str]) -> dict[str, str]:
    """Files by their path from the study file's folder, which may stand elsewhere next time."""
    folder = Path(study.file).absolute().parent
    return {os.path.relpath(path, folder): content for path, content in files.items()}


def objective_attribute(objective: Objective) -> dict[str, str]:
    """As a study's attributes have it."""
    return {"metric": label(objective.metric), "direction": objective.direction}


def _refuse_newer(database: StudyDatabase) -> None:
    stored = database.attribute("format", FORMAT)
    if stored > FORMAT:
        raise DatabaseError(
            f"{shown(database.url)} is of a newer tunecli (format {stored}; this one goes on with "
            f"up to {FORMAT}); nothing was written to it. Update tunecli, or begin a new study "
            "with --as NAME."
        )


def _study_file(text: str, file: str, overrides: Sequence[str]) -> StudyFile:
    """The stored study file; its mistakes are not the user's.

    Raises:
        ValueError: this version cannot read it.
    """
    if not isinstance(text, str) or not isinstance(file, str):
        raise TypeError("the study file is no text")
    try:
        return StudyFile.from_text(text, file, overrides)
    except StudyFileError as error:
        raise ValueError(f"its study file has mistakes: {error.problems[0].message}") from error


def _refuse_default_test(study: StudyFile, summary: DataSummary) -> None:
    """Refuse a study of a version in which `test: null` meant 0.2: other rows would be searched.

    Raises:
        StudyChangedError: it is one.
    """
    if study.data.test == 0 and summary.n_test:
        raise StudyChangedError(
            f"Study `{study.name}` holds out {count(summary.n_test, 'test row')}, but its "
            "data.test is off, which an older version took for 0.2. Write data.test: 0.2 and "
            "start a new study with --as NAME, or move the old one to runs/.trash with --restart."
        )


def _edit(entry: Any) -> dict[str, Any]:
    """An entry of `tunecli:edits` with what going on needs of it, checked."""
    first, parallel = operator.index(entry["first_trial"]), operator.index(entry["parallel"])
    moved = bool(entry["starts_sampler_over"])
    return {**entry, "first_trial": first, "parallel": parallel, "starts_sampler_over": moved}


def _starts_sampler_over(change: Change) -> bool:
    return change.effect == "space" or change.path.startswith(("search.sampler", "search.order"))


def _ways_out() -> str:
    return (
        "Undo that to go on, or start a new study beside it with --as NAME, "
        "or put the old one into the trash with --restart."
    )
