"""Tables and bars of the report."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Column, Table
from rich.text import Text

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.analysis import ranking
from tunecli.report.analysis.standing import Verdict
from tunecli.report.analysis.standings import standings_of
from tunecli.report.findings.space.losing_options import Branch, Isolation
from tunecli.report.phrases import foreign_text, wording
from tunecli.report.phrases.layout import (
    FittedPath,
    folded,
    heading,
    numeric,
    plain_table,
    unbroken,
)
from tunecli.report.phrases.range_text import range_text
from tunecli.report.studies.target_scores import TargetTable
from tunecli.study_file.settings.ranges import (
    GATE,
    is_gate,
)
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.scalars import Scalar

_BAR = 30  # columns
_NAME = 40  # columns of a parameter's name
_OPTION = 25  # columns of an option's name without its indent: with its figures they are 80
_ALWAYS_SHOWN = 10  # importances
_ROUNDS_TO_ONE_PERCENT = 0.005
_TARGETS = 30  # targets whose scores are listed
_DIGITS = 3  # significant digits of a parameter in a row with others
_MISSING = object()

_MARKS: Mapping[Verdict, str] = {"practically equal": "≈", "not distinguished": "?"}


def top_table(study: StudyRecord, top: int) -> RenderableType:
    """Return the best complete trials: mean ± spread, time, and the parameters that differ."""
    trials = ranking.ranked(study)[:top]
    standings = standings_of(study)
    rows = [
        (
            str(trial.number),
            marked_score(trial, trials[0], standings.verdict(trial)),
            wording.duration(trial.seconds) if trial.seconds is not None else "–",
        )
        for trial in trials
    ]
    columns = [numeric("trial"), unbroken(study.title), numeric("time")]
    notes = mark_notes([standings.verdict(trial) for trial in trials], trials, standings.region)
    below = (Text(note, style="dim") for note in notes)
    return Group(*_with_parameters(study, trials, columns, rows), *below)


def front_table(study: StudyRecord, trials: Sequence[TrialRecord]) -> RenderableType:
    """Return the trials of a Pareto front: place, all objectives, and differing parameters."""
    rows = [
        (str(place), str(trial.number), *objective_cells(study, trial, trials[0]))
        for place, trial in enumerate(trials, 1)
    ]
    objectives = (unbroken(study.titled(objective.metric)) for objective in study.objectives)
    columns = [numeric("place"), numeric("trial"), *objectives]
    return Group(*_with_parameters(study, trials, columns, rows))


def rival_table(
    heads: Sequence[str], rows: Sequence[tuple[str, Sequence[float | None]]]
) -> RenderableType:
    """Return one row per metric, one column per model; see `rivals.rival_scores`.

    Only the metrics' names, which may contain a long name of a class, are broken to fit.
    """
    trial, *models = heads
    columns = [numeric(head) for head in (trial, *(model.replace(" ", "\n") for model in models))]
    texts = (
        [foreign_text.plain(name), *(wording.score(value, values[0]) for value in values)]
        for name, values in rows
    )
    return plain_table([folded("metric"), *columns], texts)


def scores_of_targets(tables: Iterable[TargetTable]) -> Iterator[RenderableType]:
    """Yield the scores of each of several targets."""
    for table in tables:
        head, first, *others = table.heads
        yield from heading(table.heading)
        heads = (first, *(other.replace(" ", "\n") for other in others))
        columns = [folded(head), *map(numeric, heads)]
        rows = table.rows[:_TARGETS]
        yield plain_table(columns, ([foreign_text.plain(name), *rest] for name, *rest in rows))
        n_more = len(table.rows) - len(rows)
        more = f" --html lists {count(n_more, 'more target')}." if n_more else ""
        yield Text(f"{table.note}{more}", style="dim")


def marked_score(trial: TrialRecord, best: TrialRecord, verdict: Verdict) -> str:
    """Return a trial's value with its spread as the best one's, marked by its verdict."""
    score = wording.with_spread(trial.value, trial.spread, best.value)
    return f"{score} {_MARKS[verdict]}" if verdict in _MARKS else score


def mark_notes(
    verdicts: Collection[Verdict], trials: Sequence[TrialRecord], region: float | None
) -> list[str]:
    """Return what the marks mean that occur in a table.

    Args:
        trials: the trials of the table, the best first.
        region: difference in score that does not matter.
    """
    n_folds = len(trials[0].fold_scores) if trials else 0
    meanings: Mapping[Verdict, str] = {
        "practically equal": f"to the best: {wording.equality(region or 0.0, n_folds)}",
        "not distinguished": "from the best: may be practically equal or worse",
    }
    return [
        f"{_MARKS[verdict]} {verdict} {meaning}"
        for verdict, meaning in meanings.items()
        if verdict in verdicts
    ]


def objective_cells(study: StudyRecord, trial: TrialRecord, best: TrialRecord) -> list[str]:
    """Return the values of all objectives, the first with its spread."""
    further = zip(study.further_objectives, trial.values[1:], strict=True)
    return [
        wording.with_spread(trial.values[0], trial.spread, best.values[0]),
        *(wording.metric_text(objective.metric, value) for objective, value in further),
    ]


def parameters_text(study: StudyRecord, trial: TrialRecord) -> str:
    """Return the parameters of a trial in a row with others."""
    return " ".join(wording.assignments(trial.params, study.gates, _DIGITS))


def _with_parameters(
    study: StudyRecord,
    trials: Sequence[TrialRecord],
    columns: Sequence[Column],
    rows: Iterable[Sequence[str]],
) -> Iterator[RenderableType]:
    """Yield a table with one row per trial, to which the parameters are added.

    Those that all trials share stand above it, in one line.
    """
    common = _common(trials)
    if common:
        yield Text.assemble("shared: ", _parameters(common, study.gates))
    differing = (_without(trial.params, common) for trial in trials)
    named = (_parameters(params, study.gates) for params in differing)
    yield plain_table(
        [*columns, folded("parameters")],
        ([*row, params] for row, params in zip(rows, named, strict=True)),
    )


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
    grid.add_column(max_width=_NAME)
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
        grid.add_row(FittedPath.of(name, values, indent=2), bar, Text(f"{value:.0%}"))
    n_others = len(values) - len(leading)
    if not n_others:
        return grid
    noun = "other" if n_others == 1 else "others"
    return Group(grid, Text(f"  and {n_others} {noun} below 1%", style="dim"))


def isolation_table(
    isolations: Sequence[Isolation], gates: Mapping[str, Scalar]
) -> RenderableType:
    """Return what each option of each choice reached with everything else tuned."""
    choice = Column("  choice", max_width=_OPTION + 4)
    expected = Column("expected, 95 %", no_wrap=True)
    names = [one.parameter.removesuffix(GATE) for one in isolations]
    rows = (row for one in isolations for row in _isolation_rows(one, names, gates))
    grid = plain_table([choice, numeric("best"), expected, numeric("complete")], rows)
    note = (
        "best: the best score of all trials with an option.\n"
        "  expected: the best score to expect if all options had equally many trials.\n"
        "  complete: trials that were neither pruned nor diverged."
    )
    return Group(grid, Text(f"  {note}", style="dim"))


def _isolation_rows(
    one: Isolation, names: Collection[str], gates: Mapping[str, Scalar]
) -> Iterator[list[RenderableType]]:
    yield [FittedPath.of(one.parameter.removesuffix(GATE), names, indent=2, style="dim")]
    for branch in one.branches:
        is_winner = bool(one.behind) and branch.choice == one.winner
        label = foreign_text.shortened(_option(one.parameter, branch.choice, gates), _OPTION)
        yield [
            Text(f"    {label}", style="bold" if is_winner else ""),
            wording.score(branch.best),
            _expected(branch),
            f"{branch.n_complete} of {branch.n_complete + branch.n_pruned + branch.n_lost}",
        ]


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
    rows = _parameter_rows(trial, gates)
    return plain_table([folded("  parameter"), folded("value"), folded("from")], rows)


def _parameter_rows(
    trial: TrialRecord, gates: Mapping[str, Scalar]
) -> Iterator[tuple[FittedPath, str, Text]]:
    names = [name.removesuffix(GATE) for name in trial.params]
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
        path = FittedPath.of(name, {*names, name}, indent=2)
        yield path, text, Text(from_, style="dim")


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
