"""Where a model is that a command names."""

from __future__ import annotations

from pathlib import Path

from tunecli.errors import ModelFolderError
from tunecli.model_folder.format.folder import FACTS, read_folder, restore_interrupted

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
        restore_interrupted(path)
        if (path / FACTS).is_file():
            return path
    if (runs / named / "study.db").is_file():
        raise ModelFolderError(f"study {named} has no model yet: tunecli refit {named}")
    places = " and ".join(str(path) for path in candidates)
    raise ModelFolderError(f"there is no model {named!r} (looked for at {places}).")


def origin(folder: Path) -> tuple[Path, str, int]:
    """The folder of all studies, the study and the trial that a model was made of.

    Raises:
        ModelFolderError: it is no model folder, or no longer lies in that of its study.
    """
    facts, _, _ = read_folder(folder)
    home = folder.absolute().parent
    if home.name != facts.study:
        raise ModelFolderError(
            f"{folder} was made of trial {facts.trial} of study {facts.study}, and no longer lies "
            "in the folder of this study. Name the study, and its folder with --runs."
        )
    return home.parent, facts.study, facts.trial
