"""The costs of a refitted model for `metrics.json`: size, multiplications, latency."""

from __future__ import annotations

from dataclasses import dataclass

from tunecli.data.fold_store import FoldStore
from tunecli.model_folder.format.folder import weight_files
from tunecli.model_folder.format.model import Model
from tunecli.training.compression.costs import Latency, latency, macs, share_of_zeros

MANY_ROWS = 256


@dataclass(frozen=True)
class ModelCosts:
    """The costs of all members of a model together, without preprocessing.

    Attributes:
        size: bytes of the files with its weights.
        n_weights: number of parameters.
        zeros: share of the layers' weights that are zero, mean over members.
        macs: multiply-accumulate operations for one row.
        left_out: compression steps that would not have made the files smaller.
        latency: seconds for 1 row and for `MANY_ROWS` rows (or as many as there are), by the
            number of rows: median and interquartile range.
    """

    size: int
    n_weights: int
    zeros: float
    macs: int
    latency: dict[str, Latency]
    left_out: tuple[str, ...] = ()


def costs_of_model(model: Model, store: FoldStore) -> ModelCosts:
    """Measure a model's costs on rows of the search, with torch's current number of threads."""
    members = model.members
    rows = store.split.search_rows[:MANY_ROWS]
    read = next(store.dataset.blocks(rows, len(rows)))
    prepared = [member.preprocessing(read).to(model.device) for member in members]
    times = {
        str(n): _sum([latency(m.network, p[:n]) for m, p in zip(members, prepared, strict=True)])
        for n in (1, len(rows))
    }
    packed = [member.packed for member in members if member.packed is not None]
    return ModelCosts(
        size=sum(map(len, weight_files(model).values())),
        n_weights=model.n_weights,
        zeros=sum(share_of_zeros(member.network) for member in members) / len(members),
        macs=sum(macs(m.network, p[:1]) for m, p in zip(members, prepared, strict=True)),
        latency=times,
        left_out=tuple(dict.fromkeys(step for one in packed for step in one.left_out)),
    )


def _sum(times: list[Latency]) -> Latency:
    """Add the latencies of members, which compute one after another."""
    return Latency(*(sum(getattr(t, name) for t in times) for name in ("median", "low", "high")))
