"""What `tunecli check` prints on the columns of a table: one line each, then warnings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunecli.report.phrases import foreign_text
from tunecli.study_file.settings.settings import DataSettings
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.dump import flow

if TYPE_CHECKING:
    from tunecli.data.columns.column_facts import ColumnExample, ColumnFacts

MOST_LINES = 30
"""A wider table shows its first columns, and counts the others."""
_EXAMPLE = 40
"""Characters of a column's name, and of its first cell."""
_NAME, _CELL = 18, 10
"""Characters of a column's name, and of its smallest and largest value."""


def column_table(facts: Sequence[ColumnFacts]) -> RenderableType:
    """Return one row per column: name, kind, distinct, missing, smallest, largest, and use."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("column", no_wrap=True)
    table.add_column("kind", no_wrap=True)
    for number in ("distinct", "missing"):
        table.add_column(number, justify="right", no_wrap=True, min_width=7)
    for end in ("smallest", "largest"):
        table.add_column(end, no_wrap=True)
    table.add_column("becomes", overflow="fold")
    for one in facts[:MOST_LINES]:
        table.add_row(*map(Text, _cells(one)))
    rest = [Text(_others(facts[MOST_LINES:]))] if len(facts) > MOST_LINES else []
    return Group(table, *rest, Text())


def example_table(columns: Sequence[ColumnExample]) -> RenderableType:
    """Return one row per column: name, kind, and the first cell, for a user who has to choose."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("column", "kind", "example"):
        table.add_column(name, no_wrap=True)
    for one in columns[:MOST_LINES]:
        cells = foreign_text.plain(one.name), one.kind, foreign_text.plain(one.example)
        table.add_row(*(Text(foreign_text.shortened(cell, _EXAMPLE)) for cell in cells))
    n_more = len(columns) - MOST_LINES
    rest = [Text(f"… and {count(n_more, 'more column')}.")] if n_more > 0 else []
    return Group(table, *rest, Text())


def _cells(one: ColumnFacts) -> Sequence[str]:
    name = foreign_text.shortened(foreign_text.plain(one.name), _NAME)
    missing = f"{one.n_missing:,}" if one.n_missing else ""
    return name, one.kind, f"{one.n_distinct:,}", missing, *_ends(one), foreign_text.plain(one.use)


def _ends(one: ColumnFacts) -> list[str]:
    """Return the smallest and largest value; only their ends if both begin alike."""
    ends = [foreign_text.plain(end) for end in (one.smallest, one.largest)]
    starts = [foreign_text.shortened(end, _CELL) for end in ends]
    are_alike = starts[0] == starts[1] and ends[0] != ends[1]
    return [f"…{end[1 - _CELL :]}" for end in ends] if are_alike else starts


def _others(facts: Sequence[ColumnFacts]) -> str:
    kinds = Counter(one.kind for one in facts)
    counts = ", ".join(f"{n:,} {kind}" for kind, n in kinds.most_common())
    n_out = sum(one.use.startswith("left out") for one in facts)
    left_out = f"; {n_out:,} of them left out" if n_out else ""
    return f"… and {count(len(facts), 'more column')}: {counts}{left_out}."


def warnings(facts: Sequence[ColumnFacts], data: DataSettings) -> RenderableType:
    """Return warnings about the columns, and a hint where the rows are sorted by a date."""
    every = [sentence for one in facts for sentence in one.warnings]
    sentences, n_more = every[:MOST_LINES], len(every) - MOST_LINES
    sentences += [f"… and {count(n_more, 'more warning')}."] if n_more > 0 else []
    if data.time is None and not isinstance(data.test, str):
        sentences += [
            f"The rows are sorted by {one.name!r}. To validate and test on later rows only, set "
            f"time: {flow(one.name)}."
            for one in facts
            if one.is_in_order
        ]
    return Group(*(Text(foreign_text.plain(sentence), style="yellow") for sentence in sentences))
