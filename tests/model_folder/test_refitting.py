"""The final training: on which rows, how long, with which bits."""

from __future__ import annotations

import pytest
import torch
from model_cases import STUDIES, case

from tunecli.data.final_fit import final_fit
from tunecli.errors import RefitError
from tunecli.model_folder.refitting import RefitTrial, refit_seeds
from tunecli.study_file.settings.settings import Component
from tunecli.training.fold import FoldTraining
from tunecli.training.models.building import embeds_categories
from tunecli.training.step.losses import standardizes_target

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
    fit = final_fit(found.store, config.data.scale, False, False, cut_validation=True)
    test = set(found.store.split.test_rows.tolist())
    assert not test & set(fit.fold.valid_rows.tolist())


def test_unmeasured_training_gives_the_bits_of_a_measured_one() -> None:
    found = case("digits")
    config = found.trial.config
    fit = final_fit(
        found.store,
        config.data.scale,
        standardizes_target(config.loss),
        embeds_categories(config.model),
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


def test_a_training_of_one_s_own_is_refused() -> None:
    found = case("arrays")
    own = found.trial.config.model_copy(update={"train": Component(name="mine.py:fit")})
    with pytest.raises(RefitError, match="so tunecli cannot refit it"):
        next(refit_seeds(RefitTrial("own", 0, own, 0), found.store))


def test_a_training_that_diverges_is_no_model() -> None:
    found = case("arrays")
    huge = Component(name="SGD", arguments={"lr": 1e38})
    config = found.trial.config.model_copy(update={"optimizer": huge})
    with pytest.raises(RefitError, match="diverged"):
        next(refit_seeds(RefitTrial("huge", 0, config, 1), found.store))
