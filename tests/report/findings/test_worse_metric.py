"""Where the best trial is worse than guessing or an untuned model, in a metric that is shown."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_studies import N_FOLDS, Plant, config_showing, planted

from tunecli.report.findings.all_findings import all_findings
from tunecli.report.findings.evidence.evidence import Baseline, Evidence
from tunecli.report.findings.evidence.finding import Finding
from tunecli.report.findings.worse_metric import worse_metric

WIGGLES = (0.0, 0.01, -0.01, 0.005, -0.005)


def around(mean: float) -> tuple[float, ...]:
    return tuple(mean + wiggle for wiggle in WIGGLES)


def scored(name: str, **metrics: float) -> Baseline:
    """A baseline that is behind in the objective."""
    folds = {metric: around(mean) for metric, mean in metrics.items()}
    return Baseline(name, (0.1,) * N_FOLDS, metrics=metrics, fold_metrics=folds)


def evidence(
    best: dict[str, float], *baselines: Baseline, shown: tuple[str, ...], folds: int = N_FOLDS
) -> Evidence:
    """A study whose best trial has these metrics; `shown` are the names in the study file."""
    made = planted(Plant(), 0)
    first = made.ranked[0].number
    trials = tuple(
        replace(t, config=config_showing(*shown), metrics=best if t.number == first else {})
        for t in made.study.trials
    )
    of_folds = {name: around(mean)[:folds] for name, mean in best.items()}
    study = replace(made.study, trials=trials, summary=None)
    return replace(made, study=study, baselines=baselines, best_metrics=of_folds)


def only(found: Evidence) -> Finding:
    (one,) = worse_metric(found)
    return one


def test_probabilities_worse_than_guessing_are_a_problem() -> None:
    """As an unweighted loss with a decision as the objective gave on a table of 5 % positives."""
    found = evidence(
        {"log_loss": 0.312, "brier": 0.07},
        scored("commonest class", log_loss=0.209, brier=0.05),
        scored("logistic regression", log_loss=0.19, brier=0.04),
        shown=("log_loss", "brier"),
    )
    one = only(found)
    assert (one.kind, one.severity) == ("metric", "problem")
    assert one.sentence == (
        "In log_loss, the best trial is worse than always predicting the commonest class: "
        "0.3120 against 0.2090; also in brier."
    )
    assert one.advice == "make log_loss the objective; tunecli refit calibrates the probabilities"
    assert one.figures["metrics"]["log_loss"] == {"best": 0.312, "commonest class": 0.209}
    assert one in all_findings(found)


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        ({"weight": "balanced"}, "train without class weights, or "),
        ({"weight": [1.0, 9.0], "label_smoothing": 0.1}, "train without class weights and label"),
        ({"weight": None, "label_smoothing": 0.0}, "make log_loss"),
    ],
)
def test_only_what_the_loss_uses_is_to_be_left_out(arguments: dict[str, Any], first: str) -> None:
    found = evidence(
        {"log_loss": 0.3}, scored("commonest class", log_loss=0.2), shown=("log_loss",)
    )
    loss = {"name": "CrossEntropyLoss", "arguments": arguments}
    trials = tuple(
        replace(trial, config={**(trial.config or {}), "loss": loss})
        for trial in found.study.trials
    )
    found = replace(found, study=replace(found.study, trials=trials))
    assert only(found).advice.startswith(first)


def test_a_metric_names_its_average_and_each_remedy_is_told_once() -> None:
    found = evidence(
        {"roc_auc": 0.64, "average_precision_binary": 0.1, "f1_binary": 0.1},
        scored("logistic regression", roc_auc=0.725, average_precision_binary=0.2, f1_binary=0.3),
        shown=("roc_auc", "average_precision", "f1"),
    )
    order, decision = worse_metric(found)
    assert (
        "worse than untuned logistic regression: 0.6400 against 0.7250; also in" in order.sentence
    )
    assert "average_precision of 'yes'." in order.sentence
    assert decision.sentence.startswith("In f1 of 'yes', the best trial is worse than")
    assert {order.severity, decision.severity} == {"advice"}
    assert decision.advice.startswith("make f1 the objective")


def test_a_metric_that_is_better_or_equal_is_no_finding() -> None:
    rivals = (scored("commonest class", mcc=0.0), scored("logistic regression", mcc=0.2))
    assert [*worse_metric(evidence({"mcc": 0.2}, *rivals, shown=("mcc",)))] == []
    assert [*worse_metric(evidence({"mcc": 0.4}, *rivals, shown=("mcc",)))] == []


def test_a_difference_within_the_noise_of_the_folds_is_no_finding() -> None:
    rival = replace(
        scored("logistic regression", mcc=0.301),
        fold_metrics={"mcc": (0.35, 0.2, 0.4, 0.25, 0.305)},
    )
    assert [*worse_metric(evidence({"mcc": 0.3}, rival, shown=("mcc",)))] == []


def test_a_score_that_is_not_finite_is_not_better() -> None:
    for unknown in (float("nan"), float("inf")):
        rival = scored("commonest class", mcc=unknown)
        assert [*worse_metric(evidence({"mcc": 0.2}, rival, shown=("mcc",)))] == []


def test_one_fold_is_compared_with_guessing_alone() -> None:
    rivals = (
        scored("commonest class", log_loss=0.2),
        scored("gradient-boosted trees", log_loss=0.1),
    )
    found = evidence({"log_loss": 0.3}, *rivals, shown=("log_loss",), folds=1)
    assert "always predicting the commonest class" in only(found).sentence
    assert [*worse_metric(replace(found, baselines=rivals[1:]))] == []


def test_what_a_constant_can_maximize_is_a_note() -> None:
    found = evidence(
        {"recall_binary": 0.4}, scored("commonest class", recall_binary=1.0), shown=("recall",)
    )
    assert only(found).severity == "note"


@settings(deadline=None)
@given(
    st.sampled_from(["log_loss", "brier", "roc_auc", "mcc", "balanced_accuracy"]),
    st.floats(0.05, 0.95),
    st.floats(-0.5, 0.5),
)
def test_it_is_found_exactly_where_a_rival_is_better(
    metric: str, rival: float, ahead: float
) -> None:
    """All folds differ alike, so that every difference counts."""
    sign = -1 if metric in ("log_loss", "brier") else 1
    best = rival + sign * ahead
    found = evidence({metric: best}, scored("commonest class", **{metric: rival}), shown=(metric,))
    assert bool([*worse_metric(found)]) == (sign * best < sign * rival and abs(ahead) > 1e-9) or (
        abs(ahead) < 1e-9
    )


@pytest.mark.parametrize("seed", range(3))
def test_a_study_without_further_metrics_has_none(seed: int) -> None:
    assert [*worse_metric(planted(Plant(baseline=0.9), seed))] == []


NOISY = (0.678, 0.699, 0.535)
"""Log loss of 32 trials without signal, on three folds; guessing has .352, .352 and .365."""


def three_folds(best: tuple[float, ...], *baselines: tuple[str, tuple[float, ...]]) -> Evidence:
    made = evidence({"log_loss": fmean(best)}, shown=("log_loss",))
    rivals = tuple(
        Baseline(
            name,
            (0.1,) * 3,
            metrics={"log_loss": fmean(folds)},
            fold_metrics={"log_loss": folds},
        )
        for name, folds in baselines
    )
    return replace(made, baselines=rivals, best_metrics={"log_loss": best})


def test_with_three_folds_twice_the_loss_of_guessing_is_a_problem() -> None:
    guess, model = (0.352, 0.352, 0.365), (0.37, 0.36, 0.374)
    found = three_folds(NOISY, ("commonest class", guess), ("logistic regression", model))
    one = only(found)
    assert one.severity == "problem"
    assert "worse than always predicting the commonest class: 0.6373 against 0.3563." in (
        one.sentence
    )
    [of_model] = worse_metric(three_folds(NOISY, ("logistic regression", model)))
    assert "worse than untuned logistic regression" in of_model.sentence


def test_a_mean_behind_guessing_is_told_and_one_within_the_noise_is_a_note() -> None:
    wavering = (0.5, 0.3, 0.3)
    guess = ("commonest class", (0.35, 0.35, 0.35))
    one = only(three_folds(wavering, guess))
    assert one.severity == "note"
    assert one.sentence.endswith(
        "0.3667 against 0.3500, a difference within the noise of the folds."
    )
    assert [*worse_metric(three_folds(wavering, ("ridge regression", guess[1])))] == []


def test_a_model_that_is_reliably_better_comes_before_a_guess_that_is_not() -> None:
    found = three_folds(
        (0.36, 0.34, 0.37),
        ("commonest class", (0.33, 0.37, 0.36)),
        ("logistic regression", (0.2, 0.19, 0.21)),
    )
    one = only(found)
    assert "untuned logistic regression" in one.sentence
    assert one.severity == "advice"
