"""Arguments and options that several commands share, with the same meaning everywhere.

Also what they select: the trial of a study, and the code that a study file may run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, BadParameter, Option

from tunecli.cli.shared.completions import models_like, studies_like
from tunecli.cli.shared.process_title import hide_in_process_title

if TYPE_CHECKING:
    from tunecli.database.records import StudyRecord, TrialRecord
    from tunecli.study_file.catalogue.allowed_code import AllowedCode

STORAGE = "TUNECLI_STORAGE"
"""The environment variable that provides `--storage` by default."""

FileArgument = Annotated[Path, Argument(help="The study file.", show_default=False)]
StudyArgument = Annotated[
    str,
    Argument(
        help="A study's name or study file.", autocompletion=studies_like, show_default=False
    ),
]
ModelArgument = Annotated[
    str,
    Argument(
        help="A model folder or a study's name.", autocompletion=models_like, show_default=False
    ),
]


def folder(written: str | Path) -> Path:
    """Return a folder's path; refuse an empty one, which would mean the current folder."""
    if not str(written).strip():
        raise BadParameter("the folder must not be empty.")
    return Path(written)


def _unless_off(storage: str | None) -> str | None:
    if storage is None or storage.strip() in ("", "none"):
        return None
    if any(storage in word for word in sys.argv):
        from tunecli.database.urls import has_secret  # importing SQLAlchemy is slow

        if has_secret(storage):
            hide_in_process_title(storage)
    return storage


RunsOption = Annotated[
    Path,
    Option(
        "--runs",
        envvar="TUNECLI_RUNS",
        help="Folder that holds all studies.",
        parser=folder,
        metavar="PATH",
    ),
]
StorageOption = Annotated[
    str | None,
    Option(
        "--storage",
        envvar=STORAGE,
        help="Another study database: an SQLAlchemy URL that Optuna supports.",
        callback=_unless_off,
        show_default=False,
    ),
]
SetOption = Annotated[
    list[str] | None,
    Option("--set", help="Override a setting, e.g. training.epochs=5. Repeatable."),
]
CodeOption = Annotated[
    list[str] | None,
    Option(
        "--code",
        help="Code that the study file may run: a .py file or an installed package. Repeatable.",
        show_default=False,
    ),
]
TrialOption = Annotated[
    str,
    Option(help="Trial number, `best`, or `simplest` (of those practically equal to the best)."),
]
ParetoOption = Annotated[
    int | None, Option(help="Position on the Pareto front, as numbered in the report.")
]
BestWithinOption = Annotated[
    str | None, Option(help="Conditions on the trial, e.g. 'accuracy >= 0.97 and size <= 40KB'.")
]
MinimizeOption = Annotated[
    str | None, Option(help="With --best-within: the metric or cost to minimize.")
]
MaximizeOption = Annotated[
    str | None, Option(help="With --best-within: the metric or cost to maximize.")
]


def chosen(
    record: StudyRecord,
    trial: str,
    pareto: int | None,
    best_within: str | None,
    minimize: str | None,
    maximize: str | None,
) -> TrialRecord:
    """Return the trial that the options select.

    Raises:
        RefitError: no trial fits them.
    """
    from tunecli.database.attributes import RecordedObjective
    from tunecli.model_folder import select_trial

    if (trial != "best") + (pareto is not None) + (best_within is not None) > 1:
        raise BadParameter("--trial, --pareto and --best-within are mutually exclusive.")
    if (minimize or maximize) and best_within is None:
        raise BadParameter("--minimize and --maximize require --best-within.")
    if minimize and maximize:
        raise BadParameter("--minimize and --maximize are mutually exclusive.")
    if pareto is not None:
        return select_trial.front_trial(record, pareto)
    if best_within is not None:
        wanted = RecordedObjective(minimize, "minimize") if minimize else None
        wanted = RecordedObjective(maximize, "maximize") if maximize else wanted
        return select_trial.within(record, select_trial.conditions(best_within), wanted)
    return select_trial.by_name(record, trial)


def allowed_by(file: Path, options: list[str] | None) -> AllowedCode:
    """Return the code that `--code` allows.

    Args:
        file: the study file; code is found relative to its folder.
        options: the values of `--code`.
    """
    from tunecli.study_file.catalogue.allowed_code import AllowedCode

    return AllowedCode.of(file.absolute().parent, options or [])
