"""Notes on rows that are equal, target included, once their parts are known."""

from __future__ import annotations

import numpy as np

from tunecli.data.rows.dataset import Dataset
from tunecli.data.splits.split import Split
from tunecli.study_file.text.counts import count


def copy_notes(dataset: Dataset, split: Split) -> list[str]:
    """Note how many rows are copies, and how many of them test what was trained on a copy.

    Copies usually stay together; only given splits, groups and times may separate them.
    """
    if dataset.copies is None:
        return []
    copies = dataset.copies.numpy()
    n_copies = len(copies) - len(np.unique(copies))
    if not n_copies:
        return []
    what = "row" if dataset.columns else "picture"
    rows = count(n_copies, f"{what} is a copy", f"{what}s are copies")
    copied = f"{rows} of others, target included"
    seen = [valid[np.isin(copies[valid], copies[train])] for train, valid in split.folds]
    of_valid = np.unique(np.concatenate(seen))
    of_test = split.test_rows[np.isin(copies[split.test_rows], copies[split.search_rows])]
    if not len(of_valid) and not len(of_test):
        return [f"{copied}; copies stay together in every split."]
    return [
        f"{copied}.",
        *_seen(len(of_valid), f"validation {what}", "training"),
        *_seen(len(of_test), f"test {what}", "search"),
    ]


def _seen(n: int, what: str, others: str) -> list[str]:
    if not n:
        return []
    rows = count(n, f"{what} has a copy", f"{what}s have copies")
    return [f"{rows} in the {others} data, so the scores will be better than on new data."]
