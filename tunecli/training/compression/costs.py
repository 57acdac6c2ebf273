"""Measure what a model costs to store and to run: size, zeros, multiplications, latency."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from statistics import median, quantiles

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tunecli.training.compression.compressible_layers import weight_of, weighted_layers
from tunecli.training.compression.packing import Packed, plain_file
from tunecli.training.models.frozen_weights import count_weights
from tunecli.training.models.pretrained.quantized_layers import whole_copy

CALLS = 50
"""Calls that are timed, after `WARM_UP_CALLS` that are not."""
WARM_UP_CALLS = 5
FEWEST_CALLS = 5
"""Calls that are timed however long they take, after one to warm up."""


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
    model = whole_copy(model)
    measures: dict[str, Callable[[], float]] = {
        "size": lambda: len(packed.smallest() if packed else plain_file(model.state_dict())),
        "n_weights": lambda: count_weights(model),
        "zeros": lambda: share_of_zeros(model),
        "macs": lambda: macs(model, row),
        "latency": lambda: latency(model, row).median,
    }
    return {name: measure() for name, measure in measures.items() if name in names}


@dataclass(frozen=True)
class Latency:
    """Seconds per call: the median and the quartiles of `n_calls` calls."""

    median: float
    low: float
    high: float
    n_calls: int = CALLS


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
def latency(
    model: nn.Module, rows: Tensor, n_calls: int = CALLS, seconds: float = math.inf
) -> Latency:
    """Time `n_calls` calls with `rows` (n, …), after warm-up calls.

    Args:
        seconds: time after which no call begins; `FEWEST_CALLS` are timed in any case. Unlimited
            by default, so that every trial of a study is measured alike.
    """
    model.eval()
    warm_up = _seconds_of_calls(model, rows, WARM_UP_CALLS, 1, seconds / 10)
    left = seconds - sum(warm_up)
    times = _seconds_of_calls(model, rows, n_calls, FEWEST_CALLS, left)
    low, _, high = quantiles(times, n=4)
    return Latency(median(times), low, high, len(times))


def _seconds_of_calls(
    model: nn.Module, rows: Tensor, n_calls: int, n_least: int, seconds: float
) -> list[float]:
    """Return the seconds of each call: of all, or of those that begin within `seconds`."""
    times: list[float] = []
    while len(times) < n_calls and (len(times) < n_least or sum(times) < seconds):
        start = time.perf_counter()
        model(rows)
        if rows.is_cuda:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return times


def batch_within(seconds: float, one_row: Latency, n_rows: int) -> int:
    """Return `n_rows`, halved until the fewest calls with a batch of so many rows fit into a time.

    A row of a batch is taken to need as long as a single row, though it usually needs less.

    Returns:
        1 if no batch of several rows fits.
    """
    most = seconds / ((1 + FEWEST_CALLS) * one_row.median)
    halved = (n_rows >> n for n in range(n_rows.bit_length()))
    return next((n for n in halved if n <= most), 1)
