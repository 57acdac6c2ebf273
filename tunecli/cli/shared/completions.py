"""What the shell completes after TAB: studies, study files and model folders, by name.

No database is opened. Where nothing fits, the shell completes paths itself.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from typer import Context

_ENDINGS = (".yaml", ".yml")


def studies_like(context: Context, incomplete: str) -> list[str]:
    """Return the names of studies and of study files that begin like this."""
    return _fitting([*_studies(context), *_study_files()], context, incomplete)


def models_like(context: Context, incomplete: str) -> list[str]:
    """Return the names of studies with a model, and of model folders, that begin like this."""
    with_model = (
        name for name in _studies(context) if _has_model(_runs(context) / name / "model")
    )
    return _fitting([*with_model, *_model_folders()], context, incomplete)


def studies_and_models_like(context: Context, incomplete: str) -> list[str]:
    """Return the names of studies, study files and model folders that begin like this."""
    names = [*_studies(context), *_study_files(), *_model_folders()]
    return _fitting(names, context, incomplete)


def _fitting(names: list[str], context: Context, incomplete: str) -> list[str]:
    """Return the names that fit and are not given yet."""
    given = context.params.get("study")
    taken = given if isinstance(given, list | tuple) else ()
    return [n for n in dict.fromkeys(names) if n.startswith(incomplete) and n not in taken]


def _runs(context: Context) -> Path:
    return Path(context.params.get("runs") or "runs")


def _studies(context: Context) -> Iterator[str]:
    """Yield the studies of `--runs`; those of another database are not known."""
    if context.params.get("storage"):
        return
    runs = _runs(context)
    for name in _names(runs, folders=True):
        if (runs / name / "study.db").is_file():
            yield name


def _study_files() -> Iterator[str]:
    return (name for name in _names(Path(), folders=False) if name.lower().endswith(_ENDINGS))


def _model_folders() -> Iterator[str]:
    return (name for name in _names(Path(), folders=True) if _has_model(Path(name)))


def _has_model(folder: Path) -> bool:
    return (folder / "model.json").is_file()


def _names(folder: Path, *, folders: bool) -> list[str]:
    """Return the names in a folder, sorted, without hidden ones; empty if it cannot be read."""
    with suppress(OSError), os.scandir(folder) as entries:
        return sorted(
            one.name for one in entries if one.name[0] != "." and one.is_dir() == folders
        )
    return []
