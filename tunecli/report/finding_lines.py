"""Findings on a terminal: a mark, the sentence, and below it the lines to change."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tunecli.report import wording
from tunecli.report.findings.finding import Finding, Severity
from tunecli.study_file.counts import count

MARKS: dict[Severity, tuple[str, str]] = {
    "problem": ("!", "bold red"),
    "advice": ("→", "bold yellow"),
    "note": ("·", "dim"),
}


def finding_lines(findings: Sequence[Finding], n_hidden: int = 0) -> list[RenderableType]:
    """Each finding with its mark, wrapped beside it.

    Args:
        n_hidden: findings that are left out.
    """
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=3, justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    for finding in findings:
        mark, style = MARKS[finding.severity]
        grid.add_row(Text(mark, style=style), _text(finding))
    parts: list[RenderableType] = [grid] if findings else []
    if n_hidden:
        more = count(n_hidden, "more finding")
        parts.append(Text(f"    {more}: --all", style="dim"))
    return parts


def _text(finding: Finding) -> Text:
    lines = [change.line for change in finding.changes] or [finding.advice]
    text = Text(wording.plain(finding.sentence))
    for line in filter(None, lines):
        text.append("\n" + wording.plain(line), style="cyan")
    return text
