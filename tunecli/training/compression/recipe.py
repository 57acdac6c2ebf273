"""The steps of compression in their order.

    channels leave → weights leave → weights share values → fine-tuning → norms are folded in
    → whole numbers

Fine-tuning comes while masks and shared values are in force, so that nothing of them is lost in
it; norms are still there then, since a network without them learns worse.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tunecli.study_file.settings.settings import CompressionSettings
from tunecli.training.compression.compressible_layers import make_plain, weight_of, weighted_layers
from tunecli.training.compression.fusing import fuse
from tunecli.training.compression.packing import Packed, pack, takes_less
from tunecli.training.compression.pruning import prune
from tunecli.training.compression.quantizing import BITS, quantize
from tunecli.training.compression.sharing import share_weights, shared_codes
from tunecli.training.compression.structured import prune_channels

_FOR_SIZE = ("prune", "share", "quantize")
"""Steps that make the file smaller, and the model no faster."""


def lose_channels(model: nn.Module, settings: CompressionSettings, example: Tensor) -> bool:
    """Take the first step, in place, on weights that are plain from now on; whether any left.

    Args:
        example: a few rows as the model takes them.

    Raises:
        DataError: channels were to leave a model that torch-pruning cannot follow.
    """
    make_plain(model)
    if settings.structured is None or not settings.structured.amount:
        return False
    prune_channels(model, settings.structured.amount, example)
    return True


def without_idle(
    model: nn.Module, settings: CompressionSettings
) -> tuple[CompressionSettings, tuple[str, ...]]:
    """Leave out the steps that would not make the file smaller; also their names.

    Each is judged by the bytes of the file with and without it, the others being taken. What
    fine-tuning changes is not known yet, and hardly counts: it moves values, and masks and the
    number of values stay.

    Args:
        model: after channels have left it; stays as it is.
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
    """`prune and quantize are left out: without them the file is no larger`; empty for none."""
    if not left_out:
        return ""
    is_one = len(left_out) == 1
    named = " and ".join([", ".join(left_out[:-1]), left_out[-1]] if not is_one else left_out)
    return f"{named} {'is' if is_one else 'are'} left out: the file would be no smaller"


def thin_out(model: nn.Module, settings: CompressionSettings) -> bool:
    """Take the other steps before fine-tuning, in place; whether anything was lost."""
    if settings.prune is not None and _prunes(settings):
        prune(model, settings.prune.amount, settings.prune.scope)
    if settings.share is not None:
        share_weights(model, settings.share.clusters)
    return _prunes(settings) or settings.share is not None


@torch.no_grad()
def write_down(
    model: nn.Module, settings: CompressionSettings, left_out: tuple[str, ...] = ()
) -> Packed:
    """Take the steps after fine-tuning, in place: the weights as they will stand in the file.

    Weights that share values in no more bits than quantization would take are left at that, and
    those of a layer that is too small to gain by it are not quantized.
    """
    codes = shared_codes(model)
    make_plain(model.eval())
    norms = fuse(model, codes) if settings.fuse else []
    if settings.quantize is not None:
        for name, layer in weighted_layers(model).items():
            if name in codes and codes[name].n_bits <= BITS[settings.quantize]:
                continue
            coded = quantize(weight_of(layer), settings.quantize)
            if takes_less(coded, weight_of(layer)):
                codes[name] = coded
    for name, coded in codes.items():
        weight_of(model.get_submodule(name)).copy_(coded.dense())
    return pack(model, codes, tuple(norms), left_out)


def _prunes(settings: CompressionSettings) -> bool:
    return settings.prune is not None and settings.prune.amount > 0


def _size(model: nn.Module, settings: CompressionSettings) -> int:
    """Bytes of the file, if nothing is fine-tuned."""
    tried = copy.deepcopy(model)
    thin_out(tried, settings)
    return len(write_down(tried, settings).smallest())
