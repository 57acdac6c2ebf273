"""Start multiprocessing's resource tracker so that it ends with the search even when stopped.

The tracker removes what killed processes leave in shared memory, as soon as the last of them
closes its pipe. A stopped tracker would not notice that. So on Linux this one is in a process
group of its own, which Ctrl-Z and signals to the search's group do not reach, and the kernel wakes
it when the driver ends.
"""

from __future__ import annotations

import os
import sys
from multiprocessing import resource_tracker

from tunecli.parent_death import THE_DRIVERS, wake_with_the_parents_end


def ensure_running() -> None:
    """Start the tracker unless it runs, as multiprocessing does, but so that it is woken."""
    tracker = resource_tracker._resource_tracker
    if sys.platform == "linux" and tracker._fd is None:  # type: ignore[attr-defined]
        tracker._fd = _start()  # type: ignore[attr-defined]  # as in a process that inherits it
    resource_tracker.ensure_running()


def serve(pipe: int) -> None:
    """Be the resource tracker of the process that holds the other end of `pipe`."""
    wake_with_the_parents_end()
    resource_tracker.main(pipe)


def _start() -> int:
    """Start a tracker, and return the descriptor that writes to it."""
    theirs, ours = os.pipe()
    os.set_inheritable(theirs, True)
    command = f"from tunecli.search.workers.resource_tracking import serve; serve({theirs})"
    words = [sys.executable, "-P", "-c", command]
    try:
        os.posix_spawn(sys.executable, words, os.environ, setpgroup=0, setsigmask=THE_DRIVERS)
    finally:
        os.close(theirs)
    return ours
