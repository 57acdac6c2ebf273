"""Parts that the report of a study and the report of a trial share."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from tunecli.database.curves import Curve
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.undefined import undefined_metrics
from tunecli.report.phrases import wording
from tunecli.report.phrases.layout import beside
from tunecli.study_file.text.counts import count


def heading(title: str) -> list[RenderableType]:
    """Return a blank line and a title."""
    return [Text(), Text(title, style="bold")]


def score_label(study: StudyRecord) -> str:
    """Return the label of a trial's value."""
    return "mean score" if study.metric != "value" else "value"


def curve_lines(study: StudyRecord, trial: TrialRecord) -> list[RenderableType]:
    """Return sparklines of the validation score and the training loss, means over folds."""
    curve = study.curve(trial)
    lines: list[RenderableType] = []
    for label, values in ((study.metric, curve.score), ("train loss", curve.train_loss)):
        picture = wording.sparkline(values)
        if picture and len(values) > 1:
            ends = f"{wording.score(values[0])} → {wording.score(values[-1])}"
            text = Text.assemble((picture, "cyan"), f"  {ends}")
            lines.append(beside(wording.shortened(wording.plain(label), 11), text))
    return lines


def yaml_lines(study_file: str) -> RenderableType:
    """Return a study file for copying: no line is broken, however narrow the terminal is."""
    text = wording.plain_lines(study_file.rstrip())
    # rich would join a bare text with others and wrap it.
    return Group(Text(text, no_wrap=True, overflow="ignore"))


def trial_facts(study: StudyRecord, trial: TrialRecord) -> list[RenderableType]:
    """Return fold scores, other metrics and cost of a trial, and a note on its compression."""
    lines: list[tuple[str, str]] = []
    curve = study.curve(trial)
    if len(trial.fold_scores) > 1:
        scores = "  ".join(wording.score(score, trial.value) for score in trial.fold_scores)
        lines.append(("folds", scores))
    if trial.metrics:
        metrics = [
            f"{wording.plain(name)} {wording.metric_text(name, value)}"
            for name, value in trial.metrics.items()
        ]
        lines.append(("metrics", " · ".join(metrics)))
    lines += [("note", wording.plain(text)) for text in undefined_metrics(trial, curve).values()]
    cost = [
        wording.duration(trial.seconds) if trial.seconds else "",
        count(trial.n_weights, "weight") if trial.n_weights else "",
        f"{wording.memory_text(trial.peak_memory)} peak" if trial.peak_memory else "",
        _evaluation(trial, curve),
    ]
    lines.append(("cost", ", ".join(filter(None, cost))))
    if trial.outcome == "complete":
        lines.append(("note", wording.plain(trial.reason)))
    return [beside(label, Text(text)) for label, text in lines if text]


def _evaluation(trial: TrialRecord, curve: Curve) -> str:
    """Return which evaluation counts, of how many."""
    n_evaluations = len(curve.step)
    if trial.best_step is None or not n_evaluations:
        return ""
    return f"scored at evaluation {trial.best_step + 1} of {n_evaluations}"
