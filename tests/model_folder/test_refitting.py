"""The final training: on which rows, how long, with which bits; and the mean of fold models."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from model_cases import STUDIES, Case, case
from sklearn.metrics import accuracy_score, root_mean_squared_error
from study_makers import SUMMARY

from tunecli.cli.refit import results_lines
from tunecli.data.final_fit import final_fit
from tunecli.data.user_code.import_user_code import permit
from tunecli.errors import RefitError
from tunecli.model_folder import refitting
from tunecli.model_folder.card import card
from tunecli.model_folder.fold_models import as_searched, of_test_rows
from tunecli.model_folder.format.folder import write_model
from tunecli.model_folder.format.loading import load_with
from tunecli.model_folder.refitting import RefitTrial, refit_seeds
from tunecli.model_folder.results import results_of
from tunecli.study_file.settings.settings import Component
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold import FoldTraining
from tunecli.training.fold_data import feature_form, folds_of
from tunecli.training.outcome.score_guard import NoScoreError
from tunecli.training.saved_models import keep_models
from tunecli.training.step.losses import standardizes_target
from tunecli.training.step.precision import choose_device
from tunecli.training.trial_end import ConcludedTrial, conclude

WITHOUT_CUT = [name for name in STUDIES if name not in ("plateau", "compressed")]


@pytest.mark.parametrize("name", WITHOUT_CUT)
def test_all_rows_but_the_test_rows_are_trained_on(name: str) -> None:
    found = case(name)
    assert found.refitted.n_rows == len(found.store.split.search_rows)
    assert found.refitted.validation_rows == 0
    predictions = found.refitted.predictions
    assert predictions is not None
    assert len(predictions) == len(found.store.split.test_rows)


def test_a_schedule_that_needs_scores_gets_a_tenth_of_the_rows() -> None:
    found = case("plateau")
    n_search = len(found.store.split.search_rows)
    assert found.refitted.validation_rows == pytest.approx(0.1 * n_search, abs=1)
    assert found.refitted.n_rows + found.refitted.validation_rows == n_search


def test_the_test_rows_have_no_part_in_the_training() -> None:
    found = case("table")
    config = found.trial.config
    fit = final_fit(
        found.store, feature_form(config, found.store.workspace.folder), False, cut_validation=True
    )
    test = set(found.store.split.test_rows.tolist())
    assert not test & set(fit.fold.valid_rows.tolist())


def test_unmeasured_training_gives_the_bits_of_a_measured_one() -> None:
    found = case("digits")
    config = found.trial.config
    fit = final_fit(
        found.store,
        feature_form(config, found.store.workspace.folder),
        standardizes_target(config.loss),
        cut_validation=False,
    )
    measured = FoldTraining(config, fit.fold, torch.device("cpu"))
    list(measured)
    ours = found.refitted.model.members[0].network.state_dict()
    for key, weight in measured.best_model().state_dict().items():
        torch.testing.assert_close(ours[key], weight, rtol=0, atol=0)


def test_it_stops_at_the_best_evaluation_of_the_search() -> None:
    found = case("arrays")
    short = RefitTrial("arrays", 3, found.trial.config, best_step=0)
    fewer = next(refit_seeds(short, found.store)).model.members[0].network.state_dict()
    more = found.refitted.model.members[0].network.state_dict()
    assert any(not torch.equal(fewer[key], more[key]) for key in fewer)


def test_seeds_follow_the_study_s_and_differ() -> None:
    found = case("arrays")
    first, second = refit_seeds(found.trial, found.store, n_seeds=2)
    assert (first.seed, second.seed) == (0, 1)
    assert first.predictions is not None
    assert second.predictions is not None
    assert found.refitted.predictions is not None
    assert (first.predictions == found.refitted.predictions).all()
    assert (first.predictions != second.predictions).any()


def test_a_training_that_diverges_is_no_model() -> None:
    found = case("arrays")
    huge = Component(name="SGD", arguments={"lr": 1e38})
    config = found.trial.config.model_copy(update={"optimizer": huge})
    trial = RefitTrial("huge", 7, config, 1)
    told = "the training of trial 7 with seed 0 diverged: its weights are not finite. Choose"
    with pytest.raises(RefitError, match=told):
        next(refit_seeds(trial, found.store))
    with pytest.raises(RefitError, match=r"not finite\. Leave out --ensemble"):
        next(refit_seeds(replace(trial, instead="Leave out --ensemble."), found.store))


def test_a_compression_that_fails_names_the_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> NoReturn:
        raise NoScoreError("failed", "nothing is left")

    found = case("compressed")  # made before anything fails
    monkeypatch.setattr(refitting, "packed_models", fails)
    told = "the training of trial 3 with seed 0 failed: nothing is left. Choose another trial"
    with pytest.raises(RefitError, match=told):
        next(refit_seeds(found.trial, found.store))


def searched(made: Case, folder: Path) -> ConcludedTrial:
    """Trains the trial on its folds, and keeps the models in the folder `3`."""
    permit(made.workspace.code)
    config = made.trial.config
    folds = folds_of(made.store, config)
    training = CrossValidation(config, folds, choose_device("cpu"))
    for _ in training:
        pass
    end = conclude(training)
    keep_models(folder / "3", config, end.models())
    return end


@pytest.mark.parametrize("name", ["digits", "numbers"])
def test_an_ensemble_is_also_scored_network_by_network(name: str, tmp_path: Path) -> None:
    made = case(name)
    searched(made, tmp_path)
    found = as_searched(made.trial, made.store, tmp_path / "3")
    mean = np.mean(found.one_by_one, axis=0)
    np.testing.assert_allclose(mean, found.predictions, rtol=1e-4, atol=1e-6)
    results = results_of(made.trial, made.store, [found], looks=1)
    y, rule = made.store.dataset.y[made.store.split.test_rows].numpy(), SCORES[results.metric]
    scores = [rule(y, predictions) for predictions in found.one_by_one]
    assert results.n_networks == len(scores) == len(made.store.split.folds)
    assert results.one_by_one[results.metric] == pytest.approx(np.mean(scores))
    shown = card(found.model.facts, results, SUMMARY, found.model.n_weights)
    assert f"its {len(scores)} single networks score {results.metric}" in shown
    assert any("single networks, as in the search" in line for line in results_lines(results))
    of_folds = of_test_rows(made.trial, made.store, tmp_path / "3")
    refitted = results_of(made.trial, made.store, [made.refitted], 1, None, of_folds)
    assert (refitted.n_networks, refitted.one_by_one) == (1, {})
    assert refitted.of_fold_models == pytest.approx(results.one_by_one)
    assert of_test_rows(made.trial, made.store, tmp_path / "none") == []


SCORES = {
    "accuracy": lambda y, p: accuracy_score(y, p.argmax(1)),
    "rmse": root_mean_squared_error,
}


@pytest.mark.parametrize("name", ["table", "embedded", "quantile", "digits", "compressed", "own"])
def test_each_member_gives_what_its_fold_was_scored_by(name: str, tmp_path: Path) -> None:
    made = case(name)
    store = made.store
    end = searched(made, tmp_path)
    found = as_searched(made.trial, store, tmp_path / "3")
    assert end.result.predictions is not None
    scored = np.load(io.BytesIO(end.result.predictions))
    for number, member in enumerate(found.model.members):
        rows = scored[f"rows_{number}"]
        outputs = found.model._of_member(member, store.dataset.x[rows])
        expected = scored[f"outputs_{number}"].reshape(outputs.shape)
        np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)

    write_model(tmp_path / "model", found.model, {})
    again = load_with(tmp_path / "model", made.workspace)
    rows = store.split.test_rows
    assert found.predictions is not None
    np.testing.assert_array_equal(again.of_rows(store.dataset.x[rows]), found.predictions)


def test_a_trial_without_models_says_what_to_do(tmp_path: Path) -> None:
    made = case("arrays")
    with pytest.raises(RefitError, match=r"3 has no models to average: .*search\.keep_models"):
        as_searched(made.trial, made.store, tmp_path)
    keep_models(tmp_path, made.trial.config, [{}, {}])
    with pytest.raises(RefitError, match="belong to other folds"):
        as_searched(made.trial, made.store, tmp_path)
