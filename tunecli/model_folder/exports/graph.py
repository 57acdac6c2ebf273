"""A model with its preprocessing as one torch module, for exports.

The preprocessing is the one of training. Only ranks are not in the graph: with rank scaling, it
starts from the preprocessed features of each network.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tunecli.data.preprocessing.fitted_pixels import FittedPixels
from tunecli.model_folder.format.model import Member, Model
from tunecli.training.outcome.output_meaning import OutputMeaning


def why_not_whole(model: Model) -> str:
    """Return the preprocessing that cannot be in a graph, in words; empty if all of it can."""
    fitted = [member.preprocessing for member in model.members]
    has_ranks = any(one.scale.is_by_rank for one in fitted if not isinstance(one, FittedPixels))
    return "scaling by rank" if has_ranks else ""


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
        self._meanings = [member.facts.meaning for member in members]
        self._preprocessing = [one.preprocessing for one in members] if with_preprocessing else []
        self._widths = [member.facts.shape[0] for member in members]
        self.eval()

    def forward(self, rows: Tensor) -> Tensor:
        parts = [prepare(rows) for prepare in self._preprocessing]
        parts = parts or list(torch.split(rows, self._widths, dim=1))
        members = zip(self.networks, self._meanings, parts, strict=True)
        predictions = [_decoded(meaning, network(part)) for network, meaning, part in members]
        return predictions[0] if len(predictions) == 1 else torch.stack(predictions).mean(0)


def _decoded(meaning: OutputMeaning, outputs: Tensor) -> Tensor:
    """Turn a network's outputs into predictions.

    Mean and deviation of values are 64-bit tensors: ONNX writes plain numbers in 32 bits, which
    can round a large mean by more than the values differ.
    """
    if meaning.is_of_classes:
        return meaning(outputs)
    mean = torch.tensor(meaning.mean, dtype=torch.float64)
    if meaning.kind == "value":
        return outputs[:, 0].double() * torch.tensor(meaning.std, dtype=torch.float64) + mean
    return (outputs[:, 0].double() + mean).exp()
