"""The report of a study on a terminal, from top to bottom."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis import pareto, ranking
from tunecli.report.analysis.importance import Importance, importance
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.phrases import wording
from tunecli.report.phrases.layout import beside
from tunecli.report.screen import trial_tables
from tunecli.report.screen.curve_plot import CurvePlot, curve_plot
from tunecli.report.screen.finding_lines import finding_lines
from tunecli.report.screen.trial_parts import (
    curve_lines,
    heading,
    score_label,
    trial_facts,
    yaml_lines,
)
from tunecli.study_file.text.counts import count
from tunecli.training.outcome.failure_reasons import alike

_NUMBERS = 8  # running trials that are listed
_REASONS = 5  # kinds of failure that are listed
_CURVES = 3  # trials whose curves are drawn
_EVALUATIONS = 4  # a shorter curve is not drawn


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
    yield from _head(study)
    if not study.trials:
        yield from _next(study, None, options)
        return
    evidence = Evidence.of(study)
    yield from _findings(evidence, everything)
    best = ranking.best_trial(study)
    if best is not None:
        if study.further_objectives:
            yield from _front(study)
        else:
            yield from _best(study, best)
            yield from _leaders(study, top, study_file)
        yield from _importance(importance(study))
        yield from _isolations(evidence)
        yield from _curves(evidence)
    yield from _troubles(study)
    yield from _next(study, best, options)


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


def _next(study: StudyRecord, best: TrialRecord | None, options: str) -> Iterator[RenderableType]:
    yield from heading("Next")
    yield from (Text(f"  {command}") for command in _next_commands(study, best, options))


def _findings(evidence: Evidence, everything: bool) -> list[RenderableType]:
    """Return the findings, and how many trials are needed for more."""
    from tunecli.report.findings.all_findings import ENOUGH_TRIALS, all_findings, leading_findings

    findings = all_findings(evidence)
    chosen = findings if everything else leading_findings(findings, evidence)
    parts = finding_lines(chosen, len(findings) - len(chosen))
    if len(evidence.ranked) < ENOUGH_TRIALS:
        few = f"More findings appear after {ENOUGH_TRIALS} complete trials."
        parts.append(Text(f"    {few}", style="dim"))
    elif not parts:
        parts.append(Text("    Nothing stands out.", style="dim"))
    return [*heading("Findings"), *parts]


def _isolations(evidence: Evidence) -> list[RenderableType]:
    from tunecli.report.findings.evidence.isolation import isolations

    compared = [
        one for one in isolations(evidence) if sum(b.n_complete > 0 for b in one.branches) > 1
    ]
    if not compared:
        return []
    table = trial_tables.isolation_table(compared, evidence.study.gates)
    return [*heading("Choices, with everything else tuned"), table]


def _curves(evidence: Evidence) -> list[RenderableType]:
    """Return the mean validation curves of the best trials."""
    drawn = [
        (f"trial {trial.number}", evidence.curves[trial.trial_id].score)
        for trial in evidence.ranked[:_CURVES]
        if trial.trial_id in evidence.curves
        and len(evidence.curves[trial.trial_id].score) >= _EVALUATIONS
    ]
    if not curve_plot(drawn):
        return []
    metric = wording.plain(evidence.study.metric)
    return [*heading(f"Validation {metric} of the best trials"), CurvePlot(drawn)]


def _head(study: StudyRecord) -> list[RenderableType]:
    name = Text(wording.plain(study.name), style="bold")
    name.append(f": {pareto.goal(study)}", style="not bold")
    if not study.trials:
        return [name, beside("trials", Text("none yet"))]
    counts = Text(wording.tally(ranking.counts(study)))
    parts: list[RenderableType] = [name, beside("trials", counts)]
    running = [trial.number for trial in study.trials if trial.state == "running"]
    if running:
        parts.append(beside("running", Text(_under_way(running))))
    if ranking.best_trial(study) is None:
        parts.append(beside("best", Text("none yet: no trial is complete")))
    parts += [beside(label, Text(text)) for label, text in _times(study)]
    if study.summary is not None:
        lines = wording.data_lines(study.summary, study.baselines)
        parts += [beside(label, Text(text)) for label, text in lines]
    parts += [beside("learned", Text(wording.plain(str(one)))) for one in study.learned]
    if study.test_looks:
        parts.append(beside("test set", Text(_looks(study))))
    for edit in study.edits:
        changes = "; ".join(wording.plain(str(change)) for change in edit.get("changes", ()))
        text = f"from trial {edit.get('first_trial')}: {changes}"
        parts.append(beside("edited", Text(wording.plain(text))))
    return parts


def _looks(study: StudyRecord) -> str:
    """Return how often models were scored on the test set, and which."""
    numbers = [look.trial for look in study.test_looks]
    trials = ", ".join(map(str, dict.fromkeys(numbers)))
    if len(numbers) == 1:
        return f"scored once, with the model of trial {trials}"
    noun = "trial" if len(set(numbers)) == 1 else "trials"
    return (
        f"scored {len(numbers)} times, with models of {noun} {trials}. Choosing a model by these "
        "scores makes them too optimistic."
    )


def _under_way(numbers: Sequence[int]) -> str:
    """Return which trials run; the database does not know whether their search was killed."""
    listed = ", ".join(map(str, numbers[:_NUMBERS]))
    more = f" and {len(numbers) - _NUMBERS} more" if len(numbers) > _NUMBERS else ""
    if len(numbers) == 1:
        return f"trial {listed}; if it was interrupted, the next search resumes it"
    return f"trials {listed}{more}; if interrupted, the next search resumes them"


def _times(study: StudyRecord) -> list[tuple[str, str]]:
    seconds = sum(trial.seconds or 0.0 for trial in study.trials)
    moments = [time for trial in study.trials for time in (trial.start, trial.end) if time]
    parts = [f"{wording.duration(seconds)} of training"] if seconds else []
    parts += [f"last active {max(moments):%Y-%m-%d %H:%M} UTC"] if moments else []
    return [("time", ", ".join(parts))] if parts else []


def _best(study: StudyRecord, best: TrialRecord) -> list[RenderableType]:
    value = f"{wording.plain(study.metric)} {wording.with_spread(best.value, best.spread)}"
    folds = f" over {len(best.fold_scores)} folds" if len(best.fold_scores) > 1 else ""
    parts = heading(f"Best: trial {best.number}")
    parts.append(beside(score_label(study), Text(value + folds, style="bold green")))
    parts += trial_facts(study, best)
    params = " ".join(wording.assignments(best.params, study.gates))
    parts.append(beside("parameters", Text(params)))
    n_tied = len(ranking.tied_with_best(study)) - 1
    if n_tied >= 0:
        parts.append(beside("ties", Text(wording.tie_sentence(n_tied, len(best.fold_scores)))))
    return parts + curve_lines(study, best)


def _importance(result: Importance) -> list[RenderableType]:
    n_trials = count(result.n_trials, "complete trial")
    parts = heading(f"Parameter importance over {n_trials}")
    if result.reason:
        return [*parts, Text(f"  {result.reason}", style="dim")]
    parts.append(trial_tables.importance_bars(result.values))
    for name, reason in result.left_out.items():
        parts.append(Text(f"  {wording.plain(name)}: {reason}", style="dim"))
    return parts


def _troubles(study: StudyRecord) -> list[RenderableType]:
    """Return the most common reasons of trials without a result, with a trial to inspect."""
    lost = [t for t in study.trials if t.outcome in ("failed", "diverged", "infeasible")]
    if not lost:
        return []
    kinds = Counter((trial.outcome, alike(trial.reason)) for trial in lost)
    last = {(trial.outcome, alike(trial.reason)): trial for trial in lost}
    parts = heading("What went wrong")
    for kind, n in kinds.most_common(_REASONS):
        why = wording.shortened(wording.plain(last[kind].reason or "no reason was recorded"), 300)
        text = f"{count(n, 'trial')}: {why} (see --trial {last[kind].number})"
        parts.append(beside(last[kind].outcome or "", Text(text)))
    if len(kinds) > _REASONS:
        n_others = sum(n for _, n in kinds.most_common()[_REASONS:])
        parts.append(beside("", Text(f"{count(n_others, 'trial')} for other reasons")))
    return parts


def _next_commands(study: StudyRecord, best: TrialRecord | None, options: str) -> Iterable[str]:
    name = " ".join(filter(None, [wording.plain(shlex.quote(study.name)), options]))
    if best is not None:
        yield f"tunecli report {name} --trial {best.number}"
        yield f"tunecli report {name} --html {wording.plain(shlex.quote(study.name + '.html'))}"
        if best.config is not None:  # a trial of another program has none
            if not study.further_objectives:
                file = wording.plain(shlex.quote(study.name + "-2.yaml"))
                yield f"tunecli next {name} -o {file}"
            if best.config.get("train") is None:  # the user's own training makes its own models
                yield f"tunecli refit {name}{' --pareto 1' if study.further_objectives else ''}"
    if study.file:
        file = wording.plain(shlex.quote(study.file))
        if best is None and any(trial.outcome == "failed" for trial in study.trials):
            yield f"tunecli check {file}"
        under_way = any(trial.state == "running" for trial in study.trials)
        more = f"--trials {2 * len(study.trials)}" if study.trials and not under_way else ""
        yield " ".join(filter(None, [f"tunecli search {file}", _renamed(study), more, options]))
    elif best is None:
        yield f"tunecli report {name}"


def _renamed(study: StudyRecord) -> str:
    """Return the option that selects this study if the study file has another name."""
    is_renamed = any(text.partition("=")[0].strip() == "study" for text in study.overrides)
    return f"--as {wording.plain(shlex.quote(study.name))}" if is_renamed else ""
