"""Which folds train in which stage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.study_file.settings.fold_stages import n_copies, stages_of
from tunecli.study_file.settings.settings import (
    Component,
    DataSettings,
    Objective,
    TrialConfig,
    ValidationSettings,
)

ACCURACY = Objective(direction="maximize", metric=Component(name="accuracy"))
SIZE = Objective(direction="minimize", metric=Component(name="size"))


def trial(racing: str, **parts: object) -> TrialConfig:
    return TrialConfig(
        seed=0,
        data=DataSettings(source="digits"),
        validation=ValidationSettings(folds=5, racing=racing),  # type: ignore[arg-type]
        objective=ACCURACY,
        **parts,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("n_folds", "stages"),
    [
        (1, (1,)),
        (2, (2,)),
        (3, (2, 3)),
        (4, (2, 4)),
        (5, (2, 5)),
        (8, (2, 4, 8)),
        (10, (2, 4, 10)),
        (20, (2, 4, 8, 20)),
    ],
)
def test_stages(n_folds: int, stages: tuple[int, ...]) -> None:
    assert stages_of(trial("on"), n_folds) == stages
    assert stages_of(trial("off"), n_folds) == (n_folds,)
    assert stages_of(trial("auto"), n_folds) == (stages if n_folds >= 5 else (n_folds,))


@pytest.mark.parametrize(
    "parts", [{"further_objectives": (SIZE,)}, {"train": Component(name="own:fit")}]
)
def test_where_folds_cannot_join_in_later_there_is_one_stage(parts: dict[str, object]) -> None:
    assert stages_of(trial("auto", **parts), 5) == (5,)


@given(st.integers(3, 10_000))
def test_stages_double_up_to_half_of_the_folds(n_folds: int) -> None:
    *earlier, last = stages_of(trial("on"), n_folds)
    assert earlier == [2**k for k in range(1, len(earlier) + 1)]
    assert last == n_folds
    assert len(earlier) == 1 or 2 * earlier[-1] <= n_folds
    assert 4 * earlier[-1] > n_folds


@pytest.mark.parametrize(
    ("racing", "n_folds", "n"), [("on", 5, 38), ("on", 10, 76), ("off", 5, 0)]
)
def test_copies_of_weights(racing: str, n_folds: int, n: int) -> None:
    """Of twenty evaluations, one would be kept in any case."""
    assert n_copies(trial(racing), n_folds, n_evaluations=20) == n
