"""Run one call of `tunecli search`: open or create the study, start workers, drive, close."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import optuna

from tunecli.data.rows.workspace import Workspace
from tunecli.database.creation import add_missing_tables
from tunecli.database.trials import Trial
from tunecli.database.urls import without_password
from tunecli.database.write import StudyDatabase
from tunecli.errors import TunecliError
from tunecli.numerics import NUMERICS, other_numerics
from tunecli.search.driver import Driver
from tunecli.search.ended_trials import earlier, finished_before
from tunecli.search.events.event_log import EventLog
from tunecli.search.events.events import (
    CodeLoaded,
    DataDescribed,
    Notice,
    Printed,
    SearchEnded,
    SearchEvent,
    SearchStarted,
    Waiting,
)
from tunecli.search.events.trackers.destination import Destination
from tunecli.search.events.trackers.mirror import Mirrors
from tunecli.search.printed_lines import logged
from tunecli.search.prune.judge import Judge
from tunecli.search.resume import (
    Edits,
    StoredStudy,
    create_study,
    keep_loaded_code,
    keep_model_files,
)
from tunecli.search.study.study_folder import StudyFolder
from tunecli.search.study.trash import put_away, refuse_foreign_study
from tunecli.search.suggest.suggester import Suggester
from tunecli.search.suggest.visible_trials import VisibleTrials
from tunecli.search.transfer import learn, start_points, start_sources
from tunecli.search.trial_budget import Limits
from tunecli.search.try_optuna import refuse_what_optuna_refuses
from tunecli.search.waits import Waits
from tunecli.search.workers.cluster.ray_executor import RayOptions, ray_executor
from tunecli.search.workers.executor import EXECUTORS, Executor
from tunecli.search.workers.machine import default_jobs, git_commit
from tunecli.search.workers.messages import DataReady, FirstTask, WorkerDied
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.settings.fold_stages import may_race
from tunecli.study_file.settings.metric_names import label, titles
from tunecli.study_file.settings.search_settings import SearchSettings
from tunecli.study_file.study_file import Study, StudyFile


class Search:
    """A search that can be iterated once, and interrupted from a signal handler.

    Args:
        study: the study as read from its file; it is completed once the data is known.
        budget: trials and timeout of this call.
        n_jobs: number of worker processes; None for as many as the GPUs or cores allow.
        grace: seconds that running trials have to save when the search is interrupted.
        jobs_per_gpu: workers per GPU, instead of `n_jobs`.
        log: trackers that mirror the trials.
        restarts: whether an existing study moves to the trash once the new one can begin.
        ray: where workers run on a Ray cluster; None for this machine without Ray.
    """

    def __init__(
        self,
        study: StudyFile,
        study_folder: StudyFolder,
        budget: SearchSettings,
        n_jobs: int | None = None,
        grace: float = 2.0,
        jobs_per_gpu: int | None = None,
        log: Sequence[Destination] = (),
        *,
        restarts: bool = False,
        ray: RayOptions | None = None,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        refuse_what_optuna_refuses(study)
        self._study = study
        self._study_folder = study_folder
        folder = Path(study.file).absolute().parent
        code = study.code or AllowedCode(folder)
        self._workspace = Workspace(folder, study_folder.runs.absolute() / ".cache", code)
        self._ray = ray
        self._n_jobs = n_jobs or self._default_jobs(jobs_per_gpu)
        self._timeout = budget.timeout
        deadline = time.monotonic() + (budget.timeout or math.inf)
        self._limits = Limits(budget.trials, deadline, grace, spares_untrained=True)
        self._log = log
        self._restarts = restarts
        self._driver: Driver | None = None
        self._executor: Executor | None = None
        self._interrupted = False

    def interrupt(self) -> None:
        """End soon; the next call resumes what is running."""
        self._interrupted = True
        if self._driver is not None:
            self._driver.interrupt()

    def events(self) -> Generator[SearchEvent]:
        """Search in a folder that is held, and yield events; also write them to `events.jsonl`."""
        log = EventLog(self._study_folder.events)
        with closing(Mirrors(self._log, self._study_folder.folder)) as mirrors:
            for event in logged(self._search(), self._study_folder.folder):
                mirrors.tell(event)
                for each in (*mirrors.news(), event):
                    notice = log.add(each)
                    yield each
                    if notice is not None:
                        yield notice

    def _search(self) -> Iterator[SearchEvent]:
        with ExitStack() as opened:
            database, stored = self._before(opened)
            if stored is not None:
                self._study = stored.resumed(self._study)
                stored.refuse_unless_same(self._study)
                stored.refuse_other_code(self._study)
                stored.refuse_other_models(self._study)
                self._limits = replace(self._limits, spares_untrained=stored.spares_untrained)
                if stored.is_finished(self._limits.budget):
                    assert database is not None
                    study = stored.completed(self._study)
                    news = stored.record_report_edits(study, database)
                    started = self._started(study, 0, stored.trials, news)
                    yield replace(started, guess=stored.summary.guess.get(started.objective))
                    yield finished_before(stored.trials, self._limits.budget)
                    return
            first = (stored.study if stored is not None else self._study).data
            first_task = FirstTask(
                self._study,
                stored is None,
                first.arguments,
                self._limits.n_total if self._study.search.baselines else 0,
                self._timeout,
            )
            if self._ray is not None:
                yield Waiting("starting Ray" if self._ray.is_here else "joining the Ray cluster")
            self._executor = self._made_executor(first_task, self._n_workers(stored), opened)
            printed: list[SearchEvent] = []
            try:
                described = yield from self._wait_for_data(self._executor, printed)
            except TunecliError:
                yield from printed
                raise
            if described is None:
                yield from printed
                n_done = self._n_ended(stored.trials) if stored else 0
                yield SearchEnded("interrupted", n_done, self._limits.n_total)
                return
            study = self._complete(described, stored)
            if database is None or stored is None:
                assert described.summary is not None
                points = start_points(study, described.summary, self._study_folder)
                learned = learn(study, described.summary, self._study_folder)
                if self._restarts:  # only now: the new study can begin
                    yield from map(Notice, put_away(self._study_folder))
                database = create_study(self._study_folder, study, described, points, learned)
                opened.callback(database.close)
                printed += map(Notice, start_sources(study, described.summary))
            yield from self._drive(study, database, described, stored, printed)

    def _before(self, opened: ExitStack) -> tuple[StudyDatabase | None, StoredStudy | None]:
        """Return the study of earlier calls that this call resumes, if there is one."""
        if self._restarts:
            refuse_foreign_study(self._study_folder)
            return None, None
        url, name = self._study_folder.url, self._study_folder.name
        database = StudyDatabase.open(url, name, is_alone=True)
        if database is None:
            return None, None
        opened.callback(database.close)
        stored = StoredStudy.read(database)  # refuses those of others before anything is written
        add_missing_tables(database.url)
        return database, stored

    def _made_executor(self, task: FirstTask, n_workers: int, opened: ExitStack) -> Executor:
        """Return the executor, which ends with `opened`."""
        if self._ray is None:
            make = EXECUTORS["local"]
            return opened.enter_context(closing(make(task, n_workers, self._workspace)))
        lock = self._study_folder.lock
        return opened.enter_context(
            ray_executor(self._ray, task, n_workers, self._workspace, lock)
        )

    def _default_jobs(self, jobs_per_gpu: int | None) -> int:
        """Return the default number of workers; on a cluster, as many as it has room for."""
        training = self._study.training
        if self._ray is not None:
            return self._study.search.parallel
        return default_jobs(training.threads, training.device, jobs_per_gpu)

    def _n_workers(self, stored: StoredStudy | None) -> int:
        """Return the number of workers: as requested, but none that would never get a trial."""
        n_ended = self._n_ended(stored.trials) if stored else 0
        n_left = max(self._limits.n_total - n_ended, 1)  # interrupted trials end in any case
        return min(self._n_jobs, self._study.search.parallel, n_left)

    def _n_ended(self, trials: Sequence[Trial]) -> int:
        """Return the number of trials that count and have ended."""
        n_ended = sum(trial.outcome is not None for trial in trials)
        return n_ended - self._limits.budget.n_spared(trials)

    def _complete(self, described: DataReady, stored: StoredStudy | None) -> Study:
        """Return the study completed from its data.

        Raises:
            StudyChangedError: the data differs from that of the first call.
        """
        summary = described.summary
        assert summary is not None
        if stored is not None:
            stored.refuse_other_data(summary)
            return stored.completed(self._study)
        return self._study.completed(summary.task, summary.n_rows, summary.given, summary.positive)

    def _drive(
        self,
        study: Study,
        database: StudyDatabase,
        described: DataReady,
        stored: StoredStudy | None,
        printed: Sequence[SearchEvent],
    ) -> Iterator[SearchEvent]:
        assert self._executor is not None
        assert described.summary is not None
        edits = stored.record_edits(study, database) if stored else Edits.none(study)
        keep_model_files(study, database)
        history = stored.trials if stored else []
        learned = tuple(map(str, database.attributes().learned))
        yield self._started(study, self._executor.n_workers, history, edits.news, learned)
        yield from printed
        yield DataDescribed(stored.as_scored(described.summary) if stored else described.summary)
        if stored is not None:
            yield from _not_comparable(stored, described)
        self._driver = self._make_driver(
            study, database, self._executor, history, edits, described
        )
        if self._interrupted:
            self._driver.interrupt()
        first = [CodeLoaded(described.worker, described.code)] if described.code else []
        for event in chain(first, self._driver.run()):
            if isinstance(event, CodeLoaded):
                keep = partial(keep_loaded_code, study, database, event.files)
                yield from self._driver.stored(keep)
            yield event

    def _wait_for_data(
        self, executor: Executor, printed: list[SearchEvent]
    ) -> Generator[Waiting, None, DataReady | None]:
        """Return the first worker's description of the data; None if interrupted before.

        Args:
            printed: gets what the workers print meanwhile, and what is noticed of them.

        Yields:
            what the search waits for, at once and again after `LONG_WAIT`.

        Raises:
            TunecliError: the data cannot be used, or the worker died.
        """
        waits = Waits()
        while not self._interrupted:
            yield from waits.on("reading the data" if executor.is_up else "starting the workers")
            for event in executor.events(timeout=0.25):
                if isinstance(event, Printed | Notice):
                    printed.append(event)
                if isinstance(event, DataReady):
                    if event.error is not None:
                        raise event.error
                    versions = event.environment | self._own_versions()
                    return replace(event, environment=versions)
                if isinstance(event, WorkerDied) and event.worker == 0:
                    message = f"The first worker died while reading the data: {event.cause}."
                    raise TunecliError(message)
        return None

    def _own_versions(self) -> dict[str, str]:
        """Return the versions of the packages that suggest trials, and the commit.

        The workers report those of the packages that train. `numerics` is the version of tunecli's
        own arithmetic.
        """
        versions = {name: version(name) for name in ("optuna", "cmaes", "scipy")}
        commit = git_commit(Path(self._study.file).parent)
        return versions | {"commit": commit, "numerics": str(NUMERICS)}

    def _make_driver(
        self,
        study: Study,
        database: StudyDatabase,
        executor: Executor,
        history: list[Trial],
        edits: Edits,
        described: DataReady,
    ) -> Driver:
        others, summary = study.first_config, described.summary
        if may_race(others) and summary and not any(trial.fold_curves for trial in history):
            database.read_fold_curves(history, summary.n_folds)  # racing was off before
        lag = VisibleTrials(edits.parallel)
        points = database.attribute("start_with", [])
        lessons = [lesson for one in database.attributes().learned for lesson in one.lessons]
        suggester = Suggester(study, points, history, lag, edits.segment, lessons)
        judge = Judge(study.search.pruner, study.objective.direction, study.name)
        for trial in history:
            judge.restore(trial, range(lag.n_shown(trial.number)), others)
        folder = self._study_folder.folder
        return Driver(
            study,
            database,
            executor,
            suggester,
            judge,
            history,
            self._limits,
            folder,
            described.baselines,
        )

    def _started(
        self,
        study: Study,
        n_jobs: int,
        history: Sequence[Trial],
        news: tuple[str, ...],
        learned: tuple[str, ...] = (),
    ) -> SearchStarted:
        return SearchStarted(
            study=study.name,
            database=without_password(self._study_folder.url),
            objective=label(study.objective.metric),
            direction=study.objective.direction,
            n_done=self._n_ended(history),
            n_total=self._limits.n_total,
            n_jobs=n_jobs,
            parallel=study.search.parallel,
            earlier=earlier(
                history,
                [objective.direction for objective in study.objectives],
                self._limits.budget,
            ),
            adopted=tuple(trial.number for trial in history if trial.outcome is None),
            changes=news,
            learned=learned,
            has_pruner=study.search.pruner is not None,
            tolerance=study.tolerance,
            gates=study.gates,
            titles=titles(study.first_config),
            timeout=self._timeout,
            n_offered=self._n_jobs,
            further_objectives=tuple(
                (label(objective.metric), objective.direction)
                for objective in study.objectives[1:]
            ),
        )


def _not_comparable(stored: StoredStudy, described: DataReady) -> Iterator[Notice]:
    """Yield why new scores may differ from those of the earlier trials."""
    if differences := stored.differences(described.environment):
        yield Notice(
            "The study began with other versions or hardware, so new scores may differ by "
            f"rounding ({'; '.join(differences)})."
        )
    if other := other_numerics(stored.numerics):
        yield Notice(f"{other} Its next trials are not bit-for-bit comparable with earlier ones.")
