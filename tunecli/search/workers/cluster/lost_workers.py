"""Why a worker of a cluster was lost, in one line."""

from __future__ import annotations

from ray.exceptions import OutOfMemoryError, RayError, RayTaskError

from tunecli.search.workers.cluster.join import cut_short


def why_lost(node: str, error: RayError) -> str:
    """Return why a worker's actor on a node ended."""
    if isinstance(error, OutOfMemoryError):
        return f"Ray ended it because memory ran out on node {node}"
    if isinstance(error, RayTaskError):  # its own code raised
        return f"it failed on node {node} ({last_line(error)})"
    return f"its Ray actor on node {node} was lost ({last_line(error)})"


def last_line(error: RayError) -> str:
    """Return the last line of what Ray says, or the exception of a task without its traceback."""
    cause = getattr(error, "cause", None) if isinstance(error, RayTaskError) else None
    text = f"{type(cause).__name__}: {cause}" if cause else str(error)
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return cut_short(said[-1]).removesuffix(".") if said else type(error).__name__
