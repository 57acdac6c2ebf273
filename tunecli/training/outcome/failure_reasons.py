"""The reasons why trials fail, in the words that the database stores. Does not import torch.

A reason is one of these words, followed by `: ` and details. An `error` names the class and text
of the exception.
"""

from __future__ import annotations

import re

ERROR = "error"
OUT_OF_MEMORY = "out of memory"
TIMEOUT = "timeout"
WORKER_DIED = "worker died"
LAST_LINES = "; its last lines are in "
"""What follows the cause of a worker's end if its job printed something."""

_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?(?: (?:[KMG]?B|[mµ]?s)\b)?")
"""A number as in costs, with any unit."""


def says_out_of_memory(reason: str) -> bool:
    """Return whether a trial failed because it ran out of memory."""
    return reason.partition(":")[0] == OUT_OF_MEMORY


def alike(reason: str) -> str:
    """Return the reason without its numbers and log: equal for trials with the same cause.

    Shapes, sizes and epochs differ between trials that fail for the same cause, and not all print.
    """
    return _NUMBER.sub("…", reason.partition(LAST_LINES)[0])
