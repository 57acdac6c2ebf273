from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tunecli.cli.options import RunsOption, StorageOption, StudyArgument
from tunecli.cli.places import find, options_again
from tunecli.cli.streams import put, say
from tunecli.cli.writing import write


def next_round(
    study: StudyArgument,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The file to write; stdout without it.", show_default=False
        ),
    ] = None,
    explore: Annotated[
        bool, typer.Option("--explore", help="Sample the new space evenly, learning nothing.")
    ] = False,
    exploit: Annotated[
        bool, typer.Option("--exploit", help="Look only where the best trials lie.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
    runs: RunsOption = Path("runs"),
    storage: StorageOption = None,
) -> None:
    """Write the next round's study file from what a study has shown.

    Example: tunecli next digits -o studies/digits-2.yaml
    """
    from tunecli.report.findings.advice import all_findings, sure
    from tunecli.report.findings.evidence import Evidence
    from tunecli.report.next_round.advice import advice_of
    from tunecli.report.next_round.round import Style, following, next_round
    from tunecli.report.records import read_study
    from tunecli.study_file.naming import STUDY_NAME

    if explore and exploit:
        raise typer.BadParameter("--explore and --exploit exclude each other.")
    if output is not None and output.exists() and not force:
        raise typer.BadParameter(f"{output} is there already. Use --force to overwrite it.")
    if output is not None and not output.parent.is_dir():
        raise typer.BadParameter(
            f"--output: {output} cannot be written. There is no folder {output.parent}: make it, "
            "or name another file."
        )
    place = find(study, runs, storage)
    record = read_study(place.url, place.name)
    if record.further_objectives:
        raise typer.BadParameter(
            f"study {record.name} has several objectives: which part of its Pareto front the next "
            "round is for is yours to say. Edit the study file by hand, and begin it with "
            f"search: {{start_with: {{study: {record.name}, best: 5}}}}."
        )
    evidence = Evidence.of(record)
    name = following(place.name)
    if output is not None and STUDY_NAME.match(output.stem) and output.stem != place.name:
        name = output.stem
    style: Style = "explore" if explore else "exploit" if exploit else "go on"
    folder = output.parent if output is not None else None
    found = next_round(
        evidence, advice_of(sure(all_findings(evidence), evidence)), name, folder, style
    )
    for one in found.made:
        say(f"{one.change.line}  # {one.reason}")
    for sentence in found.left_out:
        say(f"Left out: {sentence}")
    if not found.made:
        say(f"Nothing to change: {found.name} goes on in the space of {place.name}.")
    if output is None:
        put(found.text, end="")
        return
    write(output, found.text, "--output", is_new=not force)
    again = options_again(runs, storage)
    say(f"{output} was written. Look at it, then: tunecli search {output} {again}".rstrip())
