"""Metrics in which the best trial is worse than guessing or than an untuned baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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
    behind: dict[str, list[_Behind]] = {}
    for name in evidence.ranked[0].metrics:
        if name in directions:
            sign = 1 if directions[name] == "maximize" else -1
            found = _behind(evidence, name, sign)
            if found is not None:
                behind.setdefault(_remedy(name), []).append(found)
    yield from (_finding(evidence, remedy, metrics) for remedy, metrics in behind.items())


@dataclass(frozen=True)
class _Behind:
    """A metric in which a rival is better than the best trial.

    Attributes:
        is_reliable: whether by more than the folds differ; always true of one fold, which says
            nothing of its noise.
    """

    name: str
    rival: Rival
    is_reliable: bool

    @property
    def rank(self) -> tuple[bool, bool]:
        """What comes first is larger."""
        return self.is_reliable, self.rival.is_guess


def _behind(evidence: Evidence, name: str, sign: int) -> _Behind | None:
    """Return guessing if it is better than the best trial, else the best of such models.

    Any model should beat guessing, so that a mean behind it is told whatever its noise; models
    count if they are reliably better.
    """
    ours = evidence.ranked[0].metrics[name]
    known = [rival for rival in rivals(evidence.study, evidence.baselines) if name in rival.values]
    found = [
        _Behind(name, rival, _is_reliable(evidence, rival, known, name))
        for rival in known
        if math.isfinite(ours)
        and math.isfinite(rival.values[name])
        and sign * rival.values[name] > sign * ours
    ]
    told = [one for one in found if one.rival.is_guess or one.is_reliable]
    return max(told, key=lambda one: (*one.rank, sign * one.rival.values[name]), default=None)


def _is_reliable(evidence: Evidence, rival: Rival, known: Sequence[Rival], name: str) -> bool:
    """Return whether a rival that is better is so by more than the folds differ: one-sided."""
    ours = evidence.best_metrics.get(name, ())
    folds = [one.folds.get(name) or [one.values[name]] * len(ours) for one in known]
    theirs = folds[known.index(rival)]
    p = p_value(theirs, ours, folds, evidence.n_valid_per_train)
    return rival.is_guess if math.isnan(p) else p / 2 < LEVEL


def _stem(name: str) -> str:
    """Return the metric of a label: `average_precision` of `average_precision_binary`."""
    lengths = sorted(METRICS, key=len, reverse=True)
    return next((one for one in lengths if name == one or name.startswith(f"{one}_")), name)


def _remedy(name: str) -> str:
    return _REMEDIES.get(_stem(name), _DECISIONS)


def _finding(evidence: Evidence, remedy: str, metrics: Sequence[_Behind]) -> Finding:
    """Return one finding: the first metric with its values, the others by name."""
    study, best = evidence.study, evidence.ranked[0]
    first, *others = sorted(metrics, key=lambda one: one.rank, reverse=True)
    name, reached = first.name, first.rival.values[first.name]
    values = f"{score(best.metrics[name])} against {score(reached, best.metrics[name])}"
    also = [plain(study.titled(other.name)) for other in others]
    doubt = "" if first.is_reliable else ", a difference within the noise of the folds"
    return Finding(
        _severity(first),
        f"In {plain(study.titled(name))}, the best trial is worse than {first.rival.words}: "
        f"{values}{doubt}{f'; also in {joined(also)}' if also else ''}.",
        weight=0.9 if first.rival.is_guess else 0.4,
        figures={
            "metrics": {
                one.name: {
                    "best": best.metrics[one.name],
                    one.rival.name: one.rival.values[one.name],
                }
                for one in (first, *others)
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


def _severity(behind: _Behind) -> Severity:
    """Return a problem for probabilities and an order that are worse than none."""
    if _stem(behind.name) in _TRADED or not behind.is_reliable:
        return "note"
    is_problem = behind.rival.is_guess and _remedy(behind.name) != _DECISIONS
    return "problem" if is_problem else "advice"
