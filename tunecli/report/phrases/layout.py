"""Lines with a label in front, wrapped next to it or unbroken in a log; headings and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from tunecli.report.phrases.foreign_text import plain, shortened

LABEL = 12  # columns of a label and the gap after it


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        label: what is in front of the text; empty to indent, None for a sentence.
        width: columns of the label and the gap after it.
    """

    text: Text
    label: str | None = None
    width: int = LABEL

    def flat(self) -> Text:
        """Return everything in one line, however long."""
        if self.label is None:
            return self.text
        return Text.assemble((f"{self.label:<{self.width}}", "dim"), self.text)

    def hanging(self) -> RenderableType:
        """Return the line wrapped so that no text runs under the label."""
        if self.label is None:
            return self.text
        return beside(self.label, self.text, self.width)


def labelled(label: str, text: str | Text) -> Line:
    """Return a line with a label; the texts of several such lines are aligned."""
    return Line(Text(text) if isinstance(text, str) else text, label)


def beside(label: str, content: RenderableType, width: int = LABEL) -> Table:
    """Return any content, indented next to a dim label; a string is shown literally."""
    grid = Table.grid()
    grid.add_column(width=width, style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(label), Text(content) if isinstance(content, str) else content)
    return grid


def heading(title: str) -> list[RenderableType]:
    """Return a blank line and a title."""
    return [Text(), Text(title, style="bold")]


def plain_table(columns: Sequence[Column], rows: Iterable[Sequence[str | Text]]) -> Table:
    """Return a table without lines; a cell is shown literally."""
    lined_up = Table(*columns, box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    for row in rows:
        lined_up.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return lined_up


def numeric(header: str) -> Column:
    """Return a column of numbers, which are aligned and never broken."""
    return Column(header, justify="right", no_wrap=True)


def unbroken(header: str, width: int = 18) -> Column:
    """Return a column that is never broken; `header` is foreign text."""
    return Column(Text(shortened(plain(header), width)), no_wrap=True)


def folded(header: str) -> Column:
    """Return a column whose long texts continue in the next line."""
    return Column(header, overflow="fold")
