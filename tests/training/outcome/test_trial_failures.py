from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch

from tunecli.training.outcome.failure_reasons import says_out_of_memory
from tunecli.training.outcome.trial_failures import (
    MOST_OF_A_REASON,
    MOST_OF_A_TRACEBACK,
    failure,
    is_beyond_repair,
    release_memory,
)


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


class SilentError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no such width"), "error: ValueError: no such width"),
        (ValueError(), "error: ValueError"),
        (SystemExit(3), "error: SystemExit: 3"),
        (SilentError(), "error: SilentError: its message cannot be read"),
        (MemoryError(), "out of memory"),
        (MemoryError("Unable to allocate 3 GiB"), "out of memory: Unable to allocate 3 GiB"),
        (
            torch.OutOfMemoryError("CUDA out of memory.\nmore"),
            "out of memory: CUDA out of memory.",
        ),
        (OSError("odd \udcff name\0"), "error: OSError: odd \\udcff name\\0"),
    ],
)
def test_what_was_raised_is_the_reason(error: BaseException, reason: str) -> None:
    result = failure(raised(error), seconds=1.5, peak_memory=2**30)
    assert (result.outcome, result.reason) == ("failed", reason)
    assert (result.seconds, result.peak_memory) == (1.5, 2**30)
    assert type(error).__name__ in result.traceback
    assert "in raised" in result.traceback
    result.traceback.encode()  # can be stored


def test_torch_and_numpy_without_memory_are_out_of_memory() -> None:
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator") as by_torch:
        torch.empty(2**55)
    with pytest.raises(MemoryError, match="Unable to allocate") as by_numpy:
        np.zeros(2**55)
    for caught in (by_torch, by_numpy):
        assert says_out_of_memory(failure(caught.value, seconds=0, peak_memory=0).reason)


def test_what_is_stored_has_a_bound() -> None:
    error = raised(ValueError("x" * 10**6))
    result = failure(error, seconds=0, peak_memory=0)
    assert len(result.reason) == MOST_OF_A_REASON
    assert len(result.traceback) == MOST_OF_A_TRACEBACK


def test_only_cudas_errors_stay() -> None:
    assert is_beyond_repair(RuntimeError("CUDA error: an illegal memory access"))
    assert not is_beyond_repair(torch.OutOfMemoryError("CUDA out of memory."))
    assert not is_beyond_repair(SilentError())


def test_memory_in_cycles_is_given_back() -> None:
    class Held:
        pass

    gc.disable()
    try:
        held = Held()
        held.itself = held  # type: ignore[attr-defined]
        gone = weakref.ref(held)
        del held
        assert gone() is not None
        release_memory()
        assert gone() is None
    finally:
        gc.enable()
