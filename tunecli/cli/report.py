from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, BadParameter, Option

from tunecli.cli.shared.completions import studies_like
from tunecli.cli.shared.find_study import display_storage, existing_study, options_again, record_at
from tunecli.cli.shared.options import RunsOption, StorageOption
from tunecli.cli.shared.streams import console, print_pieces, print_result, say, write_output

if TYPE_CHECKING:
    from rich.console import Console

    from tunecli.database.records import StudyRecord
    from tunecli.search.study.study_folder import StudyFolder

_COLUMNS = 80


def report(
    study: Annotated[
        list[str] | None,
        Argument(
            help="Name or study file of a study; several are compared. Default: list all studies.",
            autocompletion=studies_like,
            show_default=False,
        ),
    ] = None,
    trial: Annotated[int | None, Option(help="Show one trial in detail.")] = None,
    top: Annotated[int, Option(min=1, help="Number of trials in the table.")] = 10,
    json: Annotated[
        bool, Option("--json", help="Print everything as one JSON object, for programs.")
    ] = False,
    csv: Annotated[bool, Option("--csv", help="Print one CSV row per trial.")] = False,
    markdown: Annotated[
        bool,
        Option("--markdown", help="Print a short summary for a pull request or a lab notebook."),
    ] = False,
    html: Annotated[
        Path | None,
        Option("--html", help="Write a page with plots to this file.", show_default=False),
    ] = None,
    everything: Annotated[
        bool, Option("--all", help="Show all findings, not only the most useful ones.")
    ] = False,
    wide: Annotated[
        bool, Option(help="Use the full terminal width instead of 80 columns.")
    ] = False,
    runs: RunsOption = Path("runs"),
    storage: StorageOption = None,
) -> None:
    """Show the results of a study, also while it is running.

    Example: tunecli report digits --html digits.html
    """
    forms = {"--json": json, "--csv": csv, "--markdown": markdown, "--html": html is not None}
    asked = [option for option, is_given in forms.items() if is_given]
    if len(asked) > 1:
        raise BadParameter(f"{' and '.join(asked)} are mutually exclusive.")
    if not study:
        if asked or trial is not None:
            raise BadParameter(f"{(*asked, '--trial')[0]} requires a study.")
        _list(runs, storage, _console(wide))
        return
    named = [record_at(name, runs, storage) for name in study]
    records = [record for _, record in named]
    if len(records) > 1:
        if csv or trial is not None:
            raise BadParameter(f"{'--csv' if csv else '--trial'} requires exactly one study.")
        _compare(records, asked, html, _console(wide))
        return
    (record,) = records
    if trial is not None:
        if markdown or html is not None:
            raise BadParameter(f"{asked[0]} cannot be combined with --trial.")
        record = replace(record, trials=(record.trial(trial),)) if asked else record
    if asked:
        _export(record, asked[0], html, everything)
    elif trial is not None:
        _show_trial(record, trial, _printed_lines(named[0][0], trial), _console(wide))
    else:
        _show(record, top, options_again(runs, storage), everything, _console(wide))


def _console(wide: bool) -> "Console":
    out = console(stderr=False)
    if not wide:
        out.width = min(out.width, _COLUMNS)
    return out


def _list(runs: Path, storage: str | None, out: "Console") -> None:
    from tunecli.report.screen import listing_table
    from tunecli.report.studies import listing

    studies = (
        listing.studies_in(existing_study(storage)) if storage else listing.list_studies(runs)
    )
    where = display_storage(storage) if storage else str(runs)
    out.print(listing_table.render_listing(studies, where))


def _show(record: "StudyRecord", top: int, options: str, everything: bool, out: "Console") -> None:
    from tunecli.report.analysis import ranking
    from tunecli.report.screen import terminal
    from tunecli.report.studies import best

    winner = ranking.best_trial(record)
    file = best.config_yaml(record, winner) if winner else ""
    for part in terminal.study_parts(record, top, file, options, everything):
        out.print(part, crop=False)


def _printed_lines(study_folder: "StudyFolder", number: int) -> list[str]:
    """Return a heading, and the last lines that a trial printed; empty for none."""
    from tunecli.search.study.trial_logs import last_lines, trial_log

    path = trial_log(study_folder.folder, number)
    lines = last_lines(path)
    return [f"End of {path}", *lines] if lines else []


def _show_trial(record: "StudyRecord", number: int, printed: list[str], out: "Console") -> None:
    from tunecli.report.screen import trial_report
    from tunecli.report.studies import best

    file = best.config_yaml(record, record.trial(number))
    out.print(trial_report.render_trial(record, number, file, printed), crop=False)


def _export(record: "StudyRecord", form: str, html: Path | None, everything: bool) -> None:
    """Write a study as JSON, CSV, Markdown or HTML."""
    from tunecli.report.export import study_export
    from tunecli.report.findings.all_findings import all_findings, leading_findings
    from tunecli.report.findings.evidence.evidence import Evidence

    if form == "--json":
        print_pieces(study_export.json_pieces(record))
        return
    if form == "--csv":
        print_result(study_export.to_csv(record), end="")
        return
    evidence = Evidence.of(record)
    findings = all_findings(evidence)
    if not everything:
        findings = leading_findings(findings, evidence)
    if html is not None:
        from tunecli.report.page.study_page import study_page

        _write(html, study_page(evidence, findings))
    else:
        from tunecli.report.export.markdown import to_markdown

        print_result(to_markdown(evidence, findings), end="")


def _compare(
    records: "list[StudyRecord]", asked: list[str], html: Path | None, out: "Console"
) -> None:
    from tunecli.report.studies.comparison import compared

    comparison = compared(records)
    if html is not None:
        from tunecli.report.page.comparison_page import comparison_page

        _write(html, comparison_page(comparison))
    elif asked == ["--json"]:
        from tunecli.report.export.study_export import comparison_json

        print_result(comparison_json(comparison))
    elif asked == ["--markdown"]:
        from tunecli.report.export.markdown import comparison_markdown

        print_result(comparison_markdown(comparison), end="")
    else:
        from tunecli.report.screen.comparison_lines import comparison_parts

        for part in comparison_parts(comparison):
            out.print(part)


def _write(path: Path, text: str) -> None:
    write_output(path, text, "--html")
    say(f"Wrote the report to {path}.")
