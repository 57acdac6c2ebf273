from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from training_cases import CPU, classification, trial

from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold import FoldTraining
from tunecli.training.outcome.evaluation import Evaluation
from tunecli.training.outcome.failure_reasons import alike, says_out_of_memory
from tunecli.training.outcome.score_guard import (
    LARGEST,
    NoScoreError,
    finite_evaluation,
    finite_float,
    float_of,
    mean,
)


class Refusing:
    def __float__(self) -> float:
        raise ZeroDivisionError("no number in here")

    def __repr__(self) -> str:
        raise RuntimeError("not even a name")


ODD: list[tuple[str, Any, str]] = [
    ("None", None, "failed"),
    ("text", "good", "failed"),
    ("a number as text", "3.5", "failed"),
    ("inf", math.inf, "diverged"),
    ("-inf", -math.inf, "diverged"),
    ("nan", math.nan, "diverged"),
    ("10**400", 10**400, "diverged"),
    ("a tensor of many", torch.ones(3), "failed"),
    ("a tensor of truth", torch.tensor(True), "failed"),
    ("a boolean", True, "failed"),
    ("a list", [0.5], "failed"),
    ("a dict", {"score": 0.5}, "failed"),
    ("complex", 1j, "failed"),
    ("__float__ that raises", Refusing(), "failed"),
]
MORE: list[tuple[str, Any, str]] = [
    ("complex of NumPy", np.complex128(1j), "failed"),
    ("boolean of NumPy", np.bool_(True), "failed"),
    ("array of many", np.ones(2), "failed"),
    ("empty array", np.ones(0), "failed"),
    ("tensor without data", torch.ones((), device="meta"), "failed"),
    ("digits without end", -(10**5000), "diverged"),
    ("list of them", [10**5000], "failed"),
    ("nan of NumPy", np.float32("nan"), "diverged"),
    ("tensor of inf", torch.tensor(math.inf), "diverged"),
    ("beyond the largest", -2 * LARGEST, "diverged"),
]
GOOD = [
    0.5,
    np.float32(0.5),
    np.array([[0.5]]),
    torch.tensor(0.5),
    torch.tensor([0.5], requires_grad=True),
    Fraction(1, 2),
    Decimal("0.5"),
]


def cases(odd: list[tuple[str, Any, str]]) -> list[Any]:
    return [pytest.param(value, outcome, id=name) for name, value, outcome in odd]


@pytest.mark.parametrize(("value", "outcome"), cases(ODD + MORE))
def test_what_is_no_score_has_an_outcome_and_a_sentence(value: Any, outcome: str) -> None:
    with pytest.raises(NoScoreError, match=r"^(error: )?f1 of fold 2 is ") as caught:
        finite_float(value, "f1 of fold 2", " at epoch 3")
    assert caught.value.outcome == outcome
    assert " at epoch 3" in caught.value.reason
    assert caught.value.reason.startswith("error: ") == (outcome == "failed")
    assert len(caught.value.reason) < 200
    assert "\n" not in caught.value.reason


@pytest.mark.parametrize("value", GOOD, ids=lambda value: type(value).__name__)
def test_a_number_in_any_dress_is_a_plain_float(value: Any) -> None:
    found = finite_float(value, "f1")
    assert type(found) is float
    assert found == 0.5


@given(st.lists(st.floats(allow_nan=True) | st.integers() | st.text(), min_size=2, max_size=9))
def test_what_passes_has_a_finite_mean_and_spread(values: list[Any]) -> None:
    passed = []
    for value in values:
        try:
            passed.append(finite_float(value, "score"))
        except NoScoreError:
            assert isinstance(value, str) or not abs(value) <= LARGEST
    if len(passed) > 1:
        assert math.isfinite(fmean(passed))
        assert math.isfinite(stdev(passed))


def test_metrics_that_are_only_shown_need_not_be_finite() -> None:
    odd = {"roc_auc": math.nan, "r2": -math.inf, "f1": np.float64(0.5)}
    evaluation = finite_evaluation(Evaluation(0, 1.0, 0.1, 0.5, odd, 0.1), 0, "accuracy")
    assert math.isnan(evaluation.metrics["roc_auc"])
    assert evaluation.metrics["r2"] == -math.inf
    assert type(evaluation.metrics["f1"]) is float
    with pytest.raises(NoScoreError, match=r"^error: f1 of fold 1 is None at epoch 1, but"):
        finite_evaluation(Evaluation(0, 1.0, 0.1, 0.5, {"f1": None}, 0.1), 1, "accuracy")  # type: ignore[dict-item]
    assert float_of(True + 1, "x") == 2.0


@pytest.mark.parametrize(("value", "outcome"), cases(ODD))
@pytest.mark.parametrize("where", ["train_loss", "score"])
def test_a_trial_whose_metric_gives_it_ends_with_that_outcome(
    value: Any, outcome: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def odd(*_: object) -> Evaluation:
        given = {"train_loss": 0.1, "score": 0.5} | {where: value}
        return Evaluation(0, 1.0, metrics={}, lr=0.1, **given)

    monkeypatch.setattr(FoldTraining, "evaluate", odd)
    training = CrossValidation(trial(), [classification(0), classification(1)], CPU)
    assert list(training) == []
    result = training.result()
    assert (result.outcome, result.value, result.best_step) == (outcome, None, None)
    assert result.reason
    assert training.result("pruned").outcome == outcome


def test_reasons_with_one_cause_are_alike() -> None:
    one = "error: RuntimeError: shapes cannot be multiplied (32x17 and 34x10)"
    other = "error: RuntimeError: shapes cannot be multiplied (16x17 and 68x10)"
    assert alike(one) == alike(other) != alike("error: RuntimeError: no kernel")
    limits = [f"n_weights of {found} is above 10" for found in ("35", "1,035", "1.2e+07")]
    assert len({*map(alike, limits)}) == 1
    sizes = [f"size of {found} is above 10 B" for found in ("35 B", "1.035 KB", "1.2 MB")]
    assert len({*map(alike, sizes)}) == 1
    assert alike(limits[0]) != alike("n_weights of 35 is below 100")
    died = "worker died: killed by SIGKILL"
    assert alike(f"{died}; its last lines are in runs/s/logs/trial-3.log") == alike(died)
    assert says_out_of_memory("out of memory: Unable to allocate 3.1 GiB")
    assert not says_out_of_memory("error: I am out of memory: help")


@given(st.lists(st.floats(), min_size=1, max_size=5))
def test_a_mean_is_that_of_finite_numbers_or_nan(values: list[float]) -> None:
    found = mean(values)
    if all(map(math.isfinite, values)) and sum(map(abs, values)) < 1e308:
        assert found == fmean(values)
    elif not all(map(math.isfinite, values)):
        assert math.isnan(found)


@pytest.mark.parametrize("rate", [math.nan, math.inf, -math.inf])
def test_a_rate_that_is_not_finite_is_a_divergence(rate: float) -> None:
    told = Evaluation(0, 1.0, 0.5, 0.5, {}, rate)
    with pytest.raises(NoScoreError, match="learning rate of fold 2 is") as raised:
        finite_evaluation(told, 2, "accuracy")
    assert raised.value.outcome == "diverged"
