"""Preprocess rows of text for a model: tokens, and the features of the other columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from tunecli.data.preprocessing.fitted_table import FittedTable
from tunecli.data.rows.dataset import TokenForm
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.data.rows.texts import TextRows
from tunecli.data.text.token_features import TokenFeatures
from tunecli.data.text.tokens import FittedTokenizer, Tokens

_OF_TABLE = "table."


@dataclass(frozen=True)
class FittedText:
    """A map from rows with text to tokens, fitted on training rows.

    Attributes:
        tokenizer: the tokenizer of all text columns together.
        table: the preprocessing of the other columns; None without any.
    """

    tokenizer: FittedTokenizer
    table: FittedTable | None = None
    kind = "text"

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Numbers of codes of the code columns among the other features; see `FoldData`."""
        return () if self.table is None else self.table.cardinalities

    @property
    def tokens(self) -> TokenForm:
        """The form of the rows that a model gets."""
        return self.tokenizer.form(0 if self.table is None else self.table.n_features)

    def __call__(self, x: Tensor | TextRows) -> Tensor:
        """Turn rows as read into a batch, padded to its longest row; see `TokenForm`."""
        assert isinstance(x, TextRows)
        tokens = self.tokenizer.encode(x.joined())
        features = self._features(tokens, None if self.table is None else self.table(x.table))
        return next(features.batches(None, [len(x)]))

    def features(self, x: Tensor | LoadedRows | TextRows, rows: Tensor) -> TokenFeatures:
        """Prepare rows of a whole data set for training."""
        assert isinstance(x, TextRows)
        table = None if self.table is None else self.table.features(x.table, rows)
        return self._features(self.tokenizer.encode(x[rows].joined()), table)

    def _features(self, tokens: Tokens, table: Tensor | None) -> TokenFeatures:
        return TokenFeatures(tokens, self.tokens, table)

    def tensors(self) -> dict[str, Tensor]:
        """Return everything for storage, by names that `restored` reads."""
        text = np.frombuffer(self.tokenizer.text.encode(), np.uint8)
        table = {} if self.table is None else self.table.tensors()
        return {
            "tokenizer": torch.from_numpy(text.copy()),
            "max_length": torch.tensor([self.tokenizer.max_length]),
            **{f"{_OF_TABLE}{name}": tensor for name, tensor in table.items()},
        }

    @classmethod
    def restored(cls, tensors: Mapping[str, Tensor]) -> FittedText:
        """Restore preprocessing from what `tensors` returned.

        Raises:
            KeyError, ValueError: a tensor is missing or does not fit.
        """
        (max_length,) = tensors["max_length"].tolist()
        text = tensors["tokenizer"].numpy().tobytes().decode()
        own = _own(tensors)
        table = FittedTable.restored(own) if own else None
        return cls(FittedTokenizer(text, max_length), table)

    def with_tensors(self, tensors: Mapping[str, Tensor]) -> FittedText:
        """Return the same map with its tensors elsewhere, named as in `tensors`."""
        if self.table is None:
            return self
        return replace(self, table=self.table.with_tensors(_own(tensors)))


def _own(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of the other columns, by their own names."""
    return {
        name.removeprefix(_OF_TABLE): tensor
        for name, tensor in tensors.items()
        if name.startswith(_OF_TABLE)
    }
