"""Divide a model into a sequence of blocks and a head.

torchvision's models have a common structure: children in the order of the computation, the last of
them with weights is the head; a few children (`features`, a transformer's `encoder`) are
containers of blocks. The user's own models are read in the same way; a single child with weights
also counts as a container.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

Block = list[nn.Module]
"""Consecutive modules: one with weights, and the norms after it."""


_CONTAINERS = {"features", "encoder", "layers", "blocks", "trunk_output", "backbone"}
_AUXILIARY = {"aux1", "aux2", "AuxLogits"}
_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True)
class Division:
    """The division of a model that knows its own: the result of its method `division`.

    Attributes:
        blocks: the blocks before the head, in the order of the computation.
        heads: the modules of the head.
    """

    blocks: list[Block]
    heads: list[nn.Module]


def _own_division(model: nn.Module) -> Division | None:
    divide = getattr(model, "division", None)
    return divide() if divide is not None else None


def backbone_blocks(model: nn.Module) -> list[Block]:
    """Return the blocks before the head, in the order of the computation.

    A block is a child with weights: a convolution, a stage of a ResNet, an item of `features`, a
    layer of a transformer. A norm belongs to the block before it.
    """
    if (division := _own_division(model)) is not None:
        return division.blocks
    head_ids = {id(head) for head in heads(model)}
    blocks: list[Block] = []
    for child in _opened(model):
        if id(child) in head_ids or not _has_weights(child):
            continue
        if blocks and isinstance(child, _NORMS):
            blocks[-1].append(child)
        else:
            blocks.append([child])
    return blocks


def heads(model: nn.Module) -> list[nn.Module]:
    """Return the classifying head, and auxiliary heads.

    A model without children that have weights is its own head.
    """
    if (division := _own_division(model)) is not None:
        return division.heads
    last = [model, *(child for child in _opened(model) if _has_weights(child))][-1]
    return [last, *(child for name, child in model.named_children() if name in _AUXILIARY)]


def backbone_parameters(model: nn.Module) -> list[Tensor]:
    """Return all parameters except those of the heads."""
    in_heads = {id(p) for head in heads(model) for p in head.parameters()}
    return [parameter for parameter in model.parameters() if id(parameter) not in in_heads]


def head_layers(model: nn.Module) -> list[str]:
    """Return the names of the output layers: each head's last linear layer or convolution."""
    names = {id(module): name for name, module in model.named_modules()}
    output_layers = []
    for head in heads(model):
        layers = [m for m in head.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        output_layers.append(names[id(layers[-1])])
    return output_layers


def containers(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the model itself, and the modules that contain its blocks."""
    yield model
    for child, is_container in _children(model):
        if is_container:
            yield from containers(child)


def _opened(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the children, with containers replaced by their own children."""
    for child, is_container in _children(module):
        if is_container:
            yield from _opened(child)
        else:
            yield child


def _children(module: nn.Module) -> Iterator[tuple[nn.Module, bool]]:
    """Yield children, and whether each is a container: by name, or the only one with weights."""
    children = dict(module.named_children())
    is_alone = sum(map(_has_weights, children.values())) == 1
    for name, child in children.items():
        has_parts = any(map(_has_weights, child.children()))
        yield child, has_parts and (is_alone or name in _CONTAINERS)


def _has_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters())
