"""Which options of a choice have lost, and how many trials would decide what is still open.

An option has lost if it is behind by more than trials explain (see `isolation`), and if the folds
of its best trial, too, tell it from the best of all.
"""

from __future__ import annotations

from collections.abc import Sequence

from tunecli.report.findings.evidence import Evidence
from tunecli.report.findings.finding import DroppedChoices, Finding
from tunecli.report.findings.isolation import Difference, Isolation, isolations
from tunecli.report.wording import listed, plain, scalar, score
from tunecli.study_file.ranges import Scalar


def isolation(evidence: Evidence, found: Sequence[Isolation] | None = None) -> list[Finding]:
    """A finding for each choice that has losers, and one for all that is open."""
    each = isolations(evidence) if found is None else found
    won = [_won(evidence, one, losers) for one in each if (losers := _losers(evidence, one))]
    undecided = [one for one in each if one.behind and not _losers(evidence, one)]
    return [*won, *([_open(undecided)] if undecided else [])]


def _losers(evidence: Evidence, one: Isolation) -> list[Difference]:
    """The options that are behind by more than both trials and folds can explain."""
    tied = {(type(value), value) for value in (t.params.get(one.parameter) for t in evidence.tied)}
    return [d for d in one.behind if d.low > 0 and (type(d.choice), d.choice) not in tied]


def _won(evidence: Evidence, one: Isolation, losers: Sequence[Difference]) -> Finding:
    n_trials = min(difference.n_trials for difference in losers)
    parts = [
        f"{_called(one, d.choice)} by {score(d.mean)} (95 %: {score(d.low, d.mean)} to "
        f"{score(d.high, d.mean)})"
        for d in sorted(losers, key=lambda d: d.mean)
    ]
    return Finding(
        "isolation",
        "advice",
        f"{_called(one, one.winner)} beats {listed(parts)}, with the rest tuned for "
        f"{n_trials} trials each.",
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


def _open(undecided: Sequence[Isolation]) -> Finding:
    parts = [f"{plain(one.parameter)} ({_needed(one)})" for one in undecided]
    return Finding(
        "isolation",
        "note",
        f"Not distinguishable yet: the options of {listed(parts)}.",
        weight=0.3,
        figures={
            "undecided": [
                {"parameter": one.parameter, "behind": [vars(d) for d in one.behind]}
                for one in undecided
            ]
        },
        parameters=tuple(one.parameter for one in undecided),
        advice="keep them all, or the ones that train faster",
    )


def _needed(one: Isolation) -> str:
    """How many trials would decide, if that is a sensible number of them."""
    more = [difference.n_more for difference in one.behind if difference.n_more is not None]
    if len(more) < len(one.behind):
        return "no sensible number of trials would tell"
    return f"about {max(more)} more trials of each would tell"


def _called(one: Isolation, choice: Scalar) -> str:
    """A choice by its name; with the parameter where it says nothing alone."""
    if isinstance(choice, str):
        return plain(choice)
    return f"{plain(one.parameter.rpartition('.')[2])} {scalar(choice)}"
