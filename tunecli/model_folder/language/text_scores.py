"""The loss of a language model on texts, as sums over their tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tunecli.data.text.block_features import BlockFeatures
from tunecli.data.text.token_blocks import TokenBlocks
from tunecli.training.outcome.token_predictions import N_SUMS, token_sums
from tunecli.training.step.precision import Precision

Floats = NDArray[np.float64]

BATCH_TOKENS = 8192
"""Tokens that are computed at once. The number does not depend on the texts, so that the same
texts in the same order give the same bits."""


@torch.no_grad()
def block_sums(
    network: nn.Module, precision: Precision, blocks: TokenBlocks, device: torch.device
) -> Floats:
    """Return the sums over the tokens of each block, (n, 4); see `token_predictions`."""
    features = BlockFeatures(blocks.x, blocks.lengths).to(device)
    n_rows = max(1, BATCH_TOKENS // blocks.x.shape[1])
    whole, rest = divmod(len(blocks.x), n_rows)
    sizes = [n_rows] * whole + [rest] * (rest > 0)
    targets = torch.split(blocks.y, sizes) if sizes else ()
    parts: list[Tensor] = [torch.empty(0, N_SUMS - 1)]
    with precision.in_force(), precision.forward():
        for x, y in zip(features.batches(None, sizes), targets, strict=True):
            parts.append(token_sums(network(x), y.to(device)).cpu())
    sums = [torch.cat(parts).double(), blocks.n_bytes.double().unsqueeze(1)]
    return torch.cat(sums, dim=1).numpy()


def sums_of_rows(sums: Floats, rows: Tensor, wanted: Sequence[int]) -> Floats:
    """Add up the sums of the blocks of each document, (n, 4); 0 for one without tokens.

    Args:
        rows: the document of each block.
        wanted: the documents, in the order of the result.
    """
    places = {row: place for place, row in enumerate(wanted)}
    totals = np.zeros((len(wanted), N_SUMS))
    np.add.at(totals, [places[row] for row in rows.tolist()], sums)
    return totals
