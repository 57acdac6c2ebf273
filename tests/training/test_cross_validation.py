from __future__ import annotations

import io
import math
import time
from statistics import fmean, median_low
from typing import Any

import numpy as np
import pytest
import torch
from training_cases import CPU, classification, component, regression, trial

from tunecli.study_file.settings.settings import EarlyStopping, TrialConfig
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.early_stopping import no_longer_improves
from tunecli.training.fold import FoldTraining
from tunecli.training.outcome.evaluation import Evaluation
from tunecli.training.outcome.metrics import measure
from tunecli.training.outcome.score_guard import NoScoreError, finite_evaluation
from tunecli.training.state.memory import PeakMemory, life_peak

FOLDS = [classification(number, n_train=40 + number) for number in range(3)]


def validation_of(config: TrialConfig) -> CrossValidation:
    return CrossValidation(config, FOLDS, CPU)


def finished(config: TrialConfig) -> CrossValidation:
    training = validation_of(config)
    for _ in training:
        pass
    return training


# rounds


@pytest.mark.parametrize("settings", [{"epochs": 3}, {"epochs": 2, "eval_every": 0.3}])
def test_every_round_holds_one_evaluation_of_every_fold(settings: dict[str, Any]) -> None:
    training = validation_of(trial(**settings))
    rounds = list(training)
    assert len(rounds) == training.n_evaluations
    for step, evaluations in enumerate(rounds):
        assert [evaluation.step for evaluation in evaluations] == [step] * 3
    assert training.curve == rounds
    assert training.outcome == "complete"
    assert next(training, None) is None


@pytest.mark.parametrize("every", [0.01, 0.15, 0.19, 0.3, 0.7])
@pytest.mark.parametrize("accumulate", [1, 4])
def test_no_fold_is_evaluated_twice_at_one_step(every: float, accumulate: int) -> None:
    """The folds have 5, 5 and 6 batches."""
    training = validation_of(trial(epochs=2, eval_every=every, accumulate=accumulate))
    assert len({len(fold.timetable.evaluations) for fold in training.folds}) == 1
    for curve in zip(*training, strict=True):
        epochs = [evaluation.epoch for evaluation in curve]
        assert epochs == sorted(set(epochs))
        assert epochs[-1] == 2
    coarsest = max(every, accumulate / 5)
    assert training.n_evaluations >= 2 / coarsest - 1


def test_rounds_are_those_of_folds_trained_alone() -> None:
    config = trial(model=component("MLP", dropout=0.2))
    alone = [list(FoldTraining(config, fold, CPU)) for fold in FOLDS]
    assert [list(row) for row in zip(*alone, strict=True)] == [
        list(row) for row in validation_of(config)
    ]


# results


@pytest.mark.parametrize(
    ("metric", "direction"), [("accuracy", "maximize"), ("log_loss", "minimize")]
)
def test_value_is_the_best_mean_at_one_evaluation_for_all_folds(
    metric: str, direction: Any
) -> None:
    config = trial(metric=metric, direction=direction, metrics=("f1", "mcc"), epochs=8)
    training = finished(config)
    result = training.result()
    means = [fmean(e.score for e in row) for row in training.curve]
    assert result.value == (max(means) if direction == "maximize" else min(means))
    assert result.best_step == means.index(result.value)
    best = training.curve[result.best_step]
    assert result.fold_scores == tuple(e.score for e in best)
    assert result.metrics == {name: fmean(e.metrics[name] for e in best) for name in ("f1", "mcc")}
    assert (result.outcome, result.reason) == ("complete", "")


NOISY = {"epochs": 14, "optimizer": component("SGD", lr=3.0)}


@pytest.mark.parametrize("smooth", [3, 5, 13])
def test_with_smoothing_all_numbers_are_of_the_evaluation_with_the_best_median(
    smooth: int,
) -> None:
    plain, training = finished(trial(**NOISY)), finished(trial(**NOISY, smooth_score=smooth))
    assert training.curve == plain.curve  # the training itself is the same
    means, n_aside = plain.mean_scores, smooth // 2
    windows = [means[max(at - n_aside, 0) : at + n_aside + 1] for at in range(len(means))]
    result = training.result()
    assert result.value == max(map(median_low, windows))
    assert result.value < max(means) == plain.result().value
    assert result.best_step is not None
    best = training.curve[result.best_step]
    assert result.fold_scores == tuple(evaluation.score for evaluation in best)
    assert result.value == fmean(result.fold_scores)


@pytest.mark.parametrize("smooth", [1, 3, 7])
def test_the_best_weights_and_predictions_are_those_of_the_best_evaluation(smooth: int) -> None:
    training = validation_of(trial(**NOISY, smooth_score=smooth))
    weights = []
    for _ in training:
        states = [fold.model.state_dict() for fold in training.loops]
        weights.append([{name: one.clone() for name, one in state.items()} for state in states])
        assert training.best_step is not None
        for fold, expected in zip(training.loops, weights[training.best_step], strict=True):
            state = fold.best_model().state_dict()
            assert all(torch.equal(state[name], expected[name]) for name in expected)
            predictions, score, _ = fold.measured(fold.best_model())
            assert score == training.curve[training.best_step][fold.fold.number].score
            assert fold.best_outputs is not None
            assert np.array_equal(fold.best_outputs, predictions)


def test_early_stopping_goes_by_the_smoothed_curve() -> None:
    stopping = EarlyStopping(patience=4)
    config = trial(**NOISY | {"epochs": 40}, smooth_score=5, early_stopping=stopping)
    means = finished(trial(**NOISY | {"epochs": 40})).mean_scores
    seen = [median_low(means[max(at - 2, 0) : at + 1]) for at in range(len(means))]
    ends = [k for k in range(1, 41) if no_longer_improves(seen[:k], "maximize", stopping)]
    assert len(finished(config).curve) == ends[0] < 40


def test_predictions_reproduce_the_scores() -> None:
    training = finished(trial(epochs=6))
    result = training.result()
    assert result.predictions is not None
    with np.load(io.BytesIO(result.predictions)) as arrays:
        assert len(arrays.files) == 6
        for fold, score in zip(FOLDS, result.fold_scores, strict=True):
            rows, outputs = arrays[f"rows_{fold.number}"], arrays[f"outputs_{fold.number}"]
            assert (rows.dtype, outputs.dtype, outputs.shape) == (np.int64, np.float32, (12, 3))
            assert rows.tolist() == fold.valid_rows.tolist()
            accuracy = [component("accuracy")]
            values = measure(accuracy, "classification", fold.y_valid.numpy(), outputs, 3)
            assert values["accuracy"] == score


def test_predictions_of_regression_are_one_column_in_the_original_unit() -> None:
    config = trial(loss="MSELoss", direction="minimize", metric="rmse", epochs=2)
    training = CrossValidation(config, [regression()], CPU)
    for _ in training:
        pass
    with np.load(io.BytesIO(training.result().predictions or b"")) as arrays:
        outputs = arrays["outputs_0"]
    assert outputs.shape == (12, 1)
    errors = outputs[:, 0] - regression().y_valid.numpy()
    assert training.result().value == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-5)


def test_a_pruned_trial_has_its_last_mean() -> None:
    training = validation_of(trial(epochs=8))
    for _ in range(3):
        last = next(training)
    result = training.result("pruned")
    assert (result.outcome, result.best_step, result.predictions) == ("pruned", 2, None)
    assert result.value == fmean(e.score for e in last)
    assert result.fold_scores == tuple(e.score for e in last)


def test_no_result_before_the_first_evaluation() -> None:
    for outcome in ("complete", "pruned"):
        with pytest.raises(ValueError, match="before its first evaluation"):
            validation_of(trial()).result(outcome)  # type: ignore[arg-type]


def test_best_models_are_of_the_best_evaluation() -> None:
    training = finished(trial(epochs=8, optimizer=component("SGD", lr=3.0)))
    result = training.result()
    assert result.best_step is not None
    assert result.best_step < 7  # such a rate unlearns again
    for fold, score in zip(training.folds, result.fold_scores, strict=True):
        hits = fold.best_model()(fold.fold.x_valid).argmax(1) == fold.fold.y_valid
        assert hits.double().mean().item() == pytest.approx(score)


def test_costs() -> None:
    start = time.perf_counter()
    training = validation_of(trial(epochs=2))
    next(training)
    time.sleep(0.3)  # waiting for a reply is not training
    next(training)
    result = training.result()
    assert 0 < result.seconds < time.perf_counter() - start - 0.3
    assert result.n_weights == (4 * 8 + 8) + (8 * 8 + 8) + (8 * 3 + 3)
    assert 50e6 < result.peak_memory < 50e9  # torch alone is more than 50 MB


def test_peak_memory_is_the_trials_own() -> None:
    block = torch.ones(300_000_000 // 4)
    del block
    training = validation_of(trial(epochs=2))
    next(training)
    if life_peak() > 300e6 and PeakMemory(CPU).n_bytes < life_peak():  # where Linux allows it
        assert training.result().peak_memory < life_peak() - 50e6


# the end


def test_early_stopping_goes_by_the_mean_curve_over_folds() -> None:
    stopping = EarlyStopping(patience=3, min_delta=0.02)
    config = trial(epochs=60, early_stopping=stopping)
    training = finished(config)
    n = len(training.curve)
    assert n < 60
    assert training.outcome == "complete"
    without = finished(trial(epochs=60))
    assert without.curve[:n] == training.curve
    means = without.mean_scores
    ends = [k for k in range(1, 61) if no_longer_improves(means[:k], "maximize", stopping)]
    assert n == ends[0]


def test_early_stopping_by_training_loss_minimizes_it() -> None:
    stopping = EarlyStopping(patience=2, monitor="train_loss")
    config = trial(epochs=10, early_stopping=stopping, optimizer=component("SGD", lr=0.01))
    assert len(finished(config).curve) == 10  # a small rate always goes down
    config = trial(epochs=10, early_stopping=stopping, optimizer=component("SGD", lr=0.0))
    losses = [fmean(e.train_loss for e in row) for row in finished(config).curve]
    assert len(losses) < 10


@pytest.mark.parametrize(
    ("values", "patience", "min_delta", "ends_after"),
    [
        ([1, 2, 3, 3, 3, 3], 2, 0.0, 5),
        ([1, 2, 2, 3, 2, 2], 2, 0.0, 6),
        ([1, 1.1, 1.2, 1.3], 2, 0.5, 3),
        ([1, 1.4, 1.6, 1.7, 1.8, 2.2], 3, 0.5, None),  # small steps add up: 1, 1.6, 2.2
        ([5, 4, 3], 2, 0.0, 3),
        ([5, 5], 1, 0.0, 2),
    ],
)
def test_patience_counts_evaluations_without_improvement(
    values: list[float], patience: int, min_delta: float, ends_after: int | None
) -> None:
    stopping = EarlyStopping(patience=patience, min_delta=min_delta)
    for direction, sign in (("maximize", 1), ("minimize", -1)):
        ends = [
            k
            for k in range(1, len(values) + 1)
            if no_longer_improves([sign * v for v in values[:k]], direction, stopping)  # type: ignore[arg-type]
        ]
        assert (ends[0] if ends else None) == ends_after


def test_divergence_ends_a_trial_with_what_and_when() -> None:
    config = trial(
        loss="MSELoss",
        direction="minimize",
        metric="rmse",
        optimizer=component("SGD", lr=1e6),
        epochs=40,
    )
    training = CrossValidation(config, [regression(0), regression(1)], CPU)
    rounds = list(training)
    assert training.outcome == "diverged"
    assert len(rounds) < 40
    assert all(math.isfinite(e.score) for row in rounds for e in row)
    result = training.result()
    assert result.outcome == "diverged"
    assert (result.value, result.best_step, result.fold_scores) == (None, None, ())
    epoch = len(rounds) + 1
    assert result.reason.startswith("training loss of fold 0 is ")
    assert result.reason.endswith(f" at epoch {epoch}")
    assert training.result("pruned").outcome == "diverged"
    assert result.n_weights > 0
    assert next(training, None) is None


@pytest.mark.parametrize(
    ("loss", "score", "sentence"),
    [
        (math.nan, 0.5, "training loss of fold 4 is nan at epoch 2.5"),
        (math.inf, math.nan, "training loss of fold 4 is inf at epoch 2.5"),
        (1.0, math.nan, "accuracy of fold 4 is nan at epoch 2.5"),
    ],
)
def test_reason_of_a_divergence(loss: float, score: float, sentence: str) -> None:
    evaluation = Evaluation(0, 2.5, loss, score, {}, 0.1)
    with pytest.raises(NoScoreError, match=f"^{sentence}$") as caught:
        finite_evaluation(evaluation, 4, "accuracy")
    assert caught.value.outcome == "diverged"


# exactness


@pytest.mark.parametrize(
    "config",
    [
        trial(epochs=40, early_stopping=EarlyStopping(patience=3, min_delta=0.02)),
        trial(epochs=14, optimizer=component("SGD", lr=3.0), smooth_score=5),
        trial(
            model=component("MLP", dropout=0.2, batch_norm=True),
            schedule=component("ReduceLROnPlateau", patience=0),
            ema=0.9,
            epochs=6,
        ),
    ],
    ids=["early stopping", "smooth", "plateau"],
)
def test_a_resumed_trial_has_the_same_result(config: TrialConfig) -> None:
    expected = finished(config)
    training = validation_of(config)
    while next(training, None) is not None:
        file = io.BytesIO()
        torch.save(training.state_dict(), file)
        file.seek(0)
        training = validation_of(config)
        training.load_state_dict(torch.load(file, weights_only=True))
    assert training.curve == expected.curve
    assert training.outcome == expected.outcome == "complete"
    one, other = training.result(), expected.result()
    assert one.predictions == other.predictions
    assert (one.value, one.best_step, one.fold_scores) == (
        other.value,
        other.best_step,
        other.fold_scores,
    )


def test_a_message_names_the_fold_only_if_there_are_several() -> None:
    config = trial(
        loss="MSELoss", direction="minimize", metric="rmse", optimizer=component("SGD", lr=1e20)
    )
    for folds, named in (([regression()], ""), ([regression(0), regression(1)], " of fold 0")):
        training = CrossValidation(config, folds, CPU)
        list(training)
        assert training.result().reason.startswith(f"training loss{named} is ")


def test_a_diverged_trial_stays_so_after_loading() -> None:
    config = trial(
        loss="MSELoss", direction="minimize", metric="rmse", optimizer=component("SGD", lr=1e20)
    )
    training = CrossValidation(config, [regression()], CPU)
    list(training)
    copy = CrossValidation(config, [regression()], CPU)
    copy.load_state_dict(training.state_dict())
    assert next(copy, None) is None
    assert copy.result().reason == training.result().reason != ""
