"""Whether the best trials over- or underfit, and which regularization makes a difference to that.

A training loss and a validation score have different units. What tells overfitting in any of them
is that the loss on the training part goes on falling while the validation score gets worse again.
What tells underfitting is that regularization costs: the good trials crowd where there is none.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tunecli.report.analysis.curves import Curve
from tunecli.report.analysis.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding
from tunecli.report.findings.evidence.positions import number_position
from tunecli.report.findings.space.edges import crowd_at, widened
from tunecli.report.phrases.wording import plain, score
from tunecli.study_file.settings.ranges import Categories

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

REGULARIZERS = frozenset(
    {"weight_decay", "dropout", "l1", "label_smoothing", "mixup", "cutmix", "input_noise", "ema"}
)

_FEWEST_EVALUATIONS = 6
_MOST = 0.7  # share of the good trials
_FEWEST_CORRELATED = 15
_LEVEL = 0.01
_TREND = 0.05
_DECLINE = 0.5  # standard errors over folds; a smaller loss is not worth a word


@dataclass(frozen=True)
class Fit:
    """How far a trial fell back from its best.

    Attributes:
        decline: from the best fifth of the mean validation curve to its last fifth, larger worse.
        loss_falls: whether the training loss is lower in the last fifth than it was at the best.
    """

    decline: float
    loss_falls: bool


def fit_of(curve: Curve, sign: int) -> Fit | None:
    """How far a trial fell back; None for a curve that is too short or not finite.

    In fifths of the curve, so that one lucky evaluation of a flat curve is no peak.
    """
    scores, losses = curve.score, curve.train_loss
    n = min(len(scores), len(losses)) if losses else 0
    if n < _FEWEST_EVALUATIONS or not all(map(math.isfinite, (*scores[:n], *losses[:n]))):
        return None
    width = max(n // 5, 1)
    smooth = [sign * statistics.fmean(scores[i : i + width]) for i in range(n - width + 1)]
    peak = smooth.index(max(smooth))
    loss_then = statistics.fmean(losses[peak : peak + width])
    loss_last = statistics.fmean(losses[n - width : n])
    return Fit(smooth[peak] - smooth[-1], loss_last < loss_then)


def fitting(evidence: Evidence) -> list[Finding]:
    """One finding where the good trials overfit, else one where they underfit."""
    return _overfitting(evidence) or _underfitting(evidence)


def _underfitting(evidence: Evidence) -> list[Finding]:
    """Where a regularizer is best off, the models have too little freedom."""
    natural = {
        name: kind
        for name, kind in evidence.ranges.items()
        if name.rpartition(".")[2] in REGULARIZERS
        and not isinstance(kind, Categories)
        and kind.low < kind.high
        and widened(name, kind, 0.0) is None  # else the edge itself is the finding
    }
    level = _TREND / len(natural) if natural else _TREND
    crowds = {name: crowd_at(evidence, name, kind, 0.0, level) for name, kind in natural.items()}
    found = {name: crowd for name, crowd in crowds.items() if crowd is not None}
    if not found:
        return []
    name, crowd = min(found.items(), key=lambda item: item[1].chance)
    metric = plain(evidence.study.metric)
    return [
        Finding(
            "fitting",
            "advice",
            f"{crowd.n_inside} of the best {crowd.n_good} trials have hardly any {plain(name)}, "
            f"and the {metric} gets worse with more of it: the models fit too little.",
            weight=0.6,
            figures={"slope": crowd.slope, "p": crowd.chance, "n_good": crowd.n_good},
            parameters=(name,),
            trials=crowd.trials,
            advice="a larger model, or a longer training",
        )
    ]


def _overfitting(evidence: Evidence) -> list[Finding]:
    fits = {trial.number: fit for trial in evidence.good if (fit := _fit(evidence, trial))}
    if len(fits) < 3:
        return []
    noise = _noise(evidence)
    overfit = [n for n, f in fits.items() if f.loss_falls and f.decline > _DECLINE * noise]
    declines = [fit.decline for fit in fits.values()]
    error = statistics.stdev(declines) / math.sqrt(len(declines))
    mean = statistics.fmean(declines)
    if len(overfit) < _MOST * len(fits) or mean <= 3 * error:
        return []
    moved = _what_moved_it(evidence)
    sentence = (
        f"{len(overfit)} of the best {len(fits)} trials overfit: their training loss goes on "
        f"falling while the validation {plain(evidence.study.metric)} loses {score(mean)} again."
    )
    if moved:
        name, correlation = moved
        less = "Less" if correlation < 0 else "More"
        sentence += f" {less} of it with more {plain(name)} (rank correlation {correlation:+.2f})."
    return [
        Finding(
            "fitting",
            "advice",
            sentence,
            weight=0.65,
            figures={
                "mean_decline": mean,
                "n_overfit": len(overfit),
                "n_good": len(fits),
                "moved_by": list(moved) if moved else None,
            },
            parameters=(moved[0],) if moved else (),
            trials=tuple(overfit),
            advice=_way_out(evidence, moved),
        )
    ]


def _fit(evidence: Evidence, trial: TrialRecord) -> Fit | None:
    curve = evidence.curves.get(trial.trial_id)
    return fit_of(curve, evidence.sign) if curve is not None else None


def _noise(evidence: Evidence) -> float:
    """The usual standard error of a mean over folds; 0 where it is unknown."""
    errors = [
        trial.spread / math.sqrt(len(trial.fold_scores))
        for trial in evidence.good
        if trial.spread is not None
    ]
    return statistics.median(errors) if errors else 0.0


def _what_moved_it(evidence: Evidence) -> tuple[str, float] | None:
    """The regularization that the decline depends on most, and their rank correlation."""
    fits = [(trial, fit) for trial in evidence.ranked if (fit := _fit(evidence, trial))]
    names = [n for n in evidence.ranges if n.rpartition(".")[2] in REGULARIZERS]
    found: dict[str, float] = {}
    for name in names:
        kind = evidence.ranges[name]
        pairs = [(trial, fit) for trial, fit in fits if name in trial.params]
        if isinstance(kind, Categories) or len(pairs) < _FEWEST_CORRELATED:
            continue
        places = [number_position(kind, trial, name) for trial, _ in pairs]
        correlation, p = _spearman(places, [fit.decline for _, fit in pairs])
        if p < _LEVEL / len(names):
            found[name] = correlation
    return max(found.items(), key=lambda item: abs(item[1])) if found else None


def _spearman(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Rank correlation, equal values sharing their mean rank, and its p by Student's t."""
    import numpy as np
    from scipy.special import stdtr

    if len(set(one)) < 2 or len(set(other)) < 2:
        return 0.0, 1.0
    r = float(np.corrcoef(_ranks(one), _ranks(other)).item(1))
    n_free = len(one) - 2
    t = abs(r) * math.sqrt(n_free / max(1 - r * r, 1e-12))
    return r, float(2 * stdtr(n_free, -t))


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    import numpy as np

    _, place, n_equal = np.unique(values, return_inverse=True, return_counts=True)
    means: NDArray[np.float64] = np.cumsum(n_equal) - (n_equal - 1) / 2
    return means[place]


def _way_out(evidence: Evidence, moved: tuple[str, float] | None) -> str:
    if moved is not None and moved[1] < 0:
        return f"more {plain(moved[0])}"
    searched = {name.rpartition(".")[2] for name in evidence.ranges}
    untried = [n for n in ("weight_decay", "dropout", "label_smoothing") if n not in searched]
    if untried:
        return f"search {' or '.join(untried)}"
    if evidence.setting("training.early_stopping") is None:
        return "a smaller model; training.early_stopping: {patience: 5} saves the time"
    return "a smaller model, or more data"
