"""Whole channels that leave a model, with all that depends on them: smaller and faster.

By torch-pruning (Fang et al. 2023, "DepGraph: Towards Any Structural Pruning", arXiv:2301.12900),
which follows how layers depend on each other's channels.
"""

from __future__ import annotations

import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from torch import Tensor, nn

from tunecli.errors import DataError

MOST_SECONDS = 60.0
"""For finding what depends on what: some models (swin_t) never come to an end."""


def prune_channels(model: nn.Module, amount: float, example: Tensor, n_outputs: int) -> None:
    """Remove the channels of the smallest weights, in place, the same share of every layer.

    Args:
        amount: share of the channels of each layer. Range [0, 1).
        example: a few rows as the model takes them, (n, …).
        n_outputs: of the model; layers that give as many keep them.

    Raises:
        DataError: torch-pruning is not installed, or cannot follow this model.
    """
    try:
        import torch_pruning
    except ImportError:
        told = "structured pruning needs torch-pruning: pip install 'tunecli[compression]'."
        raise DataError(told, "compression.structured") from None
    heads = [
        module
        for module in model.modules()
        if isinstance(module, nn.Linear) and module.out_features == n_outputs
    ]
    model.eval()
    try:
        with _time_limit(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parameters that belong to no layer: they stay
            pruner = torch_pruning.pruner.MagnitudePruner(
                model,
                example_inputs=example,
                importance=torch_pruning.importance.MagnitudeImportance(p=2),
                pruning_ratio=amount,
                ignored_layers=heads,
            )
            pruner.step()
    except Exception as error:  # whatever it stumbles over in a model
        told = f"torch-pruning cannot remove channels of this model ({error}). Leave it out."
        raise DataError(told, "compression.structured") from error


@contextmanager
def _time_limit() -> Iterator[None]:
    """Raise after `MOST_SECONDS`, where signals can be heard."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"it found no end within {MOST_SECONDS:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
