"""Check a study beyond its file: build all choices, or train two batches of them.

A search builds them before its first trial, so that none fails in a later one; `tunecli check`
trains them. Like `worker.py`, this module imports torch and is not part of the driver.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean

import torch

from tunecli.data.columns.column_facts import ColumnFacts
from tunecli.data.fold_store import FoldStore, FoldStoreCache, NoData
from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.hardware import main_memory
from tunecli.data.rows.summary import BlockSummary, DataSummary, TokenSummary
from tunecli.data.rows.workspace import HERE, Workspace
from tunecli.data.user_code.import_user_code import permit
from tunecli.errors import DataError, StudyFileError
from tunecli.search.workers.machine import default_jobs
from tunecli.search.workers.summarize_data import (
    describe,
    described_columns,
    read_data,
    refuse_what_cannot_be_measured,
)
from tunecli.search.workers.summarize_text import block_summary, token_name, token_summary
from tunecli.study_file.settings.fold_stages import stages_of
from tunecli.study_file.settings.metric_names import titles
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.study_file.settings.source_kinds import kind_of
from tunecli.study_file.space.corner_cases import Point, covering
from tunecli.study_file.space.tree import trains_itself
from tunecli.study_file.study_file import Study, StudyFile
from tunecli.training.fold_data import folds_of, with_scale_advice
from tunecli.training.outcome.failure_reasons import alike
from tunecli.training.rehearsal import Rehearsal, build_error, rehearse
from tunecli.training.search_cost import plan_baselines
from tunecli.training.state.memory import life_peak
from tunecli.training.step.timetable import n_evaluations

MOST_SECONDS = 10.0
"""Seconds of processor time for building before a search; `check` has no such limit."""


def refuse_what_cannot_be_built(study: Study, stores: FoldStoreCache) -> None:
    """Build every pair of choices before a search begins, for at most `MOST_SECONDS`.

    Args:
        study: a completed study file.

    Raises:
        StudyFileError: some cannot be built; the message lists every mistake.
    """
    deadline = time.process_time() + MOST_SECONDS
    mistakes: dict[str, Point] = {}
    for point in covering(study.parameters):
        if time.process_time() > deadline:
            break  # large models; `check` or a trial finds the rest
        config, folds = _configuration(study, stores, point)
        if mistake := build_error(config, folds):
            mistakes.setdefault(with_scale_advice(mistake, config, stores.of(config)), point)
    if mistakes:
        problems = [study.problem(mistake, point) for mistake, point in mistakes.items()]
        raise StudyFileError(study.file, problems)


def _configuration(
    study: Study, stores: FoldStoreCache, point: Point
) -> tuple[TrialConfig, list[FoldData]]:
    """Return the configuration at a point of the search space, and its folds."""
    config = _resolved(study, point)
    return config, folds_of(stores.of(config), config)


def _resolved(study: Study, point: Point) -> TrialConfig:
    return study.resolve(lambda name, _: point[name])


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
        n_failing: number of configurations that cannot be built or trained, or need more memory
            than this machine has.
        n_beyond: number of configurations whose model breaks a limit before it is trained.
        beyond: how the smallest of these models breaks it.
        keeps_none: whether all of them break one limit on the same side, so that those between
            them do too.
        seconds_per_trial: mean over the configurations, if nothing stops a trial early.
        n_jobs: number of workers that a search would use here by default.
        n_evaluations: evaluations of the longest trial; 0 if only user code knows.
        titles: what people read instead of the name of a metric.
        shortest: smallest share of its evaluations that early stopping or the pruner leaves a
            trial, over all folds; 1 if nothing stops it.
        shortest_alone: the same for a trial that there is no other to compare with.
        stages: number of folds that train in each stage of a trial.
        baseline_seconds: estimated time of the untuned baselines.
        timeout: seconds after which the search starts no trial; infinite for no limit.
        models: the models of all configurations.
        n_offered: workers that this machine offers.
        tokens: what text becomes, by tokenizer and length of a row; empty for data without text.
    """

    summary: DataSummary
    n_trials: int
    n_rehearsed: int
    mistakes: tuple[tuple[str, Point], ...]
    n_weights: tuple[int, int]
    largest: Rehearsal
    n_process_bytes: int
    n_failing: int
    n_beyond: int
    beyond: str
    keeps_none: bool
    seconds_per_trial: float
    n_jobs: int
    n_evaluations: int
    titles: Mapping[str, str] = field(default_factory=dict)
    shortest: float = 1.0
    shortest_alone: float = 1.0
    stages: tuple[int, ...] = ()
    baseline_seconds: float = 0.0
    timeout: float = math.inf
    models: tuple[Component, ...] = ()
    n_offered: int = 1
    tokens: Mapping[str, TokenSummary | BlockSummary] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Seconds of the whole search, if nothing stops a trial early."""
        return self._seconds(1.0, 1.0)

    @property
    def may_stop_early(self) -> bool:
        """Whether some trials may stop before they are complete."""
        return (self.shortest if self.n_trials > 1 else self.shortest_alone) < 1

    @property
    def least_seconds(self) -> float:
        """Seconds of the whole search, if every trial stops as early as it can."""
        return self._seconds(self.shortest_alone, self.shortest)

    def _seconds(self, first: float, others: float) -> float:
        """Return the seconds of the search if trials last these shares of their full length."""
        trials = (first + (self.n_trials - 1) * others) * self.seconds_per_trial
        last = self.timeout + others * self.seconds_per_trial  # trials under way end after it
        return min((trials + self.baseline_seconds) / self.n_jobs, last)


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
            self._study, first, store = read_data(study, workspace, self._stores)
            self._store = store
            refuse_what_cannot_be_measured(self._study, first, store)
            self.summary = describe(first, store)
            self.columns: tuple[ColumnFacts, ...] = ()
            if isinstance(store, FoldStore) and kind_of(first.data.source) == "table":
                self.columns = described_columns(first, store)
        except DataError as error:
            raise study.located(error) from None
        self._tokens: dict[str, TokenSummary | BlockSummary] = {}
        self._process_bytes = life_peak()  # before a trial is part of it
        self.points = covering(study.parameters)
        if trains_itself(study.tree):
            del self.points[1:]  # each could take any time

    def rehearsals(self) -> Iterator[tuple[Point, Rehearsal]]:
        """Train two batches of every configuration, and yield each result with its point."""
        for point in self.points:
            config, folds = _configuration(self._study, self._stores, point)
            self._describe_tokens(config)
            rehearsal = rehearse(config, folds)
            error = with_scale_advice(rehearsal.error, config, self._stores.of(config))
            yield point, replace(rehearsal, error=error)

    def _describe_tokens(self, config: TrialConfig) -> None:
        """Describe the tokens of a configuration if no earlier one has the same."""
        store = self._stores.of(config)
        if isinstance(store, NoData) or (name := token_name(config, store)) in self._tokens:
            return
        if found := token_summary(config, store) or block_summary(config, store):
            self._tokens[name] = found

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
        configs = [_resolved(self._study, point) for point, _ in rehearsed]
        point, largest = max(rehearsed, key=lambda pair: pair[1].n_bytes)
        most_bytes = main_memory() / n_jobs
        if largest.n_bytes > most_bytes:
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
            n_failing=sum(bool(one.error) or one.n_bytes > most_bytes for _, one in rehearsed),
            n_beyond=len(beyond),
            beyond=min(beyond, key=lambda one: one.n_weights).beyond if beyond else "",
            keeps_none=beyond == good and len({alike(one.beyond) for one in beyond}) == 1,
            seconds_per_trial=fmean(seconds or [0.0]),
            n_jobs=n_jobs,
            n_evaluations=max(map(n_evaluations, configs)),
            titles=titles(self._study.first_config),
            shortest=min(map(self._shortest, configs)),
            shortest_alone=min(self._shortest(config, alone=True) for config in configs),
            stages=stages_of(self._study.first_config, self.summary.n_folds),
            baseline_seconds=self._baseline_seconds(),
            timeout=self._study.search.timeout or math.inf,
            models=tuple(config.model for config in configs),
            n_offered=self._n_offered(),
            tokens=self._tokens,
        )

    def _shortest(self, config: TrialConfig, *, alone: bool = False) -> float:
        """Return the smallest share of its evaluations after which a trial could be stopped.

        Args:
            alone: whether there is no other trial to compare it with.
        """
        from tunecli.search.prune.judge import first_verdict  # imports optuna, as no worker does

        n_planned, stopping = n_evaluations(config), config.training.early_stopping
        pruner = self._study.search.pruner
        ends = [n_planned]
        ends += [stopping.patience + 1] if stopping is not None else []
        if pruner is not None and not (alone and _compares(pruner)):
            ends.append(first_verdict(pruner, n_planned) + 1)
        share = min(ends) / n_planned if n_planned else 1.0
        n_folds = self.summary.n_folds
        return share if alone or not n_planned else share * stages_of(config, n_folds)[0] / n_folds

    def _baseline_seconds(self) -> float:
        search = self._study.search
        if isinstance(self._store, NoData) or not search.baselines:
            return 0.0
        stores = self._stores
        plan = plan_baselines(self._study, stores, self._store, search.trials, search.timeout)
        return sum(plan.seconds.values())

    def _with_line(self, mistake: str, point: Point) -> str:
        problem = self._study.problem(mistake, point)
        if not (problem.line or problem.override):
            return mistake
        return str(StudyFileError(self._study.file, [problem]))

    def _n_jobs(self) -> int:
        search = self._study.search
        return min(self._n_offered(), search.parallel, search.trials)

    def _n_offered(self) -> int:
        training = self._study.training
        return default_jobs(training.threads, training.device)


def _compares(pruner: Component) -> bool:
    """Return whether a pruner stops trials only by their scores among those of others."""
    if pruner.name == "PatientPruner":
        inside = pruner.arguments.get("wrapped_pruner")
        return isinstance(inside, Component) and _compares(inside)
    return pruner.name != "ThresholdPruner"


def _too_large(trial: Rehearsal, n_jobs: int) -> str:
    needs, here = trial.n_bytes / 2**30, main_memory() / 2**30
    memory = f"a trial needs {needs:.1f} GiB of memory"
    if trial.n_folds > 1:
        memory += f", including {trial.n_folds} folds of {trial.fold_bytes / 2**30:.1f} GiB each"
        if trial.shared_bytes:
            memory += f" and {trial.shared_bytes / 2**30:.1f} GiB of frozen weights shared by all"
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
