"""Lines with a label in front: wrapped beside the label on a terminal, in one piece in a log."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

LABEL = 12  # columns of a label and the gap behind it


@dataclass(frozen=True)
class Line:
    """Attributes: `label`: None for a sentence that stands alone, empty to indent."""

    text: Text
    label: str | None = None

    def flat(self) -> Text:
        """Everything in one line, however long."""
        if self.label is None:
            return self.text
        return Text.assemble((f"{self.label:<{LABEL}}", "dim"), self.text)

    def hanging(self) -> RenderableType:
        """Wrapped so that no text stands below the label."""
        return self.text if self.label is None else beside(self.label, self.text)


def labelled(label: str, text: str | Text) -> Line:
    """A line with a label; the texts of several line up."""
    return Line(Text(text) if isinstance(text, str) else text, label)


def beside(label: str, content: RenderableType) -> Table:
    """Anything, indented beside a dim label."""
    grid = Table.grid()
    grid.add_column(width=LABEL, style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row(Text(label), content)
    return grid
