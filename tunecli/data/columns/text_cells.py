"""Columns of text, which a model reads as tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tunecli.data.columns.cell_values import Floats, Where
from tunecli.data.columns.column_cells import Cells, Given, Reading, Use
from tunecli.data.rows.dataset import Column
from tunecli.data.rows.texts import Texts
from tunecli.study_file.settings.settings import DataSettings

_SHOWN = 30
"""Number of characters shown of a text."""


@dataclass(frozen=True)
class TextCells(Cells):
    """A column of text that the user names; see `Cells`.

    Attributes:
        distinct: its different texts, in the order of their codes.
    """

    distinct: tuple[str, ...] = ()

    @classmethod
    def read(
        cls, series: pd.Series, given: Given, where: Where, reading: Reading
    ) -> TextCells | None:
        """Read any column that the user names as text; None for all others."""
        if given != "text":
            return None
        codes, distinct = pd.factorize(_as_written(series), sort=True)
        values = np.where(codes < 0, np.nan, codes)
        return cls(Column(str(series.name), "text"), values, distinct=tuple(distinct))

    @staticmethod
    def read_new(
        series: pd.Series, columns: Sequence[Column], where: Where, reading: Reading
    ) -> Iterator[Floats]:
        """Yield nothing: a model gets no numbers from text; see `texts_of`."""
        return iter(())

    @cached_property
    def content(self) -> tuple[object, ...]:
        """The codes and the texts: sorted texts have the codes of sorted numbers."""
        return (*super().content, self.distinct)

    @property
    def texts(self) -> Texts:
        """The text of each row; empty if it is missing."""
        codes = np.where(np.isnan(self.values), len(self.distinct), self.values)
        known = [*self.distinct, ""]
        return Texts.of(known[code] for code in codes.astype(np.int64).tolist())

    def ends(self, low: float, high: float) -> Sequence[str]:
        """Return the beginnings of the shortest and of the longest text."""
        ranked = sorted(self.distinct, key=len)
        return [" ".join(text.split())[:_SHOWN] for text in (ranked[0], ranked[-1])]

    def warnings(self, there: Floats, distinct: Floats) -> Iterator[str]:
        """Yield nothing: texts may be equal, and may all differ."""
        return iter(())

    @staticmethod
    def use(columns: Sequence[Column], x: NDArray[np.float64], data: DataSettings) -> Use:
        """Say that a model gets tokens."""
        return "tokens", ()

    @property
    def kind(self) -> str:
        """The kind of the column, for people."""
        return "text"

    @property
    def tell_rows_apart(self) -> bool:
        """Whether it is left out as an identifier: never, since the user names it."""
        return False


def texts_of(series: pd.Series) -> Texts:
    """Return the text of each cell; empty if it is missing."""
    return Texts.of(_as_written(series).fillna("").tolist())


def _as_written(series: pd.Series) -> pd.Series:
    """Return cells as text, and missing ones as missing."""
    return series.astype(object).where(series.notna(), None).map(str, na_action="ignore")
