"""The test score compared with what the search lets expect.

It differs from the best score of the search by chance: the best of many trials is lucky, and
validation and test rows are samples. `report.analysis.expected_score` adds that up; only a test
score that is worse than its interval needs another explanation. An ensemble of fold models is
compared by the scores of its networks one by one, as the search scored them.

A worse model is due to the test rows or to its training, which had other rows and other steps than
those of the search. The search's fold models tell which: nothing but the rows is new to them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from tunecli.report.findings.evidence.evidence import Evidence, TestScore
from tunecli.report.findings.evidence.finding import Finding, finding
from tunecli.report.phrases.wording import score

Cause = Literal["rows", "training", "either"]
"""What makes a model worse than chance explains."""

_SENTENCES: Mapping[Cause, str] = {
    "rows": "Chance does not explain this gap: the test rows differ from the rows of the search.",
    "training": "On the test rows, the models of the search score no worse than expected, so the "
    "training on all rows gave a worse model.",
    "either": "Chance does not explain this gap: the test rows differ from the rows of the "
    "search, or the training on all rows gave a worse model.",
}
_SPLIT = "check how the test rows were split off (data.test, data.group, data.time)"
_ADVICE: Mapping[Cause, str] = {
    "rows": _SPLIT,
    "training": "refit with --seeds 5 to see how much training runs differ, or with --as-searched "
    "to use the search's models",
    "either": f"{_SPLIT}, and refit with --seeds 5",
}


@finding("optimism", plot="test")
def optimism(evidence: Evidence) -> Iterator[Finding]:
    """Return one finding once the test score is known."""
    test, expected = evidence.test, evidence.expected
    if test is None:
        return
    best = evidence.ranked[0]
    cause = _cause(evidence, test)
    sentences = [_scores(test, best.value)]
    if expected is not None:
        sentences.append(_SENTENCES[cause] if cause is not None else _explained(evidence, test))
    yield Finding(
        "note" if cause is None else "advice",
        " ".join(sentences),
        weight=0.8,
        figures={
            "test": test.score,
            "low": test.low,
            "high": test.high,
            "best": best.value,
            "n_networks": test.n_networks,
            "compared": test.compared,
            "of_folds": test.of_folds,
            "cause": cause,
            "luck": expected.drop if expected is not None else None,
            "expected": expected.score if expected is not None else None,
            "expected_low": expected.low if expected is not None else None,
            "expected_high": expected.high if expected is not None else None,
        },
        trials=(best.number,),
        advice="" if cause is None else _ADVICE[cause],
    )


def _cause(evidence: Evidence, test: TestScore) -> Cause | None:
    """Return what made the model worse than chance explains; None if chance explains its score."""
    if not _is_worse(evidence, test.compared):
        return None
    if test.of_folds is None:
        return "rows" if test.single is not None else "either"  # fold models were trained before
    return "rows" if _is_worse(evidence, test.of_folds) else "training"


def _is_worse(evidence: Evidence, score_on_test: float) -> bool:
    """Return whether a score is beyond the worse end of the interval that it is expected in."""
    if evidence.expected is None:
        return False
    worst = evidence.expected.low if evidence.sign > 0 else evidence.expected.high
    return evidence.sign * (score_on_test - worst) < 0


def _scores(test: TestScore, in_search: float | None) -> str:
    compared, best = score(test.compared), score(in_search, test.compared)
    if test.single is None:
        return f"The best trial scores {compared} on the test rows and {best} in the search."
    return (
        f"On average, a single network of the best trial scores {compared} on the test rows and "
        f"{best} in the search."
    )


def _explained(evidence: Evidence, test: TestScore) -> str:
    if evidence.sign * test.compared >= evidence.goodness(evidence.ranked[0]):
        return "The score in the search was not too optimistic."
    return (
        "Chance explains the gap: the best of many trials is partly lucky, and new rows do not "
        "repeat this luck."
    )


def expected_luck(evidence: Evidence) -> float | None:
    """Return how much of the best value is expected to be noise; None if folds do not show it."""
    folds = [len(trial.fold_scores) for trial in evidence.ranked[:1]]
    return evidence.expected.drop if folds > [1] and evidence.expected is not None else None
