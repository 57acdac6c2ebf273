"""Deal rows into parts that have each label at its share: iterative stratification.

Sechidis, Tsoumakas and Vlahavas (2011), "On the Stratification of Multi-Label Data", algorithm 1.
The packages that have it build on private parts of scikit-learn, and their draws may change with
it, while the folds of a study must never change.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Parts = NDArray[np.int64]


def label_parts(labels: NDArray[np.generic], shares: Sequence[float], seed: int) -> Parts:
    """Return the number of a part for each row, (n,).

    The rarest label is dealt first: each of its rows goes to the part that lacks most rows of the
    label, of equals to the one that lacks most rows, of equals to a drawn one. Rows without any
    label come last.

    Args:
        labels: which labels each row has, (n, n_labels), 0 or 1.
        shares: the share of the rows that each part gets; their sum is 1.
        seed: the seed of the draws and of the order of the rows.
    """
    random = np.random.RandomState(seed)
    order = random.permutation(len(labels))
    has = labels[order] != 0
    n_lacking = np.asarray(shares) * len(has)
    lacking = np.outer(has.sum(0), shares)  # (n_labels, n_parts)
    parts = np.full(len(has), -1, dtype=np.int64)
    while (left := has[parts < 0].sum(0)).any():
        rarest = int(np.where(left > 0, left, len(has) + 1).argmin())
        for row in np.flatnonzero(has[:, rarest] & (parts < 0)):
            parts[row] = _neediest(lacking[rarest], n_lacking, random)
            lacking[has[row], parts[row]] -= 1
            n_lacking[parts[row]] -= 1
    for row in np.flatnonzero(parts < 0):
        parts[row] = _neediest(n_lacking, n_lacking, random)
        n_lacking[parts[row]] -= 1
    in_order = np.empty_like(parts)
    in_order[order] = parts
    return in_order


def _neediest(lacking: Floats, n_lacking: Floats, random: np.random.RandomState) -> int:
    """Return the part that lacks most rows of a label, else most rows, else one drawn."""
    most = np.flatnonzero(lacking == lacking.max())
    if len(most) > 1:
        most = most[n_lacking[most] == n_lacking[most].max()]
    return int(most[0] if len(most) == 1 else random.choice(most))
