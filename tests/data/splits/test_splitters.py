"""Group and time together: later rows of other groups, and nothing else left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from commands import call_in
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tunecli.data.rows.dataset import Dataset
from tunecli.data.splits.split import left_out, split, validation_in_words
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings

WAYS = [ValidationSettings(folds=n) for n in (2, 3, 5)] + [
    ValidationSettings(folds=3, repeats=2),
    ValidationSettings(holdout=0.25),
]


def panel(groups: list[int], times: list[int]) -> Dataset:
    return Dataset(
        "panel",
        "regression",
        torch.zeros(len(groups), 1),
        torch.arange(len(groups), dtype=torch.float32),
        groups=torch.tensor(groups),
        times=torch.tensor(times, dtype=torch.float64),
    )


def crossed(n_groups: int, n_times: int, seed: int = 0) -> Dataset:
    """Every group at every time, in mixed order."""
    pairs = [(group, time) for group in range(n_groups) for time in range(n_times)]
    mixed = [pairs[i] for i in np.random.default_rng(seed).permutation(len(pairs))]
    return panel([group for group, _ in mixed], [time for _, time in mixed])


def data(test: float = 0.2, split_seed: int = 0) -> DataSettings:
    return DataSettings(source="iris", test=test, split_seed=split_seed)


def cuts(dataset: Dataset, found) -> list:
    """Each pair of rows to learn from and rows to judge by."""
    of_test = [(found.search_rows, found.test_rows)] if len(found.test_rows) else []
    return [*found.folds, *of_test]


@settings(deadline=None, max_examples=150)
@given(
    rows=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 25)), min_size=12, max_size=60),
    validation=st.sampled_from(WAYS),
    test=st.sampled_from([0.0, 0.2, 0.4]),
    seed=st.integers(0, 3),
)
def test_both_hold_at_once_or_it_is_refused(rows, validation, test, seed) -> None:
    dataset = panel([group for group, _ in rows], [time for _, time in rows])
    try:
        found = split(dataset, data(test, seed), validation)
    except DataError:
        assume(False)
    assert dataset.groups is not None
    assert dataset.times is not None
    for learned, judged in cuts(dataset, found):
        assert len(learned) > 0
        assert len(judged) > 0
        assert dataset.times[judged].min() > dataset.times[learned].max()
        assert not np.intersect1d(dataset.groups[judged], dataset.groups[learned]).size
        # Only rows whose group is on the other side of the cut are left out.
        among = found.search_rows if judged is not found.test_rows else torch.arange(len(rows))
        absent = among[~torch.isin(among, torch.cat([learned, judged]))]
        early = absent[dataset.times[absent] <= dataset.times[learned].max()]
        late = absent[dataset.times[absent] >= dataset.times[judged].min()]
        late = late[dataset.times[late] <= dataset.times[judged].max()]
        assert torch.isin(dataset.groups[early], dataset.groups[judged]).all()
        assert torch.isin(dataset.groups[late], dataset.groups[learned]).all()


def test_a_seed_decides_and_another_draws_others() -> None:
    dataset = crossed(10, 20)
    first, again, other = (split(dataset, data(split_seed=seed), WAYS[1]) for seed in (0, 0, 1))
    assert first.test_rows.tolist() == again.test_rows.tolist()
    assert first.test_rows.tolist() != other.test_rows.tolist()


def test_folds_validate_on_other_groups_each() -> None:
    dataset = crossed(10, 24)
    found = split(dataset, data(0.0), ValidationSettings(folds=5))
    assert dataset.groups is not None
    judged = [set(dataset.groups[valid].tolist()) for _, valid in found.folds]
    assert len(set().union(*judged)) > max(map(len, judged))


def test_groups_that_no_cut_takes_apart_lose_no_row() -> None:
    dataset = panel([time // 2 for time in range(40)], list(range(40)))
    whole = split(replace(dataset, groups=None), data(0.2), ValidationSettings(holdout=0.25))
    found = split(dataset, data(0.2), ValidationSettings(holdout=0.25))
    assert found.test_rows.tolist() == whole.test_rows.tolist()
    assert [len(rows) for rows in found.folds[0]] == [len(rows) for rows in whole.folds[0]]
    assert left_out(dataset, found, ValidationSettings(holdout=0.25)) == []
    with pytest.raises(DataError, match="only if a group has rows on both sides"):
        split(dataset, data(0.0), ValidationSettings(folds=4, repeats=2))


def test_the_number_of_rows_left_out_is_told() -> None:
    dataset = crossed(5, 10)
    validation = ValidationSettings(holdout=0.5)
    found = split(dataset, data(0.2), validation)
    # 10 rows are late, and 1 of 5 groups is drawn: 8 of its early rows and 8 late ones are out.
    assert (len(found.search_rows), len(found.test_rows)) == (32, 2)
    # 16 of 32 rows are late, and 2 of 4 groups are drawn: 8 rows of each side are out.
    assert left_out(dataset, found, validation) == [
        "If a group spans a split in time, only its rows on one side are used, so 16 rows "
        "are in neither the search nor the test set, and 16 rows per fold are in neither training "
        "nor validation."
    ]
    assert validation_in_words(validation, dataset).endswith(
        "validated on later rows of other groups"
    )


@pytest.mark.parametrize("n_groups", [1, 2])
def test_too_few_groups_are_refused(n_groups: int) -> None:
    dataset = crossed(n_groups, 10)
    with pytest.raises(DataError, match=r"leaves no row to (train|validate) on") as caught:
        split(dataset, data(0.3), ValidationSettings(folds=2))
    assert caught.value.setting == "data.group"


def test_check_says_what_a_panel_leaves_out(tmp_path: Path) -> None:
    rows = [(f"p{g}", t, g * t % 7, g - t) for g in range(8) for t in range(12)]
    pd.DataFrame(rows, columns=["who", "t", "a", "y"]).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "s.yaml").write_text(
        "data: {source: t.csv, target: y, task: regression, group: who, time: t}\n"
        "model: {Linear: {}}\noptimizer: {SGD: {lr: {float: [1e-3, 1e-1]}}}\n"
        "validation: {folds: 2}\ntraining: {epochs: 1}\nsearch: {trials: 1, baselines: false}\n"
    )
    found = call_in(tmp_path, "check", "s.yaml")
    assert "If a group spans a split in time, only its rows on one side are used" in found.stdout
