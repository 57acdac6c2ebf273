"""What the fork server imports first: it loads what workers need, and ends with the driver.

Workers fork from it with torch loaded, so that a new one is there at once. It has no threads and
opens nothing. Importing this module changes the process if `LocalExecutor` has started it, and
does nothing anywhere else.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from types import TracebackType

from tunecli.lifeline import end_with_the_parent

DRIVER = "TUNECLI_DRIVER"
"""Environment variable of the fork server: the driver's process id."""


def _serve(driver: int) -> None:
    server = os.getpid()
    end_with_the_parent()
    if os.getppid() != driver:  # it was gone before
        os._exit(1)

    def end_with_the_server() -> None:
        if os.getppid() == server:  # a worker; what a worker forks is the user's
            end_with_the_parent()

    os.register_at_fork(after_in_child=end_with_the_server)
    sys.excepthook = _tell
    with suppress(Exception):  # a torch that cannot be loaded is reported by the first worker
        from tunecli.search.workers.worker import warm_up

        warm_up()


def _tell(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
    """Leave out that the driver went away in the middle of a request."""
    if not issubclass(kind, EOFError | OSError):
        sys.__excepthook__(kind, error, at)


if DRIVER in os.environ:
    _serve(int(os.environ.pop(DRIVER)))
