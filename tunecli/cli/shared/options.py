"""Arguments and options that several commands take: the same words mean the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

STORAGE = "TUNECLI_STORAGE"
"""The environment variable that `--storage` is read from where it is not given."""

FileArgument = Annotated[Path, typer.Argument(help="The study file.", show_default=False)]
StudyArgument = Annotated[
    str, typer.Argument(help="A study's name, or its study file.", show_default=False)
]


def _folder(written: str | Path) -> Path:
    """A folder's path; an empty one would be the current folder."""
    if not str(written).strip():
        raise typer.BadParameter("needs a folder.")
    return Path(written)


def _unless_off(storage: str | None) -> str | None:
    return None if storage is None or storage.strip() in ("", "none") else storage


RunsOption = Annotated[
    Path,
    typer.Option(
        "--runs",
        envvar="TUNECLI_RUNS",
        help="Folder of all studies.",
        parser=_folder,
        metavar="PATH",
    ),
]
StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar=STORAGE,
        help="Another database, as an SQLAlchemy URL that Optuna takes.",
        callback=_unless_off,
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a setting, as training.epochs=5. Repeatable."),
]
CodeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--code",
        help="Code that the study file may run: a .py file, or an installed package. Repeatable.",
        show_default=False,
    ),
]
