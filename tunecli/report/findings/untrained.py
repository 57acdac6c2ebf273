"""Whether the networks have hardly learned, so that scores do not show yet what would help.

Then most scores differ by noise alone, and often nothing beats guessing. The training loss tells
why: if it has hardly fallen, and falls about as fast at the end as before, the steps were too
small to get anywhere.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator

from tunecli.database.curves import Curve
from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, NewRange, finding
from tunecli.report.findings.space.useful_bounds import useful_bounds
from tunecli.report.findings.space.wider import widened

_FEWEST_TRIALS, _FEWEST_EVALUATIONS = 3, 4
_LITTLE = 0.25  # of the training loss
_STEADY = 0.3  # the fall in the last third of a training, as a share of that in the middle third


@finding("untrained", plot="learning", needs_trials=0, rank=3)
def untrained(evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding if the training loss has hardly fallen, and still falls."""
    falls = [(trial, fall) for trial in evidence.good if (fall := _fall(evidence, trial))]
    slow = [trial for trial, (total, is_steady) in falls if total < _LITTLE and is_steady]
    if len(falls) < _FEWEST_TRIALS or len(slow) <= len(falls) / 2:
        return
    total = statistics.median(total for _, (total, _) in falls)
    changes = tuple(_faster(evidence))
    yield Finding(
        "advice",
        f"The networks have hardly learned: in the best {len(falls)} trials the training loss "
        f"falls by {total:.0%} and is still falling at the end. Search higher learning rates.",
        weight=0.95,
        figures={"fall": total, "n_slow": len(slow), "n_good": len(falls)},
        parameters=tuple(change.parameter for change in changes),
        trials=tuple(trial.number for trial in slow),
        changes=changes,
        advice="" if changes else "use a higher learning rate, or train longer",
    )


def _fall(evidence: Evidence, trial: TrialRecord) -> tuple[float, bool] | None:
    """Return by what share the training loss falls, and whether it falls steadily to the end.

    None for a curve that is too short, not finite, or at 0 or below.
    """
    curve = evidence.curves.get(trial.trial_id)
    losses = _losses(curve) if curve is not None else []
    if len(losses) < _FEWEST_EVALUATIONS:
        return None
    third = (len(losses) - 1) // 3
    middle, late = losses[-1 - 2 * third] - losses[-1 - third], losses[-1 - third] - losses[-1]
    return (losses[0] - losses[-1]) / losses[0], late > 0 and late >= _STEADY * middle


def _losses(curve: Curve) -> list[float]:
    losses = list(curve.train_loss)
    are_sound = all(math.isfinite(loss) and loss > 0 for loss in losses)
    return losses if are_sound else []


def _faster(evidence: Evidence) -> Iterator[NewRange]:
    """Yield the learning rates of the best trial with ranges that reach further up."""
    best = evidence.ranked[0].params
    for name, kind in evidence.numeric.items():
        if name.rpartition(".")[2] != "lr" or name not in best:
            continue
        wider = widened(kind, 1.0, useful_bounds(evidence, name))
        if wider is not None:
            yield NewRange(name, wider)
