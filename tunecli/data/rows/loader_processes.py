"""Processes that load batches ahead of the training: torch's `DataLoader`, adapted to a search.

They are forked, so that a user's data set need not be pickled and no code is imported again. They
end with the process that started them, however it ends, and ignore the signals that it ignores.
Where forking is not safe (macOS), batches are loaded without them.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import torch
from torch.utils.data import DataLoader, Dataset

from tunecli import parent_death
from tunecli.data.rows.hardware import n_cores
from tunecli.errors import TunecliError, UserCodeError
from tunecli.temporary_folder import claim

Rows = list[int]
Result = TypeVar("Result")

MOST = 2
"""Largest number of loader processes per worker: there is one worker per core already."""


def n_loaders() -> int:
    """Return the number of loader processes per worker on this machine; 0 if it cannot fork."""
    return 0 if sys.platform == "darwin" else min(MOST, n_cores())


def loaded(
    source: str, read: Callable[[Rows], Result], requests: Sequence[Rows], n: int
) -> Iterator[Result]:
    """Return what `read` gives for each request, in order.

    Torch's global generator, from which `DataLoader` would draw, is not touched.

    Args:
        source: the name of the data in messages.
        n: the number of loader processes; with 0, or for a single request, this process reads.

    Raises:
        TunecliError: `read` raises it, or a loader process died.
    """
    if n == 0 or len(requests) == 1:
        yield from map(read, requests)
        return
    claim()  # batches go through sockets
    is_main = threading.current_thread() is threading.main_thread()
    loader = DataLoader(
        _Requests(read),
        batch_size=None,
        sampler=requests,
        num_workers=n,
        collate_fn=lambda batch: batch,
        worker_init_fn=partial(_begin, os.getpid(), is_main),
        multiprocessing_context="fork",
        generator=torch.Generator(),
    )
    with parent_death.unheard():
        walk = iter(loader)
    try:
        for result in walk:
            if isinstance(result, _Failure):
                raise result.kind(result.text)
            yield result
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise UserCodeError(_death(source, f"{error} {error.__cause__ or ''}".strip())) from error
    finally:
        del walk  # ends the processes


@dataclass(frozen=True)
class _Failure:
    """An error as a result, because torch would put a traceback into its text."""

    kind: type[UserCodeError | MemoryError]
    text: str


class _Requests(Dataset[Result | _Failure], Generic[Result]):
    """The data set that `DataLoader` reads, one whole request at a time."""

    def __init__(self, read: Callable[[Rows], Result]) -> None:
        self._read = read

    def __getitem__(self, rows: Rows) -> Result | _Failure:
        try:
            return self._read(rows)
        except TunecliError as error:
            return _Failure(UserCodeError, str(error))
        except MemoryError as error:
            return _Failure(MemoryError, str(error))


def _begin(parent: int, is_main: bool, _: int) -> None:
    """Take the first steps of a loader process; `is_main` if the main thread forked it."""
    parent_death.end_with_the_parents_pipe()
    if is_main:  # the kernel takes the end of the thread that forked for the parent's
        parent_death.end_with_the_parent()
    if os.getppid() != parent:
        os._exit(1)
    for number in parent_death.THE_DRIVERS:  # torch has let SIGTERM be heard again
        if number == signal.SIGINT or signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, parent_death.THE_DRIVERS)


def _death(source: str, text: str) -> str:
    """Explain why a loader process died, from torch's error text."""
    if "Bus error" in text or "shared memory" in text:
        return (
            f"{source}: a loader process ran out of shared memory (/dev/shm), which batches pass "
            "through. Give the container more of it (docker run --shm-size), or write "
            "a smaller batch_size."
        )
    why = "Memory may have run out, or native code crashed"
    return f"{source}: a loader process died. {why}. Torch reports: {text}"
