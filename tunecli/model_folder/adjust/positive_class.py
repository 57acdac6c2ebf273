"""The positive class of two, which a threshold is for."""

from __future__ import annotations

import numpy as np

from tunecli.data.fold_store import FoldStore


def positive_class(store: FoldStore) -> int:
    """Return the index of the class with fewer rows in the search; of equals, the second."""
    counts = np.bincount(store.dataset.y[store.split.search_rows].numpy(), minlength=2)
    return 0 if counts[0] < counts[1] else 1
