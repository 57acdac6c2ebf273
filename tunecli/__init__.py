"""Tune PyTorch models from one YAML study file.

Everything is imported lazily, even `__future__`: the command first installs its signal handlers
and removes the current folder from the import path.
"""

TYPE_CHECKING = False  # stands in for `typing.TYPE_CHECKING`, without importing `typing`
if TYPE_CHECKING:
    from tunecli.errors import TrialStopped
    from tunecli.model_folder.format.loading import load

__all__ = ["TrialStopped", "load"]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "load":
        from tunecli.model_folder.format.loading import load

        return load
    if name == "TrialStopped":
        from tunecli.errors import TrialStopped

        return TrialStopped
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
