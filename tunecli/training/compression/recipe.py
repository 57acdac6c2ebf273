"""The steps of compression in their order.

    merge the adapter → prune channels → prune weights → share values → fine-tune
        → fold norms in → quantize

Fine-tuning runs while masks and shared values are active, so it keeps both; norms are still there
then, since a network without them learns worse.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tunecli.study_file.settings.settings import CompressionSettings
from tunecli.training.compression.codes import BITS, quantize
from tunecli.training.compression.compressible_layers import (
    channel_axis,
    make_plain,
    weight_of,
    weighted_layers,
)
from tunecli.training.compression.fusing import fuse
from tunecli.training.compression.merging import merge_adapter
from tunecli.training.compression.packing import Packed, pack, takes_less
from tunecli.training.compression.pruning import prune, prune_channels
from tunecli.training.compression.sharing import share_weights, shared_codes

_FOR_SIZE = ("prune", "share", "quantize")
"""Steps that make the file smaller, but not the model faster."""


def lose_channels(model: nn.Module, settings: CompressionSettings, example: Tensor) -> bool:
    """Merge the adapter and prune channels in place, and make all weights plain tensors.

    Args:
        example: a few rows as the model takes them.

    Returns:
        Whether channels were pruned.

    Raises:
        DataError: the adapter cannot be merged, or torch-pruning cannot analyse the model.
    """
    make_plain(model)
    if settings.merge:
        merge_adapter(model)
    if settings.structured is None or not settings.structured.amount:
        return False
    prune_channels(model, settings.structured.amount, example)
    return True


def without_idle(
    model: nn.Module, settings: CompressionSettings
) -> tuple[CompressionSettings, tuple[str, ...]]:
    """Return the settings without the steps that make the file no smaller, and their names.

    Each step is judged by the size of the file with and without it, all other steps being applied.
    Fine-tuning hardly changes the size: it changes values, but neither masks nor the number of
    values.

    Args:
        model: a model after its channels were pruned; it is not changed.
    """
    size, left_out = _size(model, settings), []
    for step in _FOR_SIZE:
        if getattr(settings, step) is None or (step == "prune" and not _prunes(settings)):
            continue
        fewer = settings.model_copy(update={step: None})
        if (size_without := _size(model, fewer)) <= size:
            settings, size = fewer, size_without
            left_out.append(step)
    return settings, tuple(left_out)


def idle_in_words(left_out: Sequence[str]) -> str:
    """Return a clause such as `share was skipped: it would not make the file smaller`, or ""."""
    if not left_out:
        return ""
    if len(left_out) == 1:
        return f"{left_out[0]} was skipped: it would not make the file smaller"
    steps = f"{', '.join(left_out[:-1])} and {left_out[-1]}"
    return f"{steps} were skipped: they would not make the file smaller"


def thin_out(model: nn.Module, settings: CompressionSettings) -> bool:
    """Prune weights and share values, in place; return whether the model changed."""
    if settings.prune is not None and _prunes(settings):
        prune(model, settings.prune.amount, settings.prune.scope)
    if settings.share is not None:
        share_weights(model, settings.share.clusters)
    return _prunes(settings) or settings.share is not None


@torch.no_grad()
def write_down(
    model: nn.Module, settings: CompressionSettings, left_out: tuple[str, ...] = ()
) -> Packed:
    """Fold norms in, quantize and pack: the model's weights become those of the file, in place.

    Weights that share values in no more bits than quantization takes are not quantized, nor are
    weights of layers that are too small to gain from it.
    """
    codes = shared_codes(model)
    make_plain(model.eval())
    norms = fuse(model, codes) if settings.fuse else []
    if settings.quantize is not None:
        for name, layer in weighted_layers(model).items():
            if name in codes and codes[name].n_bits <= BITS[settings.quantize]:
                continue
            coded = quantize(weight_of(layer), settings.quantize, channel_axis(layer))
            if takes_less(coded, weight_of(layer)):
                codes[name] = coded
    for name, coded in codes.items():
        weight_of(model.get_submodule(name)).copy_(coded.dense())
    return pack(model, codes, tuple(norms), left_out, is_merged=settings.merge)


def _prunes(settings: CompressionSettings) -> bool:
    return settings.prune is not None and settings.prune.amount > 0


def _size(model: nn.Module, settings: CompressionSettings) -> int:
    """Return the size of the file in bytes without fine-tuning."""
    trial = copy.deepcopy(model)
    thin_out(trial, settings)
    return len(write_down(trial, settings).smallest())
