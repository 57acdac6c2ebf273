"""The table of `tunecli compress`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunecli.report.phrases import foreign_text, wording
from tunecli.study_file.settings.units import unit_for

if TYPE_CHECKING:
    from tunecli.model_folder.compressing import CompressedModel
    from tunecli.training.compression.costs import Latency

_NOTE = (
    "* no other row is better in both score and size. change: relative to row 0. Latency for 1 "
    "and for up to 256 rows of data: median of 50 calls ± half the interquartile range; slow "
    "models are timed with fewer rows of data and at least 5 calls. Only structured, fuse and "
    "merge change the latency. The other steps make the file smaller; the model still computes "
    "with dense weights."
)
_DIGITS = 3


def render(rows: Sequence[CompressedModel], marked: Sequence[bool], metric: str) -> RenderableType:
    """Return the table of the rows in their order, within 80 columns.

    Row 0 is the uncompressed models. Each column of sizes or latencies has one unit.

    Args:
        marked: which rows are on the Pareto front.
    """
    from tunecli.model_folder.compressing import recipe_in_words as steps_in_words
    from tunecli.training.compression.recipe import idle_in_words

    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim", show_edge=False)
    base = rows[0]
    size = unit_for("size", base.size)
    one = unit_for("latency", base.one.median) if base.one else ("s", 1.0)
    many = unit_for("latency", base.many.median) if base.many else ("s", 1.0)
    table.add_column("row", justify="right", no_wrap=True)
    for name in ("compression", foreign_text.shortened(foreign_text.plain(metric), 8), "change"):
        table.add_column(name, no_wrap=True)
    for name, (unit, _) in (
        ("size", size),
        ("gzip", size),
        ("1 row", one),
        (f"{base.n_many} rows", many),
    ):
        table.add_column(f"{name}\n{unit}", justify="right", no_wrap=True)
    table.add_column("zeros", justify="right", no_wrap=True)
    for number, (row, is_best) in enumerate(zip(rows, marked, strict=True)):
        named = (f"{'*' if is_best else ''}{number}", steps_in_words(row.steps))
        if not row.fold_scores:
            table.add_row(*named, "–")
            continue
        table.add_row(
            *named,
            Text(wording.score(row.score)),
            f"{row.score - base.score:+.4f}" if number else "",
            f"{row.size / size[1]:.{_DIGITS}g}",
            f"{row.gzipped / size[1]:.{_DIGITS}g}",
            _latency(row.one, one[1]),
            _latency(row.many, many[1]),
            f"{row.zeros:.0%}",
        )
    remarks = [
        Text(f"row {number}: {foreign_text.plain(row.reason) or idle_in_words(row.left_out)}")
        for number, row in enumerate(rows)
        if row.reason or row.left_out
    ]
    return Group(table, *remarks, Text(_NOTE, style="dim"))


def compression_json(rows: Sequence[CompressedModel], marked: Sequence[bool]) -> str:
    """Return a JSON list with one object per row.

    An object has the row's numbers, `steps` as in a study file, and `front`: whether the row is on
    the Pareto front.
    """
    return json.dumps(
        [
            asdict(row) | {"steps": row.steps.model_dump(exclude_defaults=True), "front": is_best}
            for row, is_best in zip(rows, marked, strict=True)
        ]
    )


def _latency(latency: Latency | None, unit: float) -> str:
    if latency is None:
        return "–"
    share = (latency.high - latency.low) / 2 / latency.median if latency.median else 0.0
    return f"{latency.median / unit:.{_DIGITS}g}±{share:.0%}"
