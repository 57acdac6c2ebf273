"""The commands: each parses options, makes one call, prints, and sets the exit code.

Heavy packages are imported inside the commands only. The modules of commands have no
`from __future__ import annotations`: Typer would compile each annotation again, twice.
"""

import errno
import sys
from typing import Annotated

import typer

from tunecli import __version__
from tunecli.cli.check import check
from tunecli.cli.compress import compress
from tunecli.cli.dashboard import dashboard
from tunecli.cli.export import export
from tunecli.cli.guide import guide
from tunecli.cli.init import init
from tunecli.cli.next_round import next_round
from tunecli.cli.predict import predict
from tunecli.cli.refit import refit
from tunecli.cli.remove import remove
from tunecli.cli.report import report
from tunecli.cli.schema import schema
from tunecli.cli.search import SearchCommand, search
from tunecli.cli.shared.streams import console, print_result, say
from tunecli.errors import StandardOutputError, TunecliError
from tunecli.standard_streams import discard_results

app = typer.Typer(
    name="tunecli",
    help="Tune PyTorch models from one YAML study file: reproducible, resumable, cross-validated.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(cls=SearchCommand)(search)
for command in (
    report,
    dashboard,
    check,
    init,
    schema,
    refit,
    predict,
    export,
    compress,
    remove,
    guide,
):
    app.command()(command)
app.command("next")(next_round)


def main() -> None:
    """Run the console script.

    A user's mistake becomes one message and an exit code, never a traceback.
    """
    try:
        try:
            app()
        finally:
            sys.stdout.flush()  # a result that is not written is a failure
    except StandardOutputError as error:
        discard_results()
        if str(error):
            say(str(error))
        sys.exit(error.exit_code)
    except TunecliError as error:
        from tunecli.report.phrases.foreign_text import plain_lines

        text = plain_lines(str(error))  # it may quote an untrusted file
        console().print(text, markup=False, highlight=False, style="red", soft_wrap=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        name = str(error.filename)
        console().print(f"The path {name[:60]!a}… is too long.", style="red")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print_result(__version__)
        raise typer.Exit
