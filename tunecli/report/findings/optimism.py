"""The test score compared with what the search lets expect.

It differs from the best score of the search by chance: the best of many trials is lucky, and
validation and test rows are samples. `report.analysis.expected_score` adds that up; only a test
score outside its interval needs another explanation. An ensemble of fold models is compared by the
scores of its networks one by one, as the search scored them.

A worse model is due to the test rows or to its training, which had other rows and other steps than
those of the search. The search's fold models tell which: nothing but the rows is new to them. A
better model is due to easier test rows or to its additional training rows. If the fold models are
better, too, the test rows are easier. If they are not, both remain possible, since each may add a
part of the gain.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from tunecli.report.analysis.expected_score import ExpectedScore
from tunecli.report.findings.evidence.evidence import Evidence, TestScore
from tunecli.report.findings.evidence.finding import Finding, finding
from tunecli.report.phrases.wording import score
from tunecli.study_file.text.counts import count

_LUCKY = 0.25
"""Share of a gap from which on the expected luck of the best is called its cause."""

Cause = Literal["rows", "training", "either"]
"""What makes a model better or worse than chance explains."""

Side = Literal["worse", "expected", "better"]
"""Where a test score lies: beyond the worse end of its interval, in it, or beyond the better."""

_WORSE: Mapping[Cause, str] = {
    "rows": "Chance does not explain this gap: the test rows differ from the rows of the search.",
    "training": "On the test rows, the models of the search score no worse than expected, so the "
    "training on all rows gave a worse model.",
    "either": "Chance does not explain this gap: the test rows differ from the rows of the "
    "search, or the training on all rows gave a worse model.",
}
_EASIER = "Chance does not explain this gain: the test rows are easier than the rows of the search"
_BETTER: Mapping[Cause, str] = {
    "rows": f"{_EASIER}.",
    "either": f"{_EASIER}, or the training on all rows helped.",
}
_UNEXPECTED: Mapping[Side, Mapping[Cause, str]] = {"worse": _WORSE, "better": _BETTER}
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
    side, cause = _side(evidence, test.compared), _cause(evidence, test)
    sentences = [_scores(test, best.value)]
    if expected is not None:
        sentences.append(
            _UNEXPECTED[side][cause] if cause else _explained(evidence, test, expected)
        )
    yield Finding(
        "advice" if side == "worse" else "note",
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
            "side": side,
            "cause": cause,
            "luck": expected.drop if expected is not None else None,
            "expected": expected.score if expected is not None else None,
            "expected_low": expected.low if expected is not None else None,
            "expected_high": expected.high if expected is not None else None,
        },
        trials=(best.number,),
        advice=_ADVICE[cause] if side == "worse" and cause else "",
    )


def _cause(evidence: Evidence, test: TestScore) -> Cause | None:
    """Return what chance does not explain about the model's score; None if it explains it."""
    side = _side(evidence, test.compared)
    if side == "expected":
        return None
    if test.of_folds is None:
        return "rows" if test.single is not None else "either"  # fold models were trained before
    if _side(evidence, test.of_folds) == side:
        return "rows"
    return "training" if side == "worse" else "either"


def _side(evidence: Evidence, score_on_test: float) -> Side:
    """Return on which side of the interval that it is expected in a score lies."""
    if evidence.expected is None:
        return "expected"
    ends = (evidence.expected.low, evidence.expected.high)
    worst, best = sorted(evidence.sign * end for end in ends)
    good = evidence.sign * score_on_test
    if good < worst:
        return "worse"
    return "better" if good > best else "expected"


def _scores(test: TestScore, in_search: float | None) -> str:
    compared, best = score(test.compared), score(in_search, test.compared)
    if test.single is None:
        return f"The best trial scores {compared} on the test rows and {best} in the search."
    return (
        f"On average, a single network of the best trial scores {compared} on the test rows and "
        f"{best} in the search."
    )


def _explained(evidence: Evidence, test: TestScore, expected: ExpectedScore) -> str:
    """Return what kind of chance explains the test score: the luck of the best, or the rows."""
    gap = evidence.goodness(evidence.ranked[0]) - evidence.sign * test.compared
    if gap <= 0:
        return "The score in the search was not too optimistic."
    if expected.n_trials > 1 and expected.drop >= _LUCKY * gap:
        return (
            f"Chance explains the gap: the best of {expected.n_trials:,} trials is partly lucky, "
            "and new rows do not repeat this luck."
        )
    noun = f"test {expected.unit}"
    rows = count(expected.n_test, noun) if expected.n_test else f"{noun}s"
    return f"Chance explains the gap: scores on {rows} vary by this much."


def expected_luck(evidence: Evidence) -> float | None:
    """Return how much of the best value is expected to be noise; None if folds do not show it."""
    folds = [len(trial.fold_scores) for trial in evidence.ranked[:1]]
    return evidence.expected.drop if folds > [1] and evidence.expected is not None else None
