"""What a refitted model costs to keep and to use, as `metrics.json` has it."""

from __future__ import annotations

from dataclasses import dataclass

import safetensors.torch
import torch

from tunecli.data.fold_store import FoldStore
from tunecli.data.loaded_rows import LoadedRows
from tunecli.model_folder.folder import nested
from tunecli.model_folder.model import Model
from tunecli.training.compression.costs import Latency, latency, macs, share_of_zeros

MANY_ROWS = 256


@dataclass(frozen=True)
class ModelCosts:
    """Of all members of a model together; preparing rows is not counted.

    Attributes:
        size: bytes of the files with its weights.
        n_weights: parameters.
        zeros: share of the weights of layers, mean over members.
        macs: multiplications with addition for one row.
        latency: seconds for 1 row and for `MANY_ROWS` (or as many as there are), by the number of
            rows: median, and the range of the middle half.
    """

    size: int
    n_weights: int
    zeros: float
    macs: int
    latency: dict[str, Latency]


def costs_of_model(model: Model, store: FoldStore) -> ModelCosts:
    """Measured on rows that the search saw, with the threads that are set."""
    members = model.members
    rows = store.split.search_rows[:MANY_ROWS]
    x = store.dataset.x
    read = next(x.batches(rows, [len(rows)])) if isinstance(x, LoadedRows) else x[rows]
    prepared = [member.preprocessing(read).to(model.device) for member in members]
    times = {
        str(n): _sum([latency(m.network, p[:n]) for m, p in zip(members, prepared, strict=True)])
        for n in (1, len(rows))
    }
    return ModelCosts(
        size=size_of(model),
        n_weights=model.n_weights,
        zeros=sum(share_of_zeros(member.network) for member in members) / len(members),
        macs=sum(macs(m.network, p[:1]) for m, p in zip(members, prepared, strict=True)),
        latency=times,
    )


def size_of(model: Model) -> int:
    """Bytes of the files with a model's weights, as `writing.write_model` makes them."""
    packed = [member.packed for member in model.members if member.packed is not None]
    if packed:
        return sum(len(one.to_bytes()) for one in packed)
    weights = nested({i: m.network.state_dict() for i, m in enumerate(model.members)})
    return len(safetensors.torch.save({n: _apart(tensor) for n, tensor in weights.items()}))


def _apart(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)


def _sum(times: list[Latency]) -> Latency:
    """Members compute one after another."""
    return Latency(*(sum(getattr(t, name) for t in times) for name in ("median", "low", "high")))
