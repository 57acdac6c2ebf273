"""The lines that a search leaves on the screen or in a log."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import starmap
from typing import Literal

from rich.text import Text

from tunecli.data.rows.summary import DataSummary
from tunecli.report.analysis.standing import verdict_counts
from tunecli.report.live.search_state import SearchState
from tunecli.report.live.time_left import TimeLeft
from tunecli.report.phrases import foreign_text, wording
from tunecli.report.phrases.layout import Line, labelled
from tunecli.report.phrases.parallel_text import on_parallel
from tunecli.search.events.events import SearchEnded, SearchStarted, TrialFinished
from tunecli.study_file.settings.units import with_unit
from tunecli.study_file.text.counts import count
from tunecli.training.outcome.evaluation import Baseline, Outcome

LONGEST = 500  # characters of a printed line
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
    "infeasible": "no trial met the limits",
}

_MOST = 10  # trials of a front that are listed
_RESUME = "run the same command to resume"


def beginning(started: SearchStarted) -> Iterator[Line]:
    """Yield the study, its objectives and trials, and what was resumed or changed."""
    head = Text(foreign_text.plain(started.study), style="bold")
    objectives = [(started.objective, started.direction), *started.further_objectives]
    goal = ", ".join(
        f"{way} {foreign_text.plain(started.titled(name))}" for name, way in objectives
    )
    trials = count(started.n_total, "trial")
    if started.n_done:
        trials = f"{_done(started.n_done, started.n_total)} done"
    if started.n_jobs:
        trials += f", {started.n_jobs} at a time"
    yield Line(head.append(f": {goal}, {trials}", style="not bold"))
    if started.adopted:
        numbers = ", ".join(map(str, started.adopted))
        noun, were = ("trial", "was") if len(started.adopted) == 1 else ("trials", "were")
        yield notice(f"Resuming {noun} {numbers}, which {were} interrupted.")
    remark = on_parallel(started.parallel, started.n_jobs, started.n_total, started.n_offered)
    if started.n_jobs and remark:
        yield notice(remark)
    yield from (labelled("learns", foreign_text.plain(text)) for text in started.learned)
    yield from (notice(f"Changed: {change}") for change in started.changes)


def summary_lines(summary: DataSummary, started: SearchStarted | None) -> Iterator[Line]:
    """Yield the data, the test set, how a trial is scored, and what guessing scores."""
    titles = started.titles if started else None
    return starmap(labelled, wording.data_lines(summary, titles=titles))


def baselines(scored: Sequence[Baseline]) -> list[Line]:
    """Return what untuned models reach on the same folds."""
    text = wording.untuned(scored)
    return [labelled("baselines", text)] if text else []


def notice(text: str) -> Line:
    """Return a sentence that the user should read."""
    return Line(Text(foreign_text.plain(text), style="yellow"))


def estimate(left: TimeLeft, n_trials: int) -> Line:
    """Return how long the trials that have not ended will take."""
    time = wording.about_range(left.low, left.high)
    return labelled("time", f"{time} left for {count(n_trials, 'trial')}")


def first_trial(number: int, at_most: float) -> Line:
    """Return how long a trial still takes while none has ended, so the search has no estimate."""
    time = f"trial {number} needs at most about {wording.about(at_most)} more at this pace"
    return labelled("time", f"{time}; no estimate of the search until a trial ends")


def waiting(what: str) -> Line:
    """Return what a search waits for."""
    return Line(Text(f"{what} …", style="dim"))


def printed(number: int | None, text: str) -> Line:
    """Return a line that a trial printed; its control characters are made visible."""
    label = "search │" if number is None else f"trial {number} │"
    shown = foreign_text.shortened(foreign_text.plain(text.expandtabs(4)), LONGEST)
    return Line(Text(shown), label, width=len(label) + 1)


def finished(trial: TrialFinished, state: SearchState) -> Line:
    """Return one trial in one line, however long: a log has no width."""
    metric = (
        foreign_text.plain(state.started.titled(state.started.objective))
        if state.started
        else "value"
    )
    width = len(str(state.started.n_total)) if state.started else 1
    parts = []
    if trial.value is not None:
        score = wording.with_spread(trial.value, state.spread(trial))
        parts.append(" ".join(filter(None, (metric, score, state.folds_of(trial)))))
    parts += _further(trial, state)
    if trial.is_best:
        parts.append("(on the front)" if trial.values[1:] else "(best)")
    if trial.reason:
        parts.append(foreign_text.shortened(foreign_text.plain(trial.reason), REASON))
    params = wording.assignments(trial.params, state.gates)
    parts += [wording.duration(trial.seconds), " ".join(params)]
    head = f"trial {trial.number:>{width}}  "
    line = Text(head).append(f"{trial.outcome:<10}  ", style=STYLES[trial.outcome])
    return Line(line.append("  ".join(parts).rstrip()))


def _further(trial: TrialFinished, state: SearchState) -> list[str]:
    """Return the values of the objectives after the first one."""
    named = state.started.further_objectives if state.started else ()
    pairs = zip(named, trial.values[1:], strict=False)
    titled = state.started.titled if state.started else str
    return [f"{foreign_text.plain(titled(n))} {with_unit(n, value)}" for (n, _), value in pairs]


def ending(state: SearchState, now: float, options: str) -> Iterator[Line]:
    """Yield how the search ended, the best trial, and the next commands."""
    ended, started = state.ended, state.started
    if ended is None:
        return
    yield Line(Text())
    if started is None:
        yield Line(Text("Interrupted while reading the data.", style="bold"))
        yield labelled("next", _RESUME)
        return
    yield Line(Text(how_it_ended(ended, started), style="bold"))
    counts = wording.tally(state.ordered_counts, state.n_spared)
    if counts:
        took = f", in {wording.duration(state.elapsed(now))}" if state.n_ended_here else ""
        yield labelled("trials", f"{counts}{took}")
    if state.best is not None:
        yield from _best_lines(state, started, state.best)
    yield from _next_lines(state, ended, started, options)


def how_it_ended(ended: SearchEnded, started: SearchStarted) -> str:
    """Return in one sentence why a search ended, and how many trials are done."""
    name, done = foreign_text.plain(started.study), _done(ended.n_done, ended.n_total)
    match ended.ending:
        case "done" if started.n_done >= started.n_total:
            return f"{name} is already finished: {done} done."
        case "done":
            return f"{name} is finished: {done} done."
        case "timeout":
            return f"Time is up: {done} done."
        case "exhausted":
            return f"Search space exhausted: every configuration was tried, {done} done."
        case "infeasible":
            others = count(ended.n_spared, "other trial")
            broke = f"{others} broke a limit before training"
            return f"Stopped: {done} done, and {broke}. {wording.WIDEN}"
        case "interrupted":
            return f"Interrupted: {done} done. The next search resumes those that were running."
        case "failing":
            what = _IN_VAIN.get(ended.outcome, "no trial has a value")
            way = f". {wording.WIDEN}" if ended.outcome == "infeasible" else ""
            return f"Stopped: {what}. {foreign_text.plain(ended.reason)}{way}".rstrip()


def _done(n_done: int, n_total: int) -> str:
    """Return how many of the wanted trials are done; there may already be more."""
    if n_done > n_total:
        return count(n_done, "trial")
    return f"{n_done} of {count(n_total, 'trial')}"


def _best_lines(state: SearchState, started: SearchStarted, best: TrialFinished) -> Iterator[Line]:
    if started.further_objectives:
        yield labelled("front", state.front_size)
        yield from _front_lines(state, started)
        return
    metric = foreign_text.plain(started.titled(started.objective))
    score = wording.with_spread(best.value, state.spread(best))
    value = Text(f"{metric} {score}", style="bold green")
    yield labelled("best", Text(f"trial {best.number}, ").append_text(value))
    if params := wording.assignments(best.params, state.gates):
        yield labelled("", " ".join(params))
    compared = state.compared()
    counts = verdict_counts(compared.standings)
    if others := wording.standing_counts(*counts, compared.region):
        yield labelled("", f"other trials: {others}")


def _front_lines(state: SearchState, started: SearchStarted) -> Iterator[Line]:
    """Yield the trials of the front as the report orders them, with all objectives."""
    sign = -1.0 if started.direction == "maximize" else 1.0
    ordered = sorted(state.front, key=lambda trial: (sign * trial.values[0], trial.number))
    names = [started.objective, *(name for name, _ in started.further_objectives)]
    for trial in ordered[:_MOST]:
        values = zip(names, trial.values, strict=True)
        scores = [
            f"{foreign_text.plain(started.titled(name))} {wording.metric_text(name, v)}"
            for name, v in values
        ]
        params = " ".join(wording.assignments(trial.params, state.gates))
        yield labelled("", "  ".join([f"trial {trial.number}", *scores, params]))
    if len(ordered) > _MOST:
        yield labelled("", f"and {len(ordered) - _MOST} more")


def _next_lines(
    state: SearchState, ended: SearchEnded, started: SearchStarted, options: str
) -> Iterator[Line]:
    name = " ".join(filter(None, [foreign_text.plain(shlex.quote(started.study)), options]))
    commands = []
    if ended.ending in ("interrupted", "timeout"):
        commands.append(_RESUME)
    elif ended.ending == "done" and started.n_done >= started.n_total:
        commands.append(f"add --trials {2 * ended.n_total} to run more trials")
    if state.counts:
        commands.append(f"tunecli report {name}")
    if state.best is not None and not started.further_objectives:
        commands.append(f"tunecli report {name} --trial {state.best.number}")
    yield from (labelled("" if n else "next", command) for n, command in enumerate(commands))
