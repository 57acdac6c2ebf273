"""Untuned models on a study's folds: jobs behind the first trials, stored as they come."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict

from pydantic import TypeAdapter

from tunecli.database.validate_rows import refuse_nonsense
from tunecli.database.write import StudyDatabase
from tunecli.search.events.events import BaselinesScored, Notice, SearchEvent
from tunecli.search.workers.executor import Executor
from tunecli.search.workers.messages import BaselineJob, BaselineScored, WorkerDied
from tunecli.study_file.settings.source_kinds import NO_SOURCE
from tunecli.study_file.space.walk import first_value
from tunecli.study_file.study_file import StudyFile
from tunecli.training.outcome.evaluation import BASELINES, Baseline
from tunecli.training.outcome.failure_reasons import WORKER_DIED

_STORED = TypeAdapter(tuple[Baseline, ...])


class Baselines:
    """Those that a study has, and those that it lacks. No trial depends on them.

    Each is stored when its job ends; one that is interrupted is left to the next call.

    Args:
        study: a completed study file.
    """

    def __init__(self, study: StudyFile, database: StudyDatabase, executor: Executor) -> None:
        self._study = study
        self._database = database
        self._executor = executor
        stored = read_baselines(database) or ()
        self._known = {baseline.name: baseline for baseline in stored}
        self._lacking = lacking(study, stored)
        self._running: dict[int, str] = {}

    @property
    def are_running(self) -> bool:
        """Whether some are waited for."""
        return bool(self._running)

    def __contains__(self, number: int | None) -> bool:
        """Whether a job of that number is one of them."""
        return number in self._running

    def tell(self) -> Iterator[SearchEvent]:
        """What is known, once nothing more is to come."""
        if self._known and not self._lacking and not self._running:
            yield BaselinesScored(tuple(self._known.values()))

    def submit(self) -> None:
        """Have those computed that are lacking."""
        if not self._lacking:
            return
        config = self._study.resolve(lambda _, range_: first_value(range_))
        for number, name in enumerate(self._lacking, start=1):
            self._running[-number] = name
            self._executor.submit(BaselineJob(-number, name, config))
        self._lacking = []

    def take(self, event: BaselineScored) -> Iterator[SearchEvent]:
        """Store what a worker found."""
        del self._running[event.number]
        yield from self._store(event.baseline)

    def take_death(self, event: WorkerDied) -> Iterator[SearchEvent]:
        """Go without the one that a worker died under."""
        assert event.number is not None
        name, why = self._running.pop(event.number), f"{WORKER_DIED}: {event.cause}"
        yield Notice(f"No baseline from {name}: {why}.")
        yield from self._store(Baseline(name, note=why))

    def _store(self, baseline: Baseline) -> Iterator[SearchEvent]:
        self._known[baseline.name] = baseline
        found = [asdict(baseline) for baseline in self._known.values()]
        self._database.set_attributes({"baselines": found})
        yield from self.tell()

    def stop(self) -> None:
        """Leave the rest to the next call."""
        for number in sorted(self._running):  # those that wait before those that run
            self._executor.kill(number)
        self._running.clear()


def read_baselines(database: StudyDatabase) -> tuple[Baseline, ...] | None:
    """Those that are stored; None in a study of a version that had none.

    Raises:
        DatabaseError: they are damaged.
    """
    with refuse_nonsense(database.url):
        stored = database.attribute("baselines")
        return None if stored is None else _STORED.validate_python(stored)


def lacking(study: StudyFile, stored: Collection[Baseline]) -> list[str]:
    """Names of those that a completed study is still to have: none where it brings no data."""
    task = study.sections.task
    if not study.search.baselines or study.data.source == NO_SOURCE or task is None:
        return []
    known = {baseline.name for baseline in stored}
    return [name for name in BASELINES[task] if name not in known]
