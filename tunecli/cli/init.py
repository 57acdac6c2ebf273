from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunecli.cli.shared.options import CodeOption
from tunecli.cli.shared.streams import say
from tunecli.cli.shared.write_output import write_output


def init(
    data: Annotated[
        str,
        typer.Argument(
            help="A file, a folder, a set's name, or my_data.py:function.", show_default=False
        ),
    ],
    target: Annotated[
        str | None, typer.Option(help="The column of a table to predict.", show_default=False)
    ] = None,
    root: Annotated[
        str | None,
        typer.Option(
            help="The folder of a torchvision set, as in init MNIST --root data.",
            show_default=False,
        ),
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch a torchvision set that is not there.")
    ] = False,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="How a table is read, as --set data.decimal=, or --set data.missing=[NA]. "
            "Repeatable.",
            show_default=False,
        ),
    ] = None,
    code: CodeOption = None,
) -> None:
    """Write a commented first study of some data, ready to run, into the current folder.

    Example: tunecli init train.csv --target price
    """
    from tunecli.data.first_look import first_look
    from tunecli.data.rows.workspace import Workspace
    from tunecli.data.user_code.import_user_code import permit
    from tunecli.errors import DataError
    from tunecli.study_file.catalogue.allowed_code import AllowedCode
    from tunecli.study_file.starter import reading_settings, starter, starter_name

    file = Path(f"{starter_name(data)}.yaml")
    if file.exists():
        raise typer.BadParameter(f"{file} is there already. Rename it, or run init elsewhere.")
    allowed = AllowedCode.of(Path.cwd(), code or [])
    permit(allowed)
    reading = reading_settings(overrides or [])
    workspace = Workspace(Path.cwd(), code=allowed)
    try:
        look = first_look(data, target, workspace, root, download, reading)
    except DataError as error:
        if ". Write " in str(error) and target is not None:
            say(
                "init writes nothing yet. Pass settings, as --set data.decimal=, for decimal: ','."
            )
        raise
    options = "".join(f" --code {option}" for option in code or [])
    write_output(file, starter(look, str(file), options), is_new=True)
    say(f"{file} was written. Look at it, then: tunecli search {file}{options}")
