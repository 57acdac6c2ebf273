from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tunecli.cli.options import RunsOption, StorageOption
from tunecli.cli.places import checked, find, options_again, shown
from tunecli.cli.streams import console

_COLUMNS = 80


def report(
    study: Annotated[
        str | None,
        typer.Argument(
            help="A study's name or study file; without it, all studies.", show_default=False
        ),
    ] = None,
    trial: Annotated[int | None, typer.Option(help="One trial in detail.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Trials in the table.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="Everything, for programs.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="One row a trial.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="All findings, not only the most useful.")
    ] = False,
    wide: Annotated[bool, typer.Option(help="Use the whole terminal, not 80 columns.")] = False,
    runs: RunsOption = Path("runs"),
    storage: StorageOption = None,
) -> None:
    """Show what a study has found; while it runs, too.

    Example: tunecli report digits
    """
    from tunecli.report import best, export, listing, listing_table, one_trial, ranking, terminal
    from tunecli.report.records import read_study
    from tunecli.report.wording import plain_lines

    if json and csv:
        raise typer.BadParameter("--json and --csv exclude each other.")
    if study is None and (json or csv or trial is not None):
        raise typer.BadParameter("--json, --csv and --trial need a study.")
    out = console(stderr=False)
    if not wide:
        out.width = min(out.width, _COLUMNS)
    if study is None:
        found = listing.studies_in(checked(storage)) if storage else listing.list_studies(runs)
        where = shown(storage) if storage else str(runs)
        out.print(listing_table.render_listing(found, where))
        return
    place = find(study, runs, storage)
    record = read_study(place.url, place.name)
    if trial is not None and (json or csv):
        record = replace(record, trials=(record.trial(trial),))
    if json:
        typer.echo(export.to_json(record))
    elif csv:
        table = export.to_csv(record)  # exact for programs, harmless for a terminal
        typer.echo(plain_lines(table) if sys.stdout.isatty() else table, nl=False)
    elif trial is not None:
        file = best.study_file_of(record, record.trial(trial))
        out.print(one_trial.render_trial(record, trial, file))
    else:
        winner = ranking.best_trial(record)
        file = best.study_file_of(record, winner) if winner else ""
        options = options_again(runs, storage)
        for part in terminal.study_parts(record, top, file, options, everything):
            out.print(part)
