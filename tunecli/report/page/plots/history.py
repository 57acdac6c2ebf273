"""The score over trials, with the best so far."""

from __future__ import annotations

from tunecli.database.records import StudyRecord
from tunecli.report.analysis import ranking
from tunecli.report.page.plots.marks import outcome_points
from tunecli.report.page.plots.plot import Plot, Trace, axis, plot_layout
from tunecli.report.page.plots.scores import STRIP, ScoreAxis
from tunecli.report.phrases import wording
from tunecli.study_file.text.counts import count


def history(study: StudyRecord, scores: ScoreAxis) -> Plot:
    """Return every trial's score, with the best so far as a line."""
    trials = [trial for trial in study.trials if trial.state != "waiting"]
    line = _best_so_far(study)
    traces = outcome_points(((trial.number, trial) for trial in trials), scores)
    return Plot(
        "Score over trials",
        _description(study),
        [line, *traces] if line["x"] else traces,
        plot_layout(
            xaxis=axis("trial", rangemode="tozero", showgrid=False, tickformat=",d"),
            yaxis=scores.layout(),
            shapes=scores.strip_line(),
        ),
        note="The line is the best complete trial so far."
        + (f" {STRIP}" if scores.strip is not None else ""),
        height=360,
        wide=True,
    )


def _best_so_far(study: StudyRecord) -> Trace:
    steps = ranking.best_so_far(study)
    if steps:
        steps.append((max(trial.number for trial in study.trials), steps[-1][1]))
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "best so far",
        "x": [number for number, _ in steps],
        "y": [value for _, value in steps],
        "line": {"color": "@ink", "width": 2, "shape": "hv"},
        "hoverinfo": "skip",
    }


def _description(study: StudyRecord) -> str:
    steps = ranking.best_so_far(study)
    if not steps:
        return f"{count(len(study.trials), 'trial')}, none of them complete."
    went = "rose" if study.direction == "maximize" else "fell"
    return (
        f"The best {wording.plain(study.metric)} {went} from {wording.score(steps[0][1])} in "
        f"trial {steps[0][0]} to {wording.score(steps[-1][1])} in trial {steps[-1][0]}, of "
        f"{count(len(study.trials), 'trial')}."
    )
