"""Import libraries of transformers without the code that they would download and run."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_hub_kernels() -> Iterator[None]:
    """Hide the package `kernels` within the block, which downloads code of the hub and runs it.

    bitsandbytes, which peft imports, calls it at import on some CPUs, and transformers for some
    architectures. Both decide at import whether it is there, and do without it. The code of a user
    can import it after the block. Warnings of bitsandbytes about the missing package, and about
    each product that it computes without it, are not shown.
    """
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    missing = object()
    before = sys.modules.get("kernels", missing)
    sys.modules["kernels"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if before is missing:
            sys.modules.pop("kernels", None)
        else:
            sys.modules["kernels"] = before  # type: ignore[assignment]
