"""Lines with a label in front, wrapped next to it or unbroken in a log; headings and tables."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from rich.console import Console, ConsoleOptions, RenderableType
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

from tunecli.report.phrases.foreign_text import plain, shortened
from tunecli.report.phrases.wording import unique_ends

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


@dataclass(frozen=True)
class FittedPath:
    """The path of a parameter, which loses its first parts where the column is too narrow.

    `model.AutoModelForCausalLM.adapter.LoraConfig.r` becomes `….adapter.LoraConfig.r` or `….r`. A
    path that still does not fit continues in the next line.

    Attributes:
        forms: the whole path, then ever shorter ends of it.
        indent: columns in front of it.
    """

    forms: tuple[str, ...]
    indent: int = 0
    style: str = ""

    @classmethod
    def of(cls, name: str, names: Collection[str], indent: int = 0, style: str = "") -> Self:
        """Return the path of a parameter; no two of `names` lose what distinguishes them."""
        whole, *ends = (plain(end) for end in unique_ends(name, names))
        return cls((whole, *(f"….{end}" for end in ends)), indent, style)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the widths of the shortest form, and of the longest one that fits."""
        narrow, wide = self._text(0), self._text(options.max_width)
        return Measurement(narrow.cell_len, wide.cell_len).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """Yield the longest form that fits."""
        yield self._text(options.max_width)

    def _text(self, width: int) -> Text:
        texts = [
            Text(" " * self.indent + form, style=self.style, overflow="fold")
            for form in self.forms
        ]
        return next((text for text in texts if text.cell_len <= width), texts[-1])


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


def plain_table(columns: Sequence[Column], rows: Iterable[Sequence[RenderableType]]) -> Table:
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
