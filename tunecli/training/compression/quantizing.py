"""Quantize weights to whole numbers of few bits, times one factor per output channel."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from tunecli.training.compression.codes import Codes

BITS = {"int8": 8, "int4": 4}
Bits = Literal["int8", "int4"]


def quantize(weight: Tensor, bits: Bits) -> Codes:
    """Round a weight (n_out, …) to symmetric integers, channel by channel.

    w ≈ s · q with s = max|w| / (2^(bits-1) - 1) and q rounded to the nearest: Nagel et al. (2021),
    "A White Paper on Neural Network Quantization", arXiv:2106.08295, section 2.2. Zeros stay zero.
    """
    most = 2 ** (BITS[bits] - 1) - 1
    largest = weight.abs().flatten(1).amax(dim=1)
    scale = torch.where(largest > 0, largest / most, torch.ones_like(largest))
    steps = weight / scale.reshape(-1, *[1] * (weight.ndim - 1))
    whole = steps.round().clamp(-most, most).long()
    return Codes(whole + most, _whole_numbers(most, weight), scale)


def _whole_numbers(most: int, like: Tensor) -> Tensor:
    return torch.arange(-most, most + 1, device=like.device, dtype=like.dtype)
