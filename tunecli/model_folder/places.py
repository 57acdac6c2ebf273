"""Where a model is that a command names."""

from __future__ import annotations

from pathlib import Path

from tunecli.errors import ModelFolderError
from tunecli.model_folder.folder import FACTS, settle

MODEL = "model"
"""The folder of a model in that of its study."""


def model_at(named: str, runs: Path) -> Path:
    """A model folder by its path, or by the name or the folder of its study.

    Raises:
        ModelFolderError: there is none.
    """
    candidates = [Path(named), Path(named) / MODEL]
    if "/" not in named:
        candidates.append(runs / named / MODEL)
    for path in candidates:
        settle(path)
        if (path / FACTS).is_file():
            return path
    if (runs / named / "study.db").is_file():
        raise ModelFolderError(f"study {named} has no model yet: tunecli refit {named}")
    places = " and ".join(str(path) for path in candidates)
    raise ModelFolderError(f"there is no model {named!r} (looked for at {places}).")
