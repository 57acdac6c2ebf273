"""What `tunecli check` says of the columns of a table: one line each, then what looks wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunecli.report import wording
from tunecli.study_file.counts import count
from tunecli.study_file.plain import flow
from tunecli.study_file.settings import DataSettings

if TYPE_CHECKING:
    from tunecli.data.column_facts import ColumnFacts

MOST_LINES = 30
"""Of a wider table the first ones are shown, and the others counted."""
_NAME, _CELL = 18, 10
"""Characters of a column's name, and of its smallest and largest cell."""


def columns(facts: Sequence[ColumnFacts]) -> RenderableType:
    """One line per column: name, kind, distinct, missing, smallest, largest, and its use."""
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


def _cells(one: ColumnFacts) -> Sequence[str]:
    smallest, largest = _ends(one)
    missing = f"{one.n_missing:,}" if one.n_missing else ""
    name = _short(one.name, _NAME)
    return (
        name,
        one.kind,
        f"{one.n_distinct:,}",
        missing,
        smallest,
        largest,
        wording.plain(one.use),
    )


def _ends(one: ColumnFacts) -> list[str]:
    """Both cells; of those that begin alike the ends."""
    ends = [wording.plain(end) for end in (one.smallest, one.largest)]
    shown = [wording.shortened(end, _CELL) for end in ends]
    are_alike = shown[0] == shown[1] and ends[0] != ends[1]
    return [f"…{end[1 - _CELL :]}" for end in ends] if are_alike else shown


def _short(text: str, width: int) -> str:
    return wording.shortened(wording.plain(text), width)


def _others(facts: Sequence[ColumnFacts]) -> str:
    kinds = Counter(one.kind for one in facts)
    told = ", ".join(f"{n:,} {kind}" for kind, n in kinds.most_common())
    n_out = sum(one.use.startswith("left out") for one in facts)
    left_out = f"; {n_out:,} of them left out" if n_out else ""
    return f"… and {count(len(facts), 'more column')}: {told}{left_out}."


def warnings(facts: Sequence[ColumnFacts], data: DataSettings) -> RenderableType:
    """What looks wrong in the columns, and that a date may be the order of the rows."""
    sentences = [sentence for one in facts for sentence in one.warnings]
    shown, more = sentences[:MOST_LINES], len(sentences) - MOST_LINES
    shown += [f"… and {count(more, 'more warning')} of this kind."] if more > 0 else []
    if data.time is None and not isinstance(data.test, str):
        shown += [
            f"The rows are in the order of {one.name!r}. To validate and test on later rows only, "
            f"write time: {flow(one.name)}."
            for one in facts
            if one.is_in_order
        ]
    return Group(*(Text(wording.plain(sentence), style="yellow") for sentence in shown))
