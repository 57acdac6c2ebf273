from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import BadParameter, Exit, Option

from tunecli.cli.shared.find_study import options_again, record_at
from tunecli.cli.shared.options import RunsOption, StorageOption, StudyArgument
from tunecli.cli.shared.streams import print_result, say, write_output

if TYPE_CHECKING:
    from tunecli.report.findings.evidence.evidence import Evidence
    from tunecli.report.findings.evidence.finding import Finding


def next_round(
    study: StudyArgument,
    output: Annotated[
        Path | None,
        Option("--output", "-o", help="File to write. Default: stdout.", show_default=False),
    ] = None,
    explore: Annotated[
        bool,
        Option("--explore", help="Sample the new space evenly, without learning from trials."),
    ] = False,
    exploit: Annotated[
        bool, Option("--exploit", help="Search only the region of the best trials.")
    ] = False,
    force: Annotated[bool, Option("--force", help="Overwrite the file if it exists.")] = False,
    runs: RunsOption = Path("runs"),
    storage: StorageOption = None,
) -> None:
    """Write the next study file, as the report's findings advise.

    If they advise no change, print the command that resumes the study instead, and exit with 1.

    Example: tunecli next digits -o studies/digits-2.yaml
    """
    from tunecli.report.findings.all_findings import all_findings, sure
    from tunecli.report.findings.evidence.evidence import Evidence
    from tunecli.report.next_round.chosen_changes import advice_of
    from tunecli.report.next_round.round import Style, following, write_next_round
    from tunecli.study_file.read.study_name import STUDY_NAME
    from tunecli.study_file.text.counts import count

    if explore and exploit:
        raise BadParameter("--explore and --exploit are mutually exclusive.")
    if output is not None and output.exists() and not force:
        raise BadParameter(f"{output} already exists. Use --force to overwrite it.")
    if output is not None and not output.parent.is_dir():
        raise BadParameter(
            f"--output: {output} cannot be written. Folder {output.parent} does not exist: create "
            "it, or name another file."
        )
    study_folder, record = record_at(study, runs, storage)
    if record.further_objectives:
        raise BadParameter(
            f"study {record.name} has several objectives, and `next` cannot know which part of "
            "its Pareto front you want. Edit the study file yourself. To begin with the best "
            f"trials, write search: {{start_with: {{study: {record.name}, best: 5}}}}."
        )
    evidence = Evidence.of(record)
    name = following(study_folder.name)
    if output is not None and STUDY_NAME.match(output.stem) and output.stem != study_folder.name:
        name = output.stem
    style: Style = "explore" if explore else "exploit" if exploit else "go on"
    again = options_again(runs, storage)
    findings = sure(all_findings(evidence), evidence)
    following_round = write_next_round(evidence, advice_of(findings), name, output, style, again)
    for one in following_round.made:
        say(f"{one.change.line}  # {one.reason}")
    for sentence in following_round.left_out:
        say(f"Left out: {sentence}")
    if not following_round.made and style == "go on":
        say(
            f"Wrote no file: the findings of {count(len(record.trials), 'trial')} suggest no "
            f"change. {_instead(evidence, findings, again)}"
        )
        raise Exit(1)
    if not following_round.made:
        say(f"No changes: {following_round.name} keeps the search space of {record.name}.")
    if output is None:
        print_result(following_round.text, end="")
        return
    write_output(output, following_round.text, "--output", is_new=not force)
    say(f"Wrote {output}. Review it, then run:\n  tunecli search {output} {again}".rstrip())


def _instead(evidence: Evidence, findings: Sequence[Finding], again: str) -> str:
    """Return how to search on without a next round, and whether findings advise against it."""
    from tunecli.report.findings.budget import can_more_trials_help
    from tunecli.report.phrases.search_again import search_again

    study = evidence.study
    for_more = (
        "For more trials in the same space"
        if can_more_trials_help(evidence, findings)
        else "More trials in the same space may not help: `tunecli report` says why. To run them "
        "anyway"
    )
    return (
        f"{for_more}, resume {study.name} instead of starting a new study:\n"
        f"  {search_again(study, again)}"
    )
