"""A model as a row of blocks, and the head behind them.

torchvision's models are built alike: children in the order of the computation, the last of which
with weights is the head; a few of them (`features`, a transformer's `encoder`) hold the rest.
Models of the user's own are read in the same way, and so is what stands alone in one of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

Block = list[nn.Module]
"""Modules that follow one another: one with weights, and norms behind it."""

_CONTAINERS = {"features", "encoder", "layers", "blocks", "trunk_output", "backbone"}
_AUXILIARY = {"aux1", "aux2", "AuxLogits"}
_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)


def backbone_blocks(model: nn.Module) -> list[Block]:
    """The blocks before the head, in the order of the computation.

    A block is a child with weights: a convolution, a stage of a ResNet, an item of `features`, a
    layer of a transformer. A norm belongs to the block before it.
    """
    behind = {id(head) for head in heads(model)}
    found: list[Block] = []
    for child in _opened(model):
        if id(child) in behind or not _has_weights(child):
            continue
        if found and isinstance(child, _NORMS):
            found[-1].append(child)
        else:
            found.append([child])
    return found


def heads(model: nn.Module) -> list[nn.Module]:
    """The classifying head, and auxiliary ones before it.

    A model without parts that have weights is its own head.
    """
    last = [model, *(child for child in _opened(model) if _has_weights(child))][-1]
    return [last, *(child for name, child in model.named_children() if name in _AUXILIARY)]


def backbone_parameters(model: nn.Module) -> list[Tensor]:
    """All parameters but those of the heads."""
    behind = {id(p) for head in heads(model) for p in head.parameters()}
    return [parameter for parameter in model.parameters() if id(parameter) not in behind]


def head_layers(model: nn.Module) -> list[str]:
    """Names of the layers that give the outputs: the last linear one or convolution of a head."""
    names = {id(module): name for name, module in model.named_modules()}
    found = []
    for head in heads(model):
        layers = [m for m in head.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        found.append(names[id(layers[-1])])
    return found


def containers(model: nn.Module) -> Iterator[nn.Module]:
    """The model itself, and the modules that hold its blocks."""
    yield model
    for child, is_container in _children(model):
        if is_container:
            yield from containers(child)


def _opened(module: nn.Module) -> Iterator[nn.Module]:
    """Children, those of containers in place of these."""
    for child, is_container in _children(module):
        if is_container:
            yield from _opened(child)
        else:
            yield child


def _children(module: nn.Module) -> Iterator[tuple[nn.Module, bool]]:
    """Children, and whether each is a container: by its name, or since it is the only one."""
    children = dict(module.named_children())
    is_alone = sum(map(_has_weights, children.values())) == 1
    for name, child in children.items():
        has_parts = any(map(_has_weights, child.children()))
        yield child, has_parts and (is_alone or name in _CONTAINERS)


def _has_weights(module: nn.Module) -> bool:
    return any(True for _ in module.parameters())
