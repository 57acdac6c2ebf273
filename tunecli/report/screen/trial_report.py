"""The report of one trial."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.phrases import wording
from tunecli.report.phrases.layout import beside
from tunecli.report.screen import trial_parts, trial_tables


def render_trial(study: StudyRecord, number: int, study_file: str = "") -> RenderableType:
    """Return everything about one trial; print it with `crop=False`.

    Args:
        study_file: YAML of the trial, see `best.config_yaml`; empty leaves it out.

    Raises:
        StudyNotFoundError: the study has no such trial.
    """
    trial = study.trial(number)
    title = Text(f"Trial {number} of {wording.plain(study.name)}", style="bold")
    state = "running or interrupted" if trial.state == "running" else trial.state
    parts: list[RenderableType] = [title.append(f": {trial.outcome or state}")]
    if trial.reason and trial.outcome != "complete":
        parts.append(beside("reason", Text(wording.plain_lines(trial.reason), style="yellow")))
    if trial.value is not None:
        value = f"{wording.plain(study.metric)} {wording.with_spread(trial.value, trial.spread)}"
        parts.append(beside(trial_parts.score_label(study), Text(value, style="bold")))
    parts += trial_parts.trial_facts(study, trial)
    parts += [beside(label, Text(text)) for label, text in _origin(trial)]
    parts += trial_parts.curve_lines(study, trial)
    if trial.params:
        parts += [Text(), trial_tables.parameter_table(trial, study.gates)]
    if trial.traceback:
        parts += trial_parts.heading("Traceback")
        parts.append(Text(wording.plain_lines(trial.traceback.rstrip())))
    if study_file:
        parts += trial_parts.heading("Study file that repeats this trial")
        parts.append(trial_parts.yaml_lines(study_file))
    return Group(*parts)


def _origin(trial: TrialRecord) -> list[tuple[str, str]]:
    lines = []
    if trial.start is not None:
        end = f" to {trial.end:%H:%M:%S}" if trial.end is not None else ""
        lines.append(("when", f"{trial.start:%Y-%m-%d %H:%M:%S}{end} UTC"))
    by = [f"worker {trial.worker}"] if trial.worker is not None else []
    by += [f"attempt {trial.attempt}"] if trial.attempt is not None else []
    return [*lines, ("by", ", ".join(by))] if by else lines
