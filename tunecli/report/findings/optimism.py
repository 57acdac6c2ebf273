"""The test score compared with the search's best, and how much of the gap comes from selection.

The best of many noisy scores is lucky as well as good. A parametric bootstrap estimates the luck:
it adds noise like that of the folds to the observed values and takes the noise of the winner. For
equal trials that is the expected maximum of N normal draws. Each trial has its own noise: bad
trials often vary more than good ones, and never win.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, finding
from tunecli.report.phrases.wording import score

_N_DRAWS = 2000
_TOP = 50  # trials that a lucky draw could make the best
_ALL, _MOST = 0.99, 0.5  # shares of the gap


@finding("optimism", plot="test")
def optimism(evidence: Evidence) -> Iterator[Finding]:
    """Return one finding once the test score is known."""
    test = evidence.test
    if test is None or not evidence.ranked:
        return
    best = evidence.ranked[0]
    gap = evidence.goodness(best) - evidence.sign * test.score
    luck = expected_luck(evidence)
    sentence = (
        f"The best trial scores {score(test.score)} on the test rows and "
        f"{score(best.value, test.score)} in the search."
    )
    if luck is not None:
        sentence += f" {_explanation(luck, gap)}"
    value = best.value or 0.0
    corrected = value - evidence.sign * (luck or 0.0)
    is_outside = not any(test.low <= one <= test.high for one in (value, corrected))
    unexplained = gap > 0 and is_outside
    if unexplained:
        sentence += " Luck alone cannot explain the gap: the test rows differ from the others."
    yield Finding(
        "advice" if unexplained else "note",
        sentence,
        weight=0.8,
        figures={
            "test": test.score,
            "low": test.low,
            "high": test.high,
            "best": best.value,
            "luck": luck,
        },
        trials=(best.number,),
        advice="check how the test rows were split off (data.test, data.group, data.time)"
        if unexplained
        else "",
    )


def _explanation(luck: float, gap: float) -> str:
    if gap <= 0:
        return "The score in the search was not too optimistic."
    share = luck / gap
    part = "all" if share >= _ALL else "most" if share >= _MOST else "only part"
    return f"Choosing the best of many trials explains {part} of the gap."


def expected_luck(evidence: Evidence) -> float | None:
    """Return how much of the best value is expected to be noise; None if folds do not show it."""
    top = [trial for trial in evidence.ranked[:_TOP] if trial.spread is not None]
    noise = paired_noises(top)
    if noise is None:
        return None
    values = np.array([evidence.goodness(trial) for trial in top])
    draws = evidence.rng("optimism").normal(0.0, noise, (_N_DRAWS, len(values)))
    winners = (values + draws).argmax(axis=1)
    return float(draws[np.arange(_N_DRAWS), winners].mean())


def paired_noises(trials: Sequence[TrialRecord]) -> np.ndarray | None:
    """Return the standard error of each trial's mean, without the effect a fold has on all trials.

    The effect of a fold is the median over trials, which a few unstable trials do not move. None
    unless all trials have the same number of folds, at least two.
    """
    sizes = {len(trial.fold_scores) for trial in trials}
    if len(trials) < 2 or len(sizes) != 1 or sizes == {1}:
        return None
    scores = np.array([trial.fold_scores for trial in trials])
    centred = scores - scores.mean(axis=1, keepdims=True)
    rest = centred - np.median(centred, axis=0)
    n_trials, n_folds = scores.shape
    variances = rest.var(axis=1, ddof=1) * n_trials / (n_trials - 1)
    return np.sqrt(variances / n_folds) if np.isfinite(variances).all() else None
