"""The report of a study on a terminal, from top to bottom."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from itertools import starmap

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tunecli.database.curves import Curve
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis import pareto, ranking
from tunecli.report.analysis.importance import Importance, importance
from tunecli.report.analysis.rivals import rival_scores
from tunecli.report.analysis.standings import standings_of
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import (
    ENOUGH_TRIALS,
    Finding,
    Severity,
    keeps_scores_comparable,
)
from tunecli.report.phrases import foreign_text, wording
from tunecli.report.phrases.layout import beside, heading
from tunecli.report.phrases.search_again import is_under_way, search_again
from tunecli.report.screen import trial_tables
from tunecli.report.screen.adjustment_lines import model_parts
from tunecli.report.screen.curve_plot import CurvePlot, curve_plot
from tunecli.report.screen.trial_report import curve_lines, score_label, trial_facts, yaml_lines
from tunecli.report.studies.target_scores import target_tables
from tunecli.study_file.text.counts import count
from tunecli.training.outcome.failure_reasons import alike

_NUMBERS = 8  # running trials that are listed
_REASONS = 5  # kinds of failure that are listed
_CURVES = 3  # trials whose curves are drawn
_EVALUATIONS = 4  # a shorter curve is not drawn

_MARKS: dict[Severity, tuple[str, str]] = {
    "problem": ("!", "bold red"),
    "advice": ("→", "bold yellow"),
    "note": ("·", "dim"),
}


def study_parts(
    study: StudyRecord,
    top: int = 10,
    study_file: str = "",
    options: str = "",
    everything: bool = False,
) -> Iterator[RenderableType]:
    """Yield the report of a study from top to bottom; print it with `crop=False`.

    It comes in parts, so that the first ones can be read while findings and importance are
    computed, which takes seconds.

    Args:
        top: rows of the table of the best trials.
        everything: show all findings.
        study_file: YAML of the best trial, see `best.config_yaml`; empty leaves it out.
        options: what the next commands need to find the study, e.g. `--runs elsewhere`.
    """
    from tunecli.report.findings.all_findings import all_findings, sure

    yield from _head(study)
    if not study.trials:
        yield from _next(Evidence(study), [], options)
        return
    evidence = Evidence.of(study)
    findings = all_findings(evidence)
    yield from _findings(evidence, findings, everything)
    best = ranking.best_trial(study)
    if best is not None:
        if study.further_objectives:
            yield from _front(study)
        else:
            yield from _best(evidence, best)
            yield from _rivals(evidence, best)
            yield from trial_tables.scores_of_targets(
                target_tables(study, best, evidence.baselines)
            )
            yield from _leaders(study, top, study_file)
        yield from model_parts(study)
        yield from _importance(importance(study))
        yield from _isolations(evidence)
        yield from _curves(evidence)
    yield from _troubles(study)
    yield from _next(evidence, sure(findings, evidence), options)


def _leaders(study: StudyRecord, top: int, study_file: str) -> Iterator[RenderableType]:
    if study_file:
        yield from heading("Study file that repeats the best trial")
        yield yaml_lines(study_file)
    n_complete = len(ranking.ranked(study))
    yield from heading(f"Top {min(top, n_complete)} of {count(n_complete, 'complete trial')}")
    yield trial_tables.top_table(study, top)


def _front(study: StudyRecord) -> Iterator[RenderableType]:
    """Yield the whole front, since any of its trials may be the best for a user."""
    front = pareto.front(study)
    n_complete = count(front.n_complete, "complete trial")
    yield from heading(f"Pareto front: {len(front.trials)} of {n_complete}")
    if front.trials:
        yield trial_tables.front_table(study, front.trials)


def _next(
    evidence: Evidence, findings: Sequence[Finding], options: str
) -> Iterator[RenderableType]:
    yield from heading("Next")
    commands = [*_after_best(evidence.study, findings, options)]
    commands += _more_trials(evidence, findings, options)
    yield from (Text(f"  {command}") for command in commands)


def _findings(
    evidence: Evidence, findings: Sequence[Finding], everything: bool
) -> Iterator[RenderableType]:
    """Yield the findings, and how many trials are needed for more."""
    from tunecli.report.findings.all_findings import leading_findings

    chosen = findings if everything else leading_findings(findings, evidence)
    n_hidden = len(findings) - len(chosen)
    notes = [f"{count(n_hidden, 'more finding')} with --all"] if n_hidden else []
    if len(evidence.ranked) < ENOUGH_TRIALS:
        notes.append(f"More findings appear after {ENOUGH_TRIALS} complete trials.")
    elif not findings:
        notes.append("Nothing stands out.")
    yield from heading("Findings")
    if chosen:
        yield _finding_table(chosen)
    yield from (Text(f"    {note}", style="dim") for note in notes)


def _finding_table(findings: Sequence[Finding]) -> Table:
    """Return each finding with its mark in front, and below it the lines to change."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=3, justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    for finding in findings:
        mark, style = _MARKS[finding.severity]
        text = Text(foreign_text.plain(finding.sentence))
        for line in filter(None, [change.line for change in finding.changes] or [finding.advice]):
            text.append("\n" + foreign_text.plain(line), style="cyan")
        grid.add_row(Text(mark, style=style), text)
    return grid


def _isolations(evidence: Evidence) -> Iterator[RenderableType]:
    from tunecli.report.findings.space.losing_options import isolations

    compared = [
        one for one in isolations(evidence) if sum(b.n_complete > 0 for b in one.branches) > 1
    ]
    if compared:
        yield from heading("Options of each choice, with the rest tuned")
        yield trial_tables.isolation_table(compared, evidence.study.gates)


def _curves(evidence: Evidence) -> Iterator[RenderableType]:
    """Yield the mean validation curves of the best trials."""
    top = evidence.ranked[:_CURVES]
    scores = {t.number: evidence.curves.get(t.trial_id, Curve()).score for t in top}
    drawn = [(f"trial {n}", curve) for n, curve in scores.items() if len(curve) >= _EVALUATIONS]
    if curve_plot(drawn):
        yield from heading(
            f"Validation {foreign_text.plain(evidence.study.title)} of the best trials"
        )
        yield CurvePlot(drawn)


def _head(study: StudyRecord) -> Iterator[RenderableType]:
    name = Text(foreign_text.plain(study.name), style="bold")
    yield name.append(f": {pareto.goal(study)}", style="not bold")
    yield from starmap(beside, _facts(study))


def _facts(study: StudyRecord) -> Iterator[tuple[str, str]]:
    if not study.trials:
        yield "trials", "none yet"
        return
    yield "trials", wording.tally(ranking.counts(study), ranking.n_untrained(study))
    running = [trial.number for trial in study.trials if trial.state == "running"]
    if running:
        yield "running", _under_way(running)
    if ranking.best_trial(study) is None:
        yield "best", "none yet: no trial is complete"
    yield from _times(study)
    if study.summary is not None:
        yield from wording.data_lines(study.summary, study.baselines, study.titles)
    yield from (("learned", foreign_text.plain(str(one))) for one in study.learned)
    if study.test_looks:
        yield "test set", _looks(study)
    yield from edit_lines(study)


def edit_lines(study: StudyRecord) -> Iterator[tuple[str, str]]:
    """Yield label and text of each edit of the study file: its first trial, and the changes."""
    for edit in study.edits:
        changes = "; ".join(map(str, edit.get("changes", ())))
        yield "edited", foreign_text.plain(f"from trial {edit.get('first_trial')}: {changes}")


def _looks(study: StudyRecord) -> str:
    """Return how often models were scored on the test set, and which."""
    numbers = [look.trial for look in study.test_looks if look.n_trials == 1]
    trials = ", ".join(map(str, dict.fromkeys(numbers)))
    noun = "trial" if len(set(numbers)) == 1 else "trials"
    sizes = dict.fromkeys(look.n_trials for look in study.test_looks if look.n_trials > 1)
    models = [f"{noun} {trials}"] if numbers else []
    models += [f"an ensemble of {size} trials" for size in sizes]
    if len(study.test_looks) == 1:
        return f"scored once, with the model of {models[0]}"
    return (
        f"scored {len(study.test_looks)} times, with models of {', '.join(models)}. Choosing a "
        "model by these scores makes them too optimistic."
    )


def _under_way(numbers: Sequence[int]) -> str:
    """Return which trials run; the database does not know whether their search was killed."""
    listed = ", ".join(map(str, numbers[:_NUMBERS]))
    more = f" and {len(numbers) - _NUMBERS} more" if len(numbers) > _NUMBERS else ""
    if len(numbers) == 1:
        return f"trial {listed}; if it was interrupted, the next search resumes it"
    return f"trials {listed}{more}; if interrupted, the next search resumes them"


def _times(study: StudyRecord) -> Iterator[tuple[str, str]]:
    seconds = sum(trial.seconds or 0.0 for trial in study.trials)
    parts = [f"{wording.duration(seconds)} of training"] if seconds else []
    parts += filter(None, [last_active(study)])
    if parts:
        yield "time", ", ".join(parts)


def last_active(study: StudyRecord) -> str:
    """Return when a trial last began or ended; empty if that is unknown."""
    moments = [time for trial in study.trials for time in (trial.start, trial.end) if time]
    return f"last active {max(moments):%Y-%m-%d %H:%M} UTC" if moments else ""


def _best(evidence: Evidence, best: TrialRecord) -> Iterator[RenderableType]:
    study = evidence.study
    value = f"{foreign_text.plain(study.title)} {wording.with_spread(best.value, best.spread)}"
    folds = f" over {len(best.fold_scores)} folds" if len(best.fold_scores) > 1 else ""
    yield from heading(f"Best: trial {best.number}")
    yield beside(score_label(study), Text(value + folds, style="bold green"))
    if evidence.expected is not None:
        yield beside("expected", evidence.expected.sentence)
    yield from trial_facts(study, best)
    if params := wording.assignments(best.params, study.gates):
        yield beside("parameters", " ".join(params))
    standings = standings_of(study)
    if others := wording.standing_counts(*standings.counts, standings.region):
        yield beside("others", others)
    yield from curve_lines(study, best)


def _rivals(evidence: Evidence, best: TrialRecord) -> Iterator[RenderableType]:
    """Yield the best trial and untuned models in every metric, if there are several."""
    heads, rows = rival_scores(evidence.study, evidence.baselines, best)
    if rows:
        yield from heading("The best trial, untuned models and guessing")
        yield trial_tables.rival_table(heads, rows)


def _importance(result: Importance) -> Iterator[RenderableType]:
    yield from heading(f"Parameter importance over {count(result.n_trials, 'complete trial')}")
    if result.reason:
        yield Text(f"  {result.reason}", style="dim")
        return
    yield trial_tables.importance_bars(result.values)
    for name, reason in result.left_out.items():
        yield Text(f"  {foreign_text.plain(name)}: {reason}", style="dim")


def _troubles(study: StudyRecord) -> Iterator[RenderableType]:
    """Yield the most common reasons of trials without a result, with a trial to inspect."""
    kinds: dict[tuple[str, str], list[TrialRecord]] = {}
    for trial in study.trials:
        if trial.outcome in ("failed", "diverged", "infeasible"):
            kinds.setdefault((trial.outcome, alike(trial.reason)), []).append(trial)
    if not kinds:
        return
    yield from heading("What went wrong")
    common = sorted(kinds.values(), key=len, reverse=True)
    for trials in common[:_REASONS]:
        last = trials[-1]
        why = foreign_text.shortened(
            foreign_text.plain(last.reason or "no reason was recorded"), 300
        )
        text = f"{count(len(trials), 'trial')}: {why} (see --trial {last.number})"
        yield beside(last.outcome or "", text)
    n_others = sum(map(len, common[_REASONS:]))
    if n_others:
        yield beside("", f"{count(n_others, 'trial')} for other reasons")


def _after_best(study: StudyRecord, findings: Sequence[Finding], options: str) -> Iterator[str]:
    """Yield the commands that look at the best trial, change the study file or use the model."""
    best = ranking.best_trial(study)
    if best is None:
        return
    name = _named(study, options)
    yield f"tunecli report {name} --trial {best.number}"
    yield f"tunecli report {name} --html {_quoted(f'{study.name}.html')}"
    if best.config is None:  # a trial of another program
        return
    changes = [change for finding in findings for change in finding.changes]
    if not study.further_objectives and any(map(keeps_scores_comparable, changes)):
        yield f"tunecli next {name} -o {_quoted(f'{study.name}-2.yaml')}"
    if best.config.get("train") is None:  # the user's own training makes its own models
        yield f"tunecli refit {name}{' --pareto 1' if study.further_objectives else ''}"


def _more_trials(evidence: Evidence, findings: Sequence[Finding], options: str) -> Iterator[str]:
    """Yield the command that continues the search, unless findings advise against it."""
    from tunecli.report.findings.budget import can_more_trials_help

    study = evidence.study
    has_best = ranking.best_trial(study) is not None
    if not study.file:
        yield from () if has_best else (f"tunecli report {_named(study, options)}",)
        return
    if not has_best and any(trial.outcome == "failed" for trial in study.trials):
        yield f"tunecli check {_quoted(study.file)}"
    if is_under_way(study) or can_more_trials_help(evidence, findings):
        yield search_again(study, options)


def _named(study: StudyRecord, options: str) -> str:
    return " ".join(filter(None, [_quoted(study.name), options]))


def _quoted(text: str) -> str:
    return foreign_text.plain(shlex.quote(text))
