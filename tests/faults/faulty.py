"""`tunecli`, but that training misbehaves in its second epoch where the model's width says so.

The server that workers fork from imports this module, too, so the workers have the same faults.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from tunecli.cli import main
from tunecli.search.workers import local
from tunecli.training.fold import FoldTraining
from tunecli.training.outcome.evaluation import Evaluation

ROOM = 600_000_000  # bytes that a worker may take beyond what it holds


def fall_ill() -> None:
    raise RuntimeError("CUDA error: device-side assert triggered")


def hang_in_native_code() -> None:
    """No Python runs meanwhile, in no thread."""
    ctypes.PyDLL(None).sleep(3600)


def hang_and_refuse_to_go() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(3600)


def fill_what_is_allowed() -> None:
    """Until Python has no more; what was taken hangs in a cycle, which only the collector ends."""
    _limit_memory()
    hoard: list[Any] = []
    hoard.append(hoard)
    while True:
        hoard.append(bytearray(50_000_000))


def fill_by_torch() -> None:
    _limit_memory()
    hoard: list[Any] = []
    hoard.append(hoard)
    while True:
        hoard.append(torch.ones(12_500_000))


def need_most_of_it() -> None:
    """Fits only if nothing is left of the trial before."""
    bytearray(ROOM * 3 // 4)


def fill_the_machine() -> None:
    """Until the kernel has no more."""
    hoard = []
    while True:
        hoard.append(torch.ones(12_500_000))
        time.sleep(0.01)


def _limit_memory() -> None:
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + ROOM, size + ROOM))


class OddError(Exception):
    def __str__(self) -> str:
        raise KeyError("no text")


def raise_oddly() -> None:
    raise OddError


FAULTS: dict[int, Callable[[], object]] = {
    101: lambda: os.kill(os.getpid(), signal.SIGSEGV),
    102: os.abort,
    103: lambda: os._exit(0),
    104: lambda: os._exit(3),
    105: lambda: sys.exit(3),
    106: hang_in_native_code,
    107: hang_and_refuse_to_go,
    108: fill_what_is_allowed,
    109: fill_by_torch,
    110: need_most_of_it,
    111: fall_ill,
    112: raise_oddly,
    113: fill_the_machine,
    114: lambda: os.kill(os.getpid(), signal.SIGKILL),
}

_evaluate = FoldTraining.evaluate


def _misbehave(training: FoldTraining, *given: Any) -> Evaluation:
    evaluation = _evaluate(training, *given)
    fault = FAULTS.get(training._config.model.arguments["width"])
    if fault is not None and evaluation.step == 1:
        fault()
    return evaluation


FoldTraining.evaluate = _misbehave  # type: ignore[method-assign]

if __name__ == "__main__":
    local.hidden_main_module = nullcontext  # so that workers import this module, with its faults
    main()
