"""The expected gain and cost of more trials, where trials do not depend on each other's results.

The expected best of m of the n trials, drawn without replacement, gives the gain of the last two
doublings of their number. Gains of further doublings keep falling by the same ratio: the maximum
of a bounded score has a Weibull limit (Fisher and Tippett, 1928), whose distance to the bound
shrinks by a constant factor with each doubling. The share of trials that end without a score,
above all pruned ones, is assumed to stay the same: they cost time and gain nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence

from tunecli.database.records import TrialRecord
from tunecli.report.analysis.fold_test import LEVEL
from tunecli.report.analysis.ranking import noise_of
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, finding
from tunecli.report.findings.evidence.separation import log_choose
from tunecli.report.phrases.foreign_text import plain
from tunecli.report.phrases.wording import about, score
from tunecli.study_file.text.counts import count

_FEWEST = 20
MORE = (10, 50, 100)


@finding("budget", plot="history", compares=True)
def budget(evidence: Evidence) -> Iterator[Finding]:
    """Return one finding: the expected gain of more trials, or for how long none improved."""
    n = len(evidence.ranked)
    if n < _FEWEST:
        return
    ended = [trial for trial in evidence.ended() if evidence.study.charges(trial)]
    seconds = statistics.fmean(trial.seconds or 0.0 for trial in ended)
    if not evidence.is_independent:
        yield from _standstill(evidence, ended, seconds)
        return
    goodness = [evidence.goodness(trial) for trial in evidence.ranked]
    gains = {more: expected_gain(goodness, more * n / len(ended)) for more in MORE}
    noise = noise_of(evidence.ranked[0])
    pays = noise is None or gains[MORE[-1]] > noise
    total = evidence.study.n_charged + MORE[-1]
    gain = score(gains[MORE[-1]], evidence.ranked[0].value)
    metric = plain(evidence.study.title)
    cost = f" (about {about(seconds * MORE[-1])} of training)" if seconds else ""
    more = f"{MORE[-1]} more trials are expected to improve {metric} by {gain}"
    sentence = f"{more}." if pays else f"{more}, which is less than the noise of the best trial."
    yield Finding(
        "note",
        sentence,
        weight=0.3,
        figures={
            "gains": {str(more): gain for more, gain in gains.items()},
            "pays": pays,
            "seconds_each": seconds,
        },
        advice=f"search --trials {total}{cost}"
        if pays
        else "stop here, or change the search space",
    )


def can_more_trials_help(evidence: Evidence, findings: Iterable[Finding]) -> bool:
    """Return whether no finding advises against more trials of the same search."""
    told = (one.figures["pays"] for one in findings if one.kind == "budget")
    return evidence.is_guessing_beaten and all(told)


def expected_gain(goodness: list[float], n_more: float) -> float:
    """Return the expected gain of the best score from `n_more` independent scores.

    The module's docstring explains the estimate.
    """
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
    """Return the mean largest of `n_drawn` values, over all ways to draw them from `ordered`.

    Args:
        ordered: ascending.
    """
    n = len(ordered)
    total = log_choose(n, n_drawn)
    return math.fsum(
        value * math.exp(log_choose(i, n_drawn - 1) - total)
        for i, value in enumerate(ordered)
        if i >= n_drawn - 1
    )


def _standstill(
    evidence: Evidence, ended: Sequence[TrialRecord], seconds: float
) -> Iterator[Finding]:
    """Return for how long no trial improved, where trials that learn allow no forecast."""
    best = evidence.ranked[0]
    n_since = sum(t.number > best.number for t in ended)
    if n_since < max(10, len(ended) // 3):
        return
    chance = (len(ended) - n_since) / len(ended)
    cost = f" (about {about(seconds * n_since)} of training)" if seconds else ""
    yield Finding(
        "note",
        f"The last {count(n_since, 'trial')}{cost} did not beat trial {best.number}.",
        weight=0.3 if chance > LEVEL else 0.5,
        figures={"n_since_best": n_since, "pays": False, "seconds_each": seconds},
        trials=(best.number,),
        advice="change the search space instead of adding trials",
    )
