"""Parts of out-of-fold predictions: what is judged was not fitted to."""

from __future__ import annotations

import io

import numpy as np
import pytest
from held_out_cases import planted
from model_cases import case

from tunecli.model_folder.adjust.held_out import N_PARTS, held_out, stored_outputs


@pytest.mark.parametrize(("n_folds", "repeats"), [(5, 1), (3, 4), (1, 1), (2, 1)])
def test_no_row_is_both_fitted_to_and_judged(n_folds: int, repeats: int) -> None:
    rows = planted(n=97, n_folds=n_folds, repeats=repeats)
    assert len(rows.splits) == (n_folds * repeats if n_folds > 1 else N_PARTS)
    for fitted, judged in rows.splits:
        assert not set(fitted.rows) & set(judged.rows)
        assert len(set(fitted.rows) | set(judged.rows)) == 97
    judged_rows = np.concatenate([judged.rows for _, judged in rows.splits])
    np.testing.assert_array_equal(np.sort(judged_rows), np.sort(rows.rows))  # each exactly once


def test_the_parts_of_a_single_fold_have_equal_shares_of_each_class() -> None:
    rows = planted(n=500, n_folds=1, shift=-3.0)
    n_rare = [int((judged.y == 1).sum()) for _, judged in rows.splits]
    assert max(n_rare) - min(n_rare) <= 1
    assert [len(judged.y) for _, judged in rows.splits] == [100] * N_PARTS


def test_repeats_that_hold_out_the_same_row_do_not_fit_to_it() -> None:
    rows = planted(n=60, n_folds=3, repeats=2)
    fitted, judged = rows.splits[0]
    assert len(judged.rows) == 20
    assert len(fitted.rows) == 2 * 60 - 2 * 20  # without the same rows of the other repeat


def archive(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def of_case(**changes: np.ndarray) -> bytes:
    """The archive of a model that gives every row the same probabilities."""
    arrays = {}
    for number, (_, valid) in enumerate(case("arrays").store.split.folds):
        arrays[f"rows_{number}"] = valid.numpy()
        arrays[f"outputs_{number}"] = np.full((len(valid), 2), 0.5, np.float32)
    return archive(**(arrays | changes))


def test_stored_predictions_are_read_with_their_targets() -> None:
    store = case("arrays").store
    outputs = stored_outputs(store, of_case())
    assert outputs is not None
    rows = held_out(store, outputs)
    np.testing.assert_array_equal(rows.y, store.dataset.y.numpy()[rows.rows])
    np.testing.assert_array_equal(np.sort(rows.rows), np.sort(store.split.search_rows.numpy()))


@pytest.mark.parametrize(
    "stored",
    [
        None,
        b"",
        b"not an archive",
        of_case()[:-30],
        of_case(rows_0=np.arange(3)),
        of_case(outputs_0=np.zeros((3, 2), np.float32)),
        of_case(outputs_0=np.full_like(np.load(io.BytesIO(of_case()))["outputs_0"], np.nan)),
        of_case(outputs_0=np.array([{}], dtype=object)),
    ],
)
def test_predictions_that_do_not_belong_to_the_folds_are_not_used(stored: bytes | None) -> None:
    assert stored_outputs(case("arrays").store, stored) is None
