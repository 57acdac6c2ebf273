"""The report of one trial, and its parts that the report of a study has too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import starmap

from rich.console import Group, RenderableType
from rich.text import Text

from tunecli.database.curves import Curve
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis.best_evaluation import best_of_curve
from tunecli.report.analysis.standings import standings_of
from tunecli.report.analysis.undefined import undefined_metrics
from tunecli.report.phrases import foreign_text, wording
from tunecli.report.phrases.layout import beside, heading
from tunecli.report.phrases.width_text import trial_mup_text
from tunecli.report.screen import trial_tables
from tunecli.report.screen.adjustment_lines import model_parts
from tunecli.report.studies.target_scores import target_tables
from tunecli.study_file.text.counts import count


def render_trial(
    study: StudyRecord, number: int, study_file: str = "", printed: Sequence[str] = ()
) -> RenderableType:
    """Return everything about one trial; print it with `crop=False`.

    Args:
        study_file: YAML of the trial, see `best.config_yaml`; empty leaves it out.
        printed: a heading, and the last lines that the trial printed; empty for none.

    Raises:
        StudyNotFoundError: the study has no such trial.
    """
    trial = study.trial(number)
    title = Text(f"Trial {number} of {foreign_text.plain(study.name)}", style="bold")
    state = "running or interrupted" if trial.state == "running" else trial.state
    parts: list[RenderableType] = [title.append(f": {trial.outcome or state}")]
    if trial.reason and trial.outcome != "complete":
        parts.append(
            beside("reason", Text(foreign_text.plain_lines(trial.reason), style="yellow"))
        )
    if trial.value is not None:
        value = (
            f"{foreign_text.plain(study.title)} {wording.with_spread(trial.value, trial.spread)}"
        )
        parts.append(beside(score_label(study), Text(value, style="bold")))
    parts += starmap(beside, _standing(study, trial))
    parts += trial_facts(study, trial)
    parts += starmap(beside, _origin(trial))
    parts += curve_lines(study, trial)
    parts += trial_tables.scores_of_targets(target_tables(study, trial))
    parts += model_parts(study, number)
    if trial.params:
        parts += [Text(), trial_tables.parameter_table(trial, study.gates)]
    if trial.traceback:
        parts += heading("Traceback")
        parts.append(Text(foreign_text.plain_lines(trial.traceback.rstrip())))
    if printed:
        origin, *lines = printed
        parts += heading(foreign_text.plain(origin))
        parts.append(Text(foreign_text.plain_lines("\n".join(lines))))
    if study_file:
        parts += heading("Study file that repeats this trial")
        parts.append(yaml_lines(study_file))
    return Group(*parts)


def _standing(study: StudyRecord, trial: TrialRecord) -> Iterator[tuple[str, str]]:
    """Yield how a complete trial compares with the best one."""
    standings = standings_of(study)
    standing = standings.of.get(trial.number)
    if standing is not None and standing.verdict and standings.region is not None:
        best = standings.trials[0].number
        yield (
            "standing",
            wording.standing_text(standing.verdict, best, standings.region, standing.worse),
        )


def _origin(trial: TrialRecord) -> Iterator[tuple[str, str]]:
    if trial.start is not None:
        end = f" to {trial.end:%H:%M:%S}" if trial.end is not None else ""
        yield "when", f"{trial.start:%Y-%m-%d %H:%M:%S}{end} UTC"
    by = [f"worker {trial.worker}"] if trial.worker is not None else []
    by += [f"attempt {trial.attempt}"] if trial.attempt is not None else []
    if by:
        yield "by", ", ".join(by)


def score_label(study: StudyRecord) -> str:
    """Return the label of a trial's value."""
    return "mean score" if study.metric != "value" else "value"


def curve_lines(study: StudyRecord, trial: TrialRecord) -> Iterator[RenderableType]:
    """Yield sparklines of the validation score and the training loss, means over folds."""
    curve = study.curve(trial)
    for label, values in ((study.title, curve.score), ("train loss", curve.train_loss)):
        picture = wording.sparkline(values)
        if picture and len(values) > 1:
            ends = f"{wording.score(values[0])} → {wording.score(values[-1])}"
            text = Text.assemble((picture, "cyan"), f"  {ends}")
            yield beside(foreign_text.shortened(foreign_text.plain(label), 11), text)


def yaml_lines(study_file: str) -> RenderableType:
    """Return a study file for copying: no line is broken, however narrow the terminal is."""
    text = foreign_text.plain_lines(study_file.rstrip())
    # rich would join a bare text with others and wrap it.
    return Group(Text(text, no_wrap=True, overflow="ignore"))


def trial_facts(study: StudyRecord, trial: TrialRecord) -> Iterator[RenderableType]:
    """Yield fold scores, other metrics and cost of a trial, and a note on its compression."""
    curve = study.curve(trial)
    metrics = (
        f"{foreign_text.plain(study.titled(name))} {wording.metric_text(name, value)}"
        for name, value in trial.metrics.items()
    )
    cost = (
        wording.duration(trial.seconds) if trial.seconds else "",
        count(trial.n_weights, "weight") if trial.n_weights else "",
        f"{wording.memory_text(trial.peak_memory)} peak" if trial.peak_memory else "",
        _evaluation(trial, curve),
    )
    folds = trial.fold_scores if len(trial.fold_scores) > 1 else ()
    best = best_of_curve(study, trial, curve)
    lines = [
        ("folds", "  ".join(wording.score(score, trial.value) for score in folds)),
        ("", _never_joined(study, trial)),
        ("metrics", " · ".join(metrics)),
        *(("note", foreign_text.plain(text)) for text in undefined_metrics(trial, curve).values()),
        ("cost", ", ".join(filter(None, cost))),
        ("mup", trial_mup_text(trial.config)),
        ("best at", best.in_words() if best is not None else ""),
        ("note", foreign_text.plain(trial.reason) if trial.outcome == "complete" else ""),
    ]
    return (beside(label, text) for label, text in lines if text)


def _never_joined(study: StudyRecord, trial: TrialRecord) -> str:
    """Return how many folds a trial was pruned on, if the others had not joined; else empty."""
    n_folds, n_scored = study.summary.n_folds if study.summary else 0, len(trial.fold_scores)
    if trial.outcome != "pruned" or not 0 < n_scored < n_folds:
        return ""
    return f"pruned on the first {n_scored} of {n_folds} folds (validation.racing)"


def _evaluation(trial: TrialRecord, curve: Curve) -> str:
    """Return which evaluation counts, of how many, and whether a smoothed curve chose it."""
    n_evaluations = len(curve.step)
    if trial.best_step is None or not n_evaluations:
        return ""
    smooth = (trial.config or {}).get("training", {}).get("smooth_score", 1)
    is_smoothed = smooth > 1 and trial.state == "complete"
    by = f" (the best median of {smooth} evaluations)" if is_smoothed else ""
    return f"scored at evaluation {trial.best_step + 1} of {n_evaluations}{by}"
