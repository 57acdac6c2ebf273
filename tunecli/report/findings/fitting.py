"""Whether the best trials over- or underfit, and which regularization affects that.

A training loss and a validation score have different units. In any unit, a trial overfits if its
training loss keeps falling while its validation score gets worse. The models underfit if
regularization hurts: then the good trials crowd where there is almost none.

Overfitting compares a trial with itself, so it can be found where no trial beats guessing: there
it says that models learn their training rows by heart. Underfitting compares trials with each
other, whose differences mean nothing there.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from tunecli.database.curves import Curve
from tunecli.database.records import TrialRecord
from tunecli.report.analysis.ranking import noise_of
from tunecli.report.findings.evidence.effects import ranks
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, finding
from tunecli.report.findings.evidence.positions import Numeric, positions
from tunecli.report.findings.space.edge import crowd_at
from tunecli.report.findings.space.useful_bounds import useful_bounds
from tunecli.report.findings.space.wider import widened
from tunecli.report.phrases.foreign_text import plain

REGULARIZERS = frozenset(
    {
        "weight_decay",
        "dropout",
        "embed_dropout",
        "l1",
        "label_smoothing",
        "mixup",
        "cutmix",
        "input_noise",
        "ema",
    }
)

_FEWEST_EVALUATIONS = 6
_MOST = 0.7  # share of the good trials
_FEWEST_CORRELATED = 15
_LEVEL = 0.01
_TREND = 0.05
_DECLINE = 0.5  # standard errors over folds; a smaller loss is not worth a finding


@dataclass(frozen=True)
class Fit:
    """How far a trial fell back from its best.

    Attributes:
        decline: loss of score from the best fifth of the mean validation curve to its last fifth.
        loss_falls: whether the training loss is lower in the last fifth than at the best.
    """

    decline: float
    loss_falls: bool


def fit_of(curve: Curve, sign: int) -> Fit | None:
    """Return how far a trial fell back; None for a curve that is too short or not finite.

    The curve is compared in fifths, so that one lucky evaluation of a flat curve is not a peak.
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


@finding("fitting", plot="learning", of_several=True, after=("length",))
def fitting(evidence: Evidence, lengths: Sequence[Finding] = ()) -> list[Finding]:
    """Return a finding if the good trials overfit, else one if they underfit.

    Args:
        lengths: findings on the length of the training. Trials that should train longer do not
            overfit, and those that should train less do not underfit.
    """
    factor = next((one.figures["factor"] for one in lengths if "factor" in one.figures), 1.0)
    overfitting = _overfitting(evidence) if factor <= 1 else ()
    can_compare = factor >= 1 and evidence.is_guessing_beaten
    underfitting = _underfitting(evidence) if can_compare else ()
    return [*overfitting] or [*underfitting]


def _underfitting(evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding if a regularizer is best near zero: the models have too little freedom."""
    natural = {
        name: kind
        for name, kind in _regularizers(evidence).items()
        if kind.low < kind.high
        and widened(kind, 0.0, useful_bounds(evidence, name))
        is None  # else the edge is the finding
    }
    crowds = [
        (name, crowd)
        for name, kind in natural.items()
        if (crowd := crowd_at(evidence, name, kind, 0.0, _TREND / len(natural))) is not None
    ]
    if not crowds:
        return
    name, crowd = min(crowds, key=lambda one: one[1].trend.chance)
    metric = plain(evidence.study.title)
    yield Finding(
        "advice",
        f"The models underfit: {crowd.n_inside} of the best {crowd.n_good} trials have almost "
        f"no {plain(name)}, and more of it makes the {metric} worse.",
        weight=0.6,
        figures={"slope": crowd.trend.slope, "p": crowd.trend.chance, "n_good": crowd.n_good},
        parameters=(name,),
        trials=crowd.trials,
        advice="use a larger model, or train longer",
    )


def _overfitting(evidence: Evidence) -> Iterator[Finding]:
    fits = _fits(evidence, evidence.good)
    if len(fits) < 3:
        return
    noises = [noise for trial in evidence.good if (noise := noise_of(trial)) is not None]
    worst = _DECLINE * (statistics.median(noises) if noises else 0.0)
    overfit = [trial.number for trial, fit in fits if fit.loss_falls and fit.decline > worst]
    declines = [fit.decline for _, fit in fits]
    error = statistics.stdev(declines) / math.sqrt(len(declines))
    mean = statistics.fmean(declines)
    if len(overfit) < _MOST * len(fits) or mean <= 3 * error:
        return
    moved = _what_moved_it(evidence)
    sentence = (
        f"{len(overfit)} of the best {len(fits)} trials overfit: their training loss keeps "
        f"falling while the validation {plain(evidence.study.title)} gets worse."
    )
    if moved:
        name, correlation = moved
        effect = "reduces" if correlation < 0 else "increases"
        sentence += f" More {plain(name)} {effect} this."
    yield Finding(
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


def _regularizers(evidence: Evidence) -> dict[str, Numeric]:
    return {n: k for n, k in evidence.numeric.items() if n.rpartition(".")[2] in REGULARIZERS}


def _fits(evidence: Evidence, trials: Sequence[TrialRecord]) -> list[tuple[TrialRecord, Fit]]:
    """Return the trials whose curves show how far they fell back."""
    return [
        (trial, fit)
        for trial in trials
        if (curve := evidence.curves.get(trial.trial_id)) is not None
        if (fit := fit_of(curve, evidence.sign)) is not None
    ]


def _what_moved_it(evidence: Evidence) -> tuple[str, float] | None:
    """Return the regularizer that the decline depends on most, and their rank correlation."""
    fits = _fits(evidence, evidence.ranked)
    n_names = sum(name.rpartition(".")[2] in REGULARIZERS for name in evidence.ranges)
    correlations: dict[str, float] = {}
    for name, kind in _regularizers(evidence).items():
        declines = [fit.decline for trial, fit in fits if name in trial.params]
        if len(declines) < _FEWEST_CORRELATED:
            continue
        places = positions(kind, (trial for trial, _ in fits), name)
        correlation, p = _spearman(places, declines)
        if p < _LEVEL / n_names:
            correlations[name] = correlation
    return max(correlations.items(), key=lambda item: abs(item[1])) if correlations else None


def _spearman(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Return the rank correlation, where equal values share their mean rank, and its p.

    The p-value is that of Student's t.
    """
    if len(set(one)) < 2 or len(set(other)) < 2:
        return 0.0, 1.0
    r = float(np.corrcoef(ranks(one), ranks(other)).item(1))
    n_free = len(one) - 2
    t = abs(r) * math.sqrt(n_free / max(1 - r * r, 1e-12))
    return r, float(2 * stdtr(n_free, -t))


def _way_out(evidence: Evidence, moved: tuple[str, float] | None) -> str:
    if moved is not None and moved[1] < 0:
        return f"increase {plain(moved[0])}"
    searched = {name.rpartition(".")[2] for name in evidence.ranges}
    untried = [n for n in ("weight_decay", "dropout", "label_smoothing") if n not in searched]
    if untried:
        return f"search {' or '.join(untried)}"
    if evidence.setting("training.early_stopping") is None:
        return "use a smaller model; training.early_stopping: {patience: 5} saves time"
    return "use a smaller model or more data"
