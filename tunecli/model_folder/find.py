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
        if is_model_folder(path):
            return path
    if _has_database(runs / named):
        raise ModelFolderError(f"study {named} has no model yet. Run:\n  tunecli refit {named}")
    paths = ", ".join(str(path) for path in candidates)
    raise ModelFolderError(f"model {named!r} does not exist (searched: {paths}).")


def is_model_folder(path: Path) -> bool:
    """Return whether a path is a model folder, or was one before its writer was killed."""
    restore_interrupted(path)
    return (path / FACTS).is_file()


def origin(folder: Path, runs: Path) -> tuple[Path, str, int]:
    """Return the folder of all studies, the study, and the trial that a model was made from.

    The study is the one in whose folder the model is, or else that of its name in `runs`; a folder
    of that name without a database counts only if `runs` has no such study.

    Raises:
        ModelFolderError: `folder` is not a model folder, or its study is not there.
    """
    facts, _, _ = read_folder(folder)
    home = folder.absolute().parent
    is_in_runs = (runs / facts.study).is_dir()
    if home.name == facts.study and (_has_database(home) or not is_in_runs):
        return home.parent, facts.study, facts.trial
    if is_in_runs:
        return runs, facts.study, facts.trial
    raise ModelFolderError(
        f"{folder} was made from trial {facts.trial} of study {facts.study}, but there is no such "
        f"study in {runs}. Pass the folder that holds it with --runs."
    )


def refuse_several_trials(folder: Path) -> None:
    """Refuse the folder of an ensemble where a single trial is needed.

    Raises:
        ModelFolderError: it is one, or not a model folder.
    """
    facts, _, _ = read_folder(folder)
    if not facts.is_of_one_trial:
        raise ModelFolderError(
            f"{folder} holds an ensemble of {len(facts.configs)} trials, but compress takes one "
            "trial. Pass the study's name and --trial."
        )


def _has_database(folder: Path) -> bool:
    return (folder / "study.db").is_file()
