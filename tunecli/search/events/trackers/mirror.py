"""Run each tracker in its own thread, so that it can neither slow nor stop the search."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from tunecli.files.small import read_small
from tunecli.files.whole import whole_file
from tunecli.search.events import events
from tunecli.search.events.trackers.destination import Destination
from tunecli.search.events.trackers.tracker import Group, Tracker

N_WAITING = 10_000
"""Largest number of events that wait for a tracker before points of curves are dropped."""

PATIENCE = 30.0
"""Seconds that an ending search waits for its trackers: MLflow needs ten to create a new database.
A second Ctrl-C ends the wait."""

LAST_CHANCE = 2.0
"""Seconds that an ending search waits for a tracker that has failed every time so far."""

Connect = Callable[[Group], Tracker]


class Mirror:
    """Feeds one tracker. Only `join` waits, for a limited time, and nothing here raises.

    Args:
        name: the tracker's name, for notices.
        connect: makes the tracker; called in the thread, again until it succeeds.
        n_waiting: number of waiting events at which points of curves are dropped; at twice as
            many, all events are.
    """

    def __init__(self, name: str, group: Group, connect: Connect, n_waiting: int = N_WAITING):
        self._name = name
        self._group = group
        self._connect = connect
        self._n_waiting = n_waiting
        self._waiting: SimpleQueue[events.SearchEvent | None] = SimpleQueue()
        self._notices: SimpleQueue[events.Notice] = SimpleQueue()
        self._tracker: Tracker | None = None
        self._has_failed = False
        self.n_dropped = 0
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def tell(self, event: events.SearchEvent) -> None:
        """Pass on one event, or drop it if the tracker is too far behind."""
        if not isinstance(event, events.TrialNews):
            return
        room = self._n_waiting * (1 if isinstance(event, events.TrialEvaluated) else 2)
        if self._waiting.qsize() < room:
            self._waiting.put(event)
            return
        if not self.n_dropped:
            self._say("the tracker is too slow, so some points of its curves are dropped.")
        self.n_dropped += 1

    def news(self) -> Iterator[events.Notice]:
        """Yield the notices since the last call."""
        with suppress(Empty):
            while True:
                yield self._notices.get_nowait()

    def end(self) -> None:
        """Accept no more events; those that wait are still passed on."""
        self._waiting.put(None)

    def join(self, seconds: float) -> None:
        """Wait until all events are passed on, for at most `seconds`.

        For a tracker that was never reached, wait at most `LAST_CHANCE` seconds.
        """
        was_never_reached = self._tracker is None and self._has_failed
        self._thread.join(max(min(seconds, LAST_CHANCE) if was_never_reached else seconds, 0))
        if self._thread.is_alive() and not was_never_reached:
            self._say("the tracker is too slow, so its last events are dropped.")

    def _work(self) -> None:
        while (event := self._waiting.get()) is not None:
            self._attempt(lambda event=event: self._pass_on(event))  # type: ignore[misc]
        if self._tracker is not None:
            self._attempt(self._tracker.close)

    def _attempt(self, action: Callable[[], None]) -> None:
        """Call `action`, and report whatever a tracker raises; the next event may succeed."""
        try:
            action()
        except ModuleNotFoundError as error:
            kind = self._name.partition(":")[0]
            self._fail(f"{error.name} is not installed: pip install 'tunecli[{kind}]'")
        except Exception as error:
            text = " ".join(str(error).split())
            self._fail(f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__)

    def _fail(self, reason: str) -> None:
        if not self._has_failed:
            self._say(f"{reason}. The search continues; this tracker may miss events.")
        self._has_failed = True

    def _pass_on(self, event: events.SearchEvent) -> None:
        if self._tracker is None:
            self._tracker = self._connect(self._group)
        match event:
            case events.TrialStarted():
                self._tracker.start(event)
            case events.TrialEvaluated():
                self._tracker.evaluate(event)
            case events.TrialFinished():
                self._tracker.finish(event)

    def _say(self, text: str) -> None:
        safe = re.sub(r"//[^/@\s]*@", "//", f"--log {self._name}: {text}")  # no passwords
        self._notices.put(events.Notice(safe))


class Mirrors:
    """All trackers of one search.

    Args:
        destinations: the values of `--log`.
        folder: the study's folder; its `trackers.json` ties later calls to the same runs.
    """

    def __init__(self, destinations: Sequence[Destination], folder: Path) -> None:
        self._destinations = destinations
        self._folder = folder
        self._mirrors: list[Mirror] = []
        self._closed = False

    def tell(self, event: events.SearchEvent) -> None:
        """Pass on one event; at the end of a search, wait for the trackers."""
        if isinstance(event, events.SearchStarted) and self._destinations:
            group = Group(event.study, study_key(self._folder), event.objective)
            self._mirrors = [
                Mirror(f"{one.kind}:{one.target}", group, partial(_connected, one))
                for one in self._destinations
            ]
        for mirror in self._mirrors:
            mirror.tell(event)
        if isinstance(event, events.SearchEnded):
            self.close()

    def news(self) -> list[events.Notice]:
        """Return the notices since the last call."""
        return [notice for mirror in self._mirrors for notice in mirror.news()]

    def close(self) -> None:
        """Wait until all events are passed on, for at most `PATIENCE` seconds."""
        if self._closed:
            return
        self._closed = True
        for mirror in self._mirrors:
            mirror.end()
        deadline = time.monotonic() + PATIENCE
        for mirror in self._mirrors:
            mirror.join(deadline - time.monotonic())


def study_key(folder: Path) -> str:
    """Return a key that distinguishes this study from earlier ones with its name.

    It is the same in every call as long as the folder exists.
    """
    path = folder / "trackers.json"
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        return str(json.loads(read_small(path))["key"])
    key = secrets.token_hex(3)
    with suppress(OSError):  # without the file, a later call begins new runs
        with whole_file(path) as part:
            part.write_text(json.dumps({"key": key}) + "\n", encoding="utf-8")
    return key


def _connected(destination: Destination, group: Group) -> Tracker:
    """Make a tracker; this imports its package, which takes seconds."""
    match destination.kind:
        case "mlflow":
            from tunecli.search.events.trackers.mlflow_tracker import MlflowTracker

            return MlflowTracker(destination.target, group)
        case "tensorboard":
            from tunecli.search.events.trackers.tensorboard_tracker import TensorBoardTracker

            return TensorBoardTracker(Path(destination.target), group)
        case "wandb":
            from tunecli.search.events.trackers.wandb_tracker import WandbTracker

            return WandbTracker(destination.target, group)
