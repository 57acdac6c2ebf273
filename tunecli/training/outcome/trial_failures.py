"""Turn an exception in training into a result, and check whether the process is still usable."""

from __future__ import annotations

import gc
import traceback

import torch

from tunecli.data.user_code.import_user_code import place_in_code
from tunecli.errors import UserCodeError
from tunecli.training.outcome.evaluation import TrialResult
from tunecli.training.outcome.failure_reasons import ERROR, OUT_OF_MEMORY

MOST_OF_A_REASON = 1_000  # characters: some messages contain whole tensors
MOST_OF_A_TRACEBACK = 20_000


def failure(error: BaseException, *, seconds: float, peak_memory: int) -> TrialResult:
    """Return the result of a trial that `error` ended.

    Args:
        seconds: duration of the trial.
        peak_memory: largest number of bytes that the trial held at once.
    """
    trace = "".join(traceback.format_exception(error))
    return TrialResult(
        "failed",
        reason=_storable(_reason(error))[:MOST_OF_A_REASON],
        traceback=_storable(trace)[-MOST_OF_A_TRACEBACK:],
        seconds=seconds,
        peak_memory=peak_memory,
    )


def _reason(error: BaseException) -> str:
    text = _text(error)
    if is_out_of_memory(error):
        return f"{OUT_OF_MEMORY}: {text.splitlines()[0]}" if text.strip() else OUT_OF_MEMORY
    if isinstance(error, UserCodeError):  # it already names the error and its location
        return f"{ERROR}: {text}"
    named = f"{ERROR}: {type(error).__name__}: {text}".removesuffix(": ")
    return f"{named}{place_in_code(error)}"


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out; torch's CPU allocator raises a RuntimeError."""
    kinds = torch.OutOfMemoryError | MemoryError
    return isinstance(error, kinds) or "DefaultCPUAllocator" in _text(error)


def _text(error: BaseException) -> str:
    try:
        return str(error).strip()
    except Exception:  # a user's class may do anything
        return "its message cannot be read"


def _storable(text: str) -> str:
    """Escape what databases refuse: lone surrogates (from odd file names) and NUL."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def is_beyond_repair(error: BaseException) -> bool:
    """Return whether this process can no longer compute: a CUDA error is permanent."""
    return "CUDA error" in _text(error)


def release_memory() -> None:
    """Release the memory that a failed trial held, so that the next trial can use it."""
    gc.collect()
    torch.cuda.empty_cache()  # does nothing if CUDA is not in use
