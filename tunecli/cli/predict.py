from pathlib import Path
from typing import Annotated

from typer import Argument, BadParameter, Option

from tunecli.cli.shared.options import CodeOption, ModelArgument, RunsOption
from tunecli.cli.shared.streams import data_warnings_on_stderr, say


def predict(
    model: ModelArgument,
    data: Annotated[
        str,
        Argument(
            help="A table, arrays, a folder of pictures, or the name of a data set.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        Option("--output", "-o", help="File to write, .csv or .parquet. Default: CSV to stdout."),
    ] = None,
    proba: Annotated[bool, Option("--proba", help="Add the probability of each class.")] = False,
    keep: Annotated[
        list[str] | None,
        Option(
            "--keep",
            help="Carry this column of the table along, e.g. an id. Repeatable.",
            show_default=False,
        ),
    ] = None,
    code: CodeOption = None,
    runs: RunsOption = Path("runs"),
) -> None:
    """Predict new rows with a model from `tunecli refit`.

    Example: tunecli predict digits new.npz -o predicted.csv
    """
    if output is not None and output.suffix.lower() not in (".csv", ".parquet"):
        raise BadParameter(f"--output must end in .csv or .parquet, got {output}.")

    from tunecli.data.rows.workspace import Workspace
    from tunecli.model_folder.find import model_at
    from tunecli.model_folder.format.loading import load_with
    from tunecli.model_folder.format.predicting import write_predictions
    from tunecli.study_file.catalogue.allowed_code import AllowedCode

    here = Path().absolute()
    allowed = AllowedCode.of(here, code or [])
    workspace = Workspace(here, runs.absolute() / ".cache", allowed)
    with data_warnings_on_stderr():
        used = load_with(model_at(model, runs), workspace)
        seen = write_predictions(used, data, output, proba, keep or [])
    for line in seen.lines(output):
        say(line)
