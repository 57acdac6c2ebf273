"""The seam between the driver and wherever trials are trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from tunecli.search.workers.messages import Event, Job


class Executor(Protocol):
    """Trains jobs somewhere: in this process, in local processes, on a cluster.

    The very first event is a worker's `Described`, unless that worker dies: what the data is, or
    why it cannot be used. Whatever happens to a job, exactly one `Finished`, `BaselineScored`,
    `Suspended` or `WorkerDied` tells of it, unless the driver killed it.
    """

    n_workers: int

    def submit(self, job: Job) -> None:
        """Train `job` as soon as a worker is free; first come, first served.

        Of a trial, `Evaluated` events follow, then `Finished`; of a baseline `BaselineScored`.
        """

    def reply(self, number: int, go_on: bool) -> None:
        """Answer the newest `Evaluated` of trial `number`; False ends it as pruned."""

    def stop(self, number: int, grace: float) -> None:
        """Suspend trial `number`: saved after its next evaluation if that comes within `grace`.

        `Suspended` follows in any case, after `grace` seconds at the latest.
        """

    def kill(self, number: int) -> None:
        """End job `number` now, with its worker; another worker takes its place."""

    def events(self, timeout: float) -> Sequence[Event]:
        """What has happened; waits up to `timeout` seconds for the first."""

    def close(self) -> None:
        """End all workers; no event follows."""
