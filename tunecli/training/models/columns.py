"""What a model that embeds columns must know of a table beside the shape of its rows."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import Features, as_features


@dataclass(frozen=True)
class Columns:
    """The columns of a fold's rows.

    Attributes:
        cat_cardinalities: codes that each of the last columns may hold, from 0; the columns before
            them are numbers.
        x_train: the rows of the training part, on the CPU or where they train: what is computed
            from the data (the bins of piecewise-linear embeddings) is computed from these alone.
        n_bins: of each number, of a model whose weights, bins among them, are stored; so it can be
            built without training rows.
    """

    cat_cardinalities: tuple[int, ...] = ()
    x_train: Features | None = None
    n_bins: tuple[int, ...] = ()

    @classmethod
    def of(cls, fold: FoldData) -> Columns:
        """Those of a fold."""
        return cls(fold.cat_cardinalities, as_features(fold.x_train))

    def n_cont_features(self, n_columns: int) -> int:
        """Numbers among the columns of a row."""
        return n_columns - len(self.cat_cardinalities)

    def training_numbers(self, n_columns: int, most_rows: int) -> Tensor:
        """Numbers of the training rows, or of the first of them, (n, n_cont_features).

        Raises:
            ValueError: there are no training rows to learn from.
        """
        if self.x_train is None:
            raise ValueError("piecewise_linear embeddings need training rows to compute bins from")
        n_rows = min(len(self.x_train), most_rows)
        rows = next(iter(self.x_train.batches(None, [n_rows])))
        return rows.flatten(1)[:, : self.n_cont_features(n_columns)].cpu()
