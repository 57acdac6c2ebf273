"""Metrics in which the best trial is worse than guessing or than an untuned baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from tunecli.database.records import TrialRecord
from tunecli.report.analysis.fold_test import LEVEL, p_value
from tunecli.report.analysis.rivals import Rival, rivals
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, Severity, finding
from tunecli.report.phrases.foreign_text import plain
from tunecli.report.phrases.wording import joined, score
from tunecli.study_file.settings.metric_names import METRICS, metric_directions

_PROBABILITIES = "{first}make {metric} the objective; tunecli refit calibrates the probabilities"
_AGAINST_PROBABILITIES = {"weight": "class weights", "label_smoothing": "label smoothing"}
"""Arguments of losses after which outputs are no probabilities of the data."""

_ORDER = "make {metric} the objective, or search other models and preprocessing"
_DECISIONS = (
    "make {metric} the objective, or choose another weight in the loss or another threshold of "
    "the probability"
)
_ERRORS = "make {metric} the objective, or search other losses"

_REMEDIES: Mapping[str, str] = {
    **dict.fromkeys(("log_loss", "brier"), _PROBABILITIES),
    **dict.fromkeys(("roc_auc", "average_precision"), _ORDER),
    **dict.fromkeys(("rmse", "mse", "mae", "mape", "pinball", "r2"), _ERRORS),
}
"""What to do, by metric; unlisted ones score decisions."""

_TRADED = ("precision", "recall")
"""Metrics that a constant prediction can maximize: one rises as the other falls."""


@finding("metric", plot="baselines", needs_trials=0)
def worse_metric(evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding for each remedy: the metrics in which a rival is better than the best trial.

    Of the objective, `baseline` tells.
    """
    study = evidence.study
    if not evidence.ranked or study.first_config is None:
        return
    directions = metric_directions(study.first_config)
    behind: dict[str, list[tuple[str, Rival]]] = {}
    for name in evidence.ranked[0].metrics:
        if name in directions:
            sign = 1 if directions[name] == "maximize" else -1
            better = _better(evidence, name, sign)
            if better is not None:
                behind.setdefault(_remedy(name), []).append((name, better))
    yield from (_finding(evidence, remedy, metrics) for remedy, metrics in behind.items())


def _better(evidence: Evidence, name: str, sign: int) -> Rival | None:
    """Return guessing if it is better than the best trial, else the best of such baselines."""
    better = [
        rival
        for rival in rivals(evidence.study, evidence.baselines)
        if name in rival.values and _is_better(evidence, rival, name, sign)
    ]
    return max(better, key=lambda rival: (rival.is_guess, sign * rival.values[name]), default=None)


def _is_better(evidence: Evidence, rival: Rival, name: str, sign: int) -> bool:
    """Return whether a rival is better by more than the folds differ.

    One fold says nothing of its noise; then only guessing counts, which any model should beat.
    """
    ours, theirs = evidence.ranked[0].metrics[name], rival.values[name]
    if not (math.isfinite(ours) and math.isfinite(theirs)) or sign * ours >= sign * theirs:
        return False
    folds = evidence.best_metrics.get(name, ())
    theirs_of_folds = rival.folds.get(name, [theirs] * len(folds))
    p = p_value(folds, theirs_of_folds, evidence.n_valid_per_train)
    return rival.is_guess if math.isnan(p) else p < LEVEL


def _stem(name: str) -> str:
    """Return the metric of a label: `average_precision` of `average_precision_binary`."""
    lengths = sorted(METRICS, key=len, reverse=True)
    return next((one for one in lengths if name == one or name.startswith(f"{one}_")), name)


def _remedy(name: str) -> str:
    return _REMEDIES.get(_stem(name), _DECISIONS)


def _finding(evidence: Evidence, remedy: str, metrics: Sequence[tuple[str, Rival]]) -> Finding:
    """Return one finding: the first metric with its values, the others by name."""
    study, best = evidence.study, evidence.ranked[0]
    metrics = sorted(metrics, key=lambda one: not one[1].is_guess)
    (name, rival), *others = metrics
    values = f"{score(best.metrics[name])} against {score(rival.values[name], best.metrics[name])}"
    also = [plain(study.titled(other)) for other, _ in others]
    return Finding(
        _severity(name, rival),
        f"In {plain(study.titled(name))}, the best trial is worse than {rival.words}: {values}"
        f"{f'; also in {joined(also)}' if also else ''}.",
        weight=0.9 if rival.is_guess else 0.4,
        figures={
            "metrics": {
                other: {"best": best.metrics[other], one.name: one.values[other]}
                for other, one in metrics
            }
        },
        trials=(best.number,),
        advice=remedy.format(metric=_stem(name), first=_first_remedy(best)),
    )


def _first_remedy(best: TrialRecord) -> str:
    """Return which arguments of the loss to leave out, if the best trial has any."""
    loss = (best.config or {}).get("loss") or {}
    used = [
        words
        for argument, words in _AGAINST_PROBABILITIES.items()
        if loss.get("arguments", {}).get(argument)
    ]
    return f"train without {joined(used)}, or " if used else ""


def _severity(name: str, rival: Rival) -> Severity:
    """Return a problem for probabilities and an order that are worse than none."""
    if _stem(name) in _TRADED:
        return "note"
    return "problem" if rival.is_guess and _remedy(name) != _DECISIONS else "advice"
