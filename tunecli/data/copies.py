"""What is to be said of rows that are equal, target included, once it is known where they went."""

from __future__ import annotations

import numpy as np

from tunecli.data.dataset import Dataset
from tunecli.data.folds import Split
from tunecli.study_file.counts import count


def copy_notes(dataset: Dataset, split: Split) -> list[str]:
    """How many rows are copies, and how many are judged by a model that learned from a copy.

    None are where copies stay together; given splits, groups and times may take them apart.
    """
    if dataset.copies is None:
        return []
    copies = dataset.copies.numpy()
    n_copies = len(copies) - len(np.unique(copies))
    if not n_copies:
        return []
    what = "row" if dataset.columns else "picture"
    rows = count(n_copies, f"{what} is a copy", f"{what}s are copies")
    told = f"{rows} of others, target included"
    seen = [valid[np.isin(copies[valid], copies[train])] for train, valid in split.folds]
    of_valid = np.unique(np.concatenate(seen))
    of_test = split.test_rows[np.isin(copies[split.test_rows], copies[split.search_rows])]
    if not len(of_valid) and not len(of_test):
        return [f"{told}; copies stay together in every split."]
    return [
        f"{told}.",
        *_seen(len(of_valid), f"validation {what}", "those trained on"),
        *_seen(len(of_test), f"test {what}", "those searched on"),
    ]


def _seen(n: int, what: str, others: str) -> list[str]:
    if not n:
        return []
    rows = count(n, f"{what} has a copy", f"{what}s have copies")
    return [f"{rows} among {others}: scores there will be better than on new ones."]
