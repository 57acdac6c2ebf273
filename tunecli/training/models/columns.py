"""The columns of a table, for models that embed them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import Features, as_features


@dataclass(frozen=True)
class Columns:
    """The columns of a fold's rows.

    Attributes:
        cat_cardinalities: number of codes, from 0, of each of the last columns; the columns before
            them are numbers.
        x_train: the training rows, on the CPU or the device of the training; the bins of
            piecewise-linear embeddings are computed from these alone.
        n_bins: number of bins of each number, for a model whose stored weights include the bins,
            so that it can be built without training rows.
    """

    cat_cardinalities: tuple[int, ...] = ()
    x_train: Features | None = None
    n_bins: tuple[int, ...] = ()

    @classmethod
    def of(cls, fold: FoldData) -> Columns:
        """Return the columns of a fold."""
        return cls(fold.cat_cardinalities, as_features(fold.x_train))

    def n_cont_features(self, n_columns: int) -> int:
        """Return how many of the columns are numbers."""
        return n_columns - len(self.cat_cardinalities)

    def training_numbers(self, n_columns: int, most_rows: int) -> Tensor:
        """Return the numbers of the first `most_rows` training rows, (n, n_cont_features).

        Raises:
            ValueError: there are no training rows.
        """
        if self.x_train is None:
            raise ValueError("piecewise_linear embeddings need training rows to compute bins from")
        n_rows = min(len(self.x_train), most_rows)
        rows = next(iter(self.x_train.batches(None, [n_rows])))
        return rows.flatten(1)[:, : self.n_cont_features(n_columns)].cpu()
