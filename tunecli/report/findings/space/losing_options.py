"""For each choice, the best that every option reached with the rest tuned, and which have lost.

Two options are compared at equal cost, by equally many trials. A sampler that learns gives the
luckier option more trials and tunes it better; then the comparison is made twice, with the first
trials of both and with trials of the same time, and the more cautious result counts.

What an option reaches is the expected best of half as many trials drawn from those (Dodge et al.,
Show Your Work, EMNLP 2019, equation 6; trials that did not run to their end count as the worst).
Its interval is a bootstrap over trials.

Percentile intervals of a maximum are too short: at 95 % they separate two equal options in one of
ten studies, at 99 % in one of twenty-five. So 99 % intervals are called 95 % here, with the level
divided by the number of comparisons with the winner.

An option has lost if it is behind by more than chance explains, if its best trial is worse than
the best of all (or that is unknown), and if none of the ranges inside it ends too early.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence, takes
from tunecli.report.findings.evidence.finding import (
    DroppedChoices,
    Finding,
    finding,
    parameters_in,
)
from tunecli.report.phrases.foreign_text import plain
from tunecli.report.phrases.wording import joined, option_name, score
from tunecli.study_file.settings.ranges import Categories
from tunecli.study_file.text.scalars import Scalar

Array = NDArray[np.float64]


FEWEST_TRIALS = 5  # per option, complete or stopped early, before it is compared
FEWEST_LEARNING = 12  # where the sampler learns: it abandons an option that was unlucky at first
_FEWEST_COMPLETE = 3
_LEVEL = 0.01
_N_BOOTSTRAPS = 1000
_MOST_TRIALS = 1000  # more trials are never suggested
_IF_REAL = "if the difference so far is real"
_MOST_NUMBERS = 2  # in a sentence


@dataclass(frozen=True)
class Branch:
    """One option of a choice.

    Attributes:
        best: value of its best complete trial; None without one.
        trial: number of that trial.
        expected: expected best of an equal number of trials per option; None with too few.
        low, high: a 95 % interval of `expected`.
        n_pruned: trials that were pruned.
        n_lost: trials that diverged.
    """

    choice: Scalar
    best: float | None
    trial: int | None
    expected: float | None
    low: float | None
    high: float | None
    n_complete: int
    n_pruned: int
    n_lost: int


@dataclass(frozen=True)
class Difference:
    """How far an option is behind the winner, larger is worse, with a 95 % interval.

    Attributes:
        n_trials: trials of each of the two options that are compared.
        n_more: further trials of each after which the interval would exclude zero, if the
            difference stays; None if it does already, or if that takes more than 1,000 trials.
    """

    choice: Scalar
    mean: float
    low: float
    high: float
    n_trials: int
    n_more: int | None = None


@dataclass(frozen=True)
class Isolation:
    """One choice with everything else tuned.

    Attributes:
        branches: one per option, in the order of the study file.
        winner: the option with the best trial; None before two can be compared.
        behind: the other options that can be compared.
        n_trials: trials of each option that `expected` of its branch rests on.
    """

    parameter: str
    branches: tuple[Branch, ...]
    winner: Scalar = None
    behind: tuple[Difference, ...] = ()
    n_trials: int = 0


def isolations(evidence: Evidence) -> list[Isolation]:
    """Return one comparison for each choice of the study, in its order.

    Where no trial beats guessing there is none: what scores differ by has no meaning.
    """
    return [
        _isolation(evidence, name, kind)
        for name, kind in evidence.ranges.items()
        if isinstance(kind, Categories) and len(kind.choices) > 1 and evidence.is_guessing_beaten
    ]


def _isolation(evidence: Evidence, name: str, kind: Categories) -> Isolation:
    fewest = FEWEST_TRIALS if evidence.is_independent else FEWEST_LEARNING
    trials = {choice: _trials(evidence, name, choice) for choice in kind.choices}
    usable = {
        choice: having
        for choice, having in trials.items()
        if len(having) >= fewest and sum(map(_is_complete, having)) >= _FEWEST_COMPLETE
    }
    n_trials = min(map(len, usable.values()), default=0)
    branches = tuple(
        _branch(evidence, choice, having, n_trials if choice in usable else 0)
        for choice, having in trials.items()
    )
    if len(usable) < 2:
        return Isolation(name, branches)
    ranks = {trial.number: rank for rank, trial in enumerate(evidence.ranked)}
    last = len(ranks)
    winner = min(usable, key=lambda c: min(ranks.get(trial.number, last) for trial in usable[c]))
    level = _LEVEL / (len(usable) - 1)
    behind = tuple(
        _difference(evidence, choice, usable[winner], usable[choice], level)
        for choice in usable
        if choice != winner
    )
    return Isolation(name, branches, winner, behind, n_trials)


def _trials(evidence: Evidence, name: str, choice: Scalar) -> list[TrialRecord]:
    """Return the ended trials of an option, by number; without failed and infeasible ones."""
    ended = evidence.ended("complete", "pruned", "diverged")
    return [trial for trial in ended if takes(trial, name, choice)]


def _is_complete(trial: TrialRecord) -> bool:
    return trial.outcome == "complete" and trial.value is not None and math.isfinite(trial.value)


def _goodness(evidence: Evidence, trials: Sequence[TrialRecord]) -> Array:
    """Return (n,) values, larger is better; trials that are not complete count as the worst."""
    worst = evidence.goodness(evidence.ranked[-1])
    return np.array([evidence.goodness(t) if _is_complete(t) else worst for t in trials])


def _expected_best(goodness: Array) -> Array:
    """Return the expected best of half as many draws from the last axis as it is long."""
    n = goodness.shape[-1]
    below = (np.arange(n + 1) / n) ** max(n // 2, 1)
    best: Array = np.sort(goodness, axis=-1) @ (below[1:] - below[:-1])
    return best


def _draws(evidence: Evidence, trials: Sequence[TrialRecord], choice: Scalar) -> Array:
    """Return (n_bootstraps,) bootstrap draws of the expected best."""
    goodness, n = _goodness(evidence, trials), len(trials)
    rng = evidence.rng(f"isolation {choice!r}")
    return _expected_best(goodness[rng.integers(0, n, (_N_BOOTSTRAPS, n))])


def _branch(
    evidence: Evidence, choice: Scalar, trials: Sequence[TrialRecord], n_compared: int
) -> Branch:
    complete = [trial for trial in trials if _is_complete(trial)]
    best = max(complete, key=evidence.goodness, default=None)
    low = high = expected = None
    if n_compared:
        compared = trials[:n_compared]
        expected = evidence.sign * float(_expected_best(_goodness(evidence, compared)))
        ends = _interval(_draws(evidence, compared, choice), _LEVEL)
        low, high = sorted(evidence.sign * end for end in ends)
    return Branch(
        choice,
        best.value if best is not None else None,
        best.number if best is not None else None,
        expected,
        low,
        high,
        len(complete),
        sum(trial.outcome == "pruned" for trial in trials),
        sum(trial.outcome == "diverged" for trial in trials),
    )


def _interval(draws: Array, level: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [level / 2, 1 - level / 2])
    return float(low), float(high)


def _difference(
    evidence: Evidence,
    choice: Scalar,
    winner: Sequence[TrialRecord],
    other: Sequence[TrialRecord],
    level: float,
) -> Difference:
    """Return the most cautious difference of all ways to pair the trials."""
    differences = []
    for one, two in _pairings(evidence, winner, other):
        n = len(one)
        reached = [_expected_best(_goodness(evidence, trials)) for trials in (one, two)]
        mean = float(reached[0] - reached[1])
        draws = _draws(evidence, one, "winner") - _draws(evidence, two, choice)
        low, high = _interval(draws, level)
        differences.append(Difference(choice, mean, low, high, n, _n_more(mean, low, n)))
    return min(differences, key=lambda difference: difference.low)


def _pairings(
    evidence: Evidence, one: Sequence[TrialRecord], other: Sequence[TrialRecord]
) -> Iterator[tuple[Sequence[TrialRecord], Sequence[TrialRecord]]]:
    n = min(len(one), len(other))
    yield one[:n], other[:n]
    if evidence.is_independent or len(one) == len(other):
        return
    if n < len(one):
        yield _of_the_same_time(one, other), other
    else:
        yield one, _of_the_same_time(other, one)


def _of_the_same_time(
    many: Sequence[TrialRecord], few: Sequence[TrialRecord]
) -> Sequence[TrialRecord]:
    """Return a different trial of `many` for each of `few`, the nearest in number."""
    left, chosen = list(many), []
    for trial in few:
        index = bisect_left(left, trial.number, key=lambda other: other.number)
        near = [i for i in (index - 1, index) if 0 <= i < len(left)]
        nearest = min(near, key=lambda i: abs(left[i].number - trial.number))
        chosen.append(left.pop(nearest))
    return chosen


def _n_more(mean: float, low: float, n: int) -> int | None:
    """Return `Difference.n_more`: the interval shrinks with the root of the number of trials."""
    if low > 0 or mean <= 0:
        return None
    needed = math.ceil(n * (((mean - low) / mean) ** 2 - 1))
    return needed if needed <= _MOST_TRIALS else None


@finding("isolation", compares=True, rank=1, after=("edge",))
def isolated_options(evidence: Evidence, at_edges: Sequence[Finding] = ()) -> Iterator[Finding]:
    """Return a finding for each choice that has losers.

    Args:
        at_edges: a parameter whose range ends too early: an option that has one is not tuned yet.
    """
    untuned = parameters_in(at_edges)
    for one in isolations(evidence):
        losers = _losers(evidence, one, untuned)
        if losers:
            yield _won(one, losers)


@finding("undecided", compares=True, after=("edge", "isolation", "dead"))
def undecided_choices(
    evidence: Evidence, at_edges: Sequence[Finding] = (), *decided: Sequence[Finding]
) -> Iterator[Finding]:
    """Return one finding on all choices without a winner.

    Args:
        at_edges: a parameter whose range ends too early: an option that has one is not tuned yet.
        decided: findings on choices that are settled: an option has won, or none matters.
    """
    settled = parameters_in(*decided)
    undecided = [
        one for one in isolations(evidence) if one.behind and one.parameter not in settled
    ]
    if undecided:
        yield _open(undecided, parameters_in(at_edges))


def _losers(evidence: Evidence, one: Isolation, untuned: Collection[str]) -> list[Difference]:
    """Return the options that are behind by more than trials, folds and ranges can explain."""
    rivals = evidence.standings.having("better", "practically equal", "not distinguished")
    reached = {(type(value), value) for value in (t.params.get(one.parameter) for t in rivals)}
    return [
        difference
        for difference in one.behind
        if difference.low > 0
        and (type(difference.choice), difference.choice) not in reached
        and not _is_untuned(one, difference.choice, untuned)
    ]


def _is_untuned(one: Isolation, choice: Scalar, untuned: Collection[str]) -> bool:
    return any(name.startswith(f"{one.parameter}.{choice}.") for name in untuned)


def _won(one: Isolation, losers: Sequence[Difference]) -> Finding:
    ordered = sorted(losers, key=lambda difference: difference.mean)
    names = joined([option_name(one.parameter, difference.choice) for difference in ordered])
    mean, low = ordered[0].mean, ordered[0].low
    least = " or more" if len(losers) > 1 else f" (at least {score(low, mean)})"
    return Finding(
        "advice",
        f"{option_name(one.parameter, one.winner)} beats {names} by {score(mean)}{least}, with "
        "everything else tuned.",
        weight=0.7,
        figures={
            "winner": one.winner,
            "n_trials_each": one.n_trials,
            "behind": [vars(difference) for difference in one.behind],
        },
        parameters=(one.parameter,),
        trials=tuple(b.trial for b in one.branches if b.trial is not None),
        changes=(DroppedChoices(one.parameter, tuple(d.choice for d in losers)),),
    )


def _open(undecided: Sequence[Isolation], untuned: Collection[str]) -> Finding:
    is_short = len(undecided) > _MOST_NUMBERS
    parts = [
        f"{plain(one.parameter)} ({_needed(one, untuned, is_short=is_short)})" for one in undecided
    ]
    return Finding(
        "note",
        f"No clear winner yet among the options of {joined(parts)}.",
        weight=0.3,
        figures={
            "undecided": [
                {"parameter": one.parameter, "behind": [vars(d) for d in one.behind]}
                for one in undecided
            ]
        },
        parameters=tuple(one.parameter for one in undecided),
        advice="keep all options, or only those that train faster",
    )


def _needed(one: Isolation, untuned: Collection[str], *, is_short: bool) -> str:
    """Return what would settle it: a wider range, or more trials if that number is reasonable."""
    waiting = [d.choice for d in one.behind if _is_untuned(one, d.choice, untuned)]
    if waiting:
        names = joined([option_name(one.parameter, choice) for choice in waiting])
        return f"first widen the ranges of {names}"
    more = [difference.n_more for difference in one.behind if difference.n_more is not None]
    if len(more) < len(one.behind):
        return "more trials are unlikely to settle it"
    if is_short:
        return f"more trials would settle it {_IF_REAL}"
    return f"about {max(more)} more trials per option would settle it {_IF_REAL}"
