"""The steps of compression in their order.

    channels leave → weights leave → weights share values → fine-tuning → norms are folded in
    → whole numbers

Fine-tuning comes while masks and shared values are in force, so that nothing of them is lost in
it; norms are still there then, since a network without them learns worse.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tunecli.study_file.settings import CompressionSettings
from tunecli.training.compression.fusing import fuse
from tunecli.training.compression.layers import settle, weight_of, weighted_layers
from tunecli.training.compression.packing import Packed, pack
from tunecli.training.compression.pruning import prune
from tunecli.training.compression.quantizing import BITS, quantize
from tunecli.training.compression.sharing import share, shared_codes
from tunecli.training.compression.structured import prune_channels


def thin_out(model: nn.Module, settings: CompressionSettings, example: Tensor) -> bool:
    """Take the steps before fine-tuning, in place; whether anything was lost.

    Args:
        example: a few rows as the model takes them.

    Raises:
        DataError: channels were to leave a model that torch-pruning cannot follow.
    """
    is_less = settings.share is not None
    if settings.structured is not None and settings.structured.amount:
        prune_channels(model, settings.structured.amount, example)
        is_less = True
    if settings.prune is not None and settings.prune.amount:
        prune(model, settings.prune.amount, settings.prune.scope)
        is_less = True
    if settings.share is not None:
        share(model, settings.share.clusters)
    return is_less


@torch.no_grad()
def write_down(model: nn.Module, settings: CompressionSettings) -> Packed:
    """Take the steps after fine-tuning, in place: the weights as they will stand in the file.

    Weights that share values in no more bits than quantization would take are left at that.
    """
    codes = shared_codes(model)
    settle(model.eval())
    norms = fuse(model, codes) if settings.fuse else []
    if settings.quantize is not None:
        for name, layer in weighted_layers(model).items():
            if name not in codes or BITS[settings.quantize] < codes[name].n_bits:
                codes[name] = quantize(weight_of(layer), settings.quantize)
    for name, coded in codes.items():
        weight_of(model.get_submodule(name)).copy_(coded.dense())
    return pack(model, codes, tuple(norms))
