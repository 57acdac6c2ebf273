"""Hold the frozen weights of a pretrained model once per process, for all folds and trials.

A frozen weight is read once and never written. Copies of a model share it. Files of a trial store
only the digest of its content, since building the model again restores the weight.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tunecli.errors import DataError
from tunecli.training.models.pretrained.quantized_layers import QuantizedLinear, QuantizedWeight

Saved = Mapping[str, Tensor | str]
"""A model's tensors by name; a frozen weight may be given by its digest."""

_MARK = "sha256:"
_N_COMPARED_FIRST = 16


class FrozenWeight(nn.Parameter):
    """A parameter without gradient that all copies of a model share.

    Call `release_frozen` before writing to a model that may have such weights.
    """

    def __new__(cls, data: Tensor) -> FrozenWeight:
        return super().__new__(cls, data.detach(), requires_grad=False)

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenWeight:
        return self

    def detach(self) -> FrozenWeight:
        """Return the weight itself, so that state dicts recognize it; it is in no graph."""
        return self

    @cached_property
    def digest(self) -> str:
        """The digest of its content; computed once, as it never changes."""
        return _digest(self)


def digest_of(tensor: Tensor) -> str:
    """Return the digest of a tensor's type, shape and content, as files name it."""
    return tensor.digest if isinstance(tensor, FrozenWeight) else _digest(tensor)


def _digest(tensor: Tensor) -> str:
    plain = tensor.data.cpu().contiguous()
    digest = hashlib.sha256(f"{plain.dtype} {tuple(plain.shape)} ".encode())
    digest.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return _MARK + digest.hexdigest()


class FrozenSource(dict[str, FrozenWeight]):
    """The tensors of a pretrained model by name.

    Attributes:
        quantized: those of its weights that are also held in few bits, by their place in memory.
    """

    def __init__(self, weights: Mapping[str, FrozenWeight]) -> None:
        super().__init__(weights)
        self.quantized: dict[object, QuantizedWeight] = {}


def read_once(*paths: Path) -> FrozenSource:
    """Return the tensors of the safetensors files of one model by name.

    Those of the newest model stay in memory: the next fold and the next trial read nothing.

    Raises:
        OSError, SafetensorError: a file cannot be read.
    """
    states = [path.stat() for path in paths]
    return _read_once(paths, tuple((state.st_mtime_ns, state.st_size) for state in states))


@lru_cache(maxsize=1)
def _read_once(paths: tuple[Path, ...], _versions: tuple[tuple[int, int], ...]) -> FrozenSource:
    # Copies are aligned in memory, as all tensors are whose products are compared to the bit.
    tensors = {name: tensor for path in paths for name, tensor in load_file(path).items()}
    return FrozenSource({name: FrozenWeight(tensor.clone()) for name, tensor in tensors.items()})


def hold_frozen(model: nn.Module, source: Mapping[str, Tensor]) -> None:
    """Replace parameters without gradient by the equal tensors of a source, in place.

    Parameters that equal none of them, such as frozen random weights, stay. Tensors that training
    writes and that lie in the memory of the source become copies of their own.

    Args:
        model: a model whose parameters are frozen already.
        source: tensors that the process keeps; their names may differ from those of the model.
    """
    find = _finder(source.values())
    memory = {tensor.untyped_storage().data_ptr() for tensor in source.values()}

    def held(weight: nn.Parameter) -> nn.Parameter | None:
        if not weight.requires_grad:
            return find(weight)
        return _own_copy(weight) if weight.untyped_storage().data_ptr() in memory else None

    _replace(model, held)
    for module in model.modules():
        for name, buffer in list(module.named_buffers(recurse=False)):
            if buffer.untyped_storage().data_ptr() in memory:
                setattr(module, name, buffer.clone())


def release_frozen(model: nn.Module) -> None:
    """Give the model copies of its own of all weights that it shares, in place."""
    _replace(model, lambda weight: _own_copy(weight) if is_shared(weight) else None)


def is_shared(tensor: object) -> bool:
    """Return whether all folds of a process share a tensor."""
    return isinstance(tensor, FrozenWeight)


def shared_bytes(model: nn.Module) -> int:
    """Return the bytes of the weights that a model shares with its copies."""
    return sum(weight.nbytes for weight in model.parameters() if is_shared(weight))


def count_weights(model: nn.Module) -> int:
    """Return the number of a model's weights, also of those that are held in few bits."""
    held = [module for module in model.modules() if isinstance(module, QuantizedLinear)]
    in_few_bits = {id(part) for layer in held for part in (layer.packed, layer.scales)}
    others = (weight for weight in model.parameters() if id(weight) not in in_few_bits)
    return sum(layer.n_weights for layer in held) + sum(weight.numel() for weight in others)


def own_state(model: nn.Module) -> dict[str, Tensor]:
    """Return a model's state dict without the weights that it shares."""
    return {name: value for name, value in model.state_dict().items() if not is_shared(value)}


def saved_state(model: nn.Module) -> dict[str, Tensor | str]:
    """Return a model's state dict with the digests of the weights that it shares."""
    state = model.state_dict().items()
    return {name: digest_of(value) if is_shared(value) else value for name, value in state}


def changed_weight(model: nn.Module, saved: Saved) -> str | None:
    """Return the name of a frozen weight that differs from that of a saved state, or None.

    Args:
        saved: what `saved_state` returned, or a whole state dict.
    """
    state = model.state_dict()
    named = {name: value for name, value in saved.items() if _is_digest(value)}
    return next((n for n, v in named.items() if n not in state or digest_of(state[n]) != v), None)


def load_saved(model: nn.Module, saved: Saved) -> None:
    """Load what `saved_state` returned, or a whole state dict, into a newly built model.

    Raises:
        DataError: a frozen weight has another content now; the model is unchanged.
        RuntimeError: the state belongs to another model.
    """
    if (changed := changed_weight(model, saved)) is not None:
        raise DataError(
            f"its pretrained weights have changed since it was trained ({changed} differs). "
            "Restore the old ones, or train it again."
        )
    state = model.state_dict()
    whole: dict[str, Any] = {
        name: state[name] if _is_digest(value) else value for name, value in saved.items()
    }
    shared = {name: state[name] for name in whole if is_shared(state.get(name))}
    if not all(_equal(weight, whole[name]) for name, weight in shared.items()):
        release_frozen(model)  # an earlier version stored them, and their source has changed
        shared = {}
    load_own(model, {name: value for name, value in whole.items() if name not in shared})


def load_own(model: nn.Module, state: Mapping[str, Any]) -> None:
    """Load what `own_state` returned, without writing to shared weights.

    Raises:
        RuntimeError: the state belongs to another model.
    """
    is_complete = state.keys() == own_state(model).keys()
    model.load_state_dict(dict(state), strict=not is_complete)


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and value.startswith(_MARK)


def _finder(source: Iterable[Tensor]) -> Callable[[Tensor], FrozenWeight | None]:
    """Return a function that finds the equal tensor of a source, and each tensor only once.

    Else two biases of zeros would become one parameter.
    """
    alike: dict[object, list[Tensor]] = {}
    for tensor in source:
        alike.setdefault(_look(tensor), []).append(tensor)

    def find(weight: Tensor) -> FrozenWeight | None:
        candidates = alike.get(_look(weight), [])
        place = next((i for i, one in enumerate(candidates) if _equal(weight, one)), None)
        return None if place is None else FrozenWeight(candidates.pop(place))

    return find


def _look(tensor: Tensor) -> object:
    """Return what equal tensors have in common, without reading them as a whole."""
    return tensor.dtype, tensor.shape, tuple(tensor.reshape(-1)[:_N_COMPARED_FIRST].tolist())


def _equal(one: Tensor, other: Tensor) -> bool:
    if (one.dtype, one.shape, one.stride()) != (other.dtype, other.shape, other.stride()):
        return False
    here = one.to(other.device)
    return here.is_set_to(other) or torch.equal(here, other)


def _own_copy(weight: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(weight.data.clone(), requires_grad=weight.requires_grad)


def _replace(model: nn.Module, by: Callable[[nn.Parameter], nn.Parameter | None]) -> None:
    """Replace each parameter for which `by` returns another; tied ones stay tied."""
    before = {id(weight): weight for weight in model.parameters()}
    others = {key: other for key, weight in before.items() if (other := by(weight)) is not None}
    for module in model.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if id(weight) in others:
                setattr(module, name, others[id(weight)])
