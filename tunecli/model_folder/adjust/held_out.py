"""The out-of-fold predictions of a trial with their targets, and parts of them to judge on."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tunecli.data.fold_store import FoldStore
from tunecli.data.splits.label_parts import label_parts
from tunecli.training.outcome.temperature import calibrated

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]

N_PARTS = 5
"""Parts of the rows of a single fold."""


@dataclass(frozen=True)
class HeldOut:
    """Predictions of rows by models that were not trained on them; a row counts once per repeat.

    Attributes:
        rows: row numbers in the data, (n,).
        folds: number of the fold that held each row out, (n,).
        y: class indices, (n,); or labels, 0 or 1, (n, n_labels).
        probabilities: (n, n_classes) or (n, n_labels) float32.
        weights: weight of each row, above 0, (n,); None for equal weights.
    """

    rows: Rows
    folds: Rows
    y: Rows
    probabilities: NDArray[np.floating]
    weights: NDArray[np.float64] | None = None

    @property
    def n_classes(self) -> int:
        """Number of classes or labels."""
        return int(self.probabilities.shape[1])

    def at(self, some: Mask | Rows) -> HeldOut:
        """Return some of the predictions."""
        return HeldOut(
            self.rows[some],
            self.folds[some],
            self.y[some],
            self.probabilities[some],
            None if self.weights is None else self.weights[some],
        )

    def tempered(self, temperature: float | None) -> HeldOut:
        """Return the predictions at a temperature, as a model gives them."""
        return replace(self, probabilities=calibrated(self.probabilities, temperature))

    @cached_property
    def splits(self) -> list[tuple[HeldOut, HeldOut]]:
        """Predictions to fit to, and those of other rows to judge on: once per fold.

        The rows of a single fold are divided into `N_PARTS` parts with equal shares of each class
        or label.
        """
        return list(self._splits())

    def _splits(self) -> Iterator[tuple[HeldOut, HeldOut]]:
        parts = self.folds if len(np.unique(self.folds)) > 1 else dealt(self.y)
        for part in np.unique(parts):
            is_judged = parts == part
            is_fitted = ~np.isin(self.rows, self.rows[is_judged])  # other repeats hold them too
            if is_fitted.any():
                yield self.at(is_fitted), self.at(is_judged)


def dealt(y: NDArray[np.generic], n_parts: int = N_PARTS) -> Rows:
    """Return the number of one of `n_parts` for each row; like cards, class by class.

    Args:
        y: class indices or values, (n,), or labels, (n, n_labels).
    """
    if y.ndim > 1:
        return label_parts(y, [1 / n_parts] * n_parts, seed=0)
    order = np.lexsort((np.random.default_rng(0).permutation(len(y)), y))
    parts = np.empty(len(y), np.int64)
    parts[order] = np.arange(len(order)) % n_parts
    return parts


def held_out(store: FoldStore, outputs: Sequence[NDArray[np.floating]]) -> HeldOut:
    """Return predictions with their targets; rows of weight 0 are left out.

    Args:
        outputs: probabilities of the validation rows, one array per fold of the store.
    """
    of_folds = [rows for _, rows in store.split.folds]
    rows = np.concatenate([part.numpy() for part in of_folds])
    folds = np.repeat(np.arange(len(of_folds)), [len(part) for part in of_folds])
    weights = [store.dataset.weights_of(part) for part in of_folds]
    known = [part for part in weights if part is not None]
    whole = HeldOut(
        rows,
        folds,
        store.dataset.y.numpy()[rows].astype(np.int64),
        np.concatenate(outputs),
        np.concatenate(known).astype(np.float64) if known else None,
    )
    return whole if whole.weights is None else whole.at(whole.weights > 0)


def stored_outputs(store: FoldStore, archive: bytes | None) -> list[NDArray[np.floating]] | None:
    """Return the predictions of `CrossValidation.archive` by fold.

    None if there are none, if they are damaged, or if they belong to other folds.
    """
    try:
        arrays = np.load(io.BytesIO(archive or b""), allow_pickle=False)
        numbered = list(enumerate(store.split.folds))
        rows = [arrays[f"rows_{number}"] for number, _ in numbered]
        outputs = [np.asarray(arrays[f"outputs_{number}"]) for number, _ in numbered]
    except Exception:  # whatever damaged bytes can cause
        return None
    n_classes = len(store.dataset.classes or store.dataset.targets)
    dtype = np.float32 if store.dataset.are_probabilities else np.float64
    fits = (
        np.array_equal(ours, valid.numpy())
        and given.shape == (len(valid), max(n_classes, 1))
        and given.dtype == dtype
        and np.isfinite(given).all()
        for ours, given, (_, (_, valid)) in zip(rows, outputs, numbered, strict=True)
    )
    if not all(fits):
        return None
    return outputs if n_classes else [values[:, 0] for values in outputs]
