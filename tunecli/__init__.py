"""Tune PyTorch models from one YAML study file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tunecli.errors import TrialStopped

if TYPE_CHECKING:
    from tunecli.model_folder.loading import load

__all__ = ["TrialStopped", "load"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`load` with all that it needs, only once it is asked for."""
    if name == "load":
        from tunecli.model_folder.loading import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
