from pathlib import Path
from typing import Annotated

from typer import Argument, BadParameter, Option

from tunecli.cli.shared.options import CodeOption
from tunecli.cli.shared.streams import console, say, write_output


def init(
    data: Annotated[
        str,
        Argument(
            help="A file, a folder, the name of a data set, or my_data.py:function.",
            show_default=False,
        ),
    ],
    target: Annotated[
        list[str] | None,
        Option(
            help="The column to predict, for a table. Repeat it for several targets.",
            show_default=False,
        ),
    ] = None,
    root: Annotated[
        str | None,
        Option(
            help="Folder of a torchvision data set, e.g. tunecli init MNIST --root data.",
            show_default=False,
        ),
    ] = None,
    download: Annotated[
        bool, Option("--download", help="Download the torchvision data set if missing.")
    ] = False,
    pretrained: Annotated[
        str | None,
        Option(
            help="For text, also fine-tune this transformers model: a folder, a name in the "
            "hub's cache, or none. Default: the smallest one in the cache.",
            show_default=False,
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        Option(
            "--set",
            help="Override how a table is read, e.g. --set data.missing=[NA] or "
            "--set 'data.decimal=,'. Repeatable.",
            show_default=False,
        ),
    ] = None,
    code: CodeOption = None,
) -> None:
    """Write a first study file for your data, ready to run.

    It has comments and is written to the current folder.

    Example: tunecli init train.csv --target price
    """
    from tunecli.data.first_looks import NoTargetError, first_look
    from tunecli.data.rows.workspace import Workspace
    from tunecli.data.user_code.import_user_code import permit
    from tunecli.errors import DataError
    from tunecli.study_file.catalogue.allowed_code import AllowedCode
    from tunecli.study_file.settings.switching_off import is_none
    from tunecli.study_file.starter import SCHEMA, reading_settings, starter, starter_name

    file = Path(f"{starter_name(data)}.yaml")
    if file.exists():
        raise BadParameter(f"{file} already exists. Rename it, or run init in another folder.")
    allowed = AllowedCode.of(Path.cwd(), code or [])
    permit(allowed)
    reading = reading_settings(overrides or [])
    single, several = (target[0], []) if target and len(target) == 1 else (None, target or [])
    reading |= {"targets": several} if several else {}
    workspace = Workspace(Path.cwd(), code=allowed)
    try:
        named = "" if pretrained is not None and is_none(pretrained) else pretrained
        look = first_look(data, single, workspace, root, download, reading, named)
    except NoTargetError as error:
        from tunecli.report.screen.column_lines import example_table

        console().print(example_table(error.columns))
        raise
    except DataError as error:
        if ". Write " in str(error) and target is not None:
            say(
                "init wrote no file. With --set, pass the setting that the message below asks "
                "for. For example, `decimal: ','` becomes\n  --set 'data.decimal=,'"
            )
        raise
    options = "".join(f" --code {option}" for option in code or [])
    write_output(file, starter(look, str(file), options), is_new=True)
    say(f"Wrote {file}. Review it, then run:\n  tunecli search {file}{options}")
    if not Path(SCHEMA).exists():
        say(f"For completion in an editor, also run:\n  tunecli schema > {SCHEMA}")
