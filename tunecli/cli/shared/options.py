"""Arguments and options that several commands share, with the same meaning everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

STORAGE = "TUNECLI_STORAGE"
"""The environment variable that provides `--storage` by default."""

FileArgument = Annotated[Path, typer.Argument(help="The study file.", show_default=False)]
StudyArgument = Annotated[
    str, typer.Argument(help="A study's name or study file.", show_default=False)
]


def _folder(written: str | Path) -> Path:
    """Return a folder's path; refuse an empty one, which would mean the current folder."""
    if not str(written).strip():
        raise typer.BadParameter("the folder must not be empty.")
    return Path(written)


def _unless_off(storage: str | None) -> str | None:
    return None if storage is None or storage.strip() in ("", "none") else storage


RunsOption = Annotated[
    Path,
    typer.Option(
        "--runs",
        envvar="TUNECLI_RUNS",
        help="Folder that holds all studies.",
        parser=_folder,
        metavar="PATH",
    ),
]
StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        envvar=STORAGE,
        help="Another study database: an SQLAlchemy URL that Optuna supports.",
        callback=_unless_off,
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a setting, e.g. training.epochs=5. Repeatable."),
]
CodeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--code",
        help="Code that the study file may run: a .py file or an installed package. Repeatable.",
        show_default=False,
    ),
]
