"""The report of a study on a terminal: what was found, as one reads it from top to bottom."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from tunecli.report import pareto, ranking, trial_tables, wording
from tunecli.report.curve_plot import CurvePlot, curve_plot
from tunecli.report.finding_lines import finding_lines
from tunecli.report.findings.evidence import Evidence
from tunecli.report.importance import Importance, importance
from tunecli.report.layout import beside
from tunecli.report.records import StudyRecord, TrialRecord
from tunecli.report.search_lines import tie_sentence
from tunecli.report.trial_parts import curve_lines, facts, heading, score_label, yaml_lines
from tunecli.study_file.counts import count
from tunecli.training.reasons import alike

_NUMBERS = 8  # of running trials that are named
_REASONS = 5  # kinds of failure that are worth a line
_CURVES = 3  # trials whose curves are drawn
_EVALUATIONS = 4  # that make a curve


def study_parts(
    study: StudyRecord,
    top: int = 10,
    study_file: str = "",
    options: str = "",
    everything: bool = False,
) -> Iterator[RenderableType]:
    """Everything worth knowing of a study, from top to bottom; to be printed with `crop=False`.

    In parts, so that one can read the first ones while findings and importance are computed,
    which takes seconds.

    Args:
        top: rows of the table of the best trials.
        everything: show all findings.
        study_file: of the best trial, see `best.study_file_of`; empty leaves it out.
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
        yield from heading("The best trial as a study file that runs again")
        yield yaml_lines(study_file)
    n_complete = len(ranking.ranked(study))
    yield from heading(f"Top {min(top, n_complete)} of {count(n_complete, 'complete trial')}")
    yield trial_tables.top_table(study, top)


def _front(study: StudyRecord) -> Iterator[RenderableType]:
    """All of it, since each of its trials is best for somebody."""
    found = pareto.front(study)
    n_complete = count(found.n_complete, "complete trial")
    yield from heading(f"Pareto front: {len(found.trials)} of {n_complete}")
    if found.trials:
        yield trial_tables.front_table(study, found.trials)


def _next(study: StudyRecord, best: TrialRecord | None, options: str) -> Iterator[RenderableType]:
    yield from heading("Next")
    yield from (Text(f"  {command}") for command in _next_commands(study, best, options))


def _findings(evidence: Evidence, everything: bool) -> list[RenderableType]:
    """What to do, or how many trials it takes until that can be said."""
    from tunecli.report.findings.advice import ENOUGH_TRIALS, all_findings, shown

    found = all_findings(evidence)
    chosen = found if everything else shown(found, evidence)
    parts = finding_lines(chosen, len(found) - len(chosen))
    if len(evidence.ranked) < ENOUGH_TRIALS:
        few = f"More can be said from {ENOUGH_TRIALS} complete trials on."
        parts.append(Text(f"    {few}", style="dim"))
    elif not parts:
        parts.append(Text("    Nothing stands out.", style="dim"))
    return [*heading("Findings"), *parts]


def _isolations(evidence: Evidence) -> list[RenderableType]:
    from tunecli.report.findings.isolation import isolations

    found = [
        one for one in isolations(evidence) if sum(b.n_complete > 0 for b in one.branches) > 1
    ]
    if not found:
        return []
    table = trial_tables.isolation_table(found, evidence.study.gates)
    return [*heading("Choices, the rest tuned"), table]


def _curves(evidence: Evidence) -> list[RenderableType]:
    """The mean validation curves of the best trials."""
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
    parts += [beside("learned", Text(wording.plain(str(told)))) for told in study.learned]
    if study.test_looks:
        parts.append(beside("test set", Text(_looks(study))))
    for edit in study.edits:
        changes = "; ".join(wording.plain(str(change)) for change in edit.get("changes", ()))
        text = f"from trial {edit.get('first_trial')}: {changes}"
        parts.append(beside("edited", Text(wording.plain(text))))
    return parts


def _looks(study: StudyRecord) -> str:
    """How often it was opened, and by which models."""
    numbers = [look.trial for look in study.test_looks]
    of = ", ".join(map(str, dict.fromkeys(numbers)))
    if len(numbers) == 1:
        return f"looked at once, by the model of trial {of}"
    models = "trial" if len(set(numbers)) == 1 else "trials"
    return (
        f"looked at {len(numbers)} times, by models of {models} {of}: choosing by what it shows "
        "makes its scores too good"
    )


def _under_way(numbers: Sequence[int]) -> str:
    """A database cannot tell a trial at work from one whose search was killed."""
    shown = ", ".join(map(str, numbers[:_NUMBERS]))
    more = f" and {len(numbers) - _NUMBERS} more" if len(numbers) > _NUMBERS else ""
    if len(numbers) == 1:
        return f"trial {shown}: at work, or interrupted; the next search goes on with it"
    return f"trials {shown}{more}: at work, or interrupted; the next search goes on with them"


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
    parts += facts(study, best)
    params = " ".join(wording.assignments(best.params, study.gates))
    parts.append(beside("parameters", Text(params)))
    n_tied = len(ranking.tied_with_best(study)) - 1
    if n_tied >= 0:
        parts.append(beside("ties", Text(tie_sentence(n_tied, len(best.fold_scores)))))
    return parts + curve_lines(study, best)


def _importance(found: Importance) -> list[RenderableType]:
    parts = heading(f"Parameter importance over {count(found.n_trials, 'complete trial')}")
    if found.reason:
        return [*parts, Text(f"  {found.reason}", style="dim")]
    parts.append(trial_tables.importance_bars(found.values))
    for name, reason in found.left_out.items():
        parts.append(Text(f"  {wording.plain(name)}: {reason}", style="dim"))
    return parts


def _troubles(study: StudyRecord) -> list[RenderableType]:
    """The commonest reasons of trials that gave no result, with a trial to look at."""
    unhappy = [t for t in study.trials if t.outcome in ("failed", "diverged", "infeasible")]
    if not unhappy:
        return []
    kinds = Counter((trial.outcome, alike(trial.reason)) for trial in unhappy)
    last = {(trial.outcome, alike(trial.reason)): trial for trial in unhappy}
    parts = heading("What went wrong")
    for kind, n in kinds.most_common(_REASONS):
        why = wording.shortened(wording.plain(last[kind].reason or "no reason is stored"), 300)
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
        if best.config is not None:  # else it is another program's
            if not study.further_objectives:
                file = wording.plain(shlex.quote(study.name + "-2.yaml"))
                yield f"tunecli next {name} -o {file}"
            if best.config.get("train") is None:  # a training of the user's own makes its models
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
    """What leads the study file to this study, where its own name is another one's."""
    is_renamed = any(text.partition("=")[0].strip() == "study" for text in study.overrides)
    return f"--as {wording.plain(shlex.quote(study.name))}" if is_renamed else ""
