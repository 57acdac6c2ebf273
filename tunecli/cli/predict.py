from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunecli.cli.options import CodeOption, RunsOption
from tunecli.cli.streams import warnings_said


def predict(
    model: Annotated[
        str, typer.Argument(help="A model folder, or a study's name.", show_default=False)
    ],
    data: Annotated[
        str,
        typer.Argument(
            help="A table, arrays, a folder of pictures, or a data set's name.", show_default=False
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A .csv or .parquet file; without it, CSV to stdout."),
    ] = None,
    proba: Annotated[
        bool, typer.Option("--proba", help="With the probability of each class.")
    ] = False,
    code: CodeOption = None,
    runs: RunsOption = Path("runs"),
) -> None:
    """Predict rows with a model that `refit` made.

    Example: tunecli predict digits new.npz -o predicted.csv
    """
    if output is not None and output.suffix.lower() not in (".csv", ".parquet"):
        raise typer.BadParameter("--output must end in .csv or .parquet.")

    from tunecli.data.workspace import Workspace
    from tunecli.model_folder.loading import load_with
    from tunecli.model_folder.places import model_at
    from tunecli.model_folder.predicting import write_predictions
    from tunecli.study_file.user_code import AllowedCode

    here = Path().absolute()
    allowed = AllowedCode.of(here, code or [])
    workspace = Workspace(here, runs.absolute() / ".cache", allowed)
    with warnings_said():
        write_predictions(load_with(model_at(model, runs), workspace), data, output, proba)
