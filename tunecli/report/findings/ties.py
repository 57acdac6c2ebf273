"""Which trials may be as good as the best, and which of its equals is the simplest."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, finding
from tunecli.report.phrases.wording import duration
from tunecli.study_file.text.counts import count

_WORTH = 0.9  # share of the best's weights or time; a smaller saving does not count


def simplest(evidence: Evidence) -> TrialRecord | None:
    """Return the trial with the fewest weights, then the fastest, of the best and its equals.

    Only trials that are practically equal to the best count. None before a trial is complete.
    """
    return min(evidence.equal, key=_cost, default=None)


@finding("ties", plot="leaders", compares=True)
def ties(evidence: Evidence) -> Iterator[Finding]:
    """Return a finding if other trials are practically equal to the best, or not distinguished."""
    open_ = evidence.standings.having("not distinguished")
    recommended = simplest(evidence)
    if recommended is None or not evidence.equal[1:] + open_:
        return
    best = evidence.ranked[0]
    is_simpler = _is_simpler(recommended, best)
    yield Finding(
        "advice" if is_simpler else "note",
        _simpler(recommended, best) if is_simpler else _alike(evidence),
        weight=0.5 if is_simpler else 0.2,
        figures={
            "n_equal": len(evidence.equal) - 1,
            "n_not_distinguished": len(open_),
            "recommended": recommended.number,
            "region": evidence.standings.region,
        },
        trials=tuple(trial.number for trial in (*evidence.equal, *open_)),
        advice=f"see --trial {recommended.number}" if is_simpler else _way_out(evidence, best),
    )


def _simpler(recommended: TrialRecord, best: TrialRecord) -> str:
    return (
        f"Trial {recommended.number} is practically equal to the best (trial {best.number}) and "
        f"simpler: {_saving(recommended, best)}."
    )


def _alike(evidence: Evidence) -> str:
    """Return how many trials are practically equal to the best, and how many may be."""
    best, n_equal = evidence.ranked[0], len(evidence.equal) - 1
    n_open = len(evidence.standings.having("not distinguished"))
    reference = f"the best (trial {best.number})"
    if not n_equal:
        return (
            f"The folds do not tell whether {count(n_open, 'trial')} {_are(n_open)} worse than "
            f"{reference} or practically equal to it."
        )
    equal = f"{count(n_equal, 'trial')} {_are(n_equal)} practically equal to {reference}"
    simpler = "but not much simpler" if n_equal == 1 else "none of them much simpler"
    unsettled = f"; {n_open:,} {_are(n_open)} not distinguished from it" if n_open else ""
    return f"{equal}, {simpler}{unsettled}."


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def _way_out(evidence: Evidence, best: TrialRecord) -> str:
    """Return what to do; where nothing is equal, also how to say which differences matter."""
    if evidence.equal[1:] or evidence.standings.is_given:
        return f"use trial {best.number}"
    return (
        f"use trial {best.number}; objective: {{…, tolerance: X}} tells the report that a "
        "difference of X does not matter to you"
    )


def _cost(trial: TrialRecord) -> tuple[float, float]:
    return (trial.n_weights or math.inf, trial.seconds or math.inf)


def _is_simpler(one: TrialRecord, other: TrialRecord) -> bool:
    if one is other:
        return False
    if one.n_weights and other.n_weights and one.n_weights < other.n_weights:
        return one.n_weights < _WORTH * other.n_weights
    return bool(one.seconds and other.seconds and one.seconds < _WORTH * other.seconds)


def _saving(one: TrialRecord, best: TrialRecord) -> str:
    """Return what `one` needs less of; only for trials of which `_is_simpler` holds."""
    if one.n_weights and best.n_weights and one.n_weights != best.n_weights:
        return f"{one.n_weights:,} weights instead of {best.n_weights:,}"
    return f"{duration(one.seconds or 0.0)} instead of {duration(best.seconds or 0.0)} of training"
