"""A model with its preprocessing as one torch module: what an export holds.

Scaling, imputation with its marks, and the levels of pictures are in the graph. Ranks and
categories are not: of such a model the graph begins at the prepared features.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from tunecli.data.fitted_scale import Array, FittedScale
from tunecli.data.fitting import OfBytes, OfNumbers, OfTable, Preprocessing
from tunecli.model_folder.model import Member, Model
from tunecli.training.outputs import OutputMeaning

RANKS = ("uniform_rank", "normal_rank")


def why_not_whole(model: Model) -> str:
    """What of the preprocessing cannot be in a graph; empty if all of it can."""
    for member in model.members:
        fitted = member.preprocessing
        scale = fitted.fitted.scale if isinstance(fitted, OfTable) else None
        scale = fitted.scale if isinstance(fitted, OfNumbers) else scale
        if scale is not None and any(name in RANKS for name, _ in scale.steps):
            return "scaling by rank"
        if isinstance(fitted, OfTable) and len(fitted.fitted.categories):
            return "categories"
    return ""


class Graph(nn.Module):
    """Predictions of rows: (n, n_classes) probabilities, or (n,) values, float32."""

    def __init__(self, members: Sequence[Member], with_preprocessing: bool) -> None:
        """Take a model's networks, on the CPU.

        Args:
            with_preprocessing: rows come as they are read; else as a network gets them.
        """
        super().__init__()
        self.networks = nn.ModuleList(member.network.cpu() for member in members)
        self.preparing = nn.ModuleList(
            _in_graph(member.preprocessing) if with_preprocessing else nn.Identity()
            for member in members
        )
        self.meanings: list[OutputMeaning] = [member.facts.meaning for member in members]
        self.eval()

    def forward(self, rows: Tensor) -> Tensor:
        found = [
            meaning(network(prepare(rows)))
            for prepare, network, meaning in zip(
                self.preparing, self.networks, self.meanings, strict=True
            )
        ]
        return found[0] if len(found) == 1 else torch.stack(found).mean(0)


def _in_graph(fitted: Preprocessing) -> nn.Module:
    if isinstance(fitted, OfTable):
        return _Table(fitted)
    if isinstance(fitted, OfBytes):
        return _Levels(fitted)
    assert isinstance(fitted, OfNumbers)
    return _Scaling(fitted.scale, is_pictures=True)


class _Scaling(nn.Module):
    """The steps of a scale, in the type of the rows, on columns or on channels."""

    def __init__(self, scale: FittedScale, is_pictures: bool) -> None:
        super().__init__()
        self.names = [name for name, _ in scale.steps]
        for i, (name, operand) in enumerate(scale.steps):
            tensor = torch.from_numpy(np.array(operand))
            if is_pictures and name != "clip":
                tensor = tensor[:, None, None]
            self.register_buffer(f"operand_{i}", tensor)

    def forward(self, x: Tensor) -> Tensor:
        for i, name in enumerate(self.names):
            operand = self.get_buffer(f"operand_{i}").to(x.dtype)
            if name == "clip":
                x = x.clamp(operand[0], operand[1])
            else:
                x = getattr(torch, name)(x, operand)
        return x.float()


class _Table(nn.Module):
    """Columns of numbers: filled, scaled, and marks of what was missing behind them."""

    def __init__(self, fitted: OfTable) -> None:
        super().__init__()
        table = fitted.fitted
        self.register_buffer("numbers", _tensor(table.numbers))
        self.has_marks = len(table.with_holes) > 0  # torch.export saves no empty tensor
        if self.has_marks:
            self.register_buffer("with_holes", _tensor(table.with_holes))
        self.register_buffer("fill", _tensor(table.fill))
        self.scaling = _Scaling(table.scale, is_pictures=False)

    def forward(self, x: Tensor) -> Tensor:
        numbers = x.index_select(1, self.get_buffer("numbers"))
        fill = self.get_buffer("fill").to(x.dtype)
        scaled = self.scaling(torch.where(numbers.isnan(), fill, numbers))
        if not self.has_marks:
            return cast(Tensor, scaled)
        missing = x.index_select(1, self.get_buffer("with_holes")).isnan().float()
        return torch.cat([scaled, missing], dim=1)


class _Levels(nn.Module):
    """What each level of each channel becomes, looked up."""

    def __init__(self, fitted: OfBytes) -> None:
        super().__init__()
        levels = fitted.scale.table
        starts = torch.arange(len(levels))[:, None, None] * levels.shape[1]
        self.register_buffer("levels", levels.reshape(-1))
        self.register_buffer("starts", starts)

    def forward(self, x: Tensor) -> Tensor:
        return self.get_buffer("levels")[x.long() + self.get_buffer("starts")]


def _tensor(array: Array) -> Tensor:
    return torch.from_numpy(np.array(array))
