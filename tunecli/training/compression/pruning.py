"""Prune the smallest single weights, or whole channels with everything that depends on them.

Single weights are pruned with masks that fine-tuning respects. Channels make models smaller and
faster; torch-pruning removes them (Fang et al. 2023, "DepGraph: Towards Any Structural Pruning",
arXiv:2301.12900), which tracks how layers depend on each other's channels.
"""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parametrize

from tunecli.errors import DataError
from tunecli.study_file.catalogue.names import KEPT_CHANNELS
from tunecli.training.compression.compressible_layers import weight_of, weighted_layers

LEAST_SHARE = 0.02
"""Smallest share of weights that every layer keeps: a layer without weights passes nothing on."""


class Masked(nn.Module):
    """Keeps a weight at zero where its mask is False, whatever the optimizer does."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Tensor) -> Tensor:
        return torch.where(self.mask, weight, 0.0)  # a product would leave negative zeros

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Return the tensor that `forward` maps to this weight, if its masked entries are zero."""
        return weight


def prune(model: nn.Module, amount: float, scope: Literal["global", "layer"] = "global") -> None:
    """Prune the weights of the smallest magnitude; biases and norms are kept.

    Han et al. (2015), "Learning both Weights and Connections", arXiv:1506.02626. Fine-tuning
    keeps the zeros; `compressible_layers.make_plain` makes the weights plain tensors again.

    Args:
        amount: share of the weights to prune. Range [0, 1).
        scope: `global` compares the weights of all layers, `layer` those within one.
    """
    layers = weighted_layers(model)
    weights = {name: weight_of(layer).detach() for name, layer in layers.items()}
    for name, mask in _masks(weights, amount, scope).items():
        parametrize.register_parametrization(layers[name], "weight", Masked(mask))


def _masks(weights: Mapping[str, Tensor], amount: float, scope: str) -> dict[str, Tensor]:
    """Return a mask per layer: True for the weights to keep."""
    if scope == "layer":
        return {
            name: _largest(weight, round(amount * weight.numel()))
            for name, weight in weights.items()
        }
    magnitudes = torch.cat([weight.abs().flatten() for weight in weights.values()])
    mask = _largest(magnitudes, round(amount * len(magnitudes)))
    parts = torch.split(mask, [weight.numel() for weight in weights.values()])
    masks = {}
    for (name, weight), part in zip(weights.items(), parts, strict=True):
        n_least = max(1, round(LEAST_SHARE * weight.numel()))
        n_pruned = min(int((~part).sum()), weight.numel() - n_least)
        masks[name] = _largest(weight, n_pruned)
    return masks


def _largest(weight: Tensor, n_pruned: int) -> Tensor:
    """Return a mask: False for the `n_pruned` smallest magnitudes, earlier ones first on ties."""
    order = torch.argsort(weight.abs().flatten(), stable=True)
    mask = torch.ones(weight.numel(), dtype=torch.bool, device=weight.device)
    mask[order[:n_pruned]] = False
    return mask.reshape(weight.shape)


MOST_SECONDS = 60.0
"""Time limit for the analysis of dependencies: for some models (swin_t) it never ends."""


def prune_channels(model: nn.Module, amount: float, example: Tensor) -> None:
    """Remove the channels of the smallest weights, in place, the same share of every layer.

    The layers that compute the outputs keep all channels.

    Args:
        amount: share of each layer's channels to remove. Range [0, 1).
        example: a few rows as the model takes them, (n, …).

    Raises:
        DataError: torch-pruning is not installed, or cannot prune this model.
    """
    try:
        import torch_pruning
    except ImportError:
        message = "structured pruning needs torch-pruning: pip install 'tunecli[compression]'."
        raise DataError(message, "compression.structured") from None
    if kept := kept_channels(model):
        message = f"structured pruning cannot remove {kept}. Remove this setting, or write prune."
        raise DataError(message, "compression.structured")
    model.eval()
    try:
        with _time_limit(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about parameters outside of layers, which are kept
            before = _outputs(model(example))
            pruner = torch_pruning.pruner.MagnitudePruner(
                model,
                example_inputs=example,
                importance=torch_pruning.importance.MagnitudeImportance(p=2),
                pruning_ratio=amount,
                ignored_layers=traced_output_layers(model, example),
            )
            pruner.step()
            after = _outputs(model(example))
        if [one.shape for one in before] != [one.shape for one in after]:
            raise ValueError("the number of its outputs would change")
    except Exception as error:  # it may raise anything on an unusual model
        message = (
            f"torch-pruning cannot remove channels of this model ({error}). Remove this setting."
        )
        raise DataError(message, "compression.structured") from error


def kept_channels(model: nn.Module) -> str:
    """Return what structured pruning cannot remove from a model, in words; empty for nothing."""
    if any(isinstance(module, nn.RNNBase) for module in model.modules()):
        return KEPT_CHANNELS["LSTM"]
    return KEPT_CHANNELS.get(type(model).__name__, "")


def traced_output_layers(model: nn.Module, example: Tensor) -> list[nn.Module]:
    """Return the layers whose channels are the model's outputs, read from the autograd graph.

    These are the first weighted layers on every path back from the outputs. Nothing in between has
    channels of its own (means over pixels, activations, sums of several layers).
    """
    weights = {name: value.detach().requires_grad_() for name, value in model.named_parameters()}
    layers = {
        id(weights[weight]): layer
        for name, layer in weighted_layers(model).items()
        if (weight := f"{name}.weight" if name else "weight") in weights
    }
    with torch.enable_grad():
        outputs = _outputs(functional_call(model, weights, (example,)))
    output_layers: list[nn.Module] = []
    seen, ahead = set(), [output.grad_fn for output in outputs]
    while ahead:
        node = ahead.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        sources = [source for source, _ in node.next_functions]
        made_by = [layers[leaf] for leaf in map(_leaf, sources) if leaf in layers]
        output_layers += made_by
        ahead += [] if made_by else sources
    return output_layers


def _leaf(node: torch.autograd.graph.Node | None) -> int | None:
    """Return the id of the tensor that a node only reshapes; None if it computes from several."""
    while node is not None and len(node.next_functions) == 1:
        node = node.next_functions[0][0]
    variable = getattr(node, "variable", None)
    return None if variable is None else id(variable)


def _outputs(returned: Tensor | tuple[Tensor | None, ...]) -> list[Tensor]:
    """Return the main output, and the auxiliary ones that a model may have."""
    outputs = returned if isinstance(returned, tuple) else (returned,)
    return [output for output in outputs if output is not None]


@contextmanager
def _time_limit() -> Iterator[None]:
    """Raise after `MOST_SECONDS`; without effect outside the main thread, which gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"it did not finish within {MOST_SECONDS:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
