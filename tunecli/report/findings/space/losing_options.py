"""Which options of a choice have lost, and how many trials would decide between the others.

An option has lost if it is behind by more than chance explains (see `isolation`), if its best
trial is not tied with the best of all, and if none of the ranges inside it ends too early.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import DroppedChoices, Finding
from tunecli.report.findings.evidence.isolation import Difference, Isolation, isolations
from tunecli.report.phrases.wording import joined, plain, scalar, score
from tunecli.study_file.text.scalars import Scalar

_MOST_NUMBERS = 2  # in a sentence


def isolated_options(evidence: Evidence, at_edges: Collection[str] = ()) -> list[Finding]:
    """Return a finding for each choice that has losers, and one for all undecided choices.

    Args:
        at_edges: parameters whose range ends too early: an option that has one is not tuned yet.
    """
    compared = [one for one in isolations(evidence) if one.behind]
    losers = {one.parameter: _losers(evidence, one, at_edges) for one in compared}
    won = [_won(one, losers[one.parameter]) for one in compared if losers[one.parameter]]
    undecided = [one for one in compared if not losers[one.parameter]]
    return [*won, *([_open(undecided, at_edges)] if undecided else [])]


def _losers(evidence: Evidence, one: Isolation, at_edges: Collection[str]) -> list[Difference]:
    """Return the options that are behind by more than trials, folds and ranges can explain."""
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
    ordered = sorted(losers, key=lambda difference: difference.mean)
    names = joined([_option_name(one, difference.choice) for difference in ordered])
    mean, low = ordered[0].mean, ordered[0].low
    least = " or more" if len(losers) > 1 else f" (at least {score(low, mean)})"
    return Finding(
        "isolation",
        "advice",
        f"{_option_name(one, one.winner)} beats {names} by {score(mean)}{least}, with everything "
        "else tuned.",
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
    is_short = len(undecided) > _MOST_NUMBERS
    parts = [
        f"{plain(one.parameter)} ({_needed(one, at_edges, is_short=is_short)})"
        for one in undecided
    ]
    return Finding(
        "isolation",
        "note",
        f"No clear winner yet among the options of {joined(parts)}.",
        weight=0.3,
        figures={
            "undecided": [
                {"parameter": one.parameter, "behind": [vars(d) for d in one.behind]}
                for one in undecided
            ]
        },
        parameters=tuple(one.parameter for one in undecided),
        advice="keep all options, or only those that train faster",
    )


def _needed(one: Isolation, at_edges: Collection[str], *, is_short: bool) -> str:
    """Return what would decide: a wider range, or more trials if that number is reasonable."""
    untuned = [d.choice for d in one.behind if _is_untuned(one, d.choice, at_edges)]
    if untuned:
        names = joined([_option_name(one, choice) for choice in untuned])
        return f"{names} {'need' if len(untuned) > 1 else 'needs'} wider ranges first"
    more = [difference.n_more for difference in one.behind if difference.n_more is not None]
    if len(more) < len(one.behind):
        return "more trials are unlikely to decide"
    if is_short:
        return "more trials would decide"
    return f"about {max(more)} more trials per option would decide"


def _option_name(one: Isolation, choice: Scalar) -> str:
    """Return the name of an option; with its parameter unless it is a text."""
    if isinstance(choice, str):
        return plain(choice)
    return f"{plain(one.parameter.rpartition('.')[2])} {scalar(choice)}"
