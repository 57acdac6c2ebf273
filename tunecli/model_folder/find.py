"""Find the model that a command names."""

from __future__ import annotations

from pathlib import Path

from tunecli.errors import ModelFolderError
from tunecli.model_folder.format.folder import FACTS, read_folder, restore_interrupted

MODEL = "model"
"""Name of a model's folder in the folder of its study."""


def model_at(named: str, runs: Path) -> Path:
    """Find a model folder by its path, or by the name or the folder of its study.

    Raises:
        ModelFolderError: there is no model.
    """
    candidates = [Path(named), Path(named) / MODEL]
    if "/" not in named:
        candidates.append(runs / named / MODEL)
    for path in candidates:
        restore_interrupted(path)
        if (path / FACTS).is_file():
            return path
    if (runs / named / "study.db").is_file():
        raise ModelFolderError(f"study {named} has no model yet. Run:\n  tunecli refit {named}")
    paths = ", ".join(str(path) for path in candidates)
    raise ModelFolderError(f"model {named!r} does not exist (searched: {paths}).")


def origin(folder: Path) -> tuple[Path, str, int]:
    """Return the folder of all studies, the study, and the trial that a model was made from.

    Raises:
        ModelFolderError: `folder` is not a model folder, or is no longer in its study's folder.
    """
    facts, _, _ = read_folder(folder)
    home = folder.absolute().parent
    if home.name != facts.study:
        raise ModelFolderError(
            f"{folder} was made from trial {facts.trial} of study {facts.study}, but is no longer "
            "in that study's folder. Pass the study's name instead, and --runs if the study is "
            "not in runs/."
        )
    return home.parent, facts.study, facts.trial
