"""Keep the module `__main__` out of the workers: they need nothing of it.

multiprocessing imports it in every new process. A script that calls `tunecli.search` would run
again in each worker, or need the guard `if __name__ == "__main__"`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from types import ModuleType

_MAIN = "__main__"
_hiding = Lock()  # two threads that start processes would restore each other's empty module


@contextmanager
def hidden_main_module() -> Iterator[None]:
    """Let processes that start meanwhile import no `__main__`."""
    with _hiding:
        main, sys.modules[_MAIN] = sys.modules[_MAIN], ModuleType(_MAIN)
        try:
            yield
        finally:
            sys.modules[_MAIN] = main
