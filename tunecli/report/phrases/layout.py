"""Lines with a label in front: wrapped next to the label on a terminal, unbroken in a log."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

LABEL = 12  # columns of a label and the gap after it


@dataclass(frozen=True)
class Line:
    """One line. Attributes: `label`: None for a sentence without a label, empty to indent."""

    text: Text
    label: str | None = None

    def flat(self) -> Text:
        """Return everything in one line, however long."""
        if self.label is None:
            return self.text
        return Text.assemble((f"{self.label:<{LABEL}}", "dim"), self.text)

    def hanging(self) -> RenderableType:
        """Return the line wrapped so that no text runs under the label."""
        return self.text if self.label is None else beside(self.label, self.text)


def labelled(label: str, text: str | Text) -> Line:
    """Return a line with a label; the texts of several such lines are aligned."""
    return Line(Text(text) if isinstance(text, str) else text, label)


def beside(label: str, content: RenderableType) -> Table:
    """Return any content, indented next to a dim label."""
    grid = Table.grid()
    grid.add_column(width=LABEL, style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(label), content)
    return grid
