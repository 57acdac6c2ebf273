"""Whether the folds suffice to separate the top trials, after removing the luck of the best."""

from __future__ import annotations

from collections.abc import Iterator

from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, NewSetting, finding
from tunecli.report.findings.optimism import expected_luck
from tunecli.report.phrases.wording import score

_TOP = 10
_FEWEST_ALIKE = 3
_REPEATS = 3


@finding("noise", plot="leaders", compares=True)
def noise(evidence: Evidence) -> Iterator[Finding]:
    """Return a finding if most of the top trials are not told apart from the best."""
    top = [t for t in evidence.ranked[:_TOP] if t.has_spread]
    n_splits = len(top[0].fold_scores) if top else 0
    top = [trial for trial in top if len(trial.fold_scores) == n_splits]
    standings = evidence.standings
    open_verdicts = ("practically equal", "not distinguished")
    alike = [trial for trial in top[1:] if standings.verdict(trial) in open_verdicts]
    if len(top) < _TOP or len(alike) < max(_FEWEST_ALIKE, len(top) // 2):
        return
    seen, seen_with_repeats = (standings.compared.least_difference(n) for n in (1, _REPEATS))
    if seen is None or seen_with_repeats is None:
        return
    luck = expected_luck(evidence) or 0.0
    gap = max(evidence.goodness(top[0]) - luck - evidence.goodness(alike[-1]), 0.0)
    # Folds by time are always the same.
    is_once = evidence.setting("validation.folds") == n_splits
    can_repeat = is_once and evidence.setting("data.time") is None
    decides = can_repeat and (seen + seen_with_repeats) / 2 < gap  # clearly, as it is uncertain
    sentence = f"With {n_splits} folds only differences above {score(seen)} are reliable"
    sentence += (
        f"; {_REPEATS} repeats would lower that to {score(seen_with_repeats)}."
        if can_repeat
        else ", so most of the top trials are not distinguished from the best."
    )
    yield Finding(
        "advice" if decides else "note",
        sentence,
        weight=0.45 if decides else 0.25,
        figures={
            "gap": gap,
            "n_alike": len(alike),
            "least_difference": seen,
            "least_difference_with_repeats": seen_with_repeats,
            "repeats": _REPEATS,
        },
        trials=tuple(trial.number for trial in top),
        changes=(NewSetting("validation.repeats", _REPEATS),) if decides else (),
        advice="" if decides else "add data",  # `ties` tells which trial to use meanwhile
    )
