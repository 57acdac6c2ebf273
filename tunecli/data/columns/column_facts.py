"""Facts on each column of a table and its use: for people, before a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from torch import Tensor

from tunecli.data.columns.cell_values import is_nested
from tunecli.data.columns.column_cells import CategoryCells, Cells
from tunecli.data.columns.column_kinds import KINDS
from tunecli.data.rows.dataset import Column, Dataset, positions_by_source
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings

FEATURE = "feature"
"""Provisional use of a feature column, until its preprocessing is known."""
_OF_SENTENCES = "sentences"
_SENTENCES = f"left out: {_OF_SENTENCES}"


@dataclass(frozen=True)
class ColumnFacts:
    """Facts on one column.

    Attributes:
        kind: number, category, date, time of day, duration, text, or list.
        n_distinct: distinct cells, without missing ones.
        smallest, largest: ends of the values, for the screen; empty if all cells are missing.
        use: its features, or its purpose, or why it is left out.
        warnings: what may be wrong with it, in sentences.
        is_in_order: whether the rows are sorted by its dates.
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


@dataclass(frozen=True)
class ColumnExample:
    """A column at a glance. Attributes: `kind`: as in `ColumnFacts`; `example`: its first cell."""

    name: str
    kind: str
    example: str


def facts_of(cells: Cells, use: str) -> ColumnFacts:
    """Return the facts of a column of any kind."""
    there = cells.values[~np.isnan(cells.values)]
    distinct = np.unique(there)
    ends = cells.ends(float(distinct[0]), float(distinct[-1])) if len(distinct) else ["", ""]
    return ColumnFacts(
        name=cells.column.name,
        kind=cells.kind,
        n_distinct=len(distinct),
        n_missing=len(cells.values) - len(there),
        smallest=ends[0],
        largest=ends[1],
        use=use,
        warnings=tuple(cells.warnings(there, distinct)) if use == FEATURE else (),
        is_in_order=use == FEATURE and bool(cells.are_in_order),
    )


def facts_of_columns(
    rows: pd.DataFrame,
    features: Sequence[Cells],
    uses: Mapping[str, str],
    read: Callable[[str], Cells],
) -> list[ColumnFacts]:
    """Return the facts of every column of a table, in its order.

    Args:
        features: the columns to predict from.
        uses: the uses of the other columns.
        read: reads the cells of a column.
    """
    features_by_name = {cells.column.name: cells for cells in features}
    facts = []
    for name in rows.columns:
        if name in features_by_name:
            facts.append(facts_of(features_by_name[name], FEATURE))
        elif is_nested(rows[name]):
            facts.append(_of_lists(rows[name], uses.get(name, "")))
        else:
            try:
                cells = read(str(name))
            except DataError:  # no model sees it, so it may be written in any way
                cells = CategoryCells.as_texts(rows[name])
            use = uses.get(name) or f"left out: {_why_left_out(cells, features)}"
            one = facts_of(cells, use)
            facts.append(replace(one, kind="text") if use == _SENTENCES else one)
    return facts


def _why_left_out(cells: Cells, features: Sequence[Cells]) -> str:
    there = cells.values[~np.isnan(cells.values)]
    if not len(there):
        return "empty"
    if (there == there[0]).all() and len(there) == len(cells.values):
        return "constant"
    twins = (other.column.name for other in features if other.content == cells.content)
    if twin := next(twins, ""):
        return f"identical to {twin}"
    return _OF_SENTENCES if cells.are_sentences else "unique texts"


def _of_lists(series: pd.Series, use: str) -> ColumnFacts:
    """Return the facts of a column with several values per cell, which has no order."""
    distinct = series.dropna().astype(str).nunique()
    return ColumnFacts(str(series.name), "list", distinct, int(series.isna().sum()), "", "", use)


def with_uses(
    facts: Sequence[ColumnFacts], dataset: Dataset, train: Tensor, data: DataSettings
) -> tuple[ColumnFacts, ...]:
    """Return the facts with the use of each feature in a fold.

    Args:
        train: the fold's training rows.
        data: the settings; `scale` and `min_frequency` are read.
    """
    table = dataset.without_texts.x
    assert isinstance(table, Tensor), "loaded rows have no columns"
    x = table[train].numpy()
    positions = positions_by_source(dataset.columns)

    def with_use(one: ColumnFacts) -> ColumnFacts:
        own = positions.get(one.name, [])
        columns = [dataset.columns[i] for i in own] or [Column(one.name, "text")]
        use, warnings = KINDS[columns[0].content].use(columns, x[:, own], data)
        return replace(one, use=use, warnings=(*one.warnings, *warnings))

    return tuple(with_use(one) if one.use == FEATURE else one for one in facts)
