"""What each column of a table holds, and what becomes of it: for people, before a study."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.cell_values import Floats, is_nested
from tunecli.data.column_kinds import Cells
from tunecli.data.dataset import Column, Dataset
from tunecli.data.date_texts import DAY
from tunecli.data.dates import Dates, spelling
from tunecli.errors import DataError
from tunecli.study_file.counts import count
from tunecli.study_file.plain import flow
from tunecli.study_file.settings import DataSettings

FEATURE = "feature"
"""Use of a column to predict from, until it is known what becomes of it."""
FEWEST_ROWS = 10
"""Of fewer rows, cells that all differ and dates in order say nothing."""
_DIGITS = 10
"""Of whole numbers that are shown in full."""
_NO_DAYS = ("0001-01-01", "9999-12-31")
"""Days that programs write for none."""
_FIRST_DAY, _LAST_DAY = 19_000_101, 21_001_231


@dataclass(frozen=True)
class ColumnFacts:
    """One column.

    Attributes:
        kind: number, category, date, time of day, duration, or list.
        n_distinct: different cells, without missing ones.
        smallest, largest: for the screen; empty where all cells are missing.
        use: what becomes of it, or what it is for, or why it is left out.
        warnings: sentences.
        is_in_order: the rows follow its dates.
    """

    name: str
    kind: str
    n_distinct: int
    n_missing: int
    smallest: str
    largest: str
    use: str
    warnings: tuple[str, ...] = ()
    is_in_order: bool = False


def facts_of(cells: Cells, use: str) -> ColumnFacts:
    """Facts of a column that is numbers, categories or dates."""
    values, name = cells.values, cells.column.name
    there = values[~np.isnan(values)]
    distinct = np.unique(there)
    dates = cells.dates
    smallest, largest = "", ""
    if len(distinct):
        low, high = float(distinct[0]), float(distinct[-1])
        ends = [_shown(end, cells.column, high - low) for end in (low, high)]
        smallest, largest = ends if dates is None else _ends(dates)
    warnings: Iterable[str] = ()
    if use == FEATURE:
        if cells.column.kind == "categorical":
            warnings = _on_categories(name, there, distinct)
        else:
            warnings = _on_dates(name, dates) if dates else _on_numbers(name, there, distinct)
    return ColumnFacts(
        name=name,
        kind=_kind(cells),
        n_distinct=len(distinct),
        n_missing=len(values) - len(there),
        smallest=smallest,
        largest=largest,
        use=use,
        warnings=tuple(warnings),
        is_in_order=use == FEATURE and dates is not None and _orders_rows(dates),
    )


def facts_of_columns(
    rows: pd.DataFrame,
    features: Sequence[Cells],
    uses: Mapping[str, str],
    read: Callable[[str], Cells],
) -> list[ColumnFacts]:
    """Facts of every column of a table, in its order.

    Args:
        features: to predict from.
        uses: of the columns that are for something else.
        read: gives the cells of a column.
    """
    kept = {cells.column.name: cells for cells in features}
    found = []
    for name in rows.columns:
        if name in kept:
            found.append(facts_of(kept[name], FEATURE))
        elif is_nested(rows[name]):
            found.append(_of_lists(rows[name], uses.get(name, "")))
        else:
            cells = _whatever(rows[name], read)
            use = uses.get(name) or f"left out: {_why_left_out(cells, features)}"
            found.append(facts_of(cells, use))
    return found


def _whatever(series: pd.Series, read: Callable[[str], Cells]) -> Cells:
    """Return the cells of a column of which nothing is demanded, since no model sees it."""
    try:
        return read(str(series.name))
    except DataError:
        codes, labels = pd.factorize(series.astype(str).where(series.notna()), sort=True)
        values = np.where(codes < 0, np.nan, codes)
        return Cells(Column(str(series.name), "categorical", tuple(labels)), values)


def _why_left_out(cells: Cells, features: Sequence[Cells]) -> str:
    there = cells.values[~np.isnan(cells.values)]
    if not len(there):
        return "empty"
    if (there == there[0]).all() and len(there) == len(cells.values):
        return "constant"
    own = cells.values.tobytes()
    twins = (other.column.name for other in features if other.values.tobytes() == own)
    return f"same as {twin}" if (twin := next(twins, "")) else "a text per row"


def _of_lists(series: pd.Series, use: str) -> ColumnFacts:
    """Facts of a column with several values in a cell, which has no order."""
    distinct = series.dropna().astype(str).nunique()
    return ColumnFacts(str(series.name), "list", distinct, int(series.isna().sum()), "", "", use)


def _kind(cells: Cells) -> str:
    if cells.dates is not None:
        return cells.dates.form.kind
    return "category" if cells.column.kind == "categorical" else "number"


def _shown(value: float, column: Column, spread: float) -> str:
    """Show a number in so many digits that the ends of a column differ."""
    if column.categories:
        return column.categories[int(value)]
    if value.is_integer() and abs(value) < 10**_DIGITS:
        return str(int(value))
    return f"{value:.6g}" if spread > abs(value) * 1e-5 else f"{value:.15g}"


def _ends(dates: Dates) -> list[str]:
    """The first and the last time; days alone where those tell them apart, or are all."""
    rows = np.flatnonzero(~dates.missing)
    order = np.lexsort((dates.nanoseconds[rows], dates.seconds[rows]))
    ends = rows[order[[0, -1]]]
    days = dates.seconds[ends] // DAY
    are_days = not (dates.seconds[ends] % DAY).any()
    if dates.form.kind == "date" and (are_days or days[0] != days[1]):
        return [str(day) for day in days.astype("datetime64[D]")]
    return [
        spelling(int(dates.seconds[row]), int(dates.nanoseconds[row]), dates.form) for row in ends
    ]


def _orders_rows(dates: Dates) -> bool:
    """Whether the rows are in the order of the dates, first or last one first."""
    ranks = dates.ranks[~dates.missing]
    steps = np.diff(ranks)
    is_sorted = (steps >= 0).all() or (steps <= 0).all()
    return bool(is_sorted and len(np.unique(ranks)) >= FEWEST_ROWS) and dates.form.kind == "date"


def _on_categories(name: str, there: Floats, distinct: Floats) -> Iterator[str]:
    """Texts that tell rows apart, in a table too small to leave them out for it."""
    if len(distinct) == len(there) >= FEWEST_ROWS:
        yield (
            f"Column {name!r} has a different category in every row, so nothing can be learned "
            f"from it. If it is an id or a comment, write drop: [{flow(name)}]."
        )


def _on_numbers(name: str, there: Floats, distinct: Floats) -> Iterator[str]:
    """Whole numbers that may be no amounts."""
    if not len(there) or (np.mod(distinct, 1) != 0).any():
        return
    if len(distinct) == len(there) >= FEWEST_ROWS:
        yield (
            f"Column {name!r} has a different whole number in every row. If it is an id, write "
            f"drop: [{flow(name)}]."
        )
    if _FIRST_DAY <= distinct[0] and distinct[-1] <= _LAST_DAY:
        texts = pd.Series(distinct.astype(np.int64)).astype(str)
        if pd.to_datetime(texts, format="%Y%m%d", errors="coerce").notna().all():
            yield (
                f"Column {name!r} looks like dates written as numbers ({texts.iloc[0]}). To use "
                "them as dates, write them as 2026-01-31."
            )


def _on_dates(name: str, dates: Dates) -> Iterator[str]:
    """Days that stand for no day, far from all others."""
    days = dates.seconds[~dates.missing] // DAY
    for day in _NO_DAYS if dates.form.kind == "date" else ():
        n = int((days == np.datetime64(day, "D").astype(np.int64)).sum())
        if n and n < len(days):
            yield (
                f"Column {name!r} is {day} in {count(n, 'row')}, which makes all other dates "
                f"nearly equal. If it means that there is no date, write missing: ['{day}']."
            )


def with_uses(
    facts: Sequence[ColumnFacts], dataset: Dataset, train: Tensor, data: DataSettings
) -> tuple[ColumnFacts, ...]:
    """The facts with what becomes of the features in a fold.

    Args:
        train: its training rows.
        data: `scale` and `min_frequency`.
    """
    assert isinstance(dataset.x, Tensor), "loaded rows have no columns"
    x = dataset.x[train].numpy()
    found: dict[str, list[int]] = {}
    for position, column in enumerate(dataset.columns):
        found.setdefault(column.source, []).append(position)
    return tuple(
        _with_use(one, [dataset.columns[i] for i in found[one.name]], x[:, found[one.name]], data)
        if one.use == FEATURE
        else one
        for one in facts
    )


def _with_use(
    facts: ColumnFacts, columns: Sequence[Column], x: NDArray[np.floating], data: DataSettings
) -> ColumnFacts:
    if columns[0].kind == "categorical":
        return _of_categories(facts, x[:, 0], data)
    parts = [column.date.part.split(", ")[0] for column in columns if column.date is not None]
    scale = "unscaled" if data.scale is None else _SCALES.get(data.scale.name, data.scale.name)
    marks = ["marks where missing"] if np.isnan(x[:, 0]).any() else []
    return replace(facts, use=", ".join([*(dict.fromkeys(parts) or [scale]), *marks]))


_SCALES = {"standard": "standardized", "none": "unscaled"}


def _of_categories(
    facts: ColumnFacts, codes: NDArray[np.floating], data: DataSettings
) -> ColumnFacts:
    """One feature for each category, a missing one among them; one for all rare ones."""
    counts = np.unique(codes, return_counts=True, equal_nan=True)[1]
    is_rare = counts < data.min_frequency * len(codes)
    n_rare = int(is_rare.sum())
    n_features = len(counts) - n_rare + bool(n_rare)
    together = f", {count(n_rare, 'rare one')} as one" if n_rare else ""
    use = f"{count(n_features, 'feature')}{together}"
    if n_rare < len(counts) or n_rare < 2:
        return replace(facts, use=use)
    warning = (
        f"Every category of {facts.name!r} is rarer than min_frequency ({data.min_frequency:g} of "
        "the training rows), so all become one feature that says nothing. Lower "
        f"data.min_frequency, or write drop: [{flow(facts.name)}]."
    )
    return replace(facts, use=use, warnings=(*facts.warnings, warning))
