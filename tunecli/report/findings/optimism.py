"""The test score compared with what the search lets expect.

It differs from the best score of the search by chance: the best of many trials is lucky, and
validation and test rows are samples. `report.analysis.expected_score` adds that up; only a test
score that is worse than its interval needs another explanation. An ensemble of fold models is
compared by the scores of its networks one by one, as the search scored them.
"""

from __future__ import annotations

from collections.abc import Iterator

from tunecli.report.findings.evidence.evidence import Evidence, TestScore
from tunecli.report.findings.evidence.finding import Finding, finding
from tunecli.report.phrases.wording import score


@finding("optimism", plot="test")
def optimism(evidence: Evidence) -> Iterator[Finding]:
    """Return one finding once the test score is known."""
    test, expected = evidence.test, evidence.expected
    if test is None:
        return
    best = evidence.ranked[0]
    is_worse = expected is not None and evidence.sign * (test.compared - _worst(evidence)) < 0
    sentences = [_scores(test, best.value)]
    if expected is not None:
        sentences.append(_unexplained(test) if is_worse else _explained(evidence, test))
    yield Finding(
        "advice" if is_worse else "note",
        " ".join(sentences),
        weight=0.8,
        figures={
            "test": test.score,
            "low": test.low,
            "high": test.high,
            "best": best.value,
            "n_networks": test.n_networks,
            "compared": test.compared,
            "luck": expected.drop if expected is not None else None,
            "expected": expected.score if expected is not None else None,
            "expected_low": expected.low if expected is not None else None,
            "expected_high": expected.high if expected is not None else None,
        },
        trials=(best.number,),
        advice=_advice(test) if is_worse else "",
    )


def _worst(evidence: Evidence) -> float:
    """Return the worse end of the interval that the test score is expected in."""
    assert evidence.expected is not None, "the caller has looked"
    return evidence.expected.low if evidence.sign > 0 else evidence.expected.high


def _scores(test: TestScore, in_search: float | None) -> str:
    compared, best = score(test.compared), score(in_search, test.compared)
    if test.single is None:
        return f"The best trial scores {compared} on the test rows and {best} in the search."
    return (
        f"One by one, the networks of the best trial score {compared} on the test rows and {best} "
        "in the search."
    )


def _unexplained(test: TestScore) -> str:
    other = "" if test.single is not None else ", or the training on all rows went worse"
    return (
        f"That is worse than chance explains: the test rows differ from those searched on{other}."
    )


def _explained(evidence: Evidence, test: TestScore) -> str:
    if evidence.sign * test.compared >= evidence.goodness(evidence.ranked[0]):
        return "The score in the search was not too optimistic."
    return (
        "Chance explains the gap: the best of many trials is partly lucky, and it is scored on "
        "other rows."
    )


def _advice(test: TestScore) -> str:
    split = "check how the test rows were split off (data.test, data.group, data.time)"
    return split if test.single is not None else f"{split}, and refit with --seeds 5"


def expected_luck(evidence: Evidence) -> float | None:
    """Return how much of the best value is expected to be noise; None if folds do not show it."""
    folds = [len(trial.fold_scores) for trial in evidence.ranked[:1]]
    return evidence.expected.drop if folds > [1] and evidence.expected is not None else None
