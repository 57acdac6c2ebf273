"""Keep the current folder off the import path, so that a file there cannot replace a library.

Python searches it first when it starts as `python -c`, as multiprocessing's helpers do, or as
`python -m`, and wherever `PYTHONPATH` has an empty entry. This module imports only what Python
itself loads at startup, so not even `__future__`: anything else would be searched for there.
"""

import os
import sys

_PATH = "PYTHONPATH"
_SAFE_PATH = "PYTHONSAFEPATH"
_OURS = "tunecli"  # any string switches it on; this one shows that tunecli did

_STDLIB = os.path.dirname(os.__file__)
"""Entries before it come from the command and `PYTHONPATH`, entries after it from `site`."""

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""The folder that holds the package tunecli."""


def leave_out_the_current_folder() -> None:
    """Remove it and all relative entries from the path of this process and its children.

    Absolute entries of `PYTHONPATH` stay, and so does a folder from which tunecli runs
    without being installed.
    """
    n_first = sys.path.index(_STDLIB) if _STDLIB in sys.path else len(sys.path)
    first, installed = sys.path[:n_first], sys.path[n_first:]
    listed = os.environ.get(_PATH, "").split(os.pathsep)
    allowed = [entry for entry in listed if os.path.isabs(entry)]
    left_out = {"", _absolute(""), *map(_absolute, listed)} - {*map(_absolute, allowed)}
    if _HOME in left_out and _HOME not in installed:
        left_out.remove(_HOME)
        allowed.append(_HOME)
    sys.path[:] = [*(entry for entry in first if entry not in left_out), *installed]
    if allowed or _PATH in os.environ:
        os.environ[_PATH] = os.pathsep.join(allowed)
    os.environ.setdefault(_SAFE_PATH, _OURS)


def restore_for_allowed_code() -> None:
    """Let Python processes that the user's code starts import files next to their script."""
    if os.environ.get(_SAFE_PATH) == _OURS:
        del os.environ[_SAFE_PATH]


def _absolute(entry: str) -> str:
    try:
        return os.path.abspath(entry)
    except OSError:  # the current folder was removed, so nothing can be imported from it
        return ""
