import signal
from pathlib import Path
from typing import Annotated

from typer import Argument, Exit, Option

from tunecli.cli.shared.completions import studies_like
from tunecli.cli.shared.find_study import existing_study, record_at
from tunecli.cli.shared.options import RunsOption, StorageOption
from tunecli.cli.shared.streams import say
from tunecli.errors import StudyNotFoundError
from tunecli.signals import ended_by, interrupting


def dashboard(
    study: Annotated[
        str | None,
        Argument(
            help="A study's name or study file. Default: the only study in --runs, or all studies "
            "in --storage.",
            autocompletion=studies_like,
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, Option(min=0, max=65535, help="Port to listen on; 0 for any free port.")
    ] = 8080,
    runs: RunsOption = Path("runs"),
    storage: StorageOption = None,
) -> None:
    """Show a study in the browser with optuna-dashboard.

    This also works while the study is running. The dashboard is read-only. Ctrl-C stops it.

    Example: tunecli dashboard digits
    """
    from tunecli.report.serve_dashboard import dashboard_server

    url, path = _what_to_show(study, runs, storage)
    with dashboard_server(url, host, port) as server, interrupting(server) as received:
        say(f"http://{_called(host)}:{server.server_port}{path} (read-only; Ctrl-C stops it)")
        if not server.is_local:
            say("Anyone who can reach this machine can read it.")
        server.serve_forever()
    if received and received[0] != signal.SIGINT:  # Ctrl-C is the normal end of a server
        raise Exit(ended_by(received[0]))


def _called(host: str) -> str:
    """Return the host name to write in a browser."""
    import socket  # not needed for --help

    return socket.gethostname() if host in ("", "0.0.0.0") else host


def _what_to_show(study: str | None, runs: Path, storage: str | None) -> tuple[str, str]:
    """Return the URL of the database, and the dashboard page to open first."""
    if study is None and storage:
        return existing_study(storage), "/dashboard"
    study_folder, record = record_at(study or _only_study(runs), runs, storage)
    return study_folder.url, f"/dashboard/studies/{record.study_id}"


def _only_study(runs: Path) -> str:
    from tunecli.report.studies.listing import list_studies

    names = [listing.name for listing in list_studies(runs)]
    if len(names) == 1:
        return names[0]
    raise StudyNotFoundError(
        f"{runs} contains several studies. Name one of them: {', '.join(names)}."
        if names
        else f"There are no studies in {runs}."
    )
