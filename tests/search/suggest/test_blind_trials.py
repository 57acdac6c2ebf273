"""The trials that `check` calls blind are those whose suggestions no score changes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tunecli.database.trials import Trial
from tunecli.search.suggest.blind_trials import blind_trials
from tunecli.search.suggest.suggester import Suggester
from tunecli.search.suggest.visible_trials import VisibleTrials
from tunecli.study_file.settings.search_settings import SearchSettings
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.study_file import Study, StudyFile

SPACE = "data: digits\nmodel: {MLP: {dropout: {float: [0, 0.9]}}}\n"
SPACE += "optimizer: {AdamW: {lr: {float: [1e-4, 1], log: true}}}\n"


def suggested(study: Study, n_trials: int, scores: Sequence[float]) -> list[dict[str, object]]:
    """What a search suggests whose trials score so."""
    lag = VisibleTrials([(0, study.search.parallel)])
    suggester, trials = Suggester(study, [], [], lag), list[Trial]()
    for number in range(n_trials):
        suggester.show(trials, lag.n_shown(number))
        asked = suggester.ask(number)
        assert asked is not None
        trial = Trial(number, asked.params, asked.distributions, asked.config)
        trial.outcome, trial.value, trial.fold_scores = "complete", scores[number], (0.5,)
        trials.append(trial)
    return [dict(trial.params) for trial in trials]


@pytest.mark.parametrize("parallel", [1, 4])
@pytest.mark.parametrize(
    "sampler",
    [
        "{TPE: {n_startup_trials: 5}}",
        "{TPE: {n_startup_trials: 3, multivariate: false}}",
        "{NSGAII: {population_size: 4}}",
        "CmaEs",
    ],
)
def test_no_score_changes_a_blind_trial_and_scores_change_the_next(
    sampler: str, parallel: int
) -> None:
    text = f"{SPACE}search: {{trials: 30, sampler: {sampler}, parallel: {parallel}}}"
    study = StudyFile.from_text(text, "s.yaml").completed("classification", 100)
    blind = blind_trials(study.search, len(study.parameters))
    assert blind is not None
    n_trials = blind.n + 3
    rising = suggested(study, n_trials, [n / 30 for n in range(n_trials)])
    falling = suggested(study, n_trials, [1 - n / 30 for n in range(n_trials)])
    assert rising[: blind.n] == falling[: blind.n]
    assert rising[blind.n :] != falling[blind.n :]


@example(n_startup=0, parallel=8, n_trials=30, free=False)
@given(st.integers(0, 60), st.integers(1, 40), st.integers(1, 60), st.booleans())
def test_blind_trials_are_those_before_enough_results_are_visible(
    n_startup: int, parallel: int, n_trials: int, free: bool
) -> None:
    sampler = Component(name="TPESampler", arguments={"n_startup_trials": n_startup})
    search = SearchSettings(
        sampler=sampler, parallel=parallel, trials=n_trials, order="free" if free else "exact"
    )
    blind = blind_trials(search, 3)
    assert blind is not None
    lag = VisibleTrials([(0, 1 if free else parallel)])
    assert blind.n == sum(lag.n_shown(number) < max(n_startup, 1) for number in range(n_trials))


def test_none_are_known_where_other_studies_give_results() -> None:
    assert blind_trials(SearchSettings(learn_from=["digits"]), 3) is None


def test_random_never_learns() -> None:
    assert blind_trials(SearchSettings(sampler=Component(name="RandomSampler")), 3) is None


def test_the_first_defaults_had_17_blind_trials() -> None:
    blind = blind_trials(SearchSettings(sampler=Component(name="TPESampler"), parallel=8), 3)
    assert blind is not None
    assert (blind.n, blind.n_results, blind.delay) == (17, 10, 7)
