"""What options reach, and by how much; `test_planted_truths` holds who wins."""

from __future__ import annotations

import numpy as np
import pytest
from planted_studies import Plant, planted

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.space.losing_options import FEWEST_TRIALS, Isolation, isolations
from tunecli.study_file.settings.ranges import Categories

CHOICE = Categories(("SGD", "AdamW", None))


def study(values: dict[str | None, list[float]], sampler: str = "RandomSampler") -> Evidence:
    """The options take turns."""
    rows = [
        (choice, scores[turn])
        for turn in range(max(map(len, values.values())))
        for choice, scores in values.items()
        if turn < len(scores)
    ]
    trials = tuple(
        TrialRecord(
            n,
            n,
            "complete",
            "complete",
            value=value,
            params={"optimizer": choice},
            ranges={"optimizer": CHOICE},
        )
        for n, (choice, value) in enumerate(rows)
    )
    resolved = f"search: {{sampler: {sampler}}}"
    return Evidence(
        StudyRecord("sqlite://", 1, "s", "accuracy", "maximize", trials, resolved=resolved)
    )


def only(evidence: Evidence) -> Isolation:
    (found,) = isolations(evidence)
    return found


def test_the_expected_best_is_that_of_half_as_many_draws() -> None:
    draw = np.random.default_rng(0)
    scores = draw.uniform(size=12)
    found = only(study({"SGD": scores.tolist(), "AdamW": draw.uniform(size=12).tolist()}))
    branch = found.branches[0]
    drawn = scores[draw.integers(0, 12, (100_000, 6))].max(axis=1).mean()
    assert branch.expected == pytest.approx(drawn, abs=3e-3)
    assert branch.best == scores.max()
    assert branch.low < branch.expected < branch.high


def test_options_of_few_trials_are_not_compared() -> None:
    few = [0.5] * (FEWEST_TRIALS - 1)
    found = only(study({"SGD": few, "AdamW": [0.1, 0.2] * 5, None: []}))
    assert (found.behind, found.winner) == ((), None)
    assert [branch.expected is None for branch in found.branches] == [True, False, True]
    assert [branch.n_complete for branch in found.branches] == [len(few), 10, 0]


def test_a_sampler_that_learns_must_try_an_option_more_often() -> None:
    values = {"SGD": [0.1, 0.2] * 4, "AdamW": [0.5, 0.6] * 8}
    assert only(study(values)).behind
    assert not only(study(values, "TPESampler")).behind


def test_the_distance_to_the_winner_is_told_in_both_directions() -> None:
    worse, better = np.linspace(0.1, 0.3, 20), np.linspace(0.7, 0.9, 20)
    (behind,) = only(study({"SGD": worse.tolist(), "AdamW": better.tolist()})).behind
    assert behind.choice == "SGD"
    assert behind.low < behind.mean < behind.high
    assert behind.mean == pytest.approx(0.6, abs=1e-6)
    assert behind.n_more is None


def test_an_open_race_says_how_many_trials_it_needs() -> None:
    nearly = {"SGD": np.linspace(0.1, 0.8, 15).tolist(), "AdamW": np.linspace(0, 0.9, 15).tolist()}
    (behind,) = only(study(nearly)).behind
    assert behind.low < 0 < behind.mean
    assert behind.n_more is not None
    assert behind.n_more > 0


@pytest.mark.slow
def test_the_interval_separates_equal_options_in_1_of_20_at_most() -> None:
    tied = Plant(optimizers={"SGD": 0.0, "AdamW": 0.0})
    n_wrong = sum(
        difference.low > 0
        for seed in range(200)
        for difference in only(planted(tied, seed, n_trials=40)).behind
    )
    assert n_wrong <= 0.05 * 200 + 4
