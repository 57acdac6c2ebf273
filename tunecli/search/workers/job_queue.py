"""The jobs that wait for a worker, for every executor."""

from __future__ import annotations

from collections import deque

from tunecli.search.workers.messages import Job


class JobQueue(deque[Job]):
    """Jobs in the order in which workers take them: first come, first served."""

    def withdraw(self, number: int) -> bool:
        """Remove job `number`, which no worker has begun; return whether it was waiting."""
        waiting = [job for job in self if job.number == number]
        for job in waiting:
            self.remove(job)
        return bool(waiting)
