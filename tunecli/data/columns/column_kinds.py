"""The kinds of columns, and how a feature column is read as one of them."""

from __future__ import annotations

import pandas as pd

from tunecli.data.columns.cell_values import Where
from tunecli.data.columns.column_cells import AS_IS, CategoryCells, Cells, Given, Reading
from tunecli.data.columns.date_cells import DateCells
from tunecli.data.columns.text_cells import TextCells

KINDS: dict[str, type[Cells]] = {
    "text": TextCells,
    "date": DateCells,
    "numeric": Cells,
    "categorical": CategoryCells,
}
"""All kinds by the `content` of their columns, in the order in which they are tried."""


def cells(series: pd.Series, given: Given, where: Where, reading: Reading = AS_IS) -> Cells:
    """Read a column as `given` if the user named its kind, else by its cells.

    Raises:
        DataError: there are texts among numbers or dates, or numbers equal in float64.
    """
    tried = [KINDS[given]] if given in ("text", "categorical") else KINDS.values()
    kinds = (kind.read(series, given, where, reading) for kind in tried)
    return next(read for read in kinds if read is not None)
