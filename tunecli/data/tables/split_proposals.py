"""See in a table which rows belong together, or follow each other in time, for a first study."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tunecli.data.columns.cell_values import Floats
from tunecli.data.columns.column_cells import Cells

_WHOSE = (
    *("account", "animal", "article", "child", "client", "customer", "device", "driver"),
    *("employee", "family", "hospital", "household", "item", "location", "machine", "member"),
    *("patient", "person", "player", "product", "respondent", "school", "sensor", "session"),
    *("shop", "site", "speaker", "station", "store", "student", "subject", "user", "vehicle"),
)
"""What has several rows in many tables."""
_NAME = re.compile(rf"(.*_)?(({'|'.join(_WHOSE)})s?|id)(_(id|no|nr|num|number|code|key|name))?")
"""The names of columns that tell whose row it is, in lower case."""
_FEWEST_GROUPS = 5
_FEWEST_ROWS_EACH = 2.0


@dataclass(frozen=True)
class SplitProposals:
    """What a table's columns propose for its splits.

    Attributes:
        time: a column of dates that the rows follow; empty if there is none.
        group: a column of ids of which most occur in several rows; empty if there is none.
        n_groups: number of its distinct ids.
        is_within_groups: whether the rows follow the dates only within each group.
    """

    time: str = ""
    group: str = ""
    n_groups: int = 0
    is_within_groups: bool = False


def proposals_of(features: Sequence[Cells]) -> SplitProposals:
    """Return what the feature columns of a table propose, each with all rows in their order."""
    ids = max(_ids(features), key=_n_distinct, default=None)
    dates = [one for one in features if one.kind == "date"]
    in_order = next((one for one in dates if one.are_in_order), None)
    within = next((one for one in dates if ids is not None and _follows(one, ids)), None)
    time = in_order or within
    return SplitProposals(
        time=time.column.name if time is not None else "",
        group=ids.column.name if ids is not None else "",
        n_groups=_n_distinct(ids) if ids is not None else 0,
        is_within_groups=in_order is None and within is not None,
    )


def _ids(features: Sequence[Cells]) -> Iterator[Cells]:
    """Yield the columns that are named like ids, and whose ids occur in several rows."""
    for one in features:
        is_named = _NAME.fullmatch(_snake(one.column.name)) is not None
        there = one.values[~np.isnan(one.values)]
        is_whole = bool((np.mod(there, 1) == 0).all())
        enough = _FEWEST_GROUPS <= _n_distinct(one) <= len(there) / _FEWEST_ROWS_EACH
        if is_named and is_whole and enough and one.kind in ("number", "category"):
            yield one


def _snake(name: str) -> str:
    """Return a name in lower case with `_` between its words: `CustomerId` is `customer_id`."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return re.sub(r"[^A-Za-z0-9]+", "_", parts).strip("_").lower()


def _n_distinct(column: Cells) -> int:
    return len(np.unique(column.values[~np.isnan(column.values)]))


def _follows(dates: Cells, ids: Cells) -> bool:
    """Return whether the rows of each id follow each other in time."""
    order = np.argsort(ids.values, kind="stable")
    owners, times = ids.values[order], dates.values[order]
    if np.isnan(owners).any() or np.isnan(times).any():
        return False
    steps = np.diff(times)[owners[1:] == owners[:-1]]
    return _are_one_way(steps)


def _are_one_way(steps: Floats) -> bool:
    """Return whether all steps go forward, or all go back, and some move."""
    return bool((steps != 0).any() and ((steps >= 0).all() or (steps <= 0).all()))
