"""Measure what a model costs to store and to run: size, zeros, multiplications, latency."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from statistics import median, quantiles

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tunecli.training.compression.compressible_layers import weight_of, weighted_layers
from tunecli.training.compression.packing import Packed, plain_file


def costs_of(
    names: Collection[str], model: nn.Module, row: Tensor, packed: Packed | None = None
) -> dict[str, float]:
    """Return the named costs of a model.

    Args:
        names: cost metrics, from `study_file.settings.metric_names.COSTS`.
        row: one row as the model takes it, (1, …).
        packed: the packed model that `model` was read from; None for a model that was never
            packed, whose size is that of a plain file.
    """
    measures: dict[str, Callable[[], float]] = {
        "size": lambda: len(packed.smallest() if packed else plain_file(model.state_dict())),
        "n_weights": lambda: sum(parameter.numel() for parameter in model.parameters()),
        "zeros": lambda: share_of_zeros(model),
        "macs": lambda: macs(model, row),
        "latency": lambda: latency(model, row).median,
    }
    return {name: measure() for name, measure in measures.items() if name in names}


@dataclass(frozen=True)
class Latency:
    """Seconds per call: the median and the quartiles."""

    median: float
    low: float
    high: float


def share_of_zeros(model: nn.Module) -> float:
    """Return the share of zeros among linear and convolutional weights. Range [0, 1]."""
    weights = [weight_of(layer) for layer in weighted_layers(model).values()]
    n = sum(weight.numel() for weight in weights)
    return sum(int((weight == 0).sum()) for weight in weights) / n if n else 0.0


@torch.enable_grad()  # else torch's counter fails on modules that return a view of a weight
def macs(model: nn.Module, row: Tensor) -> int:
    """Return the multiply-adds for one row (1, …), as torch counts them, zeros included."""
    with FlopCounterMode(display=False) as counter:
        model.eval()(row)
    return int(counter.get_total_flops()) // 2


@torch.no_grad()
def latency(model: nn.Module, rows: Tensor, n_calls: int = 50) -> Latency:
    """Time `n_calls` calls with `rows` (n, …), after five warm-up calls."""
    model.eval()
    times: list[float] = []
    for call in range(5 + n_calls):
        start = time.perf_counter()
        model(rows)
        if rows.is_cuda:
            torch.cuda.synchronize()
        if call >= 5:
            times.append(time.perf_counter() - start)
    low, _, high = quantiles(times, n=4)
    return Latency(median(times), low, high)
