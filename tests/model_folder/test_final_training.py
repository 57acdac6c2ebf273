"""Where the final training ends: on all rows, or at the evaluation that is best on a tenth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from statistics import median_low

import numpy as np
import pandas as pd
import pytest
import torch
from model_cases import Case, case
from study_makers import SUMMARY

from tunecli.cli.refit import results_lines
from tunecli.data.final_fit import can_cut, final_fit
from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.rows.workspace import Workspace
from tunecli.errors import RefitError
from tunecli.model_folder.card import card
from tunecli.model_folder.refitting import Refitted, RefitTrial, refit_seeds, training_in_words
from tunecli.model_folder.results import Results, results_of
from tunecli.report.analysis.best_evaluation import StandOut
from tunecli.study_file.settings.settings import Component, EarlyStopping, TrialConfig
from tunecli.study_file.study_file import StudyFile
from tunecli.training.fold import FoldTraining

DIP = StandOut(step=1, expected=0.85, gap=0.05, noise=0.01)
SMOOTH = StandOut(step=1, expected=0.899, gap=0.001, noise=0.01)


def long(config: TrialConfig, **changes: object) -> TrialConfig:
    settings = config.training.model_copy(update={"epochs": 20, **changes})
    fast = Component(name="AdamW", arguments={"lr": 0.3})  # so that the best is not the last
    return config.model_copy(update={"training": settings, "optimizer": fast})


def refitted(made: Case, trial: RefitTrial) -> Refitted:
    return next(refit_seeds(trial, made.store))


def weights(one: Refitted) -> dict[str, torch.Tensor]:
    return one.model.members[0].network.state_dict()


def reference(
    made: Case, config: TrialConfig, steps: range
) -> tuple[dict[str, torch.Tensor], int]:
    """The weights of the best evaluation on the tenth, and its index, by a loop of its own."""
    fit = final_fit(made.store, FeatureForm(config.data.scale), False, cut_validation=True)
    training = FoldTraining(config, fit.fold, torch.device("cpu"))
    scores, weights_ = [], []
    for evaluation in training:
        scores.append(evaluation.score)
        state = training.model.state_dict()
        weights_.append({key: value.clone() for key, value in state.items()})
    best = max(steps, key=scores.__getitem__)
    return weights_[best], best


@pytest.mark.parametrize("why", ["noise", "early stopping", "schedule"])
@pytest.mark.parametrize(
    ("best_step", "steps"), [(1, range(4)), (9, range(7, 12)), (19, range(17, 20))]
)
def test_the_weights_are_those_that_are_best_on_a_tenth(
    why: str, best_step: int, steps: range
) -> None:
    made = case("arrays")
    config, found = long(made.trial.config), None
    if why == "noise":
        found = DIP
    elif why == "early stopping":
        config = long(config, early_stopping=EarlyStopping(patience=3))
    else:
        config = config.model_copy(update={"schedule": Component(name="ReduceLROnPlateau")})
    trial = replace(made.trial, config=config, best_step=best_step, stand_out=found)
    assert trial.held_out_for == why
    one = refitted(made, trial)
    expected, step = reference(made, config, steps)
    assert (one.step, one.n_evaluations) == (step, steps.stop)
    for key, value in weights(one).items():
        torch.testing.assert_close(value, expected[key], rtol=0, atol=0)
    n_search = len(made.store.split.search_rows)
    assert one.validation_rows == pytest.approx(0.1 * n_search, abs=1)
    assert one.n_rows + one.validation_rows == n_search


@pytest.mark.parametrize("best_step", [1, 9, 19])
def test_a_smoothed_study_takes_the_median_of_those_around(best_step: int) -> None:
    made = case("arrays")
    config = long(made.trial.config, smooth_score=3, early_stopping=EarlyStopping(patience=3))
    one = refitted(made, replace(made.trial, config=config, best_step=best_step))
    fit = final_fit(made.store, FeatureForm(config.data.scale), False, cut_validation=True)
    training = FoldTraining(config, fit.fold, torch.device("cpu"))
    scores, states = [], []
    for evaluation in training:
        scores.append(evaluation.score)
        state = training.model.state_dict()
        states.append({key: value.clone() for key, value in state.items()})
    near = range(max(best_step - 2, 0), min(best_step + 3, 20))
    medians = [
        median_low(scores[max(step - 1, near[0]) : min(step + 2, near[-1] + 1)]) for step in near
    ]
    assert one.step is not None
    assert scores[one.step] == max(medians)
    for key, value in weights(one).items():
        torch.testing.assert_close(value, states[one.step][key], rtol=0, atol=0)


def test_a_best_evaluation_within_the_noise_changes_no_bit() -> None:
    made = case("arrays")
    one = refitted(made, replace(made.trial, stand_out=SMOOTH))
    assert (one.step, one.n_evaluations, one.validation_rows) == (1, 2, 0)
    for key, value in weights(made.refitted).items():
        torch.testing.assert_close(weights(one)[key], value, rtol=0, atol=0)


def test_an_equal_end_of_the_schedule_is_trained_to_on_all_rows() -> None:
    made = case("arrays")
    schedule = Component(name="CosineAnnealingLR")
    config = long(made.trial.config).model_copy(update={"schedule": schedule})
    trial = replace(made.trial, config=config, best_step=8, equal_end=19)
    one = refitted(made, trial)
    assert (one.step, one.n_evaluations, one.validation_rows) == (19, 20, 0)
    fit = final_fit(made.store, FeatureForm(config.data.scale), False, cut_validation=False)
    training = FoldTraining(config, fit.fold, torch.device("cpu"))
    for _ in training:
        pass
    for key, value in weights(one).items():
        torch.testing.assert_close(value, training.model.state_dict()[key], rtol=0, atol=0)
    where = (
        "of evaluation 20, the last one, where the learning rate is lowest; in the search it was "
        "practically equal to the best one, evaluation 9"
    )
    found = results(made, trial)
    assert f"weights     {where}" in results_lines(found)
    assert f"The weights are those {where}." in card(one.model.facts, found, SUMMARY, 1)


def test_a_tenth_that_chooses_the_evaluation_does_so_around_the_best_one() -> None:
    made = case("arrays")
    stops = long(made.trial.config, early_stopping=EarlyStopping(patience=3))
    trial = replace(made.trial, config=stops, best_step=8, equal_end=19)
    assert refitted(made, trial).n_evaluations == 11


def test_fine_tuning_alone_chooses_no_evaluation() -> None:
    made = case("compressed")
    assert made.trial.held_out_for == "fine-tuning"
    assert made.refitted.validation_rows > 0
    assert made.refitted.step == made.trial.best_step == 1


def test_a_training_that_diverges_on_its_tenth_is_no_model() -> None:
    made = case("arrays")
    huge = Component(name="SGD", arguments={"lr": 1e38})
    config = made.trial.config.model_copy(update={"optimizer": huge})
    # Not "of fold 0": there are no folds.
    reason = (
        r"^the training of trial 3 with seed 0 diverged: training loss is \S+ at epoch 1\. "
        "Choose another trial with --trial"
    )
    with pytest.raises(RefitError, match=reason):
        refitted(made, replace(made.trial, config=config, stand_out=DIP))


def results(made: Case, trial: RefitTrial) -> Results:
    return results_of(trial, made.store, [refitted(made, trial)], 1)


def test_terminal_and_card_say_where_the_weights_are_from() -> None:
    made = case("arrays")
    trial = replace(made.trial, config=long(made.trial.config), stand_out=DIP)
    found = results(made, trial)
    best = "evaluation 2 is 0.0500 better than its neighbours: more than their noise of 0.0100"
    rows = f"{found.n_validation} rows, held out because the best evaluation of the search beats"
    where = f"of evaluation {found.step + 1} of 4, the best one on {rows} its neighbours"
    shown = "\n".join(results_lines(found))
    assert f"\n            {best}\nweights     {where}" in shown
    written = card(made.refitted.model.facts, found, SUMMARY, 1)
    assert f"On the mean curve of the folds, {best}." in written
    assert f"The weights are those {where}" in written
    assert f"{found.n_validation} rows were not trained on" in written
    plain = results(made, replace(made.trial, stand_out=SMOOTH))
    lines = results_lines(plain)
    assert "weights     of evaluation 2, the best one of the search" in lines
    assert "within their noise of 0.0100" in lines[1]
    assert "not trained on" not in card(made.refitted.model.facts, plain, SUMMARY, 1)


def test_rows_are_held_out_whatever_the_evaluation() -> None:
    made = case("arrays")
    trial = replace(made.trial, config=long(made.trial.config), stand_out=DIP)
    found = replace(results(made, trial), step=None)  # as of trainings that end differently
    assert "held out    " + f"{found.n_validation} rows, to score the training" in results_lines(
        found
    )
    joint = replace(found, n_trials=2)
    assert f"held out    up to {found.n_validation} rows, to score the training" in results_lines(
        joint
    )
    assert f"Up to {found.n_validation} rows were not trained on" in card(
        made.refitted.model.facts, joint, SUMMARY, 1
    )
    none = replace(found, n_validation=0)
    assert not any(line.startswith("held out") for line in results_lines(none))


def test_the_training_of_several_trials_in_words() -> None:
    made = case("arrays")
    rows = "all rows outside the test set"
    plain = replace(made.trial, number=1)
    dip = replace(plain, number=2, stand_out=DIP)
    why = "because the best evaluation of the search beats its neighbours by more than their noise"
    told = training_in_words([plain, dip, replace(plain, number=4)], made.store)
    assert told.startswith(
        f"training trials 1, 4 on {rows}; trial 2 on nine tenths of {rows}, {why}"
    )
    several = training_in_words([dip, dip], made.store)
    assert several.startswith(f"training 2 trials on nine tenths of {rows}, {why}")
    assert training_in_words([plain], made.store) == f"training on {rows}"


def store_of(folder: Path, data: str, validation: str) -> tuple[FoldStore, TrialConfig]:
    text = (
        f"data: {{source: table.csv, target: y, {data}}}\nmodel: Linear\noptimizer: AdamW\n"
        f"training: {{epochs: 6, early_stopping: {{patience: 2}}}}\nvalidation: {validation}\n"
    )
    study = StudyFile.from_text(text, "study.yaml", (), folder)
    store = FoldStore(study.data, study.validation, Workspace(folder))
    dataset = store.dataset
    config = study.completed(dataset.task, len(dataset.y)).resolve(lambda name, range_: 0)
    return FoldStore(config.data, config.validation, Workspace(folder), dataset=dataset), config


def write(folder: Path, n: int, classes: str = "ab") -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "who": rng.integers(0, n // 6, n),
            "when": rng.permutation(n),
            "y": [classes[i % len(classes)] for i in range(n)],
        }
    )
    frame.to_csv(folder / "table.csv", index=False)
    return frame


def test_the_tenth_is_of_other_groups(tmp_path: Path) -> None:
    frame = write(tmp_path, 240)
    store, _ = store_of(tmp_path, "group: who", "{folds: 3}")
    fit = final_fit(store, FeatureForm(), False, cut_validation=True)
    valid = set(frame["who"].iloc[fit.fold.valid_rows.tolist()])
    rest = set(store.split.search_rows.tolist()) - set(fit.fold.valid_rows.tolist())
    assert fit.has_validation
    assert valid
    assert not valid & set(frame["who"].iloc[sorted(rest)])


def test_the_tenth_is_later(tmp_path: Path) -> None:
    frame = write(tmp_path, 240)
    store, _ = store_of(tmp_path, "time: when", "{folds: 3}")
    fit = final_fit(store, FeatureForm(), False, cut_validation=True)
    rest = set(store.split.search_rows.tolist()) - set(fit.fold.valid_rows.tolist())
    last = frame["when"].iloc[fit.fold.valid_rows.tolist()]
    assert fit.has_validation
    assert last.min() > frame["when"].iloc[sorted(rest)].max()


def test_too_few_rows_are_all_trained_on_and_that_is_said(tmp_path: Path) -> None:
    write(tmp_path, 20, classes="abcd")  # a tenth of 16 rows has no room for four classes
    store, config = store_of(tmp_path, "drop: [who, when]", "{folds: 2}")
    assert not can_cut(store)
    trial = RefitTrial("few", 0, config, best_step=2)
    assert training_in_words([trial], store) == "training on all rows outside the test set"
    one = next(refit_seeds(trial, store))
    assert (one.validation_rows, one.n_rows, one.step) == (0, 16, 2)
    lines = results_lines(results_of(trial, store, [one], 1))
    told = (
        "of evaluation 3, the best one of the search, since a tenth of the data cannot be held out"
    )
    assert f"weights     {told}" in lines


def test_no_tenth_is_held_out_for_which_many_other_rows_would_be_left_out(tmp_path: Path) -> None:
    """With groups and times, groups on both sides of a cut would lose their rows on one side."""
    write(tmp_path, 240)
    both, _ = store_of(tmp_path, "group: who, time: when", "{folds: 3}")
    fit = final_fit(both, FeatureForm(), False, cut_validation=True)
    assert not can_cut(both)
    assert not fit.has_validation
    assert len(fit.fold.y_train) == len(both.split.search_rows)


def test_what_is_done_is_said_before() -> None:
    made = case("arrays")
    assert (
        training_in_words([made.trial], made.store) == "training on all rows outside the test set"
    )
    noisy = replace(made.trial, stand_out=DIP)
    assert training_in_words([noisy], made.store) == (
        "training on nine tenths of all rows outside the test set, because the best evaluation of "
        "the search beats its neighbours by more than their noise and is not practically equal to "
        "them"
    )
