"""A tracker at work in a thread of its own: whatever it does, the search goes on at its pace."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread

from tunecli.files.small import read_small
from tunecli.files.whole import whole_file
from tunecli.search.events.events import (
    Notice,
    SearchEnded,
    SearchEvent,
    SearchStarted,
    TrialEvaluated,
    TrialFinished,
    TrialStarted,
)
from tunecli.search.events.trackers.destination import Destination
from tunecli.search.events.trackers.tracker import Group, Tracker

N_WAITING = 10_000
"""Events that may wait for a tracker before points of curves are left out."""

PATIENCE = 30.0
"""Seconds that a search waits, when it ends, for what is not yet shown: MLflow needs ten to make a
new database. A second Ctrl-C ends that, too."""

LAST_CHANCE = 2.0
"""The same for a tracker that failed whenever it was tried, which was told already."""

Connect = Callable[[Group], Tracker]


class Mirror:
    """Feeds one tracker. Nothing here raises or waits but `join`, which waits for so long.

    Args:
        name: of the tracker, for notices.
        connect: makes the tracker; called in the thread, and again until it succeeds.
        n_waiting: events that may wait before points of curves are left out; at twice as many,
            everything is.
    """

    def __init__(self, name: str, group: Group, connect: Connect, n_waiting: int = N_WAITING):
        self._name = name
        self._group = group
        self._connect = connect
        self._n_waiting = n_waiting
        self._waiting: SimpleQueue[SearchEvent | None] = SimpleQueue()
        self._notices: SimpleQueue[Notice] = SimpleQueue()
        self._tracker: Tracker | None = None
        self._has_failed = False
        self.n_dropped = 0
        self._thread = Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def tell(self, event: SearchEvent) -> None:
        """Pass one event on, or leave it out if the tracker is too far behind."""
        if not isinstance(event, TrialStarted | TrialEvaluated | TrialFinished):
            return
        room = self._n_waiting * (1 if isinstance(event, TrialEvaluated) else 2)
        if self._waiting.qsize() < room:
            self._waiting.put(event)
            return
        if not self.n_dropped:
            self._say("it is too slow; points of curves are left out there.")
        self.n_dropped += 1

    def news(self) -> Iterator[Notice]:
        """What the user should read since the last call."""
        with suppress(Empty):
            while True:
                yield self._notices.get_nowait()

    def end(self) -> None:
        """Pass nothing on but what waits already."""
        self._waiting.put(None)

    def join(self, seconds: float) -> None:
        """Wait until all is shown, but not for ever, and hardly for what was never reached."""
        was_never_reached = self._tracker is None and self._has_failed
        self._thread.join(max(min(seconds, LAST_CHANCE) if was_never_reached else seconds, 0))
        if was_never_reached:
            return
        if self._thread.is_alive():
            self._say("it is too slow; what is not yet shown there is left out.")

    def _work(self) -> None:
        while (event := self._waiting.get()) is not None:
            self._attempt(lambda event=event: self._pass_on(event))  # type: ignore[misc]
        if self._tracker is not None:
            self._attempt(self._tracker.close)

    def _attempt(self, action: Callable[[], None]) -> None:
        """Whatever a tracker raises is no reason to stop: the next event may pass again."""
        try:
            action()
        except ModuleNotFoundError as error:
            kind = self._name.partition(":")[0]
            self._fail(f"{error.name} is not installed: pip install 'tunecli[{kind}]'")
        except Exception as error:
            told = " ".join(str(error).split())
            self._fail(f"{type(error).__name__}: {told[:200]}" if told else type(error).__name__)

    def _fail(self, reason: str) -> None:
        if not self._has_failed:
            self._say(f"{reason}. The search goes on; what is shown there may have gaps.")
        self._has_failed = True

    def _pass_on(self, event: SearchEvent) -> None:
        if self._tracker is None:
            self._tracker = self._connect(self._group)
        match event:
            case TrialStarted():
                self._tracker.start(event)
            case TrialEvaluated():
                self._tracker.evaluate(event)
            case TrialFinished():
                self._tracker.finish(event)

    def _say(self, text: str) -> None:
        told = re.sub(r"//[^/@\s]*@", "//", f"--log {self._name}: {text}")  # no passwords
        self._notices.put(Notice(told))


class Mirrors:
    """All trackers of one search.

    Args:
        destinations: what `--log` names.
        folder: the study's, where `trackers.json` keeps what ties later calls to the same runs.
    """

    def __init__(self, destinations: Sequence[Destination], folder: Path) -> None:
        self._destinations = destinations
        self._folder = folder
        self._mirrors: list[Mirror] = []
        self._closed = False

    def tell(self, event: SearchEvent) -> None:
        """Pass one event on; at the end of a search, wait until it is shown."""
        if isinstance(event, SearchStarted) and self._destinations:
            group = Group(event.study, study_key(self._folder), event.objective)
            self._mirrors = [
                Mirror(f"{one.kind}:{one.target}", group, _connection(one))
                for one in self._destinations
            ]
        for mirror in self._mirrors:
            mirror.tell(event)
        if isinstance(event, SearchEnded):
            self.close()

    def news(self) -> list[Notice]:
        """What the user should read since the last call."""
        return [notice for mirror in self._mirrors for notice in mirror.news()]

    def close(self) -> None:
        """Wait until all is shown, but not for ever."""
        if self._closed:
            return
        self._closed = True
        for mirror in self._mirrors:
            mirror.end()
        deadline = time.monotonic() + PATIENCE
        for mirror in self._mirrors:
            mirror.join(deadline - time.monotonic())


def study_key(folder: Path) -> str:
    """What tells this study from an earlier one of its name, as long as its folder exists."""
    path = folder / "trackers.json"
    with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
        return str(json.loads(read_small(path))["key"])
    key = secrets.token_hex(3)
    with suppress(OSError):  # then a later call begins new runs
        with whole_file(path) as part:
            part.write_text(json.dumps({"key": key}) + "\n", encoding="utf-8")
    return key


def _connection(destination: Destination) -> Connect:
    """Makes the tracker; its package is imported then, which takes seconds."""

    def connect(group: Group) -> Tracker:
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

    return connect
