"""The choice of an ensemble: what it gains on rows that did not choose it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import roc_auc_score, root_mean_squared_error

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.workspace import Workspace
from tunecli.model_folder.ensemble.blend_scores import BlendScores, scored_parts
from tunecli.model_folder.ensemble.choice import Candidate, EnsembleChoice, chosen_ensemble
from tunecli.model_folder.ensemble.greedy import Picks
from tunecli.report.analysis.standing import Yardstick
from tunecli.study_file.settings.settings import (
    Component,
    DataSettings,
    Objective,
    ValidationSettings,
)

RMSE = Objective(direction="minimize", metric=Component(name="rmse"))
AUC = Objective(direction="maximize", metric=Component(name="roc_auc"))
N_ROWS = 400


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    y = rng.normal(10, 2, N_ROWS)
    frame = pd.DataFrame({"x": y + rng.normal(size=N_ROWS), "y": y, "w": rng.random(N_ROWS)})
    frame.assign(c=np.where(y > 10, "high", "low")).to_csv(tmp_path / "t.csv", index=False)
    return tmp_path


def store_of(
    table: Path, target: str = "y", weights: str | None = None, **how: object
) -> FoldStore:
    task = "regression" if target == "y" else "classification"
    drop = [name for name in ("y", "c", "w") if name not in (target, weights)]
    data = DataSettings(
        source="t.csv", target=target, task=task, drop=drop, weights=weights, test=0.2
    )
    validation = ValidationSettings.model_validate(how or {"folds": 5})
    return FoldStore(data, validation, Workspace(table))


def noisy(store: FoldStore, noise: Sequence[float], seed: int = 0) -> list[list[np.ndarray]]:
    """The targets with noise of one strength per candidate, drawn anew for each."""
    rng = np.random.default_rng(seed)
    folds = [store.dataset.y[valid].numpy() for _, valid in store.split.folds]
    return [[y + rng.normal(0, one, len(y)) for y in folds] for one in noise]


def choose(
    store: FoldStore, outputs: list[list[np.ndarray]], n_picks: int = 8, most: int = 99
) -> tuple[Picks, EnsembleChoice]:
    def allows(picks: Picks) -> bool:
        return len({*picks}) <= most

    candidates = [Candidate(10 + one, "MLP") for one in range(len(outputs))]
    scores = BlendScores(store, RMSE, outputs)
    return chosen_ensemble(candidates, n_picks, scores, Yardstick(ratio=0.25), allows)


def test_scores_are_those_of_mean_predictions(table: Path) -> None:
    store = store_of(table, weights="w")
    outputs = noisy(store, [1.0, 2.0, 1.5])
    goodness = BlendScores(store, RMSE, outputs).of((0, 0, 2))
    for number, (_, valid) in enumerate(store.split.folds):
        mean = (2 * outputs[0][number] + outputs[2][number]) / 3
        weights = store.dataset.weights_of(valid)
        y = store.dataset.y[valid].numpy()
        expected = root_mean_squared_error(y, mean, sample_weight=weights)
        assert goodness[number] == pytest.approx(-expected)


def test_one_more_candidate_scores_as_the_longer_mean(table: Path) -> None:
    store = store_of(table)
    outputs = noisy(store, [1.0, 2.0, 1.5, 0.5])
    scores = BlendScores(store, RMSE, outputs)
    for picks, one in (((), 1), ((0, 0, 3), 2), ((0, 0, 3), 0), ((1,), 1), ((0, 0, 3), 3)):
        expected = BlendScores(store, RMSE, outputs).of(tuple(sorted((*picks, one))))
        np.testing.assert_allclose(scores.with_one(picks, one), expected, rtol=1e-12)


def test_any_metric_scores_probabilities(table: Path) -> None:
    store = store_of(table, "c")
    rng = np.random.default_rng(0)
    drawn = [[rng.random(len(valid)) for _, valid in store.split.folds] for _ in range(2)]
    outputs = [[np.stack([1 - p, p], 1).astype(np.float32) for p in one] for one in drawn]
    goodness = BlendScores(store, AUC, outputs).of((0, 1))
    for number, (_, valid) in enumerate(store.split.folds):
        mean = (outputs[0][number] + outputs[1][number])[:, 1] / 2
        expected = roc_auc_score(store.dataset.y[valid].numpy(), mean)
        assert goodness[number] == pytest.approx(expected)


@pytest.mark.parametrize("target", ["y", "c"])
def test_the_rows_of_a_single_fold_are_dealt(table: Path, target: str) -> None:
    store = store_of(table, target, holdout=0.25)
    [(_, valid)] = store.split.folds
    parts = scored_parts(store, RMSE.metric)
    rows = np.concatenate([part.rows for part in parts])
    assert len(parts) == 5
    assert sorted(rows) == sorted(valid.tolist())
    assert all((valid.numpy()[part.places] == part.rows).all() for part in parts)
    means = [float(store.dataset.y[torch.from_numpy(part.rows)].float().mean()) for part in parts]
    assert max(means) - min(means) < 0.8


def test_a_rare_class_is_in_every_part(table: Path) -> None:
    frame = pd.read_csv(table / "t.csv")
    rare = np.where(np.arange(N_ROWS) % 25 == 0, "high", "low")  # about 3 in the holdout
    frame.assign(c=rare).to_csv(table / "t.csv", index=False)
    store = store_of(table, "c", holdout=0.2)
    parts = scored_parts(store, AUC.metric)
    assert 2 <= len(parts) < 5
    rng = np.random.default_rng(0)
    one = rng.dirichlet([1, 1], len(store.split.folds[0][1]))
    assert np.isfinite(BlendScores(store, AUC, [[one], [one[:, ::-1]]]).of((0, 1))).all()


def test_rows_of_weight_zero_are_not_dealt(table: Path) -> None:
    frame = pd.read_csv(table / "t.csv")
    frame.assign(w=(np.arange(N_ROWS) % 16 == 0).astype(float)).to_csv(
        table / "t.csv", index=False
    )
    store = store_of(table, weights="w", holdout=0.3)
    rows = np.concatenate([part.rows for part in scored_parts(store, RMSE.metric)])
    assert store.dataset.weights is not None
    assert len(rows) > 0
    assert (store.dataset.weights[rows] > 0).all()
    assert np.isfinite(BlendScores(store, RMSE, noisy(store, [1.0, 2.0])).of((0, 1))).all()


def test_the_judged_rows_choose_nothing(table: Path) -> None:
    plain = BlendScores(store_of(table), RMSE, [])
    assert plain.apart == [[j for j in range(5) if j != i] for i in range(5)]
    repeated = BlendScores(store_of(table, folds=4, repeats=2), RMSE, [])
    for part, others in zip(repeated.parts, repeated.apart, strict=True):
        assert len(others) == 3
        assert not any(np.isin(part.rows, repeated.parts[one].rows).any() for one in others)


@pytest.mark.parametrize("how", [{"folds": 5}, {"folds": 4, "repeats": 2}, {"holdout": 0.4}])
def test_models_that_err_differently_form_an_ensemble(table: Path, how: dict[str, object]) -> None:
    store = store_of(table, **how)
    picks, choice = choose(store, noisy(store, [1.0] * 6))
    assert choice.is_used
    assert len({*picks}) > 3
    assert choice.verdict == "better"
    assert fmean(choice.scores) < 0.7 * fmean(choice.of_best)
    assert choice.has_folds == ("folds" in how)
    assert sum(one.weight for one in choice.trials) == len(picks)
    assert {one.trial for one in choice.trials} == {10 + one for one in picks}
    assert "better" in choice.gain_in_words("rmse")


def test_each_part_is_scored_by_a_choice_from_the_others(table: Path) -> None:
    store = store_of(table)
    outputs = noisy(store, [1.0] * 4)
    for one in range(4):  # candidate `one` is perfect on every fold but its own
        outputs[one] = [y if k != one else y + 50 for k, y in enumerate(noisy(store, [0.0])[0])]
    _, choice = choose(store, outputs, n_picks=2)
    assert min(choice.of_best) >= 0
    assert fmean(choice.of_best[:4]) > 10  # the best on the other folds fails on the judged one


@pytest.mark.parametrize("seed", range(12))
def test_no_ensemble_that_is_worse_by_its_own_estimate(table: Path, seed: int) -> None:
    store = store_of(table)
    rng = np.random.default_rng(seed)
    shared = noisy(store, [1.0], seed)[0]  # all err alike, apart from a little noise
    outputs = [[y + rng.normal(0, 0.02, len(y)) for y in shared] for _ in range(8)]
    outputs.append(noisy(store, [3.0], seed)[0])
    picks, choice = choose(store, outputs)
    assert choice.is_used == (not choice.why_not)
    if choice.is_used:
        assert fmean(choice.scores) < fmean(choice.of_best)
    else:
        assert len({*picks}) == 1
        assert choice.best == 10 + picks[0]
        assert "none, the model is trial" in choice.in_words


def test_one_perfect_model_stays_alone(table: Path) -> None:
    store = store_of(table)
    picks, choice = choose(store, noisy(store, [0.0, 1.0, 1.0]))
    assert picks == (0,)
    assert choice.why_not == "no mean of several trials scores better"


def test_the_best_trial_is_the_first_one_that_is_allowed(table: Path) -> None:
    store = store_of(table, holdout=0.4)
    [(_, valid)] = store.split.folds
    y, outlying = store.dataset.y[valid].numpy(), np.zeros(len(valid))
    outlying[scored_parts(store, RMSE.metric)[0].places] = 3.0
    outputs = [[y + 1.0], [y + outlying], [y + 5.0]]  # of all rows, the first has the least RMSE
    assert root_mean_squared_error(y, outputs[0][0]) < root_mean_squared_error(y, outputs[1][0])
    scores = BlendScores(store, RMSE, outputs)
    assert scores.of((0,)).mean() < scores.of((1,)).mean()  # of the parts, the second has
    picks, choice = choose(store, outputs)
    assert (picks, choice.best) == ((0,), 10)
    candidates = [Candidate(10 + one, "MLP") for one in range(3)]
    picks, choice = chosen_ensemble(
        candidates, 1, scores, Yardstick(ratio=0.25), lambda picks: 0 not in picks
    )
    assert (picks, choice.best) == ((1,), 11)


def test_a_single_row_cannot_judge(table: Path) -> None:
    store = store_of(table, holdout=0.003)
    assert [len(valid) for _, valid in store.split.folds] == [1]
    picks, choice = choose(store, noisy(store, [1.0] * 4))
    assert picks == (0,)
    assert "cannot be judged, since the validation rows are too few" in choice.why_not


def test_limits_hold_for_what_is_judged_and_what_is_made(table: Path) -> None:
    store = store_of(table)
    picks, choice = choose(store, noisy(store, [1.0] * 6), most=2)
    assert len({*picks}) == len(choice.trials) == 2
    alone, choice = choose(store, noisy(store, [1.0] * 6), most=1)
    assert len({*alone}) == 1
    assert not choice.is_used
