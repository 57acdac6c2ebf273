"""Give each fold its own random numbers, independent of what else is trained.

A fold draws from the global generators of torch, numpy and Python, since layers and user code draw
from them. So its state is set before it trains and saved afterwards, and the outer state is
restored. Then it does not matter which folds are trained in between.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor


def fold_seed(study_seed: int, fold: int) -> int:
    """Return the seed of a fold's training, from only the study's seed and the fold's number.

    It is hashed, so that neighbouring seeds and folds have unrelated streams.

    Returns:
        A number in [0, 2**63).
    """
    digest = hashlib.sha256(f"{study_seed}:{fold}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


@dataclass(frozen=True)
class RandomState:
    """States of all generators that training may draw from.

    Attributes:
        cpu: state of torch's CPU generator, uint8 on the CPU.
        device: state of the accelerator's generator, uint8 on the CPU; None without an
            accelerator.
        numpy: state as returned by `np.random.get_state()`.
        python: state as returned by `random.getstate()`.
    """

    cpu: Tensor
    device: Tensor | None
    numpy: tuple[Any, ...]
    python: tuple[Any, ...]

    @classmethod
    def seeded(cls, seed: int, device: torch.device) -> RandomState:
        """Return states of newly seeded generators; the global ones are not changed."""
        accelerator = None
        if device.type != "cpu":
            accelerator = torch.Generator(device).manual_seed(seed).get_state()
        return cls(
            cpu=torch.Generator().manual_seed(seed).get_state(),
            device=accelerator,
            numpy=tuple(np.random.RandomState(seed % 2**32).get_state(legacy=True)),
            python=random.Random(seed).getstate(),
        )

    @classmethod
    def current(cls, device: torch.device) -> RandomState:
        """Return the states of the global generators."""
        accelerator = None
        if device.type != "cpu":
            accelerator = torch.get_device_module(device).get_rng_state()
        return cls(
            cpu=torch.get_rng_state(),
            device=accelerator,
            numpy=tuple(np.random.get_state(legacy=True)),
            python=random.getstate(),
        )

    def restore(self, device: torch.device) -> None:
        """Set the global generators to these states."""
        torch.set_rng_state(self.cpu)
        if self.device is not None and device.type != "cpu":
            torch.get_device_module(device).set_rng_state(self.device)
        np.random.set_state(self.numpy)
        random.setstate(self.python)

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain lists, as `torch.load(weights_only=True)` accepts them."""
        name, keys, *rest = self.numpy
        version, internal, gauss = self.python
        return {
            "cpu": self.cpu,
            "device": self.device,
            "numpy": [name, keys.tolist(), *rest],
            "python": [version, list(internal), gauss],
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any]) -> RandomState:
        """Restore from a `state_dict`."""
        name, keys, *rest = state["numpy"]
        version, internal, gauss = state["python"]
        return cls(
            cpu=state["cpu"].cpu(),
            device=None if state["device"] is None else state["device"].cpu(),
            numpy=(name, np.array(keys, dtype=np.uint32), *rest),
            python=(version, tuple(internal), gauss),
        )


@dataclass(frozen=True)
class Draws:
    """The generators that draw the random numbers of a fold.

    Attributes:
        of_torch: torch's generator on the CPU; None for the global one.
        of_numpy: numpy's generator.
    """

    of_torch: torch.Generator | None
    of_numpy: np.random.RandomState


GLOBAL = Draws(None, np.random.mtrand._rand)
"""The global generators, from which layers and user code draw."""


class OwnGenerators:
    """Generators of one fold, apart from the global ones: folds take turns without a switch."""

    def __init__(self, state: RandomState) -> None:
        """Begin at a state."""
        self._torch = torch.Generator()
        self._torch.set_state(state.cpu)
        numpy = np.random.RandomState(0)
        numpy.set_state(state.numpy)
        self.draws = Draws(self._torch, numpy)
        self._begun = state

    @property
    def state(self) -> RandomState:
        """The state now."""
        numpy = tuple(self.draws.of_numpy.get_state(legacy=True))
        return replace(self._begun, cpu=self._torch.get_state(), numpy=numpy)

    @contextmanager
    def as_global(self) -> Iterator[Draws]:
        """Let torch's global generator, from which layers draw, be the fold's within the block."""
        outside = torch.get_rng_state()
        torch.set_rng_state(self._torch.get_state())
        try:
            yield replace(self.draws, of_torch=None)
        finally:
            self._torch.set_state(torch.get_rng_state())
            torch.set_rng_state(outside)


class RandomStream:
    """A random state that the global generators take over within a block."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self.state = RandomState.seeded(seed, device)
        self._device = device

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Draw from this stream within the block, and from the previous one after it."""
        outside = RandomState.current(self._device)
        self.state.restore(self._device)
        try:
            yield
        finally:
            self.state = RandomState.current(self._device)
            outside.restore(self._device)

    @contextmanager
    def apart(self) -> Iterator[OwnGenerators]:
        """Draw from this stream by generators of its own within the block; global ones stay."""
        generators = OwnGenerators(self.state)
        try:
            yield generators
        finally:
            self.state = generators.state

    def state_dict(self) -> dict[str, Any]:
        """See `RandomState.state_dict`."""
        return self.state.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a `state_dict`."""
        self.state = RandomState.from_state_dict(state)
