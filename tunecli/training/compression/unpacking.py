"""Turn a packed model into a module, whose channels may have been pruned."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from tunecli.errors import DataError
from tunecli.training.compression.compressible_layers import make_plain
from tunecli.training.compression.fusing import remove_norms
from tunecli.training.compression.packing import Packed


def take_shapes(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give each parameter and buffer the shape of the tensor of the same name; update layer sizes.

    Resized tensors hold undefined values until weights are loaded.
    """
    for name, module in model.named_modules():
        changed = False
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        for leaf, now in own:
            wanted = tensors.get(f"{name}.{leaf}" if name else leaf)
            if wanted is not None and wanted.shape != now.shape:
                _replace(module, leaf, torch.empty(wanted.shape, dtype=now.dtype))
                changed = True
        if changed:
            _resize(module)


def _replace(module: nn.Module, leaf: str, tensor: Tensor) -> None:
    if leaf in module._parameters:
        module.register_parameter(leaf, nn.Parameter(tensor))
    else:
        module.register_buffer(leaf, tensor)


def _resize(module: nn.Module) -> None:
    """Set a layer's size attributes to those of its weights."""
    weight = module.weight
    assert isinstance(weight, Tensor)
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = weight.shape
    elif isinstance(module, _ConvNd):
        module.out_channels = weight.shape[0]
        if module.groups > 1 and weight.shape[1] == 1:  # depthwise: one group per channel
            module.groups = weight.shape[0]
        module.in_channels = weight.shape[1] * module.groups
    elif isinstance(module, _BatchNorm):
        module.num_features = weight.shape[0]
    elif isinstance(module, nn.LayerNorm):
        module.normalized_shape = tuple(weight.shape)


def unpack(packed: Packed, model: nn.Module) -> nn.Module:
    """Load packed weights into a model that was built from its configuration; in evaluation mode.

    Raises:
        DataError: the file belongs to another model.
    """
    try:
        tensors = packed.state_dict()
        make_plain(model)
        remove_norms(model.eval(), list(packed.norms))
        take_shapes(model, tensors)
        model.load_state_dict(tensors)
    except (RuntimeError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"The packed weights belong to another model ({reason}).") from None
    return model
