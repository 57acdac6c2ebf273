"""Whether trials are better than the best one, practically equal to it, or worse.

The scores of two trials on the same folds are paired, and the training parts of the folds overlap.
The Bayesian correlated t-test (Benavoli, Corani, Demšar and Zaffalon, Time for a Change, Journal
of Machine Learning Research 18(77), 2017, section 4.1) gives the mean difference m of two trials
over J splits a Student distribution with location m and squared scale (1/J + ρ/(1 - ρ)) s², where
ρ is the share of validation rows, so that ρ/(1 - ρ) is the number of validation rows per training
row. The variance s² of each trial is shrunk towards that of all trials (`moderated_variance`).

Differences inside the region of practical equivalence do not matter. It is the study's tolerance,
or a quarter of the standard deviation between folds: its median over the best tenth of the trials
(at least five), which neither a wild trial nor a lucky one moves.

A trial is *worse* if it is more than 95 % likely to be behind by more than the region, the usual
level of a one-sided claim; more than that if several trials may be the best (`worse_above`), since
the best of many is lucky. It is *practically equal* if it is more than 80 % likely not to be: a
wrong claim costs little more than the region, so it needs less certainty. *Better* is the mirror
of worse. The rest is *not distinguished*. A trial behind one that is worse is worse too, whatever
its own noise. A trial that is no more than the region better than guessing is never practically
equal.

With one fold the noise is unknown. Then only the tolerance of the study speaks: trials whose
scores are within it are practically equal, and nothing is said of the others.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tunecli.report.analysis.fold_test import variance_factor
from tunecli.report.analysis.moderated_variance import VariancePrior

Array = NDArray[np.float64]

Verdict = Literal["better", "practically equal", "not distinguished", "worse", ""]
"""Empty where nothing can be said."""

WORSE, EQUAL = 0.95, 0.8
"""Probabilities above which a trial is called worse (if there is only one rival; else see
`worse_above`), and practically equal.
"""

REGION = 0.25  # of the standard deviation between folds
_FEWEST_GOOD, _GOOD_SHARE = 5, 0.1  # trials that show it


@dataclass(frozen=True)
class Standing:
    """How a trial compares with the best.

    Attributes:
        better, equal, worse: probabilities that it is better than the best by more than the
            region, within the region, and worse by more; None if the noise is unknown.
    """

    verdict: Verdict = ""
    better: float | None = None
    equal: float | None = None
    worse: float | None = None


UNKNOWN = Standing()


def verdict_counts(standings: Iterable[Standing]) -> tuple[int, int, int]:
    """Return how many trials are practically equal to the best, not distinguished, and worse."""
    n_of = Counter(one.verdict for one in standings)
    return n_of["practically equal"], n_of["not distinguished"], n_of["worse"]


@dataclass(frozen=True)
class Yardstick:
    """What the comparison of a study's trials is made with.

    Attributes:
        tolerance: difference in score that does not matter, as the study file says; None if it
            does not.
        guess: score of guessing, with the sign of the scores; None if unknown.
        ratio: validation rows per training row; None for that of as many folds.
    """

    tolerance: float | None = None
    guess: float | None = None
    ratio: float | None = None


@dataclass(frozen=True)
class PairNoise:
    """The noise of the difference between the best trial and one that may be as good.

    Attributes:
        deviation: standard deviation over splits, shrunk as that of each trial.
        n_splits: splits of the study.
        n_prior: degrees of freedom that the other trials add to those of one difference.
        ratio: validation rows per training row; None for that of as many folds.
    """

    deviation: float
    n_splits: int
    n_prior: float = 0.0
    ratio: float | None = None

    def least(self, level: float, n_repeats: int = 1) -> float:
        """Return the difference from which on one is real with the probability `level`.

        Args:
            n_repeats: how often the splits are repeated.
        """
        from scipy.special import stdtrit

        n_splits = n_repeats * self.n_splits
        quantile = float(stdtrit(self.n_prior + n_splits - 1, level))
        ratio = 1 / (self.n_splits - 1) if self.ratio is None else self.ratio
        return quantile * math.sqrt(variance_factor(n_splits, ratio)) * self.deviation


@dataclass(frozen=True)
class Compared:
    """The standing of each trial.

    Attributes:
        region: difference that does not matter; None if unknown.
        worse_above: probability above which a trial is called worse, or better.
        noise: that of a typical trial among the best tenth; None if unknown.
        nearest_worse: how far the nearest trial that is called worse is behind the best.
    """

    standings: tuple[Standing, ...] = ()
    region: float | None = None
    worse_above: float = WORSE
    noise: PairNoise | None = None
    nearest_worse: float = math.inf

    def least_difference(self, n_repeats: int = 1) -> float | None:
        """Return the mean difference from which on a trial is called worse; None if unknown.

        Noise differs between trials. So it is the least that a typical trial needs, or that at
        which one is called worse, whichever is smaller: no trial that is nearer is worse.

        Args:
            n_repeats: how often the splits would be repeated.
        """
        if self.noise is None or self.region is None:
            return None
        typical = self.noise.least(self.worse_above)
        nearest = self.nearest_worse - self.region
        scale = min(1.0, nearest / typical) if typical else 1.0
        return self.region + scale * self.noise.least(self.worse_above, n_repeats)


def compared_with(
    best: Sequence[float], others: Sequence[Sequence[float]], yardstick: Yardstick
) -> Compared:
    """Compare trials with the best one.

    Args:
        best: a score for each split, larger is better.
        others: the same of the other trials; those with other splits have no standing.
    """
    alike = [_is_alike(scores, best) for scores in others]
    table = [scores for scores, is_alike in zip(others, alike, strict=True) if is_alike]
    rows = np.array(table, float).reshape(len(table), len(best))
    judge = _over_folds if len(best) > 1 else _with_one_fold
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # scores almost diverged
        known = judge(np.array(best, float), rows, yardstick)
    following = iter(known.standings)
    standings = tuple(next(following) if one else UNKNOWN for one in alike)
    return replace(known, standings=standings)


def _is_alike(scores: Sequence[float], best: Sequence[float]) -> bool:
    return len(scores) == len(best) > 0 and all(map(math.isfinite, (*scores, *best)))


def _with_one_fold(best: Array, rows: Array, yardstick: Yardstick) -> Compared:
    region = yardstick.tolerance
    if region is None or not len(rows):
        return Compared((UNKNOWN,) * len(rows), region)
    scores = rows[:, 0]
    is_equal = (scores >= best[0] - region) & _beats_guessing(scores, region, yardstick)
    equal = Standing("practically equal")
    return Compared(tuple(equal if one else UNKNOWN for one in is_equal), region)


def _over_folds(best: Array, rows: Array, yardstick: Yardstick) -> Compared:
    levels, differences = rows.mean(axis=1), rows - best
    means, variances = differences.mean(axis=1), differences.var(axis=1, ddof=1)
    tells = np.isfinite(variances) & _beats_guessing(levels, 0.0, yardstick)
    region = yardstick.tolerance
    if region is None:
        region = REGION * _typical_spread(np.vstack([best, rows]))
    prior = VariancePrior.fitted(variances[tells], len(best) - 1)
    shrunk, n_free = prior.moderated(variances, len(best) - 1)
    errors = np.sqrt(variance_factor(len(best), yardstick.ratio) * shrunk)
    worse = _probability_above(-means - region, errors, n_free)
    better = _probability_above(means - region, errors, n_free)
    level = _level(worse)
    farthest = means[worse > level].max(initial=-math.inf)
    is_equal = (1 - worse > EQUAL) & _beats_guessing(levels, region, yardstick)
    verdicts = np.select(
        [~np.isfinite(errors), means <= farthest, better > level, is_equal],
        ["", "worse", "better", "practically equal"],
        "not distinguished",
    )
    columns = (one.tolist() for one in (verdicts, better, worse))
    standings = tuple(_standing(*one) for one in zip(*columns, strict=True))
    noise = _noise_of_leaders(shrunk[tells], levels[tells], len(best), prior, yardstick)
    return Compared(standings, region, level, noise, float(-farthest))


def _level(worse: Array) -> float:
    """Return the level that the best and the trials that are not worse than it call for."""
    n_before, level = -1, WORSE
    while (n_not_worse := int((worse <= level).sum())) > n_before:
        n_before, level = n_not_worse, worse_above(min(n_not_worse + 1, len(worse)))
    return level


def _typical_spread(rows: Array) -> float:
    """Return the median standard deviation between folds of the best tenth, at least five."""
    return float(np.median(_leading(rows.std(axis=1, ddof=1), rows.mean(axis=1))))


def _leading(values: Array, levels: Array) -> Array:
    """Return the values of the best tenth by their levels, of at least five."""
    n_good = min(max(_FEWEST_GOOD, math.ceil(_GOOD_SHARE * len(levels))), len(levels))
    leading: Array = values[levels >= np.sort(levels)[-n_good]]
    return leading


def _noise_of_leaders(
    variances: Array, levels: Array, n_splits: int, prior: VariancePrior, yardstick: Yardstick
) -> PairNoise | None:
    if not len(variances):
        return None
    typical = math.sqrt(float(np.median(_leading(variances, levels))))
    return PairNoise(typical, n_splits, prior.n_free, yardstick.ratio)


def _beats_guessing(levels: Array, margin: float, yardstick: Yardstick) -> NDArray[np.bool_]:
    """Return which mean scores are above guessing by more than a margin; all if it is unknown."""
    guess = -math.inf if yardstick.guess is None else yardstick.guess
    return levels > guess + margin


@cache
def worse_above(n_rivals: int) -> float:
    """Return the probability above which a trial is called worse than the best of some rivals.

    The best of many is lucky. By chance alone, the best of n rivals is ahead of an equal trial by
    more than z standard errors with probability 1 - ∫ Φ(x + √2 z)ⁿ φ(x) dx. The result is Φ(z)
    where that is 5 % (Gupta, On Some Multiple Decision Rules, Technometrics 7, 1965). So a trial
    as good as any other is called worse in at most one of twenty studies, however many trials
    there are.
    """
    from scipy.special import ndtr

    x, z = np.linspace(-8.0, 8.0, 321), np.linspace(1.6, 8.0, 641)
    density = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi) * (x[1] - x[0])
    stays = density @ ndtr(x[:, None] + math.sqrt(2) * z) ** n_rivals
    return float(ndtr(np.interp(WORSE, stays, z)))


def _probability_above(distances: Array, errors: Array, n_free: float) -> Array:
    """Return the probability that a Student variable around `distances` is above 0."""
    from scipy.special import stdtr

    return np.where(errors == 0, distances > 0, stdtr(n_free, distances / errors))


def _standing(verdict: Verdict, better: float, worse: float) -> Standing:
    return Standing(verdict, better, max(1 - better - worse, 0.0), worse) if verdict else UNKNOWN
