"""What going on would bring and cost: only where trials do not depend on each other's results.

The expected best of m of the n trials, drawn without putting back, gives the gain of the last two
doublings of their number. Gains of further doublings go on falling in the same ratio: the maximum
of a bounded score has a Weibull limit (Fisher and Tippett, 1928), whose distance to the bound
shrinks by a constant factor with each doubling. Trials that end without a score, pruned ones
above all, are as many among those to come: they cost time and bring nothing.
"""

from __future__ import annotations

import math
import statistics

from tunecli.report.findings.evidence import Evidence
from tunecli.report.findings.finding import Finding
from tunecli.report.fold_test import LEVEL
from tunecli.report.ranking import noise_of
from tunecli.report.wording import duration, score
from tunecli.study_file.counts import count

_FEWEST = 20
MORE = (10, 50, 100)


def budget(evidence: Evidence) -> list[Finding]:
    """One finding: the expected gain of more trials, or for how long none improved."""
    n = len(evidence.ranked)
    if n < _FEWEST:
        return []
    ended = [trial for trial in evidence.study.trials if trial.outcome]
    seconds = statistics.fmean(trial.seconds or 0.0 for trial in ended)
    if not evidence.is_independent:
        return _standstill(evidence, seconds)
    goodness = [evidence.goodness(trial) for trial in evidence.ranked]
    gains = {more: expected_gain(goodness, more * n / len(ended)) for more in MORE}
    noise = noise_of(evidence.ranked[0])
    pays = noise is None or gains[MORE[-1]] > noise
    total = len(evidence.study.trials) + MORE[-1]
    like = evidence.ranked[0].value
    parts = [f"{more} more trials {score(gain, like)}" for more, gain in gains.items()]
    metric = evidence.study.metric
    sentence = f"Expected gain in {metric}: {', '.join(parts)}"
    sentence += f" ({duration(seconds * MORE[-1])} of training)." if seconds else "."
    if not pays:
        sentence += f" That is less than the noise of the best trial ({score(noise, like)})."
    return [
        Finding(
            "budget",
            "note",
            sentence,
            weight=0.3,
            figures={
                "gains": {str(more): gain for more, gain in gains.items()},
                "seconds_each": seconds,
            },
            advice=f"search --trials {total}" if pays else "stop here, or change the space",
        )
    ]


def expected_gain(goodness: list[float], n_more: float) -> float:
    """Of the best score with that many more independent scores; see the module's docstring."""
    n = len(goodness)
    ordered = sorted(goodness)
    whole, half, quarter = (expected_best(ordered, m) for m in (n, n // 2, n // 4))
    last, before = whole - half, half - quarter
    ratio = min(last / before, 1.0) if before > 0 else 0.0
    doublings = math.log2((n + n_more) / n)
    if ratio > 1 - 1e-9:
        return last * doublings
    return float(last * ratio * (1 - ratio**doublings) / (1 - ratio))


def expected_best(ordered: list[float], n_drawn: int) -> float:
    """Mean over all ways to draw so many of the values (ascending), of their largest."""
    n = len(ordered)
    total = _log_choose(n, n_drawn)
    return math.fsum(
        value * math.exp(_log_choose(i, n_drawn - 1) - total)
        for i, value in enumerate(ordered)
        if i >= n_drawn - 1
    )


def _standstill(evidence: Evidence, seconds: float) -> list[Finding]:
    """Where trials learn from each other, only what has happened can be said."""
    ended = [t for t in evidence.study.trials if t.outcome]
    best = evidence.ranked[0]
    n_since = sum(t.number > best.number for t in ended)
    if n_since < max(10, len(ended) // 3):
        return []
    chance = (len(ended) - n_since) / len(ended)
    cost = f", {duration(seconds * n_since)} of training" if seconds else ""
    return [
        Finding(
            "budget",
            "note",
            f"The last {count(n_since, 'trial')}{cost} did not improve on trial {best.number}.",
            weight=0.3 if chance > LEVEL else 0.5,
            figures={"n_since_best": n_since, "seconds_each": seconds},
            trials=(best.number,),
            advice="change the space rather than add trials",
        )
    ]


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
