"""Who is practically equal to the best, who is worse, and of whom nothing is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from tunecli.report.analysis.standing import (
    REGION,
    WORSE,
    Compared,
    Verdict,
    Yardstick,
    compared_with,
    worse_above,
)

GRID = 1024
"""Scores are multiples of 1 / GRID, so that shifts and scales by powers of two are exact."""


@st.composite
def tables(draw: st.DrawFn) -> list[list[float]]:
    """Fold scores of trials: around a level each, some with noise of their own, some constant."""
    n_folds, n_trials = draw(st.integers(2, 10)), draw(st.integers(2, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    noise = draw(st.sampled_from([0.002, 0.01, 0.05]))
    folds = rng.normal(0.0, draw(st.sampled_from([0.0, 0.02])), n_folds)
    levels = 0.9 - rng.exponential(draw(st.sampled_from([0.003, 0.03, 0.2])), n_trials)
    own = noise * np.where(rng.random(n_trials) < 0.1, 20.0, 1.0)
    scores = levels[:, None] + folds + own[:, None] * rng.normal(size=(n_trials, n_folds))
    scores[rng.random(n_trials) < draw(st.sampled_from([0.0, 0.2]))] = 0.5
    rounded: list[list[float]] = (np.round(scores * GRID) / GRID).tolist()
    return rounded


def best_first(table: Sequence[Sequence[float]]) -> list[Sequence[float]]:
    return sorted(table, key=math.fsum, reverse=True)


def judged(table: Sequence[Sequence[float]], **yardstick: Any) -> Compared:
    best, *others = best_first(table)
    return compared_with(best, others, Yardstick(**yardstick))


def verdicts(*rows: Sequence[float], **yardstick: Any) -> list[Verdict]:
    """Of rows that are not sorted: the first is compared with."""
    return [
        one.verdict for one in compared_with(rows[0], rows[1:], Yardstick(**yardstick)).standings
    ]


@settings(deadline=None)
@given(tables(), st.sampled_from([None, 0.5]), st.sampled_from([None, 0.01]))
def test_nothing_is_equal_that_is_behind_something_worse(
    table: list[list[float]], guess: float | None, tolerance: float | None
) -> None:
    found = judged(table, guess=guess, tolerance=tolerance)
    means = [math.fsum(row) for row in best_first(table)[1:]]
    words = [one.verdict for one in found.standings]
    worse = [mean for mean, word in zip(means, words, strict=True) if word == "worse"]
    others = [mean for mean, word in zip(means, words, strict=True) if word != "worse"]
    assert max(worse, default=-math.inf) < min(others, default=math.inf)
    assert "" not in words
    assert "better" not in words


@settings(deadline=None)
@given(tables())
def test_what_is_far_behind_on_all_folds_is_never_equal(table: list[list[float]]) -> None:
    """By more than any trial varies between folds."""
    best, *others = best_first(table)
    widest = max(float(np.std(row, ddof=1)) for row in table)
    for row, one in zip(others, judged(table).standings, strict=True):
        if all(b - score > widest for b, score in zip(best, row, strict=True)):
            assert one.verdict in ("not distinguished", "worse")


@settings(deadline=None)
@given(tables(), st.integers(1, 40))
def test_a_constant_that_guesses_is_never_equal(table: list[list[float]], n: int) -> None:
    guess = max(map(np.mean, table))
    for level in (guess, guess - 1 / GRID):
        constants = [[level] * len(table[0])] * n
        best, *others = best_first([*table, *constants])
        found = compared_with(best, others, Yardstick(guess=guess))
        assert all(
            one.verdict != "practically equal"
            for row, one in zip(others, found.standings, strict=True)
            if row in constants
        )


@settings(deadline=None)
@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_trials_and_folds_changes_nothing(table: list[list[float]], rng: Any) -> None:
    best, *others = best_first(table)
    found = compared_with(best, others, Yardstick(guess=0.5))
    rows, folds = [*range(len(others))], [*range(len(best))]
    rng.shuffle(rows)
    rng.shuffle(folds)
    again = compared_with(
        [best[fold] for fold in folds],
        [[others[row][fold] for fold in folds] for row in rows],
        Yardstick(guess=0.5),
    )
    for place, row in enumerate(rows):
        assert probabilities(again, place) == pytest.approx(probabilities(found, row), abs=1e-9)


@settings(deadline=None)
@given(tables(), st.sampled_from([0.25, 1.0, 1024.0]), st.sampled_from([-3.0, 0.0, 64.0]))
def test_neither_scale_nor_shift_changes_anything(
    table: list[list[float]], scale: float, shift: float
) -> None:
    moved = [[scale * score + shift for score in row] for row in table]
    found, again = judged(table, guess=0.5), judged(moved, guess=0.5 * scale + shift)
    assert again.region == pytest.approx(scale * (found.region or 0.0))
    for place in range(len(table) - 1):
        assert probabilities(again, place) == pytest.approx(probabilities(found, place), abs=1e-9)


def probabilities(found: Compared, place: int) -> list[float | None]:
    one = found.standings[place]
    return [one.better, one.equal, one.worse]


@settings(deadline=None)
@given(tables(), st.floats(1e-4, 0.1))
def test_the_probabilities_are_those_of_the_posterior(
    table: list[list[float]], tolerance: float
) -> None:
    """Of two trials there is nothing to shrink to: the posterior of the paper, integrated."""
    assume(table[0] != table[1])
    best, other = best_first(table[:2])
    n = len(best)
    differences = np.subtract(other, best)
    deviation = float(differences.std(ddof=1))
    assume(deviation > 0)
    share = 1 / n  # of validation rows
    scale = math.sqrt(1 / n + share / (1 - share)) * deviation
    posterior = stats.t(n - 1, differences.mean(), scale)
    (found,) = compared_with(best, [other], Yardstick(tolerance=tolerance)).standings
    expected = posterior.cdf(-tolerance), posterior.sf(tolerance)
    assert (found.worse, found.better) == pytest.approx(expected, abs=1e-9)
    inside = integrate.quad(posterior.pdf, -tolerance, tolerance, limit=200)[0]
    assert found.equal == pytest.approx(inside, abs=1e-4)


BEST = [0.96, 0.95, 0.97, 0.955, 0.965]
TURNS = (1, -1, 0, 1, -1)
GROUP = [
    [score - 0.03 + 0.004 * TURNS[fold - n] for fold, score in enumerate(BEST)] for n in range(4)
]
"""Three hundredths behind, each by as much, with its own noise of a few thousandths."""


def test_a_wavering_trial_is_not_excused_by_its_own_noise() -> None:
    """0.70 is lower on all five folds; where 0.93 is told from 0.96, so is 0.70."""
    wavering = [0.9, 0.45, 0.86, 0.42, 0.87]
    found = verdicts(BEST, *GROUP, wavering)
    assert found == ["worse"] * 5
    alone = verdicts(BEST, wavering)
    assert alone == ["not distinguished"]  # where nothing else shows the noise


def test_one_that_only_repeats_the_best_is_equal() -> None:
    near = [score + 1e-4 * n for score, n in zip(BEST, TURNS, strict=True)]
    assert verdicts(BEST, BEST, near) == ["practically equal"] * 2


def test_equality_needs_evidence_and_not_only_the_lack_of_it() -> None:
    """Half a spread behind, with noise as large as the spread: not rejected, and not equal."""
    draw = np.random.default_rng(0)
    rows = (0.9 + 0.02 * draw.normal(size=(20, 5))).tolist()
    best, *others = best_first(rows)
    found = verdicts(best, *others)
    assert set(found[:10]) == {"not distinguished"}


def test_a_given_tolerance_replaces_the_region() -> None:
    behind = [score - 0.004 + 0.002 * n for score, n in zip(BEST, TURNS, strict=True)]
    assert verdicts(BEST, behind) == ["not distinguished"]
    assert verdicts(BEST, behind, tolerance=0.01) == ["practically equal"]
    assert verdicts(BEST, behind, tolerance=0.0) == ["worse"]


def test_the_region_is_a_quarter_of_the_spread_between_folds() -> None:
    folds = np.random.default_rng(0).normal(0.0, 0.02, 5)
    rows = [(0.9 - 0.001 * n + folds).tolist() for n in range(20)]
    region = compared_with(rows[0], rows[1:], Yardstick()).region
    assert region == pytest.approx(REGION * np.std(folds, ddof=1))
    wild = [0.9, 0.1, 1.7, 0.9, 0.9]
    assert compared_with(wild, rows, Yardstick()).region == pytest.approx(region)


def test_more_overlap_of_the_training_rows_tells_less_apart() -> None:
    behind = [score - 0.02 + 0.008 * n for score, n in zip(BEST, TURNS, strict=True)]
    assert verdicts(BEST, behind, ratio=1 / 4) == ["worse"]
    assert verdicts(BEST, behind, ratio=2.0) == ["not distinguished"]


@pytest.mark.parametrize("other", [(), (0.9,), (0.9, 0.9, 0.9), (0.9, 0.9, 0.9, 0.9, math.nan)])
def test_nothing_is_said_of_other_folds_or_without_scores(other: tuple[float, ...]) -> None:
    assert verdicts(BEST, other, BEST) == ["", "practically equal"]
    assert verdicts((), other, tolerance=1.0) == [""]


def test_scores_that_almost_diverged_have_no_standing() -> None:
    wild = [1e308, -1e308, 1e308, -1e308, 1e308]
    assert verdicts(BEST, wild, BEST) == ["", "practically equal"]


def test_with_one_fold_only_a_tolerance_speaks() -> None:
    others = [(0.95,), (0.94,), (0.5,)]
    assert verdicts((0.951,), *others) == ["", "", ""]
    assert verdicts((0.951,), *others, tolerance=0.002) == ["practically equal", "", ""]
    assert verdicts((0.951,), *others, tolerance=0.6, guess=0.5) == ["", "", ""]
    assert verdicts((0.951,), *others, tolerance=0.02, guess=0.5) == ["practically equal"] * 2 + [
        ""
    ]


def test_constant_scores_are_what_they_are() -> None:
    assert verdicts([0.5, 0.5], [0.5, 0.5], [0.4, 0.4]) == ["practically equal", "worse"]
    assert verdicts([0.5, 0.5], [0.5, 0.5], guess=0.5) == ["not distinguished"]


@pytest.mark.parametrize("n_rivals", [1, 3, 20])
def test_the_level_is_that_at_which_equal_trials_are_called_worse_once_in_20(
    n_rivals: int,
) -> None:
    """The best of n normal rivals, against one that is as good."""
    draw = np.random.default_rng(0)
    best = draw.normal(size=(200_000, n_rivals)).max(axis=1)
    distance = (best - draw.normal(size=len(best))) / math.sqrt(2)
    quantile = float(stats.norm.ppf(worse_above(n_rivals)))
    assert np.mean(distance > quantile) == pytest.approx(0.05, abs=0.003)
    assert worse_above(1) == pytest.approx(WORSE, abs=1e-4)


@pytest.mark.parametrize("n_trials", [2, 20, 60])
@pytest.mark.parametrize("n_folds", [3, 5, 10])
def test_equal_trials_are_seldom_called_worse_however_many_there_are(
    n_trials: int, n_folds: int
) -> None:
    """Scores of equal trials whose training rows overlap as those of cross-validation do."""
    draw, n_worse, n_studies = np.random.default_rng(0), 0, 1200 // n_trials
    shared = 1 / n_folds
    for _ in range(n_studies):
        own = draw.normal(size=(n_trials, n_folds)) * math.sqrt(1 - shared)
        rows = 0.9 + 0.01 * (own + draw.normal(size=(n_trials, 1)) * math.sqrt(shared))
        n_worse += sum(one.verdict == "worse" for one in judged(rows.tolist()).standings)
    assert n_worse <= 0.06 * n_studies * n_trials


def test_the_least_difference_is_where_the_verdict_turns() -> None:
    deviations = np.array([-0.02, 0.01, 0.0, 0.02, -0.01])
    zeros = [0.0] * 5
    needed = compared_with(zeros, [deviations.tolist()], Yardstick(0.001)).least_difference()
    assert needed is not None
    for more, verdict in ((1e-9, "worse"), (-1e-9, "not distinguished")):
        behind = (deviations - needed - more).tolist()
        assert verdicts(zeros, behind, tolerance=0.001) == [verdict]


@settings(deadline=None)
@given(tables(), st.sampled_from([None, 0.5]), st.sampled_from([None, 0.01]))
def test_no_trial_that_is_worse_lies_nearer_than_the_least_difference(
    table: list[list[float]], guess: float | None, tolerance: float | None
) -> None:
    found = judged(table, guess=guess, tolerance=tolerance)
    needed, repeated = found.least_difference(), found.least_difference(3)
    assume(needed is not None and repeated is not None)
    assert needed is not None
    assert repeated is not None
    assert repeated <= needed
    best, *others = best_first(table)
    worse = [
        float(np.mean(best) - np.mean(row))
        for row, one in zip(others, found.standings, strict=True)
        if one.verdict == "worse"
    ]
    assert min(worse, default=math.inf) >= needed - 1e-9


def test_the_least_difference_is_that_of_the_verdicts() -> None:
    """Trials of equal noise at even distances: about where the first one is called worse."""
    draw, ratios = np.random.default_rng(0), []
    for _ in range(40):
        noise = draw.normal(0.0, 0.01, size=(60, 5))
        rows = 0.9 - np.linspace(0.0, 0.06, 60)[:, None] + noise - noise.mean(axis=1)[:, None]
        found = judged(rows.tolist())
        worse = [
            float(np.mean(rows[0]) - np.mean(row))
            for row, one in zip(rows[1:], found.standings, strict=True)
            if one.verdict == "worse"
        ]
        ratios.append((found.least_difference() or 0.0) / min(worse))
    assert min(ratios) > 0.7
    assert max(ratios) <= 1.0 + 1e-9
