"""Tune PyTorch models from one YAML study file.

Nothing is imported before it is asked for, not even `__future__`: the command first hears signals
and leaves the current folder out of the import path.
"""

TYPE_CHECKING = False  # that of `typing`, which is not imported either
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
