"""Tables and bars of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis import ranking
from tunecli.report.findings.evidence.isolation import Branch, Isolation
from tunecli.report.phrases import wording
from tunecli.study_file.settings.ranges import (
    GATE,
    Categories,
    FloatRange,
    IntRange,
    Range,
    is_gate,
)
from tunecli.study_file.text.scalars import Scalar

_BAR = 30  # columns
_NAME = 40  # columns of a parameter's name
_OPTION = 25  # columns of an option's name: with its figures they are 80
_ALWAYS_SHOWN = 10  # importances
_ROUNDS_TO_ONE_PERCENT = 0.005
_DIGITS = 3  # significant digits of a parameter in a row with others
_MISSING = object()

TIED = "≈ tied with the best: its folds show no reliable difference"


def top_table(study: StudyRecord, top: int) -> RenderableType:
    """Return the best complete trials: mean ± spread, time, and the parameters that differ."""
    trials = ranking.ranked(study)[:top]
    common = _common(trials)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column(Text(wording.shortened(wording.plain(study.metric), 18)), no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    table.add_column("parameters", overflow="fold")
    best = trials[0]
    tied = {trial.number for trial in ranking.tied_with_best(study)} - {best.number}
    for trial in trials:
        score = wording.with_spread(trial.value, trial.spread, best.value)
        table.add_row(
            Text(str(trial.number)),
            Text(f"{score} ≈" if trial.number in tied else score),
            Text(wording.duration(trial.seconds) if trial.seconds is not None else "–"),
            _parameters(_without(trial.params, common), study.gates),
        )
    same = _parameters(common, study.gates)
    above = [Text.assemble("shared: ", same)] if common else []
    is_marked = any(trial.number in tied for trial in trials)
    below = [Text(TIED, style="dim")] if is_marked else []
    return Group(*above, table, *below)


def front_table(study: StudyRecord, trials: Sequence[TrialRecord]) -> RenderableType:
    """Return the trials of a Pareto front: place, all objectives, and differing parameters."""
    common = _common(trials)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    table.add_column("place", justify="right", no_wrap=True)
    table.add_column("trial", justify="right", no_wrap=True)
    for objective in study.objectives:
        table.add_column(
            Text(wording.shortened(wording.plain(objective.metric), 18)), no_wrap=True
        )
    table.add_column("parameters", overflow="fold")
    for place, trial in enumerate(trials, 1):
        first, *further = zip(study.objectives, trial.values, strict=True)
        table.add_row(
            str(place),
            str(trial.number),
            Text(wording.with_spread(first[1], trial.spread, trials[0].value)),
            *(Text(wording.metric_text(objective.metric, value)) for objective, value in further),
            _parameters(_without(trial.params, common), study.gates),
        )
    above = [Text.assemble("shared: ", _parameters(common, study.gates))] if common else []
    return Group(*above, table)


def _parameters(params: Mapping[str, Scalar], gates: Mapping[str, Scalar]) -> Text:
    """Return short names and values: the choices in the same row show the branch."""
    named = wording.named_values(params, gates, _DIGITS)
    return Text(" ").join(Text.assemble((f"{name}=", "dim"), value) for name, value in named)


def importance_bars(values: Mapping[str, float]) -> RenderableType:
    """Return a bar for each parameter, without the least important of many.

    Args:
        values: shares, largest first.
    """
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(max_width=_NAME, no_wrap=True, overflow="ellipsis")
    grid.add_column(width=_BAR)
    grid.add_column(justify="right")
    longest = max(values.values(), default=0.0)
    leading = {
        name: value
        for rank, (name, value) in enumerate(values.items())
        if rank < _ALWAYS_SHOWN or value >= _ROUNDS_TO_ONE_PERCENT
    }
    for name, value in leading.items():
        bar = ProgressBar(
            total=longest or 1.0,
            completed=value,
            width=_BAR,
            complete_style="cyan",
            finished_style="cyan",
        )
        grid.add_row(Text(f"  {wording.plain(name)}"), bar, Text(f"{value:.0%}"))
    n_others = len(values) - len(leading)
    if not n_others:
        return grid
    noun = "other" if n_others == 1 else "others"
    return Group(grid, Text(f"  and {n_others} {noun} below 1%", style="dim"))


def isolation_table(
    isolations: Sequence[Isolation], gates: Mapping[str, Scalar]
) -> RenderableType:
    """Return what each option of each choice reached with everything else tuned."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    table.add_column("  choice", no_wrap=True, overflow="ellipsis", max_width=_NAME)
    table.add_column("best", justify="right", no_wrap=True)
    table.add_column("expected, 95 %", no_wrap=True)
    table.add_column("complete", justify="right", no_wrap=True)
    for one in isolations:
        name = wording.plain(one.parameter.removesuffix(GATE))
        table.add_row(Text(f"  {wording.shortened(name, _OPTION)}", style="dim"))
        for branch in one.branches:
            is_winner = bool(one.behind) and branch.choice == one.winner
            label = wording.shortened(_option(one.parameter, branch.choice, gates), _OPTION)
            table.add_row(
                Text(f"    {label}", style="bold" if is_winner else ""),
                wording.score(branch.best),
                _expected(branch),
                f"{branch.n_complete} of {branch.n_complete + branch.n_pruned + branch.n_lost}",
            )
    note = (
        "best: over all trials of an option. expected: best of equally many trials per option.\n"
        "  complete: the other trials were pruned or diverged."
    )
    return Group(table, Text(f"  {note}", style="dim"))


def _option(parameter: str, choice: Scalar, gates: Mapping[str, Scalar]) -> str:
    """Return the name of an option; for a range with `or:`, its range or its other value."""
    if not is_gate(parameter, choice):
        return wording.scalar(choice)
    return wording.other_value(parameter.removesuffix(GATE), gates) if choice else "its range"


def _expected(branch: Branch) -> str:
    if branch.expected is None or branch.low is None or branch.high is None:
        return "too few trials"
    low, high = (wording.score(end, branch.expected) for end in (branch.low, branch.high))
    return f"{wording.score(branch.expected)} ({low} to {high})"


def parameter_table(trial: TrialRecord, gates: Mapping[str, Scalar]) -> Table:
    """Return every parameter of a trial by its full name, with the range it came from.

    Args:
        gates: what `or:` puts in place of a range; range and `or:` share one row.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", show_edge=False)
    table.add_column("  parameter", overflow="fold")
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold")
    for name, value in trial.params.items():
        behind_gate = name.removesuffix(GATE)
        if not is_gate(name, value) or (not value and behind_gate not in trial.params):
            text, from_ = wording.scalar(value), range_text(trial.ranges[name])
            if is_gate(name + GATE, trial.params.get(name + GATE)):
                from_ += f", or {wording.other_value(name, gates)}"
        elif value:
            name, text = behind_gate, wording.other_value(behind_gate, gates)
            from_ = "its `or:`"
        else:
            continue  # the range has a row
        table.add_row(Text(f"  {wording.plain(name)}"), Text(text), Text(from_, style="dim"))
    return table


def range_text(kind: Range) -> str:
    """Return a range in words: `0.001 to 1, log`."""
    match kind:
        case Categories(choices):
            return ", ".join(wording.scalar(choice) for choice in choices)
        case FloatRange() | IntRange():
            step = f", step {wording.scalar(kind.step)}" if kind.step not in (None, 1) else ""
            log = ", log" if kind.log else ""
            return f"{wording.scalar(kind.low)} to {wording.scalar(kind.high)}{log}{step}"


def _common(trials: Sequence[TrialRecord]) -> dict[str, Scalar]:
    """Return the parameters with one value in all trials; none for a single trial."""
    if len(trials) < 2:
        return {}
    return {
        name: value
        for name, value in trials[0].params.items()
        if all(_same(trial.params.get(name, _MISSING), value) for trial in trials)
    }


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other


def _without(params: Mapping[str, Scalar], common: Mapping[str, Scalar]) -> dict[str, Scalar]:
    return {name: value for name, value in params.items() if name not in common}
