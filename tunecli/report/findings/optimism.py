"""The test score beside the search's best, and how much of the gap comes from choosing.

The best of many noisy scores is lucky as well as good. How lucky is found by adding noise to the
observed values as often as folds do and looking at the noise of the winner (a parametric
bootstrap); for equal trials that is the expected maximum of N normal draws. Each trial has its own
noise: bad trials often waver more than good ones, and never win.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tunecli.report.findings.evidence import Evidence, TestScore
from tunecli.report.findings.finding import Finding
from tunecli.report.records import TrialRecord
from tunecli.report.wording import score
from tunecli.study_file.counts import count

if TYPE_CHECKING:
    import numpy as np

_N_DRAWS = 2000
_TOP = 50  # trials that a lucky draw could bring to the front


def optimism(evidence: Evidence) -> list[Finding]:
    """One finding once the test score is known."""
    test = evidence.test
    if test is None or not evidence.ranked:
        return []
    best = evidence.ranked[0]
    gap = evidence.goodness(best) - evidence.sign * test.score
    luck = expected_luck(evidence)
    is_outside = not test.low <= (best.value or 0.0) <= test.high
    sentence = (
        f"On the test rows the best trial scores {score(test.score)} (95 %: {score(test.low)} to "
        f"{score(test.high)}), in the search {score(best.value, test.score)}"
    )
    if luck is not None:
        explained, whole = (score(value, test.score) for value in (min(luck, gap), gap))
        sentence += f"; choosing the best of {count(len(evidence.ranked), 'trial')} "
        sentence += (
            f"explains about {explained} of the {whole} between"
            if gap > 0
            else f"flatters the latter by about {score(luck, test.score)}"
        )
    unexplained = gap > 0 and is_outside and _is_outside(evidence, test, best, luck or 0.0)
    if unexplained:
        sentence += ", which is not all of it: the test rows differ from those searched on"
    return [
        Finding(
            "optimism",
            "advice" if unexplained else "note",
            sentence + ".",
            weight=0.8,
            figures={
                "test": test.score,
                "low": test.low,
                "high": test.high,
                "best": best.value,
                "luck": luck,
            },
            trials=(best.number,),
            advice="look at how the test rows were put away (data.test, data.group, data.time)"
            if unexplained
            else "",
        )
    ]


def expected_luck(evidence: Evidence) -> float | None:
    """How much of the best value is expected to be noise; None where folds do not tell that."""
    top = [trial for trial in evidence.ranked[:_TOP] if trial.spread is not None]
    noise = paired_noises(top)
    if noise is None:
        return None
    import numpy as np

    values = np.array([evidence.goodness(trial) for trial in top])
    draws = evidence.rng("optimism").normal(0.0, noise, (_N_DRAWS, len(values)))
    winners = (values + draws).argmax(axis=1)
    return float(draws[np.arange(_N_DRAWS), winners].mean())


def paired_noises(trials: Sequence[TrialRecord]) -> np.ndarray | None:
    """Standard error of each trial's mean over folds, without what a fold does to all alike.

    What a fold does is the median over trials, which the few that waver do not move. None where
    trials do not have the same two folds and more.
    """
    sizes = {len(trial.fold_scores) for trial in trials}
    if len(trials) < 2 or len(sizes) != 1 or sizes == {1}:
        return None
    import numpy as np

    scores = np.array([trial.fold_scores for trial in trials])
    centred = scores - scores.mean(axis=1, keepdims=True)
    rest = centred - np.median(centred, axis=0)
    n_trials, n_folds = scores.shape
    variances = rest.var(axis=1, ddof=1) * n_trials / (n_trials - 1)
    return np.sqrt(variances / n_folds) if np.isfinite(variances).all() else None


def _is_outside(evidence: Evidence, test: TestScore, best: TrialRecord, luck: float) -> bool:
    corrected = (best.value or 0.0) - evidence.sign * luck
    return not test.low <= corrected <= test.high
