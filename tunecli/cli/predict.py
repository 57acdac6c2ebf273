from pathlib import Path
from typing import Annotated

from typer import Argument, BadParameter, Option

from tunecli.cli.shared.options import CodeOption, ModelArgument, RunsOption
from tunecli.cli.shared.streams import data_warnings_on_stderr, say


def predict(
    model: ModelArgument,
    data: Annotated[
        str | None,
        Argument(
            help="A table, arrays, text, a folder of pictures, or the name of a data set.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        Option("--output", "-o", help="File to write, .csv or .parquet. Default: CSV to stdout."),
    ] = None,
    proba: Annotated[bool, Option("--proba", help="Add the probability of each class.")] = False,
    keep: Annotated[
        list[str] | None,
        Option(
            "--keep",
            help="Copy this column of the table to the output, e.g. an id. Repeatable.",
            show_default=False,
        ),
    ] = None,
    score: Annotated[
        bool, Option("--score", help="Write the loss of a language model on each text.")
    ] = False,
    generate: Annotated[
        int | None,
        Option(
            "--generate",
            min=1,
            help="Continue each text by this many tokens with a language model.",
            show_default=False,
        ),
    ] = None,
    text: Annotated[
        str | None,
        Option("--text", help="A text to score or continue, instead of DATA.", show_default=False),
    ] = None,
    temperature: Annotated[
        float | None,
        Option(
            "--temperature",
            min=0,
            help="Divide the logits by this before drawing each token. Default: 0, which always "
            "takes the most probable token.",
            show_default=False,
        ),
    ] = None,
    top_k: Annotated[
        int | None,
        Option(
            "--top-k",
            min=1,
            help="Number of most probable tokens to draw from. Default: all.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        Option("--seed", help="Seed for drawing tokens. Default: 0.", show_default=False),
    ] = None,
    code: CodeOption = None,
    runs: RunsOption = Path("runs"),
) -> None:
    """Predict new rows, or continue texts, with a refitted model.

    Example: tunecli predict digits new.npz -o predicted.csv
    """
    if output is not None and output.suffix.lower() not in (".csv", ".parquet"):
        raise BadParameter(f"--output must end in .csv or .parquet, got {output}.")
    if (data is None) == (text is None):
        raise BadParameter("expected DATA, or --text for a language model, and not both.")
    if generate is None and (temperature, top_k, seed) != (None, None, None):
        raise BadParameter("--temperature, --top-k and --seed need --generate N.")
    if not temperature and (top_k, seed) != (None, None):
        raise BadParameter(
            "--top-k and --seed need a --temperature above 0: without it, no token is drawn."
        )

    from tunecli.data.rows.workspace import Workspace
    from tunecli.model_folder.find import model_at
    from tunecli.model_folder.format.loading import load_with
    from tunecli.model_folder.format.predicting import write_predictions
    from tunecli.model_folder.format.write_texts import Wanted, write_texts
    from tunecli.model_folder.language.continuations import Sampling
    from tunecli.study_file.catalogue.allowed_code import AllowedCode

    here = Path().absolute()
    allowed = AllowedCode.of(here, code or [])
    workspace = Workspace(here, runs.absolute() / ".cache", allowed)
    wanted = Wanted(score, generate or 0, Sampling(temperature or 0.0, top_k, seed or 0))
    with data_warnings_on_stderr():
        used = load_with(model_at(model, runs), workspace)
        if data is None or not wanted.is_nothing:
            seen = write_texts(used, data, text, output, wanted, keep or [])
        else:
            seen = write_predictions(used, data, output, proba, keep or [])
    for line in seen.lines(output):
        say(line)
