"""The lines that a search leaves on the screen or in a log."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Literal

from rich.text import Text

from tunecli.data.summary import DataSummary
from tunecli.report import wording
from tunecli.report.layout import Line, labelled
from tunecli.report.search_state import SearchState
from tunecli.search.progress import SearchEnded, SearchStarted, TrialFinished
from tunecli.study_file.counts import count
from tunecli.study_file.units import in_words
from tunecli.training.evaluation import Baseline, Outcome

REASON = 60  # characters of a reason in a log line

STYLES: dict[Outcome, str] = {
    "complete": "green",
    "pruned": "dim",
    "diverged": "yellow",
    "infeasible": "yellow",
    "failed": "red",
}


_IN_VAIN: Mapping[Outcome | Literal[""], str] = {
    "failed": "all trials failed",
    "diverged": "all trials diverged",
    "infeasible": "no trial kept to the limits",
}

_MOST = 10  # trials of a front that are listed


def beginning(started: SearchStarted) -> list[Line]:
    """Which study, what it optimizes, what was kept and changed."""
    head = Text(wording.plain(started.study), style="bold")
    objectives = [(started.objective, started.direction), *started.further_objectives]
    goal = ", ".join(f"{way} {wording.plain(name)}" for name, way in objectives)
    trials = count(started.n_total, "trial")
    if started.n_done:
        trials = f"{_done(started.n_done, started.n_total)} done"
    if started.n_jobs:
        trials += f", {started.n_jobs} at a time"
    lines = [Line(head.append(f": {goal}, {trials}", style="not bold"))]
    if started.adopted:
        numbers = ", ".join(map(str, started.adopted))
        word = "trial" if len(started.adopted) == 1 else "trials"
        lines.append(notice(f"Goes on with {word} {numbers}, interrupted before."))
    if started.n_jobs:
        remark = wording.on_parallel(started.parallel, started.n_jobs, started.n_total)
        lines += [notice(remark)] if remark else []
    lines += [labelled("learns", wording.plain(told)) for told in started.learned]
    return lines + [notice(f"Changed: {change}") for change in started.changes]


def data(summary: DataSummary) -> list[Line]:
    """What the data is, what was put away, how a trial is scored, what guessing scores."""
    return [labelled(label, text) for label, text in wording.data_lines(summary)]


def baselines(found: Sequence[Baseline]) -> list[Line]:
    """What untuned models reach on the same folds."""
    told = wording.untuned(found)
    return [labelled("baselines", told)] if told else []


def notice(text: str) -> Line:
    """A sentence that the user should read."""
    return Line(Text(wording.plain(text), style="yellow"))


def estimate(seconds: float) -> Line:
    """How long the whole search will take."""
    return labelled("time", f"about {wording.about(seconds)} for the whole search")


def finished(trial: TrialFinished, state: SearchState) -> Line:
    """One trial in one line, however long: a log has no width."""
    metric = wording.plain(state.started.objective) if state.started else "value"
    width = len(str(state.started.n_total)) if state.started else 1
    parts = []
    if trial.value is not None:
        parts.append(f"{metric} {wording.with_spread(trial.value, state.spread(trial))}")
    parts += _further(trial, state)
    if trial.is_best:
        parts.append("(on the front)" if trial.values[1:] else "(best)")
    if trial.reason:
        parts.append(wording.shortened(wording.plain(trial.reason), REASON))
    params = wording.assignments(trial.params, state.gates)
    parts += [wording.duration(trial.seconds), " ".join(params)]
    head = f"trial {trial.number:>{width}}  "
    line = Text(head).append(f"{trial.outcome:<10}  ", style=STYLES[trial.outcome])
    return Line(line.append("  ".join(parts).rstrip()))


def _further(trial: TrialFinished, state: SearchState) -> list[str]:
    """The objectives beside the first one."""
    named = state.started.further_objectives if state.started else ()
    pairs = zip(named, trial.values[1:], strict=False)
    return [f"{wording.plain(name)} {in_words(name, value)}" for (name, _), value in pairs]


def ending(state: SearchState, now: float, options: str) -> list[Line]:
    """How the search ended, the best trial and what to type next."""
    ended, started = state.ended, state.started
    if ended is None:
        return []
    if started is None:
        early = Line(Text("Interrupted while the data was read.", style="bold"))
        return [Line(Text()), early, labelled("next", "run the same command to go on")]
    lines = [Line(Text()), Line(Text(_how_it_ended(ended, started), style="bold"))]
    counts = wording.tally(state.ordered_counts)
    if counts:
        took = f", in {wording.duration(state.elapsed(now))}" if state.n_finished_here else ""
        lines.append(labelled("trials", f"{counts}{took}"))
    lines += _best_lines(state)
    return lines + _next_lines(state, ended, started, options)


def _how_it_ended(ended: SearchEnded, started: SearchStarted) -> str:
    name, kept = wording.plain(started.study), _done(ended.n_done, ended.n_total)
    match ended.ending:
        case "done" if started.n_done >= started.n_total:
            return f"{name} is finished already: {kept} done."
        case "done":
            return f"{name} is finished: {kept} done."
        case "timeout":
            return f"Time is up: {kept} done."
        case "exhausted":
            return f"Space exhausted: every configuration was tried, {kept} done."
        case "interrupted":
            return f"Interrupted: {kept} done; what was running goes on with the next call."
        case "failing":
            what = _IN_VAIN.get(ended.outcome, "no trial has a value")
            way = f". {wording.WIDEN}" if ended.outcome == "infeasible" else ""
            return f"Stopped: {what}. {wording.plain(ended.reason)}{way}".rstrip()


def _done(n_done: int, n_total: int) -> str:
    """Of the trials that are wanted; there may be more already."""
    if n_done > n_total:
        return count(n_done, "trial")
    return f"{n_done} of {count(n_total, 'trial')}"


def _best_lines(state: SearchState) -> list[Line]:
    best = state.best
    if best is None or state.started is None:
        return []
    if state.started.further_objectives:
        n_complete = count(state.counts.get("complete", 0), "complete trial")
        head = labelled("front", f"{len(state.front)} of {n_complete}, that no other beats")
        return [head, *_front_lines(state)]
    metric = wording.plain(state.started.objective)
    score = wording.with_spread(best.value, state.spread(best))
    value = Text(f"{metric} {score}", style="bold green")
    lines = [
        labelled("best", Text(f"trial {best.number}, ").append_text(value)),
        labelled("", " ".join(wording.assignments(best.params, state.gates))),
    ]
    n_tied = state.n_tied()
    if n_tied is not None:
        lines.append(labelled("", tie_sentence(n_tied, len(best.fold_scores))))
    return lines


def _front_lines(state: SearchState) -> list[Line]:
    """The trials of the front in the order of the report, with the values of all objectives."""
    assert state.started is not None
    sign = -1.0 if state.started.direction == "maximize" else 1.0
    ordered = sorted(state.front, key=lambda trial: (sign * trial.values[0], trial.number))
    names = [state.started.objective, *(name for name, _ in state.started.further_objectives)]
    lines = []
    for trial in ordered[:_MOST]:
        values = zip(names, trial.values, strict=True)
        scores = [f"{wording.plain(name)} {wording.measured(name, v)}" for name, v in values]
        params = " ".join(wording.assignments(trial.params, state.gates))
        lines.append(labelled("", "  ".join([f"trial {trial.number}", *scores, params])))
    more = len(ordered) - _MOST
    return [*lines, *([labelled("", f"and {more} more")] if more > 0 else [])]


def tie_sentence(n_tied: int, n_folds: int) -> str:
    """How many trials the folds of the best cannot tell from it."""
    folds = count(n_folds, "fold")
    others = count(n_tied, "other trial") if n_tied else "no other trial"
    verb = "are" if n_tied > 1 else "is"
    return f"{others} {verb} tied with it, by a test over its {folds}"


def _next_lines(
    state: SearchState, ended: SearchEnded, started: SearchStarted, options: str
) -> list[Line]:
    name = " ".join(filter(None, [wording.plain(shlex.quote(started.study)), options]))
    lines = []
    if ended.ending in ("interrupted", "timeout"):
        lines.append(labelled("next", "run the same command to go on"))
    elif ended.ending == "done" and started.n_done >= started.n_total:
        lines.append(labelled("next", f"--trials {2 * ended.n_total} goes on with it"))
    if state.counts:
        label = "" if lines else "next"
        lines.append(labelled(label, f"tunecli report {name}"))
    if state.best is not None and not started.further_objectives:
        lines.append(labelled("", f"tunecli report {name} --trial {state.best.number}"))
    return lines
