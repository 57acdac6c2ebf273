"""Why trials fail, in the words that the database keeps. Imports no torch.

A reason is one of these words, followed by `: ` and what is known of the case. An `error` names
the exception's class and text.
"""

from __future__ import annotations

import re

ERROR = "error"
OUT_OF_MEMORY = "out of memory"
TIMEOUT = "timeout"
WORKER_DIED = "worker died"

_NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?(?: (?:[KMG]?B|[mµ]?s)\b)?")
"""As costs are written, with their unit."""


def is_out_of_memory(reason: str) -> bool:
    """Whether a failed trial asked for more memory than there was."""
    return reason.partition(":")[0] == OUT_OF_MEMORY


def alike(reason: str) -> str:
    """The reason without its numbers: equal for trials that failed of the same thing.

    Shapes, sizes and epochs differ between trials that have one and the same cause.
    """
    return _NUMBER.sub("…", reason)
