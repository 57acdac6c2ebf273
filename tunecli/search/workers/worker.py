"""A worker process: a pure function of its jobs, without a database and without Optuna."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy
import sklearn
import torch

from tunecli import __version__
from tunecli.data.fold_store import FoldStore, FoldStoreCache, NoData
from tunecli.data.rows.workspace import Workspace
from tunecli.data.user_code.import_user_code import permit
from tunecli.data.user_code.loaded_code import LoadedCode
from tunecli.errors import DataError, TunecliError
from tunecli.search.events.events import CodeLoaded, Notice
from tunecli.search.workers import messages
from tunecli.search.workers.check_study import refuse_what_cannot_be_built
from tunecli.search.workers.output import flush_output
from tunecli.search.workers.summarize_data import (
    describe,
    read_data,
    refuse_what_cannot_be_measured,
)
from tunecli.study_file.settings.fold_stages import stages_of
from tunecli.study_file.settings.metric_names import cost_metrics
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.study_file import Study
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold_data import folds_of
from tunecli.training.fold_group import Round
from tunecli.training.models.auto_models import library_versions
from tunecli.training.outcome.evaluation import Baseline, BaselinePlan, TrialResult
from tunecli.training.outcome.trial_failures import failure, is_beyond_repair, release_memory
from tunecli.training.score_baselines import fit_baseline
from tunecli.training.search_cost import plan_baselines
from tunecli.training.state.checkpoints import CheckpointError, Checkpoints
from tunecli.training.state.memory import PeakMemory, life_peak
from tunecli.training.step.latency_lock import NOBODY_MEASURES, LatencyLock
from tunecli.training.step.precision import choose_device
from tunecli.training.trial_end import ConcludedTrial, conclude, infeasible_before_training
from tunecli.training.user_loop.user_trial import UserTrial


class Trainer:
    """Runs jobs one after another, and keeps the data in memory between them.

    Args:
        workspace: where the data is found and cached.
        say: sends an event to the driver.
        hear: returns the driver's answer after an evaluation; with False, it does not wait.
    """

    def __init__(
        self,
        worker: int,
        workspace: Workspace,
        say: Callable[[messages.Event], None],
        hear: Callable[[bool], messages.Answer],
    ) -> None:
        self._worker = worker
        permit(workspace.code)
        self._loaded = LoadedCode(workspace.code)
        self._workspace = workspace
        self._say = say
        self._hear = hear
        self._stores = FoldStoreCache(workspace)
        self._peak: PeakMemory | None = None
        self._is_done_for = False

    def describe(self, task: messages.FirstTask) -> messages.DataReady:
        """Load and describe the data for the driver, which imports no torch."""
        study = task.study
        try:
            torch.set_num_threads(1)
            completed, config, store = read_data(
                study, self._workspace, self._stores, task.arguments
            )
            if task.is_new:
                refuse_what_cannot_be_measured(completed, config, store)
                refuse_what_cannot_be_built(completed, self._stores)
            summary = describe(config, store)
            plan = self._planned(completed, store, task)
            return messages.DataReady(
                self._worker, summary, environment(config), None, self._loaded.news(), plan
            )
        except DataError as error:
            return messages.DataReady(self._worker, None, error=study.located(error))
        except TunecliError as error:
            return messages.DataReady(self._worker, None, error=error)

    def _planned(
        self, study: Study, store: FoldStore | NoData, task: messages.FirstTask
    ) -> BaselinePlan:
        """Return how long the baselines of this search may take."""
        if isinstance(store, NoData) or not task.n_trials:
            return BaselinePlan()
        return plan_baselines(study, self._stores, store, task.n_trials, task.timeout)

    def _tell_loaded(self) -> None:
        """Report the files of user code that the last job imported."""
        if files := self._loaded.news():
            self._say(CodeLoaded(self._worker, files))

    def train(self, job: messages.TrialJob) -> None:
        """Train `job`, and send exactly one `Finished` or `Suspended`, whatever happens."""
        start, is_last = time.perf_counter(), False
        try:
            result = self._cross_validate(job)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # code may raise anything
            seconds = time.perf_counter() - start
            result = failure(error, seconds=seconds, peak_memory=self._peak_memory)
            is_last = is_beyond_repair(error)
        self._tell_loaded()
        if result is not None:
            if result.outcome == "failed":
                release_memory()
            is_last = is_last or self._is_done_for
            self._say(messages.Finished(job.number, self._worker, result, is_last))

    def fit(self, job: messages.BaselineJob) -> None:
        """Fit an untuned model, and send exactly one `BaselineScored`, whatever happens."""
        try:
            baseline = self._fit(job)
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # metrics may raise anything
            baseline = Baseline(job.name, note=failure(error, seconds=0, peak_memory=0).reason)
            release_memory()
        self._tell_loaded()
        self._say(messages.BaselineScored(job.number, baseline))

    def _fit(self, job: messages.BaselineJob) -> Baseline:
        store = self._stores.of(job.config)
        if isinstance(store, NoData):
            raise ValueError("there are no rows to fit it on")
        with self._quiet(job.config).working():
            return fit_baseline(job.name, job.config, store, job.limit)

    @property
    def _peak_memory(self) -> int:
        """Peak memory of the newest trial, in bytes."""
        return life_peak() if self._peak is None else self._peak.n_bytes

    def _cross_validate(self, job: messages.TrialJob) -> TrialResult | None:
        """Train a job and return its result; None if the driver suspended it."""
        config = job.config
        device = choose_device(config.training.device)
        self._peak = PeakMemory(device)
        torch.set_num_threads(config.training.threads)
        folds = folds_of(self._stores.of(config), config)
        if (result := infeasible_before_training(config, folds[0])) is not None:
            return result
        trial = UserTrial(
            job.study,
            job.number,
            Path(job.checkpoint) if job.checkpoint else None,
            Path(job.models) if job.models else None,
        )
        stages = stages_of(config, len(folds))
        training = CrossValidation(config, folds, device, trial, stages=stages)
        try:
            return self._train_on(training, job)
        finally:
            if not training.close():
                self._is_done_for = True  # code that still runs would disturb the next trial

    def _train_on(self, training: CrossValidation, job: messages.TrialJob) -> TrialResult | None:
        checkpoints = None
        if job.checkpoint:
            n_bytes = training.checkpoint_bytes
            checkpoints = Checkpoints(Path(job.checkpoint), job.config, n_bytes)
            self._load(checkpoints, training, job)
        n_before = len(training.rounds)
        quiet = self._quiet(job.config)
        for index, (evaluations, ends_stage) in enumerate(_rounds(training, quiet)):
            is_last = training.outcome is not None
            for note in training.take_notes():
                self._warn(job, note)
            n_waiting = training.n_folds - len(evaluations)
            self._say(messages.Evaluated(job.number, evaluations, is_last, n_waiting, ends_stage))
            if is_last:
                break
            answer = self._hear(job.asks)
            if answer == "prune":
                return training.result("pruned", evaluations)
            if answer == "suspend":
                saved = checkpoints is not None and self._save(checkpoints, training, job)
                self._say(messages.Suspended(job.number, saved))
                return None
            if checkpoints is not None and checkpoints.is_due and index >= n_before:
                self._save(checkpoints, training, job)
        end = conclude(training, quiet)
        if end.result.outcome == "complete":
            self._say(messages.Concluded(job.number, end.result))
        if job.is_worth_keeping(end.result):
            self._keep_models(job, end)
        return end.result

    def _keep_models(self, job: messages.TrialJob, end: ConcludedTrial) -> None:
        """Write a trial's models; an error is a warning.

        The result stands: which trials are worth keeping depends on those that ended before.
        """
        try:
            self._writes(job, "models", lambda: end.keep(Path(job.models)))
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # code may raise anything
            self._is_done_for = self._is_done_for or is_beyond_repair(error)
            reason = failure(error, seconds=0, peak_memory=0).reason.removesuffix(".")
            self._warn(job, f"its models could not be kept: {reason}")

    def _writes(self, job: messages.TrialJob, what: str, write: Callable[[], None]) -> bool:
        """Write a trial's files; return whether it succeeded, else warn."""
        try:
            write()
        except OSError as error:
            self._warn(job, f"its {what} could not be written: {error.strerror}")
            return False
        return True

    def _quiet(self, config: TrialConfig) -> LatencyLock:
        """Return the lock that this machine's workers share while latency is measured.

        The folder may be shared with other machines. In a study without latencies, nobody waits.
        """
        cache = self._workspace.cache
        is_measured = cache is not None and "latency" in cost_metrics(config)
        if cache is None or not is_measured:
            return NOBODY_MEASURES
        return LatencyLock(cache / "latency" / platform.node())

    def _load(
        self, checkpoints: Checkpoints, training: CrossValidation, job: messages.TrialJob
    ) -> None:
        """Resume from the checkpoint, if there is a usable one."""
        try:
            state = checkpoints.load()
            if state is not None:
                training.load_state_dict(state)
        except CheckpointError as error:
            way = "so the trial is trained from its start"
            self._warn(job, f"its checkpoint cannot be used because {error}, {way}")
            return
        if state is not None:
            self._say(messages.Resumed(job.number, training.seconds))

    def _save(
        self, checkpoints: Checkpoints, training: CrossValidation, job: messages.TrialJob
    ) -> bool:
        return self._writes(job, "checkpoint", lambda: checkpoints.save(training.state_dict()))

    def _warn(self, job: messages.TrialJob, text: str) -> None:
        self._say(Notice(f"Trial {job.number}: {text}."))


def _rounds(training: CrossValidation, quiet: LatencyLock) -> Iterator[tuple[Round, bool]]:
    """Yield the rounds of a checkpoint, then the new ones, each with whether it ends a stage."""
    yield from training.rounds
    while True:
        with quiet.working():
            evaluations = next(training, None)
        if evaluations is None:
            return
        yield evaluations, training.ends_stage


def environment(config: TrialConfig) -> dict[str, str]:
    """Return what decides the rounding besides the study file: versions, device, CPU."""
    device = choose_device(config.training.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return {
        "tunecli": __version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),  # its own class would make the driver import torch
        "numpy": numpy.__version__,
        "scikit-learn": sklearn.__version__,
        "platform": platform.platform(),
        "device": f"{device.type} {name}".strip(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        **library_versions(config.model.name),
    }


def worker_main(
    connection: Connection,
    worker: int,
    workspace: Workspace,
    first_task: messages.FirstTask | None,
) -> None:
    """Run the first task if there is one, then jobs.

    Raises:
        EOFError, OSError: the driver has closed the pipe or has ended.
    """

    def say(event: messages.Event) -> None:
        flush_output()  # what was printed before an event is in the pipe before it
        connection.send(event)

    trainer = Trainer(worker, workspace, say, partial(_hear, connection))
    if first_task is not None:
        say(trainer.describe(first_task))
    while True:
        message = connection.recv()
        # Else it may be an answer about a trial that has just ended.
        if isinstance(message, messages.TrialJob):
            trainer.train(message)
        elif isinstance(message, messages.BaselineJob):
            trainer.fit(message)


def _hear(connection: Connection, waits: bool) -> messages.Answer:
    if not waits and not connection.poll():
        return "go on"
    answer: messages.Answer = connection.recv()
    return answer


def warm_up() -> None:
    """Make torch import what an optimizer needs, once for all workers that are forked later.

    That is torch._dynamo, which takes longer than all other modules after torch itself. Nothing is
    compiled, but `Optimizer.add_param_group` and `Optimizer.step` of torch 2.14 import it at their
    first call, whatever the settings (`torch/_compile.py`, `_use_grad_for_differentiable`).
    """
    torch.optim.SGD([torch.zeros(1, requires_grad=True)])
