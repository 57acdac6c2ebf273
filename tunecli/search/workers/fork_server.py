"""The module that the fork server imports first: it loads what workers need.

Workers fork from the server with torch loaded, so a new one starts at once. The server has no
threads, opens nothing, and ends with the driver. Importing this module changes the process only if
`LocalExecutor` has started it.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from types import TracebackType

from tunecli.parent_death import end_with_the_parent

DRIVER = "TUNECLI_DRIVER"
"""The environment variable that gives the fork server the driver's process id."""


def _serve(driver: int) -> None:
    server = os.getpid()
    end_with_the_parent()
    if os.getppid() != driver:  # the driver ended before
        os._exit(1)

    def end_with_the_server() -> None:
        if os.getppid() == server:  # a worker; a process that a worker forks is the user's
            end_with_the_parent()

    os.register_at_fork(after_in_child=end_with_the_server)
    sys.excepthook = _report
    with suppress(Exception):  # the first worker reports a torch that cannot be imported
        from tunecli.search.workers.worker import warm_up

        warm_up()
    gc.freeze()  # a worker that collects garbage would write to these pages, and so copy them


def _report(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    """Print an exception, unless the driver ended in the middle of a request."""
    if not issubclass(kind, EOFError | OSError):
        sys.__excepthook__(kind, error, at)


if DRIVER in os.environ:
    _serve(int(os.environ.pop(DRIVER)))
