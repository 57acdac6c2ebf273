"""Resume a study: what earlier calls stored, what was edited since, and what may change."""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tunecli.data.rows.summary import DataSummary
from tunecli.database.attributes import FORMAT, Learned, RecordedObjective, StoredAttributes
from tunecli.database.trials import Trial
from tunecli.database.urls import display_url
from tunecli.database.validate_rows import refuse_nonsense
from tunecli.database.write import StudyDatabase
from tunecli.errors import DatabaseError, StudyChangedError, StudyFileError
from tunecli.numerics import other_numerics, version_in_use, version_of
from tunecli.search.baseline_jobs import lacking
from tunecli.search.study.begun_defaults import defaults_begun_with
from tunecli.search.study.study_folder import StudyFolder
from tunecli.search.suggest.enumeration import Point
from tunecli.search.trial_budget import TrialBudget
from tunecli.search.workers.messages import DataReady
from tunecli.study_file.catalogue.code_hashes import changed_files
from tunecli.study_file.catalogue.model_files import changed_model_files, model_files
from tunecli.study_file.edits import Change, changes
from tunecli.study_file.settings.fold_stages import may_race
from tunecli.study_file.settings.metric_names import label, titles
from tunecli.study_file.settings.settings import Objective
from tunecli.study_file.study_file import Study, StudyFile
from tunecli.study_file.text.counts import count

_WAYS_OUT = (
    "To resume the study, undo the change. Or start a new study with --as NAME, or move the old "
    "one to the trash with --restart."
)


@dataclass(frozen=True)
class Edits:
    """The changes of the study file since the first call that the search needs to know.

    Attributes:
        parallel: (first trial, parallel) of each value of `search.parallel`.
        segment: the first trial since the space or the sampler changed.
        news: sentences on the changes of this call.
    """

    parallel: Sequence[tuple[int, int]]
    segment: int
    news: tuple[str, ...]

    @classmethod
    def none(cls, study: Study) -> Edits:
        """Return the edits of a new study: none."""
        return cls([(0, study.search.parallel)], 0, ())


@dataclass(frozen=True)
class StoredStudy:
    """A study of an earlier call.

    Attributes:
        study: the study file of the last call, completed.
        attributes: what the first call stored, and later calls added.
        edits: entries of `tunecli:edits`.
        knows_baselines: whether the study is of a version with baselines.
    """

    study: Study
    summary: DataSummary
    attributes: StoredAttributes
    edits: list[dict[str, Any]]
    trials: list[Trial]
    knows_baselines: bool

    @classmethod
    def read(cls, database: StudyDatabase) -> StoredStudy:
        """Read a study from its database.

        Raises:
            StudyChangedError: another program made the study.
            DatabaseError: a newer version of tunecli wrote the study, or it is damaged.
        """
        with refuse_nonsense(database.url):
            _refuse_newer(database)
            stored = database.attributes()
            if not stored.study_file:
                raise StudyChangedError(
                    "The database contains a study of this name that tunecli did not make. "
                    "Use --as NAME to start a study with another name."
                )
            study, summary = _study_file(stored), stored.summary
            assert summary is not None
            assert stored.parallel > 0
            _refuse_default_test(study, summary)
            trials = database.trials()
            if any(may_race(trial.config) for trial in trials):
                database.read_fold_curves(trials, summary.n_folds)
            numerics = version_in_use(version_of(stored.environment))
            return cls(
                study=study.completed(
                    summary.task, summary.n_rows, summary.given, summary.positive, numerics
                ),
                summary=summary,
                attributes=stored,
                edits=[_edit(entry) for entry in database.attribute("edits", [])],
                trials=trials,
                knows_baselines=database.attribute("baselines") is not None,
            )

    @property
    def spares_untrained(self) -> bool:
        """Whether untrained trials do not count, by the rule that the study began with."""
        return self.attributes.spares_untrained

    def is_finished(self, budget: TrialBudget) -> bool:
        """Return whether the study has all its baselines and has ended all its trials."""
        if self.knows_baselines and lacking(self.study, self.attributes.baselines):
            return False
        return budget.is_spent(self.trials)

    def as_scored(self, summary: DataSummary) -> DataSummary:
        """Return a new summary of the same data, scored as the study's first trial was."""
        before = self.summary
        guess, folds = before.guess, before.guess_folds
        return replace(summary, guess=guess, guess_folds=folds, positive=before.positive)

    def completed(self, study: StudyFile) -> Study:
        """Return a study file completed from the data of this study, with its arithmetic."""
        known, numerics = self.summary, self.study.numerics
        return study.completed(known.task, known.n_rows, known.given, known.positive, numerics)

    def resumed(self, study: StudyFile) -> StudyFile:
        """Return a study file with this study's own defaults where both files have none."""
        begun = self.study
        return study.as_begun({name: getattr(begun.search, name) for name in begun.left_open})

    def changes_to(self, study: StudyFile) -> tuple[Change, ...]:
        """Return how `study` differs from the stored study."""
        return changes(self.study, self.completed(study))

    def refuse_unless_same(self, study: StudyFile) -> None:
        """Refuse edits that would make scores incomparable.

        Raises:
            StudyChangedError: there are such edits; the message lists them and what to do.
        """
        refused = [change for change in self.changes_to(study) if change.effect == "refused"]
        if refused:
            lines = "\n".join(f"  {change}" for change in refused)
            raise StudyChangedError(
                f"Study {study.name} has {count(len(self.trials), 'trial')}. With these edits, "
                f"new scores would not be comparable with the old ones:\n{lines}\n{_WAYS_OUT}"
            )

    def refuse_other_code(self, study: StudyFile) -> None:
        """Refuse user code that has changed.

        Raises:
            StudyChangedError: a file or package differs from that of the first call.
        """
        files = changed_files(Path(study.file).parent, self.attributes.loaded_code)
        changed = files or study.changed_code(self.attributes.code)
        if changed:
            have = "have" if len(changed) > 1 else "has"
            raise StudyChangedError(
                f"{', '.join(changed[:5])} {have} changed since the first trial of study "
                f"{study.name}, so new scores would not be comparable.\n{_WAYS_OUT}"
            )

    def refuse_other_models(self, study: StudyFile) -> None:
        """Refuse word vectors and pretrained models that have changed.

        Raises:
            StudyChangedError: a file that a model starts from differs from that of the first
                trial.
        """
        before = self.attributes.model_files
        now = model_files(study.model_file_names, Path(study.file).absolute().parent, before)
        if changed := changed_model_files(before, now):
            have, it = ("have", "them") if len(changed) > 1 else ("has", "it")
            raise StudyChangedError(
                f"{', '.join(changed[:5])} {have} changed since the first trial of study "
                f"{study.name}. Models start from {it}, so new scores would not be comparable.\n"
                f"{_WAYS_OUT}"
            )

    def refuse_other_data(self, summary: DataSummary) -> None:
        """Refuse data that has changed.

        Raises:
            StudyChangedError: the content differs from that of the first trial.
        """
        if not self.summary.has_content_of(summary):
            is_other = bool(other_numerics(self.numerics))
            used = self.study.numerics
            reason = f", or version {used} of tunecli's arithmetic gives other values"
            raise StudyChangedError(
                f"The data of study {self.study.name} has changed since its first trial"
                f"{reason if is_other else ''}, so new scores would not be comparable.\n"
                f"{_WAYS_OUT}"
            )

    def differences(self, environment: dict[str, str]) -> list[str]:
        """Return the versions and hardware that differ from those of the first trial, in words."""
        before = self.attributes.environment
        return [
            f"{name}: {before[name]} → {value}"
            for name, value in environment.items()
            if name not in ("commit", "numerics") and before.get(name, value) != value
        ]

    @property
    def numerics(self) -> int:
        """The version of the arithmetic at the first trial; 1 in studies that do not store it."""
        return version_of(self.attributes.environment)

    def record_report_edits(self, study: Study, database: StudyDatabase) -> tuple[str, ...]:
        """Store this call's edits if they only affect reports and budgets, and return them.

        Other edits are stored by the next call that trains.
        """
        effects = {change.effect for change in self.changes_to(study)}
        if "report" not in effects or not effects <= {"report", "budget"}:
            return ()
        return self.record_edits(study, database).news

    def record_edits(self, study: Study, database: StudyDatabase) -> Edits:
        """Store this call's edits with the first trial that they affect."""
        new_changes = self.changes_to(study)
        edits = list(self.edits)
        if new_changes:
            edits.append(
                {
                    "first_trial": len(self.trials),
                    "changes": [str(change) for change in new_changes],
                    "starts_sampler_over": any(map(_starts_sampler_over, new_changes)),
                    "parallel": study.search.parallel,
                    "study_file": study.text,
                    "overrides": list(study.overrides),
                }
            )
            database.set_attributes({"edits": edits, "resolved": study.to_yaml()})
        moved = [edit for edit in edits if edit["starts_sampler_over"]]
        return Edits(
            parallel=[
                (0, self.attributes.parallel),
                *((edit["first_trial"], edit["parallel"]) for edit in edits),
            ],
            segment=moved[-1]["first_trial"] if moved else 0,
            news=tuple(str(change) for change in new_changes),
        )


def create_study(
    study_folder: StudyFolder,
    study: Study,
    described: DataReady,
    start_with: Sequence[Point],
    learned: Sequence[Learned] = (),
) -> StudyDatabase:
    """Create the database of a new study, with everything that a resume compares."""
    assert described.summary is not None
    return StudyDatabase.create(
        study_folder.url,
        study_folder.name,
        [objective.direction for objective in study.objectives],
        {
            "format": FORMAT,
            "study_file": study.text,
            "file": study.file,
            "overrides": list(study.overrides),
            "resolved": study.to_yaml(),
            "summary": described.summary,
            "objective": stored_objective(study.objective),
            "objectives": [stored_objective(objective) for objective in study.objectives],
            "metric_titles": titles(study.first_config),
            "start_with": list(start_with),
            "learned": list(learned),
            "parallel": study.search.parallel,
            "code": study.code_in_use,
            "loaded_code": below(study, described.code),
            "environment": described.environment,
            "baselines": [],
            "spares_untrained": True,
        },
    )


def keep_model_files(study: Study, database: StudyDatabase) -> None:
    """Store the files that models start from, for names that the study did not have before."""
    before = database.attributes().model_files
    now = model_files(study.model_file_names, Path(study.file).absolute().parent, before)
    if not now.keys() <= before.keys():
        database.set_attributes({"model_files": {**now, **before}})


def keep_loaded_code(study: Study, database: StudyDatabase, files: Mapping[str, str]) -> None:
    """Add the files that were imported to the stored ones.

    Args:
        files: content hash by absolute path.

    Raises:
        StudyChangedError: a file was imported before with other content.
    """
    before = dict(database.attribute("loaded_code", {}))
    now = below(study, files)
    for path, content in now.items():
        if before.get(path, content) != content:
            raise StudyChangedError(
                f"{path} changed during the search of study {study.name}, so new scores would not "
                f"be comparable.\n{_WAYS_OUT}"
            )
    if not now.keys() <= before.keys():
        database.set_attributes({"loaded_code": before | now})


def below(study: Study, files: Mapping[str, str]) -> dict[str, str]:
    """Return files by their path relative to the study file's folder, which may be moved."""
    folder = Path(study.file).absolute().parent
    return {os.path.relpath(path, folder): content for path, content in files.items()}


def stored_objective(objective: Objective) -> RecordedObjective:
    """Return an objective as the study's attributes store it."""
    return RecordedObjective(label(objective.metric), objective.direction)


def _refuse_newer(database: StudyDatabase) -> None:
    stored = database.attribute("format", FORMAT)
    if stored > FORMAT:
        raise DatabaseError(
            f"{display_url(database.url)} was written by a newer version of tunecli (format "
            f"{stored}; this version supports up to {FORMAT}). It was not changed. Update "
            "tunecli, or start a new study with --as NAME."
        )


def _study_file(stored: StoredAttributes) -> StudyFile:
    """Read the stored study file; its mistakes are not the user's.

    Raises:
        ValueError: this version cannot read it.
    """
    text, overrides = stored.newest
    try:
        study = StudyFile.from_text(text, stored.file, overrides)
    except StudyFileError as error:
        raise ValueError(f"its study file is invalid: {error.problems[0].message}") from error
    return study.as_begun(defaults_begun_with(stored.resolved))


def _refuse_default_test(study: StudyFile, summary: DataSummary) -> None:
    """Refuse a study of a version in which `test: null` meant 0.2: its search rows would differ.

    Raises:
        StudyChangedError: the study is of such a version.
    """
    if study.data.test == 0 and summary.n_test:
        raise StudyChangedError(
            f"Study `{study.name}` holds out {count(summary.n_test, 'test row')}, but its "
            "data.test is off: the study was made by an older version of tunecli, which took this "
            "to mean 0.2. Write data.test: 0.2. Then either start a new study with --as NAME, or "
            "move the old one to runs/.trash with --restart."
        )


def _edit(entry: Any) -> dict[str, Any]:
    """Return an entry of `tunecli:edits`, with the fields that a resume needs validated."""
    first, parallel = operator.index(entry["first_trial"]), operator.index(entry["parallel"])
    moved = bool(entry["starts_sampler_over"])
    return {**entry, "first_trial": first, "parallel": parallel, "starts_sampler_over": moved}


def _starts_sampler_over(change: Change) -> bool:
    return change.effect == "space" or change.path.startswith(("search.sampler", "search.order"))
