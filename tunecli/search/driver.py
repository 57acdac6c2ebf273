"""The driver suggests, submits, records and judges trials; it alone writes to the database."""

from __future__ import annotations

import time
from collections.abc import Container, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean

from tunecli.database.trials import Trial
from tunecli.database.write import StudyDatabase
from tunecli.search.absences import Absences
from tunecli.search.baseline_jobs import Baselines
from tunecli.search.concluded_trials import ConcludedTrials
from tunecli.search.ended_trials import (
    ChargedTrials,
    are_without_value,
    evaluated_event,
    finished_event,
    in_vain,
    result_of_dead,
    with_finite_values,
)
from tunecli.search.events import events
from tunecli.search.prune.judge import Judge
from tunecli.search.prune.stage_curves import StageCurves
from tunecli.search.study.best_models import BestModels
from tunecli.search.study.best_predictions import BestPredictions
from tunecli.search.study.front import FrontTracker
from tunecli.search.study.trial_folders import BEST, CHECKPOINTS, TrialFolders
from tunecli.search.study.trial_logs import trial_log
from tunecli.search.suggest.suggester import Suggester, Suggestion
from tunecli.search.trial_budget import Limits
from tunecli.search.waits import Waits
from tunecli.search.workers import messages
from tunecli.search.workers.executor import Executor
from tunecli.study_file.study_file import Study
from tunecli.training.outcome.evaluation import BaselinePlan, TrialResult
from tunecli.training.outcome.failure_reasons import WORKER_DIED
from tunecli.training.state.trial_files import CHECKPOINT
from tunecli.training.step.timetable import n_evaluations

TICK = 0.25  # seconds between checks of the clock and of Ctrl-C
FLUSH = 2.0  # seconds between writes of running curves to the database


class Driver:
    """Runs one call of `search`.

    Args:
        study: a completed study file.
        history: the trials of earlier calls, in order; interrupted ones are resumed.
        folder: the study's folder, for checkpoints and kept models; None to save nothing.
        baselines: how long the untuned baselines may take; None for the usual limit.

    Attributes:
        stored: calls what writes to the database until that succeeds.
    """

    def __init__(
        self,
        study: Study,
        database: StudyDatabase,
        executor: Executor,
        suggester: Suggester,
        judge: Judge,
        history: list[Trial],
        limits: Limits,
        folder: Path | None = None,
        baselines: BaselinePlan | None = None,
    ) -> None:
        self._study = study
        self._database = database
        self._executor = executor
        self._suggester = suggester
        self._judge = judge
        self._trials = history
        self._limits = limits
        self._folder = folder
        self._budget = limits.budget
        self._n_spared = self._budget.n_spared(history)
        self._checkpoints = TrialFolders(folder and folder / CHECKPOINTS, CHECKPOINT)
        self._models = BestModels(
            folder and folder / BEST,
            study.search.keep_models,
            study.objective.direction,
            history,
        )
        self.stored = Absences(lambda: self._interrupted, limits.grace, self._stop_trials).outlast
        baselines = baselines or BaselinePlan()
        self._baselines = Baselines(study, database, executor, baselines, self.stored)
        n_kept, sizes = study.search.keep_predictions, database.prediction_sizes()
        self._predictions = BestPredictions(n_kept, study.objective.direction, history, sizes)
        self._directions = [objective.direction for objective in study.objectives]
        self._free = study.search.order == "free"
        self._running: dict[int, Trial] = {}
        self._stopping: set[int] = set()  # of the running ones
        self._unsaved: list[int] = []
        self._concluded = ConcludedTrials()
        self._first_config = study.first_config
        self._curves: dict[int, StageCurves] = {}  # of running trials
        self._finished = {trial.number for trial in history if trial.outcome is not None}
        self._charged = ChargedTrials(study.search.parallel)
        self._furthest: dict[int, int] = {}  # evaluations before a worker died
        self._n_settled = 0  # trials, counted from 0, before the first that has not ended
        self._prepared: Suggestion | None = None
        self._exhausted = False
        self._interrupted = False
        self._flushed = time.monotonic()
        self._waits = Waits()
        self._has_evaluated = False
        self._has_ended_one = False
        self._front = FrontTracker(self._directions, history)

    def interrupt(self) -> None:
        """Start nothing more, and leave running trials to the next call.

        Safe in a signal handler.
        """
        self._interrupted = True

    def run(self) -> Iterator[events.SearchEvent]:
        """Search until the study has its trials, time is up, or `interrupt` is called."""
        yield from self._baselines.tell()
        yield from self._adopt()
        while not self._interrupted:
            if self._charged.are_in_vain:
                break
            yield from self._start_trials()
            yield from self._baselines.submit()  # behind the first trials, which begin at once
            self._remove_discarded()
            if not self._running and not self._baselines.are_running:
                break
            timeout = 0 if self._may_prepare() else TICK
            for event in self._concluded.settled(self._executor.events(timeout)):
                yield from self._take(event)
            yield from self._waiting()
            self._prepare()
            yield from self._flush()
        yield from self._suspend()
        yield from self.stored(self._database.flush)
        yield self._ended()

    def _suspend(self) -> Iterator[events.SearchEvent]:
        """Leave the running trials to the next call, saved if the grace period allows it."""
        self._stop_trials()
        self._baselines.stop()
        while self._running:
            for event in self._concluded.settled(self._executor.events(TICK)):
                if isinstance(event, messages.WorkerDied) and event.number in self._running:
                    self._leave(event.number, saved=False)
                else:  # a trial may still end, with all its evaluations
                    yield from self._take(event)
        if lost := self._unsaved:
            numbers = ", ".join(str(number) for number in sorted(lost))
            yield events.Notice(
                f"{'Trial' if len(lost) == 1 else 'Trials'} {numbers} could not be saved within "
                f"{self._limits.grace:g} s. The next search resumes from the last checkpoint, or "
                "else trains from the start. To allow more time, set --grace."
            )

    def _leave(self, number: int, *, saved: bool) -> None:
        """Leave a running trial to the next call."""
        del self._running[number]
        self._unsaved += [] if saved else [number]

    def _stop_trials(self) -> None:
        """Let the running trials save themselves within the grace period."""
        for number in self._running:
            if number not in self._stopping:
                self._executor.stop(number, self._limits.grace)
        self._stopping.update(self._running)

    # --- starting

    def _adopt(self) -> Iterator[events.SearchEvent]:
        running = [trial for trial in self._trials if trial.outcome is None]
        self._checkpoints.remove_left(self._finished)
        for trial in running:
            yield from self._begin_again(trial)
            yield from self._submit(trial)

    def _begin_again(self, trial: Trial) -> Iterator[events.SearchEvent]:
        """Discard the evaluations of an interrupted attempt; the next attempt repeats them."""
        trial.begin_again()
        restart = partial(self._database.restart_trial, trial.number, trial.attempt)
        yield from self.stored(restart)

    def _start_trials(self) -> Iterator[events.SearchEvent]:
        while self._wants_another() and len(self._running) < self._executor.n_workers:
            self._prepare()
            if self._prepared is None:
                return
            suggestion, self._prepared = self._prepared, None
            trial = Trial(
                len(self._trials), suggestion.params, suggestion.distributions, suggestion.config
            )
            yield from self.stored(partial(self._database.start_trial, trial))
            self._trials.append(trial)
            yield from self._submit(trial)

    def _submit(self, trial: Trial) -> Iterator[events.SearchEvent]:
        self._judge.start(trial.number, trial.config, self._visible(trial.number))
        self._running[trial.number] = trial
        self._stopping.discard(trial.number)
        self._curves[trial.number] = StageCurves(trial.config, self._first_config)
        self._executor.submit(
            messages.TrialJob(
                trial.number,
                trial.attempt,
                trial.config,
                asks=self._judge.judges(trial.number),
                checkpoint=self._checkpoints.of(trial.number),
                models=self._models.of(trial.number),
                to_beat=self._models.to_beat,
                study=self._study.name,
            )
        )
        yield events.TrialStarted(trial.number, trial.params, n_evaluations(trial.config))

    def _remove_discarded(self) -> None:
        """Remove the files of trials that have ended, once no worker waits for its next trial."""
        self._checkpoints.remove_discarded()
        self._models.remove_discarded()

    def _wants_another(self) -> bool:
        return (
            self._budget.has_room(len(self._trials), self._n_spared, len(self._running))
            and time.monotonic() < self._limits.deadline
            and not self._exhausted
            and not self._interrupted
        )

    def _may_prepare(self) -> bool:
        """Return whether the next trial can be suggested now from the trials it may see."""
        number = len(self._trials)
        if self._prepared is not None or not self._wants_another():
            return False
        if self._free:  # not before a worker is free: by then more may be known
            return len(self._running) < self._executor.n_workers
        return self._first_open() >= self._suggester.lag.n_shown(number)

    def _first_open(self) -> int:
        """Return the number of the first trial that has not ended, or else the trial count."""
        while self._n_settled < len(self._trials) and self._trials[self._n_settled].outcome:
            self._n_settled += 1
        return self._n_settled

    def _prepare(self) -> None:
        """Suggest the next trial while the workers are busy, so that no worker waits for it."""
        if not self._may_prepare():
            return
        number = len(self._trials)
        if self._free:
            self._suggester.show_finished(self._trials)
        else:
            self._suggester.show(self._trials, self._suggester.lag.n_shown(number))
        self._prepared = self._suggester.ask(number)
        self._exhausted = self._prepared is None

    def _visible(self, number: int) -> Container[int]:
        if self._free:
            return self._finished
        return range(self._suggester.lag.n_shown(number))

    # --- taking events

    def _take(self, event: messages.Event) -> Iterator[events.SearchEvent]:
        match event:
            case messages.Evaluated():
                yield from self._take_evaluation(event)
            case messages.Finished(number, worker, result):
                yield from self._finish(number, worker, result)
            case messages.Suspended(number, saved):
                self._leave(number, saved=saved)
            case messages.HandedOut(number, node):
                yield events.TrialPlaced(number, node)
            case messages.BaselineScored():
                yield from self._baselines.take(event)
            case messages.WorkerDied() if event.number in self._baselines:
                yield from self._baselines.take_death(event)
            case messages.WorkerDied():
                yield from self._take_death(event)
            case events.CodeLoaded() | events.Notice() | events.Printed():
                yield event

    def _take_evaluation(self, event: messages.Evaluated) -> Iterator[events.SearchEvent]:
        self._has_evaluated = True
        trial = self._running[event.number]
        if event.n_waiting != trial.n_waiting:
            trial.begin_stage(event.n_waiting)
        scores = [evaluation.score for evaluation in event.evaluations]
        trial.curve.append(fmean(scores))
        curves = self._curves[trial.number]
        for stage, score in curves.add(event.step, scores, event.n_waiting).items():
            self._judge.add(trial.number, score, stage)
        if self._judge.judges(trial.number) and not event.is_last:
            self._executor.reply(trial.number, go_on=not self._stops(event))
        self._database.add_evaluations(trial.number, event.step, event.evaluations)
        yield evaluated_event(trial, event.evaluations, curves.best_step(event.n_waiting))

    def _stops(self, event: messages.Evaluated) -> bool:
        number, n_waiting = event.number, event.n_waiting
        return self._judge.stops(number, n_waiting, ends_stage=event.ends_stage)

    def _take_death(self, event: messages.WorkerDied) -> Iterator[events.SearchEvent]:
        if event.number is None or event.number not in self._running:
            yield events.Notice(f"An idle worker died ({event.cause}); a new one was started.")
            return
        trial = self._running.pop(event.number)
        n_done = trial.n_before + len(trial.curve)
        got_further = n_done > self._furthest.get(trial.number, 0)
        self._furthest[trial.number] = max(n_done, self._furthest.get(trial.number, 0))
        event = self._with_log(event)
        is_charged = not (got_further or event.is_lost)
        is_last = is_charged and trial.attempt >= self._study.search.attempts
        needs_more_memory = event.out_of_memory and not event.is_evicted
        if is_last or needs_more_memory:
            self._running[trial.number] = trial
            yield from self._finish(trial.number, event.worker, result_of_dead(event))
            return
        trial.attempt += is_charged
        yield from self._begin_again(trial)
        reason = f"{WORKER_DIED}: {event.cause}"
        yield events.Notice(f"Trial {trial.number}: {reason}. Retrying.")
        yield from self._submit(trial)

    def _with_log(self, event: messages.WorkerDied) -> messages.WorkerDied:
        """Return the event with the log of what the trial printed, if it printed something."""
        log = self._folder and trial_log(self._folder, event.number)
        return replace(event, log=str(log)) if log and log.is_file() else event

    def _finish(
        self, number: int, worker: int, result: TrialResult
    ) -> Iterator[events.SearchEvent]:
        trial = self._running.pop(number)
        del self._curves[number]
        result = with_finite_values(result, trial.config)
        trial.outcome, trial.reason, trial.value = result.outcome, result.reason, result.value
        trial.fold_scores, trial.metrics = result.fold_scores, result.metrics
        trial.seconds = result.seconds
        is_best = self._front.take(trial)
        self._finished.add(number)
        self._has_ended_one = True
        is_spared = self._budget.spares(trial)
        self._n_spared += is_spared
        if not is_spared:
            self._charged.add(trial)
        self._judge.finish(trial)
        gone = self._predictions.take(trial, len(result.predictions or b""))
        finish = partial(
            self._database.finish_trial,
            *(number, result, worker),
            values=trial.values if len(self._directions) > 1 else None,
            drop_predictions=gone,
        )
        yield from self.stored(finish)
        self._checkpoints.discard(number)
        self._models.take(trial)
        yield finished_event(trial, is_best=is_best, is_spared=is_spared)

    def _waiting(self) -> Iterator[events.Waiting]:
        """Say that no trial of this call has been evaluated yet."""
        if self._running and not self._has_evaluated:
            yield from self._waits.on("waiting for the first evaluation")

    def _flush(self) -> Iterator[events.SearchEvent]:
        if time.monotonic() - self._flushed > FLUSH:
            yield from self.stored(self._database.flush)
            self._flushed = time.monotonic()

    # --- judging the whole

    def _ending(self) -> events.Ending:
        if self._interrupted and not self._budget.is_spent(self._trials):
            return "interrupted"
        is_in_vain = self._charged.are_in_vain or are_without_value(self._trials)
        if self._has_ended_one and is_in_vain:
            return "failing"
        if len(self._trials) - self._n_spared >= self._limits.n_total:
            return "done"
        if self._n_spared >= self._budget.most_spared:
            return "infeasible"
        return "exhausted" if self._exhausted else "timeout"

    def _ended(self) -> events.SearchEnded:
        self._checkpoints.remove_root()
        self._models.remove_root()
        ended = [trial for trial in self._trials if trial.outcome is not None]
        n_done, n_total = len(ended) - self._n_spared, self._limits.n_total
        ending = self._ending()
        if ending == "failing":
            told = self._charged.trials if self._charged.are_in_vain else ended
            return in_vain(told, n_done, n_total, self._n_spared)
        return events.SearchEnded(ending, n_done, n_total, n_spared=self._n_spared)
