"""A trial in stages gives what it gives with all folds from the start, bit for bit."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import CPU, classification, component, trial

from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.settings.settings import EarlyStopping, TrialConfig
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold_group import Round
from tunecli.training.outcome.evaluation import TrialResult
from tunecli.training.state.checkpoints import Checkpoints

FOLDS = [classification(number, n_train=40 + number) for number in range(5)]
STAGES = (2, 5)
CONFIGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "early stopping": {"early_stopping": EarlyStopping(patience=1)},
    "smoothed": {"smooth_score": 3},
    "averaged": {"ema": 0.9},
    "on the plateau": {
        "schedule": component("ReduceLROnPlateau", patience=0),
        "early_stopping": EarlyStopping(patience=2, monitor="train_loss"),
    },
    "dropout": {"model": component("MLP", width=[8], dropout=0.3), "epochs": 9},
}
by_config = pytest.mark.parametrize("name", CONFIGS)


def config(name: str) -> TrialConfig:
    changes = {"epochs": 6} | CONFIGS[name]
    parts = {key: changes.pop(key) for key in ("model", "schedule") if key in changes}
    return trial(**changes).model_copy(update=parts)


def training_of(name: str, stages: tuple[int, ...] = STAGES) -> CrossValidation:
    return CrossValidation(config(name), FOLDS, CPU, stages=stages)


def comparable(result: TrialResult) -> Any:
    """Return all of a result but the time and memory that it took."""
    archive = np.load(BytesIO(result.predictions or b""))
    rows = {name: archive[name].tobytes() for name in archive.files}
    return (*result.fold_scores, result.value, result.best_step, result.metrics, rows)


def weights(training: CrossValidation) -> list[dict[str, torch.Tensor]]:
    return [fold.best_model().state_dict() for fold in training.loops]


def assert_equal(staged: CrossValidation, whole: CrossValidation) -> None:
    assert (staged.outcome, staged.curve) == ("complete", whole.curve)
    assert comparable(staged.result()) == comparable(whole.result())
    for ours, theirs in zip(weights(staged), weights(whole), strict=True):
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("stages", [(2, 5), (3, 5), (2, 4, 5), (1, 2, 3, 4, 5)])
@by_config
def test_a_complete_trial_has_the_bits_of_one_without_stages(
    name: str, stages: tuple[int, ...]
) -> None:
    staged, whole = training_of(name, stages), training_of(name, ())
    sizes = [len(evaluations) for evaluations in staged]
    assert sorted(sizes) == sizes
    assert sorted(set(sizes)) == [*stages]
    assert len(list(whole)) == sizes.count(5)
    assert_equal(staged, whole)


@by_config
def test_no_trial_is_complete_before_all_folds_have_joined(name: str) -> None:
    training = training_of(name)
    for evaluations in training:
        assert training.outcome is None or len(evaluations) == len(FOLDS)
        assert not (training.ends_stage and len(evaluations) == len(FOLDS))
    assert training.outcome == "complete"


def test_the_first_stage_is_a_trial_of_its_folds_alone() -> None:
    training = training_of("early stopping")
    first = list(CrossValidation(config("early stopping"), FOLDS[:2], CPU))
    assert [next(training) for _ in first] == first
    assert training.ends_stage


def test_folds_that_joined_first_train_on_if_all_folds_stop_later() -> None:
    """So early stopping of the first stage decides nothing about a complete trial."""
    by_length = sorted(FOLDS, key=lambda fold: len(on([fold]).curve))
    staged, whole = on(by_length, (1, 5)), on(by_length)
    n_first = sum(len(evaluations) == 1 for evaluations, _ in staged.rounds)
    assert n_first < len(staged.curve) == len(staged.groups[0].curve)
    assert_equal(staged, whole)


def on(folds: list[FoldData], stages: tuple[int, ...] = ()) -> CrossValidation:
    """Return a training that early stopping has ended."""
    return finished(CrossValidation(config("early stopping"), folds, CPU, stages=stages))


def finished(training: CrossValidation) -> CrossValidation:
    for _ in training:
        pass
    return training


@settings(deadline=None, max_examples=12)
@given(st.sampled_from([*CONFIGS]), st.lists(st.integers(1, 12), max_size=3))
def test_a_trial_resumes_in_any_stage(name: str, stops: list[int]) -> None:
    whole = finished(training_of(name))
    resumed = training_of(name)
    for n_rounds in stops:
        for _ in range(n_rounds):
            next(resumed, None)
        if resumed.outcome is None:
            state = resumed.state_dict()
            resumed = training_of(name)
            resumed.load_state_dict(state)
    finished(resumed)
    assert resumed.rounds == whole.rounds
    assert_equal(resumed, whole)


def test_a_checkpoint_between_stages_replaces_the_one_before(tmp_path: Path) -> None:
    training, checkpoints = training_of("plain"), Checkpoints(tmp_path, config("plain"))
    n_rounds = 0
    while next(training, None) is not None and training.outcome is None:
        n_rounds += 1
        checkpoints.save(training.state_dict())
        state = checkpoints.load()
        assert state is not None
        again = training_of("plain")
        again.load_state_dict(state)
        assert len(again.rounds) == n_rounds
        assert again.ends_stage == training.ends_stage
    assert n_rounds == 11, "six evaluations in each stage, the last of which ends the trial"


def test_a_pruned_trial_has_the_scores_of_the_folds_that_took_part() -> None:
    training = training_of("plain")
    rounds: list[Round] = [next(training), next(training)]
    result = training.result("pruned")
    assert result.fold_scores == tuple(evaluation.score for evaluation in rounds[-1])
    assert (len(result.fold_scores), result.best_step, result.predictions) == (2, 1, None)


@pytest.mark.parametrize("n_before", [2, 8])
def test_a_resumed_trial_can_be_pruned_at_an_earlier_evaluation(n_before: int) -> None:
    training = training_of("plain")
    rounds: list[Round] = [next(training) for _ in range(n_before)]
    resumed = training_of("plain")
    resumed.load_state_dict(training.state_dict())
    result = resumed.result("pruned", rounds[0])
    assert result.fold_scores == tuple(evaluation.score for evaluation in rounds[0])
    assert (len(result.fold_scores), result.best_step) == (2, 0)
    assert result.value == fmean(result.fold_scores)


def test_all_evaluations_are_kept_until_all_folds_have_joined() -> None:
    training = training_of("plain")
    while not training.ends_stage:
        next(training)
    plain = [fold.n_bytes for fold in finished(training_of("plain", ())).loops]
    assert [fold.n_bytes > one for fold, one in zip(training.loops, plain, strict=False)] == [
        True,
        True,
    ]
    assert [fold.n_bytes for fold in finished(training).loops] == plain
