"""A model with its preprocessing as one torch module, for exports.

Scaling, imputation with its marks, categories by their codes, and the levels of pictures are in
the graph. Ranks are not: with rank scaling, the graph starts from the preprocessed features of
each network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor, nn

from tunecli.data.preprocessing.fitted_preprocessing import (
    OfBytes,
    OfIntegers,
    OfNumbers,
    OfTable,
    Preprocessing,
)
from tunecli.data.preprocessing.fitted_scale import Array, FittedScale
from tunecli.data.preprocessing.fitted_table import FittedTable
from tunecli.model_folder.format.model import Member, Model
from tunecli.training.outcome.output_meaning import OutputMeaning

RANKS = ("uniform_rank", "normal_rank")


def why_not_whole(model: Model) -> str:
    """Return the preprocessing that cannot be in a graph, in words; empty if all of it can."""
    for member in model.members:
        fitted = member.preprocessing
        scale = fitted.fitted.scale if isinstance(fitted, OfTable) else None
        scale = fitted.scale if isinstance(fitted, OfNumbers) else scale
        if scale is not None and any(name in RANKS for name, _ in scale.steps):
            return "scaling by rank"
    return ""


def given_to_graph(model: Model, rows: Tensor) -> Tensor:
    """Return rows as the graph takes them.

    These are the rows as read if all preprocessing is in the graph. Otherwise they are the
    preprocessed features, (n, …): each network has its own preprocessing, so its features (or
    channels) follow those of the network before.
    """
    if not why_not_whole(model):
        return rows
    return torch.cat([member.preprocessing(rows) for member in model.members], dim=1)


class Graph(nn.Module):
    """Predicts rows: (n, n_classes) probabilities, float32; or (n,) values, float64."""

    def __init__(self, members: Sequence[Member], with_preprocessing: bool) -> None:
        """Take a model's networks, on the CPU.

        Args:
            with_preprocessing: whether the graph takes rows as read; see `given_to_graph`.
        """
        super().__init__()
        self.networks = nn.ModuleList(member.network.cpu() for member in members)
        self.preparing = nn.ModuleList(
            map(_in_graph, (member.preprocessing for member in members))
            if with_preprocessing
            else _parts(members)
        )
        self.decoding = nn.ModuleList(_Decoding(member.facts.meaning) for member in members)
        self.eval()

    def forward(self, rows: Tensor) -> Tensor:
        predictions = [
            decode(outputs)
            for decode, outputs in zip(self.decoding, self._outputs(rows), strict=True)
        ]
        return predictions[0] if len(predictions) == 1 else torch.stack(predictions).mean(0)

    def _outputs(self, rows: Tensor) -> Iterator[Tensor]:
        for prepare, network in zip(self.preparing, self.networks, strict=True):
            yield network(prepare(rows))


class _Decoding(nn.Module):
    """Turns a network's outputs into predictions.

    Mean and deviation of values are 64-bit buffers: ONNX writes plain numbers in 32 bits, which
    can round a large mean by more than the values differ.
    """

    def __init__(self, meaning: OutputMeaning) -> None:
        super().__init__()
        self.meaning = meaning
        if not meaning.is_of_classes:
            self.register_buffer("mean", torch.tensor(meaning.mean, dtype=torch.float64))
            self.register_buffer("std", torch.tensor(meaning.std, dtype=torch.float64))

    def forward(self, outputs: Tensor) -> Tensor:
        if self.meaning.is_of_classes:
            return self.meaning(outputs)
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        if self.meaning.kind == "value":
            return outputs[:, 0].double() * std + mean
        return (outputs[:, 0].double() + mean).exp()


def _parts(members: Sequence[Member]) -> Iterator[nn.Module]:
    """Yield modules that each select the features of one network."""
    if len(members) == 1:
        yield nn.Identity()
        return
    ends = list(accumulate(member.facts.shape[0] for member in members))
    yield from map(_Part, [0, *ends[:-1]], ends)


class _Part(nn.Module):
    """Selects some of the features or channels."""

    def __init__(self, start: int, end: int) -> None:
        super().__init__()
        self.start, self.end = start, end

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.start : self.end]


def _in_graph(fitted: Preprocessing) -> nn.Module:
    if isinstance(fitted, OfTable):
        return _Table(fitted)
    if isinstance(fitted, OfBytes):
        return _Levels(fitted)
    if isinstance(fitted, OfIntegers):
        return nn.Identity()
    assert isinstance(fitted, OfNumbers)
    return _Scaling(fitted.scale, is_pictures=True)


class _Scaling(nn.Module):
    """Applies the steps of a scale, in the type of the rows, to columns or channels."""

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
    """Preprocesses table rows: imputed and scaled numbers, marks of missing cells, categories."""

    def __init__(self, fitted: OfTable) -> None:
        super().__init__()
        table = fitted.fitted
        self.has_numbers = len(table.numbers) > 0  # torch.export saves no empty tensor
        if self.has_numbers:
            self.register_buffer("numbers", _tensor(table.numbers))
            self.register_buffer("fill", _tensor(table.fill))
            self.scaling = _Scaling(table.scale, is_pictures=False)
        self.has_marks = len(table.with_holes) > 0
        if self.has_marks:
            self.register_buffer("with_holes", _tensor(table.with_holes))
        self.categories = nn.ModuleList(_categories(table))

    def forward(self, x: Tensor) -> Tensor:
        parts = []
        if self.has_numbers:
            numbers = x.index_select(1, self.get_buffer("numbers"))
            fill = self.get_buffer("fill").to(x.dtype)
            parts.append(self.scaling(torch.where(numbers.isnan(), fill, numbers)))
        if self.has_marks:
            parts.append(x.index_select(1, self.get_buffer("with_holes")).isnan().float())
        parts += [column(x) for column in self.categories]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _categories(table: FittedTable) -> Iterator[nn.Module]:
    start = 0  # the first of a column's features among all one-hot ones
    for position, places in zip(table.categories.tolist(), table.places, strict=True):
        if table.cardinalities:
            yield _Category(position, _tensor(places).float()[:, None])
            continue
        end = max(start, int(places.max()) + 1)
        if end > start:
            features = torch.arange(start, end)
            yield _Category(position, (_tensor(places)[:, None] == features).float())
        start = end


class _Category(nn.Module):
    """Looks up the one-hot features, or the code, of one categorical column."""

    def __init__(self, position: int, features: Tensor) -> None:
        """Take the features of each code, of a missing cell and of an unknown one, (n + 2, …)."""
        super().__init__()
        self.position = position
        self.register_buffer("features", features)

    def forward(self, x: Tensor) -> Tensor:
        cells, features = x[:, self.position], self.get_buffer("features")
        missing, unknown = len(features) - 2, len(features) - 1
        is_known = (cells >= 0) & (cells < missing)
        codes = torch.where(is_known, cells, unknown)
        return features[torch.where(cells.isnan(), missing, codes).long()]


class _Levels(nn.Module):
    """Looks up the scaled value of each level of each channel."""

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
