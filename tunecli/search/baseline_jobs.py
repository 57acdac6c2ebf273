"""Score untuned models on a study's folds, in jobs behind the first trials."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial

from tunecli.database.write import StudyDatabase
from tunecli.search.events.events import (
    BaselinesAwaited,
    BaselinesScored,
    Notice,
    SearchEvent,
)
from tunecli.search.workers.executor import Executor
from tunecli.search.workers.messages import BaselineJob, BaselineScored, WorkerDied
from tunecli.study_file.settings.source_kinds import NO_SOURCE
from tunecli.study_file.study_file import Study
from tunecli.training.outcome.evaluation import BASELINES, Baseline, BaselinePlan
from tunecli.training.outcome.failure_reasons import WORKER_DIED


class Baselines:
    """The baselines of a study: those already stored and those still missing.

    No trial depends on them. Each is stored when its job ends; an interrupted one is left to the
    next call.

    Args:
        study: a completed study file.
        plan: how long they may take.
        stored: calls what writes to the database until that succeeds.
    """

    def __init__(
        self,
        study: Study,
        database: StudyDatabase,
        executor: Executor,
        plan: BaselinePlan,
        stored: Callable[[Callable[[], object]], Iterator[SearchEvent]],
    ) -> None:
        self._study = study
        self._database = database
        self._executor = executor
        self._plan = plan
        self._stored = stored
        known = database.attributes().baselines
        self._known = {baseline.name: baseline for baseline in known}
        self._lacking = lacking(study, known)
        self._running: dict[int, str] = {}

    @property
    def are_running(self) -> bool:
        """Whether baseline jobs are unfinished."""
        return bool(self._running)

    def __contains__(self, number: int | None) -> bool:
        """Return whether the job of that number is an unfinished baseline."""
        return number in self._running

    def tell(self) -> Iterator[SearchEvent]:
        """Yield all baselines once none is missing."""
        if self._known and not self._lacking and not self._running:
            yield BaselinesScored(tuple(self._known.values()))

    def submit(self) -> Iterator[SearchEvent]:
        """Submit jobs for the missing baselines."""
        if not self._lacking:
            return
        config = self._study.first_config
        for number, name in enumerate(self._lacking, start=1):
            self._running[-number] = name
            self._executor.submit(BaselineJob(-number, name, config, limit=self._plan.limit))
        self._lacking = []
        yield self._awaited()

    def take(self, event: BaselineScored) -> Iterator[SearchEvent]:
        """Store a baseline that a worker has scored."""
        del self._running[event.number]
        yield from self._store(event.baseline)

    def take_death(self, event: WorkerDied) -> Iterator[SearchEvent]:
        """Store the baseline whose worker died, without scores."""
        assert event.number is not None
        name, why = self._running.pop(event.number), f"{WORKER_DIED}: {event.cause}"
        yield Notice(f"The baseline {name} has no score: {why}.")
        yield from self._store(Baseline(name, note=why))

    def _store(self, baseline: Baseline) -> Iterator[SearchEvent]:
        self._known[baseline.name] = baseline
        known = {"baselines": [*self._known.values()]}
        yield from self._stored(partial(self._database.set_attributes, known))
        yield self._awaited()
        yield from self.tell()

    def _awaited(self) -> BaselinesAwaited:
        names = tuple(self._running.values())
        seconds = sum(self._plan.seconds.get(name, 0.0) for name in names)
        return BaselinesAwaited(names, seconds)

    def stop(self) -> None:
        """Leave the rest to the next call."""
        for number in sorted(self._running):  # waiting jobs before running ones
            self._executor.kill(number)
        self._running.clear()


def lacking(study: Study, stored: Collection[Baseline]) -> list[str]:
    """Return the names of a completed study's missing baselines; empty for one without data."""
    if not study.search.baselines or study.data.source == NO_SOURCE:
        return []
    known = {baseline.name for baseline in stored}
    return [name for name in BASELINES[study.task] if name not in known]
