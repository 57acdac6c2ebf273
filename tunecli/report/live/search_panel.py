"""The panel of a running search: progress, running trials, the best so far.

At most as high as the terminal, whatever the number of running trials and parameters.
"""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tunecli.report.live.search_state import RunningTrial, SearchState
from tunecli.report.phrases import foreign_text, wording
from tunecli.report.phrases.layout import LABEL, beside
from tunecli.search.events.events import SearchStarted

_BAR = 24  # columns
_OTHER_LINES = 11  # lines of the panel without the running trials


def live_panel(state: SearchState, now: float, height: int) -> Text | Group:
    """Return the panel that is redrawn while a search runs.

    Args:
        height: height of the terminal, in lines.
    """
    if state.started is None:
        return Text(f"{state.waits_for or 'starting'} …", style="dim")
    parts: list[RenderableType] = [Text()]
    if state.summary is None and not state.running:
        parts.append(Text("starting …", style="dim"))
        return Group(*parts)
    parts += [_progress(state, state.started, now), _counts(state), Text()]
    parts += [*_running(state, state.started, max(height - _OTHER_LINES, 1))]
    return Group(*parts, *_best(state, state.started))


def _progress(state: SearchState, started: SearchStarted, now: float) -> Table:
    grid = _grid()
    grid.add_row(
        Text("trials"),
        _bar(state.n_done, started.n_total, "green"),
        Text(f"{state.n_done}/{started.n_total}"),
        Text(_times(state, now)),
    )
    return grid


def _times(state: SearchState, now: float) -> str:
    seconds = int(state.elapsed(now))
    elapsed = f"{seconds} s" if seconds < 60 else wording.duration(seconds)
    left = state.remaining(now)
    return (
        elapsed if left is None else f"{elapsed}, {wording.about_range(left.low, left.high)} left"
    )


def _counts(state: SearchState) -> Text:
    """Return ended and running trials by outcome, indented like the bars."""
    counts = state.ordered_counts
    counts["running"] = len(_running_trials(state))
    return Text(
        f"{'':{LABEL}}{wording.tally(counts, state.n_spared)}",
        style="dim",
        no_wrap=True,
        overflow="ellipsis",
    )


def _running(state: SearchState, started: SearchStarted, n_lines: int) -> list[RenderableType]:
    """Return a bar for each running trial, at most `n_lines` lines."""
    metric = foreign_text.plain(started.titled(started.objective))
    trials = _running_trials(state)
    first = trials if len(trials) <= n_lines else trials[: max(n_lines - 1, 1)]
    grid = _grid()
    for trial in first:
        score = f"{metric} {wording.score(trial.score)}" if trial.score is not None else ""
        grid.add_row(
            Text(f"trial {trial.number}"),
            _bar(trial.n_done, trial.n_evaluations, "cyan"),
            Text(_evaluations(trial), style="dim"),
            Text(
                f"{score or _awaited(trial, state)}{_node(trial)}",
                no_wrap=True,
                overflow="ellipsis",
            ),
        )
    more = len(trials) - len(first)
    rest = [Text(f"  and {more} more", style="dim")] if more else []
    return [grid, *rest]


def _node(trial: RunningTrial) -> str:
    """Return which node of a cluster trains a trial; empty without a cluster."""
    return f", node {foreign_text.plain(trial.node)}" if trial.node else ""


def _awaited(trial: RunningTrial, state: SearchState) -> str:
    """Return what a trial without a score waits for."""
    if not trial.is_behind or state.awaited is None:
        return "first evaluation …"
    return f"baselines first, about {wording.about(state.awaited.seconds)} …"


def _evaluations(trial: RunningTrial) -> str:
    """Return evaluations done, and how many there will be if that is known, and on which folds."""
    done = f"{trial.n_done}/{trial.n_evaluations}" if trial.n_evaluations else f"{trial.n_done}"
    n_folds = trial.n_folds + trial.n_waiting
    return f"{done} on {trial.n_folds} of {n_folds} folds" if trial.n_waiting else done


def _running_trials(state: SearchState) -> list[RunningTrial]:
    """Return the running trials without those that wait for a worker and have no evaluation."""
    n_jobs = state.started.n_jobs if state.started else 1
    begun = [trial for trial in state.running.values() if trial.n_done]
    fresh = [trial for trial in state.running.values() if not trial.n_done]
    fresh.sort(key=lambda trial: trial.number)
    return sorted(begun + fresh[: max(n_jobs - len(begun), 0)], key=lambda trial: trial.number)


def _best(state: SearchState, started: SearchStarted) -> list[RenderableType]:
    best = state.best
    if best is not None and started.further_objectives:
        front = (state.front_size, "bold green")
        return [Text(), Text.assemble(f"{'front':<{LABEL}}", front)]
    if best is None:
        return []
    metric = foreign_text.plain(started.titled(started.objective))
    head = Text.assemble(
        f"{'best':<{LABEL}}",
        (f"{metric} {wording.with_spread(best.value, state.spread(best))}", "bold green"),
        f"  trial {best.number}",
    )
    params = " ".join(wording.assignments(best.params, state.gates))
    few = foreign_text.shortened(params, 190)  # at most three lines of a usual terminal
    return [Text(), head, beside("", Text(few, style="dim"))]


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(width=LABEL - 2, no_wrap=True, overflow="ellipsis")
    grid.add_column(width=_BAR)
    grid.add_column(width=9, no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    return grid


def _bar(done: int, total: int, style: str) -> ProgressBar:
    return ProgressBar(
        total=max(total, 1),
        completed=min(done, total),
        width=_BAR,
        complete_style=style,
        finished_style=style,
    )
