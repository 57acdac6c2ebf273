"""The interface between the driver and the places where trials are trained, and these places.

`watching.py` watches the time and the memory of trials for every executor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tunecli.data.rows.workspace import Workspace
from tunecli.search.workers.local import LocalExecutor
from tunecli.search.workers.messages import Event, FirstTask, Job


class Executor(Protocol):
    """Trains jobs: in this process, in local processes, or on a cluster.

    The first event is a worker's `DataReady`, unless that worker dies: what the data is, or why it
    cannot be used. Each job ends in exactly one `Finished`, `BaselineScored`, `Suspended` or
    `WorkerDied`, unless the driver killed it.
    """

    @property
    def n_workers(self) -> int:
        """Number of workers; on a cluster it follows the nodes."""

    @property
    def is_up(self) -> bool:
        """Whether the first workers have been started."""

    def submit(self, job: Job) -> None:
        """Train `job` as soon as a worker is free; first come, first served.

        For a trial, `Evaluated` events follow, `Concluded` if it is complete, then `Finished`; for
        a baseline, `BaselineScored`.
        """

    def reply(self, number: int, go_on: bool) -> None:
        """Answer the newest `Evaluated` of trial `number`; False ends it as pruned."""

    def stop(self, number: int, grace: float) -> None:
        """Suspend trial `number`; save it after its next evaluation if that is within `grace`.

        `Suspended` follows in any case, after `grace` seconds at the latest.
        """

    def kill(self, number: int) -> None:
        """End job `number` now, with its worker, which is replaced."""

    def events(self, timeout: float) -> Sequence[Event]:
        """Return the events since the last call; wait up to `timeout` seconds for the first."""

    def close(self) -> None:
        """End all workers; no event follows."""


EXECUTORS: dict[str, Callable[[FirstTask, int, Workspace], Executor]] = {"local": LocalExecutor}
"""Places on this machine: made with the first worker's task, workers, and where the data is.

The one on a cluster is `tunecli/search/workers/cluster/ray_executor.py`.
"""
