"""What `tunecli check` prints: the search space as a table, then what the rehearsal found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunecli.report import wording
from tunecli.report.gates import GATE
from tunecli.report.layout import labelled
from tunecli.study_file.counts import count
from tunecli.study_file.metrics import label
from tunecli.study_file.points import MOST_POINTS
from tunecli.study_file.ranges import Categories, Condition, FloatRange, Parameter, Range, Scalar
from tunecli.study_file.settings import Component, Constraint, SearchSettings
from tunecli.study_file.tree import trains_itself
from tunecli.study_file.units import in_words

if TYPE_CHECKING:
    from tunecli.search.rehearsing import StudyRehearsal
    from tunecli.study_file.study_file import StudyFile


def space(study: StudyFile) -> RenderableType:
    """The search space, and how many trials and fits it means; a range and its `or:` are one."""
    ranges = [
        parameter
        for parameter in study.parameters
        if parameter.name.removesuffix(GATE) not in study.gates or parameter.name in study.gates
    ]
    title = Text(f"{wording.plain(study.name)}: ", style="bold")
    title.append(count(len(ranges), "searched parameter"))
    if not ranges:
        return title
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("parameter", no_wrap=True)
    for column in ("kind", "range", "only if"):
        table.add_column(column, overflow="fold")
    for parameter in ranges:
        table.add_row(*(Text(cell) for cell in _cells(parameter, study.gates)))
    return Group(title, Text(), table, Text())


def rehearsal(found: StudyRehearsal, gates: Mapping[str, Scalar] | None = None) -> RenderableType:
    """Data, number of fits, memory and time; and what would have failed.

    Args:
        gates: what `or:` puts in a range's place, by the range's name.
    """
    summary = found.summary
    n_fits = found.n_trials * summary.n_folds
    lines = [labelled(label, text) for label, text in wording.data_lines(summary)]
    trials = count(found.n_trials, "trial")
    fits = f"{trials} of {count(summary.n_folds, 'fit')} each: {count(n_fits, 'fit')}"
    lines.append(labelled("search", fits))
    smallest, largest = found.n_weights
    weights = f"{smallest:,}" if smallest == largest else f"{smallest:,} to {largest:,}"
    if any(found.n_weights):
        lines.append(labelled("weights", f"{weights} a model"))
        lines.append(labelled("memory", _memory(found)))
    if found.seconds:
        lines.append(labelled("time", _time(found)))
    parts: list[RenderableType] = [line.hanging() for line in lines]
    if found.n_beyond and not found.keeps_none:
        parts.append(Text(_beyond(found), style="yellow"))
    return Group(*parts, Text(), _verdict(found, gates))


def goals(study: StudyFile) -> RenderableType:
    """What is optimized, and within which limits; nothing where one metric is all."""
    lines = []
    if len(study.objectives) > 1:
        told = [f"{one.direction} {label(one.metric)}" for one in study.objectives]
        lines.append(labelled("objectives", ", ".join(told)))
    if study.constraints:
        told = [_limit(one) for one in study.constraints]
        lines.append(labelled("limits", ", ".join(told)))
    sentences = []
    named = [objective.metric.name for objective in study.objectives]
    named += [constraint.metric.name for constraint in study.constraints]
    if "latency" in named and not trains_itself(study.tree):
        sentences.append(
            "latency goes by the clock, so the study is not exact: values differ from run to run, "
            "and with them what is suggested."
        )
    return Group(
        *(line.hanging() for line in lines), *(Text(one, style="yellow") for one in sentences)
    )


def _limit(constraint: Constraint) -> str:
    name = constraint.metric.name
    ends = [("at least", constraint.min), ("at most", constraint.max)]
    bounds = [f"{word} {in_words(name, end)}" for word, end in ends if end is not None]
    return f"{label(constraint.metric)} {' and '.join(bounds)}"


def remarks(
    search: SearchSettings,
    independent: Sequence[str],
    n_jobs: int,
    max_time: float | None = None,
    idle_pruner: str = "",
) -> RenderableType:
    """What one should know of the search before it runs, a sentence a line.

    Args:
        independent: parameters that the sampler draws at random.
        n_jobs: workers that a search would use.
        max_time: seconds after which a trial is ended.
        idle_pruner: why the pruner ends no trial early; empty if it may.
    """
    sentences = [idle_pruner] if idle_pruner else []
    if independent:
        listed = ", ".join(wording.plain(name) for name in independent)
        sentences.append(
            f"{search.sampler.name} draws these independently of the others, at random: {listed}. "
            "TPE models them together with the rest."
        )
    if remark := wording.on_parallel(search.parallel, n_jobs, search.trials):
        sentences.append(remark)
    if search.timeout is not None:
        sentences.append("search.timeout goes by the clock: how many trials fit in may vary.")
    if max_time is not None:
        sentences.append(
            "training.max_time goes by the clock: a trial near it may fail on one run and not on "
            "another, so the study is exact only while none comes near."
        )
    return Group(*(Text(sentence, style="yellow") for sentence in sentences))


def idle_pruner(pruner: Component, first_verdict: int, n_evaluations: int) -> str:
    """What to say of a pruner that its arguments keep from ending any trial early.

    Args:
        first_verdict: index of the first evaluation after which it could.
        n_evaluations: of the longest trial; 0 if nobody knows.
    """
    if not pruner.arguments or not n_evaluations or first_verdict < n_evaluations - 1:
        return ""
    return (
        f"search.pruner: {pruner.name.removesuffix('Pruner')} first judges after evaluation "
        f"{first_verdict + 1}, but a trial has {count(n_evaluations, 'evaluation')}: it "
        "ends none early. Lower its arguments, train longer, or write pruner: none."
    )


def _memory(found: StudyRehearsal) -> str:
    largest, process = found.largest, wording.memory(found.n_process_bytes)
    trial, fold = wording.memory(largest.n_bytes), wording.memory(largest.fold_bytes)
    folds = f", of which each of its {largest.n_folds} folds holds {fold}"
    folds = folds if largest.n_folds > 1 else ""
    checkpoint = wording.memory(largest.fold_bytes * largest.n_folds)
    return (
        f"{trial} for the largest trial{folds}, beside about {process} of a worker's process; "
        f"{checkpoint} on disk for a checkpoint"
    )


def _time(found: StudyRehearsal) -> str:
    one = wording.duration(found.seconds_per_trial)
    jobs = count(found.n_jobs, "job")
    return (
        f"about {one} a trial, {wording.about(found.seconds)} for all with {jobs}; "
        "less where trials are stopped early"
    )


def _beyond(found: StudyRehearsal) -> str:
    tried = count(found.n_rehearsed, "configuration")
    if found.n_beyond == found.n_rehearsed:
        return (
            f"None of {tried} keeps to the limits, but some between them may; of the smallest, "
            f"{found.beyond}."
        )
    return (
        f"{found.n_beyond} of {tried} would break a limit before any training, at no cost; of the "
        f"smallest of these, {found.beyond}."
    )


def _keeps_none(found: StudyRehearsal) -> str:
    tried = count(found.n_rehearsed, "configuration")
    return (
        f"None of {tried} keeps to the limits; of the smallest, {found.beyond}. A search would "
        f"stop without a value. {wording.WIDEN}"
    )


def _verdict(found: StudyRehearsal, gates: Mapping[str, Scalar] | None) -> RenderableType:
    rehearsed = count(found.n_rehearsed, "configuration")
    if found.keeps_none and not found.mistakes:
        return Text(_keeps_none(found), style="bold red")
    if not found.mistakes:
        pairs = "the first pairs" if found.n_rehearsed == MOST_POINTS else "every pair"
        what = f"trained for two batches, {pairs} of choices among them"
        what = what if any(found.n_weights) else "trained to its first report"
        return Text(f"All well: {rehearsed} {what}.", style="green")
    parts: list[RenderableType] = [
        Text(f"{_how_many(found)} of {rehearsed} would fail:", style="bold red"),
    ]
    for sentence, point in found.mistakes:
        parts.append(Text(f"  {wording.plain(sentence)}"))
        if point:
            params = " ".join(wording.assignments(point, gates))
            parts.append(Text(f"    with {params}", style="dim"))
    return Group(*parts)


def _how_many(found: StudyRehearsal) -> str:
    return "Some" if found.seconds else "All"


def _cells(parameter: Parameter, gates: Mapping[str, Scalar]) -> tuple[str, str, str, str]:
    name = parameter.name
    kind, range_ = _range(parameter.range)
    if name in gates:
        range_ += f", or {wording.other_value(name, gates)}"
    conditions = [
        _condition(condition)
        for condition in parameter.conditions
        if name not in gates or condition.parameter != name + GATE
    ]
    return (
        wording.plain(name),
        kind,
        wording.plain(range_),
        wording.plain(" and ".join(conditions)),
    )


def _range(range_: Range) -> tuple[str, str]:
    if isinstance(range_, Categories):
        return "choice", ", ".join(wording.scalar(choice) for choice in range_.choices)
    kind = "float" if isinstance(range_, FloatRange) else "int"
    text = f"{wording.scalar(range_.low)} … {wording.scalar(range_.high)}"
    if range_.log:
        return kind, f"{text}, log"
    if range_.step is not None and range_.step != 1:
        return kind, f"{text}, step {wording.scalar(range_.step)}"
    return kind, text


def _condition(condition: Condition) -> str:
    values = " or ".join(wording.scalar(value) for value in condition.values)
    return f"{condition.parameter} = {values}"
