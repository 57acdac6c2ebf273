"""What `tunecli check` does beyond reading the study file: data, and two batches of all choices.

Like `worker.py` this is no part of the driver: it imports torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

import torch

from tunecli.data.column_facts import ColumnFacts
from tunecli.data.fold_store import FoldStore
from tunecli.data.hardware import memory
from tunecli.data.no_data import NoData, completed_without_data
from tunecli.data.sources import load
from tunecli.data.stores import Stores
from tunecli.data.summary import DataSummary
from tunecli.data.user_code import permit
from tunecli.data.workspace import HERE, Workspace
from tunecli.errors import DataError, StudyFileError
from tunecli.search.building import configuration
from tunecli.search.describe import describe, described_columns
from tunecli.search.machine import default_jobs
from tunecli.search.measurable import refuse_what_cannot_be_measured
from tunecli.search.pruning import n_evaluations
from tunecli.study_file.points import Point, covering
from tunecli.study_file.source_kinds import NO_SOURCE, kind_of
from tunecli.study_file.space import first_value
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.tree import trains_itself
from tunecli.training.memory import life_peak
from tunecli.training.own_rehearsal import rehearse_own
from tunecli.training.reasons import alike
from tunecli.training.rehearsal import Rehearsal, rehearse


@dataclass(frozen=True)
class StudyRehearsal:
    """What a study would meet.

    Attributes:
        n_rehearsed: configurations that were built and trained for two batches.
        mistakes: each sentence once, with its line if it is about a setting of the file, and the
            parameters of the first configuration that met it.
        n_weights: of the smallest and the largest model.
        largest: the rehearsal of the trial with the most memory; data left out.
        n_process_bytes: of this process, which has torch and the data in memory as a worker has.
        n_beyond: configurations whose model breaks a limit before it is trained.
        beyond: in which way the smallest of them does.
        keeps_none: whether all of them break one limit on the same side, so that those between
            them do too.
        seconds_per_trial: mean over the configurations, if nothing stops a trial early.
        n_jobs: workers that a search would use here by default.
        n_evaluations: of the longest trial; 0 if only its own training knows.
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
        """Of the whole search, if nothing stops a trial early."""
        return self.n_trials * self.seconds_per_trial / self.n_jobs


class StudyCheck:
    """Reads a study's data, then rehearses its configurations one by one.

    Attributes:
        summary: of the data.
        columns: of a table; empty for other data.
        points: the configurations to rehearse.
    """

    def __init__(self, study: StudyFile, workspace: Workspace = HERE) -> None:
        torch.set_num_threads(study.training.threads)
        permit(workspace.code)
        self._stores = Stores(workspace)
        try:
            self._study, self.summary, self.columns = _read(study, workspace, self._stores)
        except DataError as error:
            raise study.located(error) from None
        self._process_bytes = life_peak()  # before a trial is part of it
        self.points = covering(study.parameters)
        if trains_itself(study.tree):
            del self.points[1:]  # nobody knows how long each would take

    def rehearsals(self) -> Iterator[tuple[Point, Rehearsal]]:
        """Train two batches of every configuration."""
        for point in self.points:
            config, folds = configuration(self._study, self._stores, point)
            is_own = config.train is not None
            yield point, rehearse_own(config, folds) if is_own else rehearse(config, folds)

    def conclude(self, rehearsed: list[tuple[Point, Rehearsal]]) -> StudyRehearsal:
        """Put together what the rehearsals say."""
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
        if largest.n_bytes * n_jobs > memory():
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
    study: StudyFile, workspace: Workspace, stores: Stores
) -> tuple[StudyFile, DataSummary, tuple[ColumnFacts, ...]]:
    """The study with what the data decides, and what that is; `stores` keeps the data."""
    if study.data.source == NO_SOURCE:
        completed = completed_without_data(study)
        return completed, NoData(completed.validation).summary(), ()
    dataset = load(study.data, workspace, study.validation)
    completed = study.completed(dataset.task, len(dataset.y), dataset.given)
    first = completed.resolve(lambda _, range_: first_value(range_))
    store = FoldStore(first.data, first.validation, workspace, dataset=dataset)
    stores.add(first, store)
    refuse_what_cannot_be_measured(completed, first, store)
    columns = described_columns(first, store) if kind_of(first.data.source) == "table" else ()
    return completed, describe(first, store), columns


def _too_large(trial: Rehearsal, n_jobs: int) -> str:
    needs, here = trial.n_bytes / 2**30, memory() / 2**30
    what = f"a trial needs {needs:.1f} GiB"
    if trial.n_folds > 1:
        what += f" ({trial.n_folds} folds of {trial.fold_bytes / 2**30:.1f} GiB among it)"
    if needs <= here:
        return f"{what}, {n_jobs} at a time more than this machine's {here:.1f} GiB. Use --jobs 1."
    ways = "validation: {holdout: 0.2}, or " if trial.n_folds > 1 else ""
    return (
        f"{what}, more than this machine's {here:.1f} GiB. Use {ways}a smaller model or "
        "training.micro_batch."
    )
