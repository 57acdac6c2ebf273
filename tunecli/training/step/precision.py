"""Set how a model computes: device, number format, determinism, threads.

torch's settings for these are global; they are set while a fold trains, and restored after it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from tunecli.errors import TunecliError
from tunecli.numerics import flushes_denormals
from tunecli.study_file.settings.settings import TrainingSettings

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}

ON_CUDA_ONLY = ("tf32", "fp16")
"""Number formats that work, or train reliably, only on CUDA."""


def choose_device(name: str) -> torch.device:
    """Return the device that `training.device` names on this machine.

    Args:
        name: auto (CUDA, then MPS, then the CPU), cpu, cuda or mps.

    Raises:
        TunecliError: the machine has no such device.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, exists in available.items() if exists)
    if not available[name]:
        raise TunecliError(
            f"training.device: {name} is not available to torch on this machine. "
            "Write `device: auto`, or install a torch built for it."
        )
    return torch.device(name)


class Precision:
    """Number format of one fold's training.

    Attributes:
        scaler: scales gradients in fp16, so that small ones do not vanish; else it does nothing.
        autocast: whether models run in a 16-bit format.
    """

    def __init__(
        self, settings: TrainingSettings, device: torch.device, numerics: int = 2
    ) -> None:
        """Prepare for training on `device`.

        Args:
            numerics: version of tunecli's arithmetic.

        Raises:
            TunecliError: the device does not support the format; with `device: auto`, this is
                known only here.
        """
        if settings.dtype in ON_CUDA_ONLY and device.type != "cuda":
            raise TunecliError(
                f"training.dtype: {settings.dtype} needs CUDA, but this trial runs on "
                f"{device.type}. Write dtype: fp32 or bf16, or use a machine with CUDA."
            )
        self._settings = settings
        self._device = device
        self._flushes = flushes_denormals(numerics, settings.threads)
        self._dtype = AUTOCAST.get(settings.dtype)
        self.autocast = self._dtype is not None
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.dtype == "fp16")

    def forward(self) -> AbstractContextManager[object]:
        """Return the context of a forward pass; autocast does not cover the backward pass."""
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(self._device.type, dtype=self._dtype)

    def state_dict(self) -> dict[str, Any]:
        """Return the scaler's state; empty if it does nothing."""
        return self.scaler.state_dict()

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Resume the scale from a `state_dict`; None is of a version without an idle scaler."""
        self.scaler.load_state_dict(state or {})

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Set threads, denormals, float32 precision and determinism inside the block."""
        with (
            _threads(self._settings.threads),
            _denormals(self._flushes),
            _float32(self._settings.dtype == "tf32", self._device),
            _deterministic(self._settings, self._device),
        ):
            yield


@contextmanager
def _threads(n_threads: int) -> Iterator[None]:
    """Let torch compute with `n_threads` threads; their number changes the order of sums."""
    outside = torch.get_num_threads()
    if outside == n_threads:
        yield
        return
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(outside)


@contextmanager
def _denormals(flush: bool) -> Iterator[None]:
    """Set whether denormal numbers count as zero in this thread, which is far faster."""
    outside = _are_flushed()
    if outside == flush:
        yield
        return
    torch.set_flush_denormal(flush)
    try:
        yield
    finally:
        torch.set_flush_denormal(outside)


def _are_flushed() -> bool:
    """Return whether denormal numbers count as zero in this thread; torch does not tell."""
    return sys.float_info.min / 2 == 0


@contextmanager
def _float32(tf32: bool, device: torch.device) -> Iterator[None]:
    """Set whether CUDA rounds float32 products to TF32, as cuDNN does by default."""
    if device.type != "cuda":
        yield
        return
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    outside = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = tf32
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = outside


@contextmanager
def _deterministic(settings: TrainingSettings, device: torch.device) -> Iterator[None]:
    """Request kernels that give the same bits each time.

    A single CPU thread does so anyway, where the request would cost an import of two seconds.
    """
    if settings.deterministic is False or (device.type == "cpu" and settings.threads == 1):
        yield
        return
    if device.type == "cuda":
        # cuBLAS reads it when its context is created, so it must stay set.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    memory: Any = torch.utils.deterministic
    outside = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        memory.fill_uninitialized_memory,
    )
    torch.use_deterministic_algorithms(True, warn_only=settings.deterministic == "auto")
    memory.fill_uninitialized_memory = False  # it only costs time
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(outside[0], warn_only=outside[1])
        memory.fill_uninitialized_memory = outside[2]
