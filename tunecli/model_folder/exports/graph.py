"""A model with its preprocessing as one torch module, for exports.

The preprocessing is the one of training. Only ranks are not in the graph: with rank scaling, it
starts from the preprocessed features of each network.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from tunecli.data.preprocessing.fitted_blocks import FittedBlocks
from tunecli.data.preprocessing.fitted_numbers import FittedNumbers
from tunecli.data.preprocessing.fitted_table import FittedTable
from tunecli.data.preprocessing.fitted_text import FittedText
from tunecli.data.preprocessing.preparation import Preprocessing
from tunecli.data.rows.texts import TextRows
from tunecli.model_folder.format.model import Member, Model
from tunecli.training.models.auto_models import TransformersModel
from tunecli.training.outcome.output_meaning import OutputMeaning, mean_prediction
from tunecli.training.outcome.temperature import tempered
from tunecli.training.user_loop.user_network import exportable


def why_not_whole(model: Model) -> str:
    """Return the preprocessing that cannot be in a graph, in words; empty if all of it can."""
    fitted = [member.preprocessing for member in model.members]
    if any(isinstance(one, FittedText | FittedBlocks) for one in fitted):
        return "making tokens of text"
    scaled = [one for one in fitted if isinstance(one, FittedTable | FittedNumbers)]
    has_ranks = any(one.scale.is_by_rank for one in scaled)
    return "scaling by rank" if has_ranks else ""


def given_to_graph(model: Model, rows: Tensor | TextRows) -> Tensor:
    """Return rows as the graph takes them.

    These are the rows as read if all preprocessing is in the graph. Otherwise they are the
    preprocessed features, (n, …), or the tokens of texts: each network has its own preprocessing,
    so its features (or channels) follow those of the network before.
    """
    if isinstance(rows, Tensor) and not why_not_whole(model):
        return rows
    return torch.cat([member.preprocessing(rows) for member in model.members], dim=1)


class Graph(nn.Module):
    """Predicts rows as `Model.outputs` does: probabilities, float32; or values, float64.

    Attributes:
        tokens: the form of rows of tokens; None for other rows. A graph of tokens has one network.
        longest: largest number of tokens per row; None without a limit.
    """

    def __init__(
        self,
        members: Sequence[Member],
        with_preprocessing: bool,
        temperature: float | None = None,
    ) -> None:
        """Take a model's networks, on the CPU.

        Args:
            with_preprocessing: whether the graph takes rows as read; see `given_to_graph`.
            temperature: the model's temperature, if it has one.

        Raises:
            UserCodeError: user code trained them, and gives no network of torch.
        """
        super().__init__()
        self.networks = nn.ModuleList(exportable(member.network).cpu() for member in members)
        self.decoding = nn.ModuleList(_Decoding(member.facts.meaning) for member in members)
        self.preparing = nn.ModuleList(
            _Preparing(one.preprocessing) for one in members if with_preprocessing
        )
        self.calibrating = nn.Identity() if temperature is None else _Tempering(temperature)
        self.tokens = members[0].preprocessing.tokens
        self.longest = _longest(members[0].network)
        self._widths = [member.facts.shape[0] for member in members]
        self._weights = [member.facts.weight for member in members]
        self.eval().requires_grad_(False)  # else a file's outputs would collect gradients

    def forward(self, rows: Tensor) -> Tensor:
        parts = [prepare(rows) for prepare in self.preparing] or self._prepared(rows)
        members = zip(self.networks, self.decoding, parts, strict=True)
        predictions = [decode(network(part)) for network, decode, part in members]
        calibrated: Tensor = self.calibrating(self._mean(predictions))
        return calibrated

    def _mean(self, predictions: Sequence[Tensor]) -> Tensor:
        if len(predictions) == 1:
            return predictions[0]
        counted = [weight * one for weight, one in zip(self._weights, predictions, strict=True)]
        return torch.stack(counted).sum(0) / sum(self._weights)

    def _prepared(self, rows: Tensor) -> Sequence[Tensor]:
        """Divide preprocessed rows into those of each network.

        Tokens get one more of padding, since torch exports a length of 1 as a special case.
        """
        if self.tokens is None:
            return torch.split(rows, self._widths, dim=1)
        return [pad(rows, (0, 1), value=self.tokens.pad)]


def _longest(network: nn.Module) -> int | None:
    """Return how many tokens the network has positions for, less the one that is padded."""
    most = network.most_tokens() if isinstance(network, TransformersModel) else None
    return None if most is None else most - 1


class _Preparing(nn.Module):
    """Preprocesses rows as read, with buffers that move with the graph to another device."""

    def __init__(self, fitted: Preprocessing) -> None:
        super().__init__()
        assert not isinstance(fitted, FittedBlocks), "no graph makes tokens"
        self._fitted = fitted
        self._tensors = fitted.tensors()
        self._names = {n: n.replace(".", "_") for n, t in self._tensors.items() if t.numel()}
        for name, buffer in self._names.items():  # an exported graph stores no empty tensor
            self.register_buffer(buffer, self._tensors[name])

    def forward(self, rows: Tensor) -> Tensor:
        moved = {name: self.get_buffer(buffer) for name, buffer in self._names.items()}
        return self._fitted.with_tensors(self._tensors | moved)(rows)


class _Decoding(nn.Module):
    """Turns a network's outputs into predictions.

    Mean and deviation of values are 64-bit buffers: ONNX writes plain numbers in 32 bits, which
    can round a large mean by more than the values differ.
    """

    def __init__(self, meaning: OutputMeaning) -> None:
        super().__init__()
        self._meaning = meaning
        if not meaning.gives_probabilities:
            self.register_buffer("mean", torch.tensor(meaning.mean, dtype=torch.float64))
            self.register_buffer("std", torch.tensor(meaning.std, dtype=torch.float64))

    def forward(self, outputs: Tensor) -> Tensor:
        if self._meaning.gives_probabilities:
            return self._meaning(outputs)
        return (
            mean_prediction(self._values, outputs) if outputs.ndim == 3 else self._values(outputs)
        )

    def _values(self, outputs: Tensor) -> Tensor:
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        return self._meaning.unscaled(outputs.double(), mean, std)


class _Tempering(nn.Module):
    """Calibrates probabilities by the model's temperature."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self._temperature = temperature

    def forward(self, probabilities: Tensor) -> Tensor:
        return tempered(probabilities, self._temperature)
