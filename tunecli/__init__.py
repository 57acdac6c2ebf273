"""Tune PyTorch models from one YAML study file.

Everything is imported lazily, even `__future__`: the command first installs its signal handlers
and removes the current folder from the import path.
"""

TYPE_CHECKING = False  # stands in for `typing.TYPE_CHECKING`, without importing `typing`
if TYPE_CHECKING:
    from tunecli.errors import TrialStopped
    from tunecli.model_folder.format.loading import load
    from tunecli.notebook.called_search import search_study
    from tunecli.notebook.called_search import search_study as search
    from tunecli.notebook.loaded_study import load_study

__all__ = ["TrialStopped", "load", "load_study", "search", "search_study"]

__version__ = "0.1.0"

_MODULES = {
    "TrialStopped": "tunecli.errors",
    "load": "tunecli.model_folder.format.loading",
    "load_study": "tunecli.notebook.loaded_study",
    "search_study": "tunecli.notebook.called_search",
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "search":
        return import_module("tunecli.search")  # a package that can be called
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
