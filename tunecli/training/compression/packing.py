"""Pack a compressed model into bytes and unpack it: a safetensors file, so reading runs no code.

The file holds a manifest (JSON, deflated) and one block of bytes. Each tensor is written in
whichever of these ways takes the fewest bytes:

    plain    its own bytes
    codes    indices of 1, 2, 4 or 8 bits, the table that they point to, one factor per channel
    sparse   one bit per entry that marks zeros, then the other entries in either of these ways
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from dataclasses import dataclass as plain_dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from tunecli.errors import DataError
from tunecli.training.compression.codes import Codes
from tunecli.training.compression.compressible_layers import Axis, make_plain
from tunecli.training.compression.fusing import remove_norms
from tunecli.training.compression.merging import merge_adapter

FORMAT = 2
LARGEST_MANIFEST = 16 * 2**20
"""Bytes before deflating: enough for a hundred thousand tensors."""
Bytes = NDArray[np.uint8]
Natural = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid"))
class PackedTensor:
    """The encoding of one tensor.

    Attributes:
        n_bits: bits per index; 0 for a tensor that is written as its own bytes.
        n_values: number of values in the table, at most 2 ** n_bits.
        table: `float32` or `int8`, the type in which the values are written; `range` for
            consecutive whole numbers from `lowest` on, which are not written.
        lowest: the first value of a `range`.
        has_scale: whether factors of the output channels follow.
        is_sparse: whether a mask of the non-zero entries comes first.
        zero: index of zero in the table if zeros are not written; otherwise -1.
        axis: axis that the factors belong to; written only if it is not the first one.
    """

    name: str
    shape: tuple[Natural, ...]
    dtype: str
    n_bits: Literal[0, 1, 2, 4, 8] = 0
    n_values: Natural = 0
    table: Literal["float32", "int8", "range"] = "float32"
    lowest: int = 0
    has_scale: bool = False
    is_sparse: bool = False
    zero: int = -1
    axis: Axis = 0

    def __post_init__(self) -> None:
        if not -1 <= self.zero < max(self.n_values, 1) or self.n_values > 2**self.n_bits:
            raise ValueError(f"{self.name} has {self.n_values} values in {self.n_bits} bits")
        if self.axis >= max(len(self.shape), 1):
            raise ValueError(f"{self.name} has factors along axis {self.axis}")


@plain_dataclass(frozen=True)
class Packed:
    """A model in few bytes.

    Attributes:
        entries: encodings of the tensors, in the order of `data`.
        data: the bytes of all tensors.
        norms: names of batch norms that were folded into other layers.
        left_out: compression steps that were skipped because they make the file no smaller.
        is_merged: whether an adapter was added to the weights that it adapts.
    """

    entries: tuple[PackedTensor, ...]
    data: Bytes
    norms: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    is_merged: bool = False

    def to_bytes(self) -> bytes:
        """Return the packed file."""
        manifest = {
            "format": FORMAT,
            "entries": [_fields(entry) for entry in self.entries],
            "norms": self.norms,
            "left_out": self.left_out,
            **({"is_merged": True} if self.is_merged else {}),
        }
        text = zlib.compress(json.dumps(manifest, separators=(",", ":")).encode(), 9)
        arrays = {"manifest": np.frombuffer(text, np.uint8).copy(), "data": self.data}
        return save({name: torch.from_numpy(array) for name, array in arrays.items()})

    def smallest(self) -> bytes:
        """Return the packed file, or the plain file of the same weights if that is smaller."""
        plain = plain_file(self.state_dict())
        return plain if self.is_plain else min(plain, self.to_bytes(), key=len)

    @property
    def is_plain(self) -> bool:
        """Whether every tensor is written as its own bytes."""
        return not any(entry.n_bits or entry.is_sparse for entry in self.entries)

    @classmethod
    def from_bytes(cls, content: bytes) -> Packed:
        """Read a packed file without running any code from it.

        Raises:
            DataError: it is not a packed model, or is damaged.
        """
        try:
            arrays = load(content)
            text = zlib.decompressobj().decompress(
                bytes(arrays["manifest"].numpy()), LARGEST_MANIFEST
            )
            manifest = json.loads(text)
            if manifest["format"] != FORMAT:
                raise ValueError(f"its format is {manifest['format']}, expected {FORMAT}")
            entries = tuple(
                PackedTensor(**entry | {"shape": tuple(entry["shape"])})
                for entry in manifest["entries"]
            )
            norms, left_out = (tuple(map(str, manifest[name])) for name in ("norms", "left_out"))
            is_merged = manifest.get("is_merged") is True
            return cls(entries, arrays["data"].numpy(), norms, left_out, is_merged)
        except Exception as error:  # whatever damaged bytes can cause
            reason = " ".join(str(error).split())[:200]
            raise DataError(f"This is not a packed model of tunecli ({reason}).") from None

    def state_dict(self) -> dict[str, Tensor]:
        """Return the dense tensors, bit for bit as they were packed."""
        reader = _Reader(self.data)
        return {entry.name: reader.tensor(entry) for entry in self.entries}


def _fields(entry: PackedTensor) -> dict[str, Any]:
    """Return the fields of an entry, as the manifest holds them."""
    fields = asdict(entry)
    return fields if entry.axis else {k: v for k, v in fields.items() if k != "axis"}


def plain_file(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """Return a safetensors file of uncompressed tensors, the upper bound for a packed file."""
    return save(
        {
            name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
            for name, tensor in tensors.items()
        },
        None if metadata is None else dict(metadata),
    )


def pack(
    model: nn.Module,
    codes: Mapping[str, Codes],
    norms: tuple[str, ...] = (),
    left_out: tuple[str, ...] = (),
    *,
    is_merged: bool = False,
) -> Packed:
    """Pack a model's tensors.

    Args:
        codes: codes of weights, by the layers' names.
        norms: names of batch norms that were folded into other layers.
        left_out: compression steps that were skipped.
        is_merged: whether an adapter was added to the weights that it adapts.
    """
    entries, parts = [], []
    # Removing parametrizations reorders tensors.
    for name, tensor in sorted(model.state_dict().items()):
        layer, _, leaf = name.rpartition(".")
        coded = codes.get(layer) if leaf == "weight" else None
        ways = [_written(name, tensor.detach().cpu(), coded)]
        if coded is not None:
            ways.append(_written(name, tensor.detach().cpu(), None))
        entry, data = min((way for group in ways for way in group), key=lambda way: len(way[1]))
        entries.append(entry)
        parts.append(data)
    data = np.concatenate(parts) if parts else np.zeros(0, np.uint8)
    return Packed(tuple(entries), data, norms, left_out, is_merged)


def takes_less(codes: Codes, weight: Tensor) -> bool:
    """Return whether codes take fewer bytes than the weight itself, plain or sparse."""
    coded, plain = (
        min(len(data) for _, data in _written("weight", weight.detach().cpu(), way))
        for way in (codes, None)
    )
    return coded < plain


def _written(
    name: str, tensor: Tensor, codes: Codes | None
) -> Iterator[tuple[PackedTensor, Bytes]]:
    """Yield every way to write a tensor, with its bytes."""
    shape, dtype = tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
    if codes is None:
        values = tensor.contiguous().reshape(-1).numpy()
        yield PackedTensor(name, shape, dtype), _bytes_of(values)
        if values.dtype == np.float32 and not np.signbit(values[values == 0]).any():
            mask = values != 0
            yield (
                PackedTensor(name, shape, dtype, is_sparse=True),
                np.concatenate([np.packbits(mask), _bytes_of(values[mask])]),
            )
        return
    index = codes.index.cpu().reshape(-1).numpy()
    table = codes.table.cpu().numpy()
    n_bits = codes.n_bits
    way, values = _table(table)
    tail = [values]
    if codes.scale is not None:
        tail.append(_bytes_of(codes.scale.cpu().contiguous().numpy()))
    lowest = int(table[0]) if way == "range" else 0
    has_scale = codes.scale is not None
    entry = PackedTensor(
        name, shape, dtype, n_bits, len(table), way, lowest, has_scale, axis=codes.axis
    )
    yield entry, np.concatenate([_pack_bits(index, n_bits), *tail])
    if codes.zero is not None:
        mask = index != codes.zero
        sparse = PackedTensor(**asdict(entry) | {"is_sparse": True, "zero": codes.zero})
        yield (
            sparse,
            np.concatenate([np.packbits(mask), _pack_bits(index[mask], n_bits), *tail]),
        )


class _Reader:
    """Reads tensors from a block of bytes, one after another."""

    def __init__(self, data: Bytes) -> None:
        self._data = data
        self._at = 0

    def tensor(self, entry: PackedTensor) -> Tensor:
        n = math.prod(entry.shape)
        mask = None
        if entry.is_sparse:
            mask = np.unpackbits(self._take((n + 7) // 8), count=n).astype(bool)
        n_written = n if mask is None else int(mask.sum())
        if entry.n_bits:
            return self._coded(entry, mask, n, n_written)
        values = self._numbers(n_written, entry.dtype)
        if mask is not None:
            whole = np.zeros(n, values.dtype)
            whole[mask] = values
            values = whole
        return torch.from_numpy(values).reshape(entry.shape)

    def _coded(
        self, entry: PackedTensor, mask: NDArray[np.bool_] | None, n: int, n_written: int
    ) -> Tensor:
        n_bytes = (n_written * entry.n_bits + 7) // 8
        written = _unpack_bits(self._take(n_bytes), entry.n_bits, n_written)
        index = written
        if mask is not None:
            index = np.full(n, entry.zero, np.int64)
            index[mask] = written
        table = self._table(entry)
        scale = None
        if entry.has_scale:
            scale = torch.from_numpy(self._numbers(entry.shape[entry.axis], "float32"))
        codes = Codes(torch.from_numpy(index).reshape(entry.shape), table, scale, entry.axis)
        return codes.dense()

    def _table(self, entry: PackedTensor) -> Tensor:
        n = entry.n_values
        if entry.table == "range":
            return torch.arange(entry.lowest, entry.lowest + n, dtype=torch.float32)
        return torch.from_numpy(self._numbers(n, entry.table).astype(np.float32))

    def _numbers(self, n: int, dtype: str) -> NDArray[Any]:
        kind = np.dtype(dtype)
        return self._take(n * kind.itemsize).copy().view(kind)

    def _take(self, n: int) -> Bytes:
        if self._at + n > len(self._data):
            raise DataError("This packed model is truncated.")
        self._at += n
        return self._data[self._at - n : self._at]


def _bytes_of(values: NDArray[Any]) -> Bytes:
    return np.ascontiguousarray(values).view(np.uint8).reshape(-1)


def _table(table: NDArray[np.float32]) -> tuple[Literal["float32", "int8", "range"], Bytes]:
    """Return the shortest way to write a table, and its bytes."""
    whole = table.astype(np.int8) if np.abs(table).max() <= 127 else None
    if whole is None or not np.array_equal(whole, table):
        return "float32", _bytes_of(table)
    is_range = np.array_equal(np.diff(table), np.ones(len(table) - 1))
    return ("range", np.zeros(0, np.uint8)) if is_range else ("int8", _bytes_of(whole))


def _pack_bits(index: NDArray[np.int64], n_bits: int) -> Bytes:
    """Pack indices of 1, 2, 4 or 8 bits each without gaps, the first one in the highest bits."""
    n_per_byte = 8 // n_bits
    padded = np.zeros(-(-len(index) // n_per_byte) * n_per_byte, np.uint8)
    padded[: len(index)] = index
    parts = padded.reshape(-1, n_per_byte) << _shifts(n_bits)
    packed: Bytes = np.bitwise_or.reduce(parts, axis=1, dtype=np.uint8)
    return packed


def _unpack_bits(data: Bytes, n_bits: int, n: int) -> NDArray[np.int64]:
    parts = (data[:, None] >> _shifts(n_bits)) & np.uint8(2**n_bits - 1)
    return parts.reshape(-1)[:n].astype(np.int64)


def _shifts(n_bits: int) -> NDArray[np.uint8]:
    """Return the number of bits behind each index of a byte."""
    return np.arange(8 - n_bits, -1, -n_bits).astype(np.uint8)


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
                resized = torch.empty(wanted.shape, dtype=now.dtype)
                is_parameter = leaf in module._parameters
                setattr(module, leaf, nn.Parameter(resized) if is_parameter else resized)
                changed = True
        if changed:
            _resize(module)


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
        if packed.is_merged:
            merge_adapter(model)
        remove_norms(model.eval(), list(packed.norms))
        take_shapes(model, tensors)
        model.load_state_dict(tensors)
    except (RuntimeError, KeyError, AttributeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DataError(f"The packed weights belong to another model ({reason}).") from None
    return model
