"""A compressed model as bytes, and back: one file that `torch.load(weights_only=True)` reads.

The file holds a manifest (JSON) and one block of bytes. Each tensor is written in whichever of
these ways takes the fewest bytes, so that nothing is ever larger than it was:

    plain    its own bytes
    codes    indices of 1, 2, 4 or 8 bits, the table that they point to, factors a channel
    sparse   one bit an entry that says where it is zero, then the others in either way
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunecli.errors import DataError
from tunecli.training.compression.codes import Codes

FORMAT = 1
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Entry:
    """How one tensor is written.

    Attributes:
        n_bits: of an index; 0 for a tensor that is written as it is.
        n_values: of the table.
        table: `float32` or `int8` for how its values are written; `range` for consecutive whole
            numbers from `lowest` on, which are not written.
        has_scale: whether factors of the output channels follow.
        zero: index that stands for zero where zeros are left out; -1 where zeros are 0 itself.
        is_sparse: whether a mask comes first.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    n_bits: int = 0
    n_values: int = 0
    table: Literal["float32", "int8", "range"] = "float32"
    lowest: int = 0
    has_scale: bool = False
    is_sparse: bool = False
    zero: int = -1


@dataclass(frozen=True)
class Packed:
    """A model in few bytes.

    Attributes:
        norms: batch norms that were folded into other layers.
    """

    entries: tuple[Entry, ...]
    data: Bytes
    norms: tuple[str, ...] = field(default=())

    def to_bytes(self) -> bytes:
        """The file."""
        manifest = {
            "format": FORMAT,
            "entries": [asdict(entry) for entry in self.entries],
            "norms": self.norms,
        }
        file = io.BytesIO()
        text = json.dumps(manifest, separators=(",", ":"))
        torch.save({"manifest": text, "data": torch.from_numpy(self.data)}, file)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Packed:
        """Read a file; runs no code, whoever wrote it.

        Raises:
            DataError: it is none of ours, or damaged.
        """
        try:
            read = torch.load(io.BytesIO(content), weights_only=True)
            manifest = json.loads(read["manifest"])
            if manifest["format"] != FORMAT:
                raise ValueError(f"its format is {manifest['format']}")
            entries = tuple(
                Entry(**entry | {"shape": tuple(entry["shape"])}) for entry in manifest["entries"]
            )
            return cls(entries, read["data"].numpy(), tuple(manifest["norms"]))
        except Exception as error:  # torch and its unpickler raise whatever they like
            raise DataError(f"This is no packed model of tunecli ({error}).") from None

    def state_dict(self) -> dict[str, Tensor]:
        """The dense tensors, to the bit as they were."""
        reader = _Reader(self.data)
        return {entry.name: reader.tensor(entry) for entry in self.entries}


def pack(model: nn.Module, codes: Mapping[str, Codes], norms: tuple[str, ...] = ()) -> Packed:
    """Write a model's tensors; `codes` are those of layers' weights, by the layers' names."""
    entries, parts = [], []
    for name, tensor in model.state_dict().items():
        layer, _, leaf = name.rpartition(".")
        coded = codes.get(layer) if leaf == "weight" else None
        ways = [_written(name, tensor.detach().cpu(), coded)]
        if coded is not None:
            ways.append(_written(name, tensor.detach().cpu(), None))
        entry, data = min((way for found in ways for way in found), key=lambda way: len(way[1]))
        entries.append(entry)
        parts.append(data)
    data = np.concatenate(parts) if parts else np.zeros(0, np.uint8)
    return Packed(tuple(entries), data, norms)


def _written(name: str, tensor: Tensor, codes: Codes | None) -> Iterator[tuple[Entry, Bytes]]:
    """Every way to write a tensor, with its bytes."""
    shape, dtype = tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")
    if codes is None:
        values = tensor.contiguous().reshape(-1).numpy()
        yield Entry(name, shape, dtype), _bytes_of(values)
        if values.dtype == np.float32 and not np.signbit(values[values == 0]).any():
            mask = values != 0
            yield (
                Entry(name, shape, dtype, is_sparse=True),
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
    entry = Entry(name, shape, dtype, n_bits, len(table), way, lowest, codes.scale is not None)
    yield entry, np.concatenate([_pack_bits(index, n_bits), *tail])
    if codes.zero is not None:
        mask = index != codes.zero
        sparse = Entry(**asdict(entry) | {"is_sparse": True, "zero": codes.zero})
        yield (
            sparse,
            np.concatenate([np.packbits(mask), _pack_bits(index[mask], n_bits), *tail]),
        )


class _Reader:
    """Takes tensors from a block of bytes, one after another."""

    def __init__(self, data: Bytes) -> None:
        self._data = data
        self._at = 0

    def tensor(self, entry: Entry) -> Tensor:
        n = int(np.prod(entry.shape, dtype=np.int64))
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
        self, entry: Entry, mask: NDArray[np.bool_] | None, n: int, n_written: int
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
            scale = torch.from_numpy(self._numbers(entry.shape[0], "float32"))
        return Codes(torch.from_numpy(index).reshape(entry.shape), table, scale).dense()

    def _table(self, entry: Entry) -> Tensor:
        n = entry.n_values
        if entry.table == "float32":
            return torch.from_numpy(self._numbers(n, "float32"))
        if entry.table == "int8":
            return torch.from_numpy(self._numbers(n, "int8").astype(np.float32))
        return torch.arange(entry.lowest, entry.lowest + n, dtype=torch.float32)

    def _numbers(self, n: int, dtype: str) -> NDArray[Any]:
        kind = np.dtype(dtype)
        return self._take(n * kind.itemsize).copy().view(kind)

    def _take(self, n: int) -> Bytes:
        if self._at + n > len(self._data):
            raise DataError("This packed model is cut off.")
        self._at += n
        return self._data[self._at - n : self._at]


def _bytes_of(values: NDArray[Any]) -> Bytes:
    return np.ascontiguousarray(values).view(np.uint8).reshape(-1)


def _table(table: NDArray[np.float32]) -> tuple[Literal["float32", "int8", "range"], Bytes]:
    """The shortest way to write a table, and its bytes."""
    whole = table.astype(np.int8) if np.abs(table).max() <= 127 else None
    if whole is None or not np.array_equal(whole, table):
        return "float32", _bytes_of(table)
    is_range = np.array_equal(np.diff(table), np.ones(len(table) - 1))
    return ("range", np.zeros(0, np.uint8)) if is_range else ("int8", _bytes_of(whole))


def _pack_bits(index: NDArray[np.int64], n_bits: int) -> Bytes:
    """Indices, each of `n_bits` bits, without gaps."""
    bits = (index[:, None] >> np.arange(n_bits - 1, -1, -1)) & 1
    return np.packbits(bits.astype(np.uint8).reshape(-1))


def _unpack_bits(data: Bytes, n_bits: int, n: int) -> NDArray[np.int64]:
    bits = np.unpackbits(data, count=n * n_bits).reshape(n, n_bits)
    weights = 1 << np.arange(n_bits - 1, -1, -1)
    return (bits.astype(np.int64) @ weights).astype(np.int64)
