"""The form in which a configuration wants the features of its data."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.streamed_rows import LoadedRows
from tunecli.data.rows.texts import TextRows
from tunecli.data.text.tokens import TokenSetting
from tunecli.study_file.settings.settings import Component


@dataclass(frozen=True)
class FeatureForm:
    """What a configuration decides about the features that its model gets.

    Attributes:
        scale: the scale of a table's numbers, or of pictures' channels; None for no scaling.
        embeds: whether the model takes categories as codes, not one-hot.
        integers: whether unscaled whole numbers of arrays stay int64.
        tokens: how texts become tokens; None to leave texts out.
    """

    scale: Component | None = None
    embeds: bool = False
    integers: bool = False
    tokens: TokenSetting | None = None

    def of(self, dataset: Dataset) -> FeatureForm:
        """Return the form without what cannot affect a data set."""
        has_categories = any(column.kind == "categorical" for column in dataset.columns)
        return replace(
            self,
            embeds=self.embeds and has_categories,
            integers=self.keeps_integers(dataset.x),
            tokens=self.tokens if isinstance(dataset.x, TextRows) else None,
        )

    def keeps_integers(self, x: Tensor | LoadedRows | TextRows) -> bool:
        """Return whether rows stay whole numbers: a model wants them, and nothing scales them."""
        return self.integers and self.scale is None and x.dtype == torch.int64

    @property
    def key(self) -> str:
        """A string that is equal only for equal forms."""
        return json.dumps(asdict(self), sort_keys=True, default=lambda one: one.model_dump())
