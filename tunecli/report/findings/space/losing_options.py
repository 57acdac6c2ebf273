"""Which options of a choice have lost, and how many trials would decide what is still open.

An option has lost if it is behind by more than trials explain (see `isolated_options`), if the
folds of its best trial, too, tell it from the best of all, and if no range of its own ends too
early.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import DroppedChoices, Finding
from tunecli.report.findings.evidence.isolation import Difference, Isolation, isolations
from tunecli.report.phrases.wording import joined, plain, scalar, score
from tunecli.study_file.text.scalars import Scalar


def isolated_options(evidence: Evidence, at_edges: Collection[str] = ()) -> list[Finding]:
    """A finding for each choice that has losers, and one for all that is open.

    Args:
        at_edges: parameters whose range ends too early: an option that has one was not tuned yet.
    """
    compared = [one for one in isolations(evidence) if one.behind]
    losers = {one.parameter: _losers(evidence, one, at_edges) for one in compared}
    won = [_won(one, losers[one.parameter]) for one in compared if losers[one.parameter]]
    undecided = [one for one in compared if not losers[one.parameter]]
    return [*won, *([_open(undecided, at_edges)] if undecided else [])]


def _losers(evidence: Evidence, one: Isolation, at_edges: Collection[str]) -> list[Difference]:
    """The options that are behind by more than trials, folds and ranges can explain."""
    tied = {(type(value), value) for value in (t.params.get(one.parameter) for t in evidence.tied)}
    return [
        difference
        for difference in one.behind
        if difference.low > 0
        and (type(difference.choice), difference.choice) not in tied
        and not _is_untuned(one, difference.choice, at_edges)
    ]


def _is_untuned(one: Isolation, choice: Scalar, at_edges: Collection[str]) -> bool:
    return any(name.startswith(f"{one.parameter}.{choice}.") for name in at_edges)


def _won(one: Isolation, losers: Sequence[Difference]) -> Finding:
    n_trials = min(difference.n_trials for difference in losers)
    parts = [
        f"{_called(one, d.choice)} by {score(d.mean)} (95 %: {score(d.low, d.mean)} to "
        f"{score(d.high, d.mean)})"
        for d in sorted(losers, key=lambda d: d.mean)
    ]
    return Finding(
        "isolation",
        "advice",
        f"{_called(one, one.winner)} beats {joined(parts)}, with the rest tuned for "
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


def _open(undecided: Sequence[Isolation], at_edges: Collection[str]) -> Finding:
    parts = [f"{plain(one.parameter)} ({_needed(one, at_edges)})" for one in undecided]
    return Finding(
        "isolation",
        "note",
        f"Not decided yet: the options of {joined(parts)}.",
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


def _needed(one: Isolation, at_edges: Collection[str]) -> str:
    """What would decide: a wider range, or so many trials if that is a sensible number."""
    untuned = [d.choice for d in one.behind if _is_untuned(one, d.choice, at_edges)]
    if untuned:
        return f"{joined([_called(one, choice) for choice in untuned])} needs wider ranges first"
    more = [difference.n_more for difference in one.behind if difference.n_more is not None]
    if len(more) < len(one.behind):
        return "no sensible number of trials would tell"
    return f"about {max(more)} more trials of each would tell"


def _called(one: Isolation, choice: Scalar) -> str:
    """A choice by its name; with the parameter where it says nothing alone."""
    if isinstance(choice, str):
        return plain(choice)
    return f"{plain(one.parameter.rpartition('.')[2])} {scalar(choice)}"
