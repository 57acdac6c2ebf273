from __future__ import annotations

import signal
import socket
from pathlib import Path
from typing import Annotated

import typer

from tunecli.cli.shared.find_study import existing_study, study_at
from tunecli.cli.shared.options import RunsOption, StorageOption
from tunecli.cli.shared.streams import say
from tunecli.errors import StudyNotFoundError
from tunecli.signals import ended_by, interrupting


def dashboard(
    study: Annotated[
        str | None,
        typer.Argument(
            help="A study's name or study file; without it, the only one of the folder, or all of "
            "--storage.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Its port; 0 for a free one.")
    ] = 8080,
    runs: RunsOption = Path("runs"),
    storage: StorageOption = None,
) -> None:
    """Look at a study in the browser with optuna-dashboard; while it runs, too.

    It only reads. Ctrl-C ends it. Example: tunecli dashboard digits
    """
    from tunecli.report.serve_dashboard import dashboard_server

    url, path = _what_to_show(study, runs, storage)
    with dashboard_server(url, host, port) as server, interrupting(server) as received:
        say(f"http://{_called(host)}:{server.server_port}{path} (read-only; Ctrl-C ends it)")
        if not server.is_local:
            say("Anybody who reaches this machine can read it.")
        server.serve_forever()
    if received and received[0] != signal.SIGINT:  # which is how a server is meant to end
        raise typer.Exit(ended_by(received[0]))


def _called(host: str) -> str:
    """The name to write in a browser."""
    return socket.gethostname() if host in ("", "0.0.0.0") else host


def _what_to_show(study: str | None, runs: Path, storage: str | None) -> tuple[str, str]:
    """The database, and the page of the dashboard to begin with."""
    from tunecli.report.analysis.records import read_study

    if study is None and storage:
        return existing_study(storage), "/dashboard"
    place = study_at(study or _only_study(runs), runs, storage)
    return place.url, f"/dashboard/studies/{read_study(place.url, place.name).study_id}"


def _only_study(runs: Path) -> str:
    from tunecli.report.studies.listing import list_studies

    names = [listing.name for listing in list_studies(runs)]
    if len(names) == 1:
        return names[0]
    raise StudyNotFoundError(
        f"Name one of the studies of {runs}: {', '.join(names)}."
        if names
        else f"There are no studies in {runs}."
    )
