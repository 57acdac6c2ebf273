"""Check a study beyond its file: read the data, and train two batches of all choices.

Like `worker.py`, this module imports torch and is not part of the driver.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

import torch

from tunecli.data.columns.column_facts import ColumnFacts
from tunecli.data.fold_store import FoldStore
from tunecli.data.placeholder_data import NoData, completed_without_data
from tunecli.data.rows.hardware import main_memory
from tunecli.data.rows.summary import DataSummary
from tunecli.data.rows.workspace import HERE, Workspace
from tunecli.data.sources import load_dataset
from tunecli.data.stores import FoldStoreCache
from tunecli.data.user_code.import_user_code import permit
from tunecli.errors import DataError, StudyFileError
from tunecli.search.prune.judge import n_evaluations
from tunecli.search.workers.machine import default_jobs
from tunecli.search.workers.measurable import refuse_what_cannot_be_measured
from tunecli.search.workers.summarize_data import describe, described_columns
from tunecli.search.workers.try_models import configuration
from tunecli.study_file.settings.source_kinds import NO_SOURCE, kind_of
from tunecli.study_file.space.corner_cases import Point, covering
from tunecli.study_file.space.tree import trains_itself
from tunecli.study_file.space.walk import first_value
from tunecli.study_file.study_file import Study, StudyFile
from tunecli.training.outcome.failure_reasons import alike
from tunecli.training.rehearsal import Rehearsal, rehearse
from tunecli.training.rehearse_user_loop import rehearse_own
from tunecli.training.state.memory import life_peak


@dataclass(frozen=True)
class StudyRehearsal:
    """The results of a dry run.

    Attributes:
        n_rehearsed: number of configurations that were built and trained for two batches.
        mistakes: each sentence once, with its line if it is about a setting of the file, and the
            parameters of the first configuration with this mistake.
        n_weights: weights of the smallest and of the largest model.
        largest: the rehearsal of the trial with the most memory, without the data.
        n_process_bytes: memory of this process, which holds torch and the data as a worker does.
        n_beyond: number of configurations whose model breaks a limit before it is trained.
        beyond: how the smallest of these models breaks it.
        keeps_none: whether all of them break one limit on the same side, so that those between
            them do too.
        seconds_per_trial: mean over the configurations, if nothing stops a trial early.
        n_jobs: number of workers that a search would use here by default.
        n_evaluations: evaluations of the longest trial; 0 if only user code knows.
    """

    summary: DataSummary
    n_trials: int
    n_rehearsed: int
    mistakes: tuple[tuple[str, Point], ...]
    n_weights: tuple[int, int]
    largest: Rehearsal
    n_process_bytes: int
    n_beyond: int
    beyond: str
    keeps_none: bool
    seconds_per_trial: float
    n_jobs: int
    n_evaluations: int

    @property
    def seconds(self) -> float:
        """Seconds of the whole search, if nothing stops a trial early."""
        return self.n_trials * self.seconds_per_trial / self.n_jobs


class StudyCheck:
    """Reads a study's data, then trains two batches of one configuration after another.

    Attributes:
        summary: description of the data.
        columns: descriptions of a table's columns; empty for other data.
        points: points of the search space whose configurations are trained.
    """

    def __init__(self, study: StudyFile, workspace: Workspace = HERE) -> None:
        torch.set_num_threads(study.training.threads)
        permit(workspace.code)
        self._stores = FoldStoreCache(workspace)
        try:
            self._study, self.summary, self.columns = _read(study, workspace, self._stores)
        except DataError as error:
            raise study.located(error) from None
        self._process_bytes = life_peak()  # before a trial is part of it
        self.points = covering(study.parameters)
        if trains_itself(study.tree):
            del self.points[1:]  # each could take any time

    def rehearsals(self) -> Iterator[tuple[Point, Rehearsal]]:
        """Train two batches of every configuration, and yield each result with its point."""
        for point in self.points:
            config, folds = configuration(self._study, self._stores, point)
            is_own = config.train is not None
            yield point, rehearse_own(config, folds) if is_own else rehearse(config, folds)

    def conclude(self, rehearsed: list[tuple[Point, Rehearsal]]) -> StudyRehearsal:
        """Return the results of all rehearsals together."""
        mistakes: dict[str, Point] = {}
        for point, rehearsal in rehearsed:
            if rehearsal.error:
                mistakes.setdefault(rehearsal.error, point)
        n_jobs = self._n_jobs()
        good = [rehearsal for _, rehearsal in rehearsed if not rehearsal.error]
        weights = [rehearsal.n_weights for rehearsal in good] or [0]
        beyond = [rehearsal for rehearsal in good if rehearsal.beyond]
        seconds = [0.0 if rehearsal.beyond else rehearsal.seconds for rehearsal in good]
        point, largest = max(rehearsed, key=lambda pair: pair[1].n_bytes)
        if largest.n_bytes * n_jobs > main_memory():
            mistakes[_too_large(largest, n_jobs)] = point
        return StudyRehearsal(
            summary=self.summary,
            n_trials=self._study.search.trials,
            n_rehearsed=len(rehearsed),
            mistakes=tuple(
                (self._with_line(*mistake), mistake[1]) for mistake in mistakes.items()
            ),
            n_weights=(min(weights), max(weights)),
            largest=largest,
            n_process_bytes=self._process_bytes,
            n_beyond=len(beyond),
            beyond=min(beyond, key=lambda one: one.n_weights).beyond if beyond else "",
            keeps_none=beyond == good and len({alike(one.beyond) for one in beyond}) == 1,
            seconds_per_trial=fmean(seconds or [0.0]),
            n_jobs=n_jobs,
            n_evaluations=max(self._n_evaluations(point) for point, _ in rehearsed),
        )

    def _with_line(self, mistake: str, point: Point) -> str:
        problem = self._study.problem(mistake, point)
        if not (problem.line or problem.override):
            return mistake
        return str(StudyFileError(self._study.file, [problem]))

    def _n_evaluations(self, point: Point) -> int:
        return n_evaluations(self._study.resolve(lambda name, _: point[name]))

    def _n_jobs(self) -> int:
        training = self._study.training
        search = self._study.search
        offered = default_jobs(training.threads, training.device)
        return min(offered, search.parallel, search.trials)


def _read(
    study: StudyFile, workspace: Workspace, stores: FoldStoreCache
) -> tuple[Study, DataSummary, tuple[ColumnFacts, ...]]:
    """Return the completed study and the descriptions of its data and columns.

    Args:
        stores: keeps the data.
    """
    if study.data.source == NO_SOURCE:
        completed = completed_without_data(study)
        return completed, NoData(completed.validation).summary(), ()
    dataset = load_dataset(study.data, workspace, study.validation)
    completed = study.completed(dataset.task, len(dataset.y), dataset.given)
    first = completed.resolve(lambda _, range_: first_value(range_))
    store = FoldStore(first.data, first.validation, workspace, dataset=dataset)
    stores.add(first, store)
    refuse_what_cannot_be_measured(completed, first, store)
    columns = described_columns(first, store) if kind_of(first.data.source) == "table" else ()
    return completed, describe(first, store), columns


def _too_large(trial: Rehearsal, n_jobs: int) -> str:
    needs, here = trial.n_bytes / 2**30, main_memory() / 2**30
    memory = f"a trial needs {needs:.1f} GiB of memory"
    if trial.n_folds > 1:
        memory += f", including {trial.n_folds} folds of {trial.fold_bytes / 2**30:.1f} GiB each"
    if needs <= here:
        return (
            f"{memory}. {n_jobs} trials at a time need more than this machine's {here:.1f} GiB. "
            "Use --jobs 1."
        )
    ways = "validation: {holdout: 0.2}, " if trial.n_folds > 1 else ""
    return (
        f"{memory}. This machine has {here:.1f} GiB. Use {ways}a smaller model or "
        "training.micro_batch."
    )
