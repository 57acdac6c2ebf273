"""What `tunecli check` prints: the search space as a table, then the result of the rehearsal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import starmap
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tunecli.report.phrases import foreign_text, wording
from tunecli.report.phrases.layout import FittedPath, beside
from tunecli.report.phrases.parallel_text import on_parallel
from tunecli.report.phrases.range_text import range_text
from tunecli.report.phrases.token_text import tokens_text
from tunecli.report.phrases.width_text import mup_text
from tunecli.study_file.settings.metric_names import label
from tunecli.study_file.settings.ranges import (
    GATE,
    Categories,
    Condition,
    FloatRange,
    IntRange,
    Parameter,
    Range,
)
from tunecli.study_file.settings.search_settings import SearchSettings
from tunecli.study_file.settings.settings import (
    Component,
    Constraint,
)
from tunecli.study_file.settings.units import with_unit
from tunecli.study_file.space.corner_cases import MOST_POINTS
from tunecli.study_file.space.tree import component_data, trains_itself
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.dump import flow
from tunecli.study_file.text.scalars import Scalar

if TYPE_CHECKING:
    from tunecli.search.suggest.blind_trials import BlindTrials
    from tunecli.search.workers.check_study import StudyRehearsal
    from tunecli.study_file.study_file import StudyFile

_MOST_TOKENS = 5  # lines on tokenizers and lengths


def space(study: StudyFile) -> RenderableType:
    """Return the search space as a table; a range and its `or:` share one row."""
    ranges = [
        parameter
        for parameter in study.parameters
        if parameter.name.removesuffix(GATE) not in study.gates or parameter.name in study.gates
    ]
    title = Text(f"{foreign_text.plain(study.name)}: ", style="bold")
    title.append(count(len(ranges), "searched parameter"))
    if not ranges:
        return title
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("parameter", "kind", "range", "only if"):
        table.add_column(column, overflow="fold")
    names = wording.short_names(parameter.name for parameter in study.parameters)
    for parameter in ranges:
        path = FittedPath.of(parameter.name, [one.name for one in ranges])
        table.add_row(path, *(Text(cell) for cell in _cells(parameter, study.gates, names)))
    return Group(title, Text(), table, Text())


def rehearsal_lines(
    rehearsal: StudyRehearsal, gates: Mapping[str, Scalar] | None = None
) -> RenderableType:
    """Return data, number of fits, memory and time, and which configurations would fail.

    Args:
        gates: what `or:` puts in place of a range, by the range's name.
    """
    summary = rehearsal.summary
    n_fits = rehearsal.n_trials * summary.n_folds
    trials = count(rehearsal.n_trials, "trial")
    fits = count(summary.n_folds, "fit")
    lines = [*_with_all_tokens(wording.data_lines(summary, titles=rehearsal.titles), rehearsal)]
    at_most = "at most " if rehearsal.stages[1:] else ""
    lines.append(("search", f"{trials} with {at_most}{fits} each: {at_most}{n_fits:,} in total"))
    if rehearsal.stages[1:]:
        lines.append(("racing", _racing(rehearsal.stages)))
    smallest, largest = rehearsal.n_weights
    weights = f"{smallest:,}" if smallest == largest else f"{smallest:,} to {largest:,}"
    if any(rehearsal.n_weights):
        lines += [("weights", f"{weights} per model"), ("memory", _memory(rehearsal))]
    if text := mup_text(model.arguments for model in rehearsal.models):
        lines.append(("mup", text))
    if rehearsal.seconds:
        lines.append(("time", _time(rehearsal)))
    parts: list[RenderableType] = [*starmap(beside, lines)]
    if rehearsal.n_beyond and not rehearsal.keeps_none:
        parts.append(Text(_beyond(rehearsal), style="yellow"))
    return Group(*parts, Text(), _verdict(rehearsal, gates))


def _with_all_tokens(
    lines: Sequence[tuple[str, str]], rehearsal: StudyRehearsal
) -> Iterator[tuple[str, str]]:
    """Yield lines on the data, with one per tokenizer and length if there are several."""
    for label_, text in lines:
        if label_ != "tokens" or len(rehearsal.tokens) == 1:
            yield label_, text
            continue
        for name, tokens in [*rehearsal.tokens.items()][:_MOST_TOKENS]:
            yield label_, f"{foreign_text.plain(name)}: {tokens_text(tokens)}"
        if (n_more := len(rehearsal.tokens) - _MOST_TOKENS) > 0:
            yield label_, count(n_more, "more tokenizer or length", "more tokenizers or lengths")


def _racing(stages: Sequence[int]) -> str:
    """Return how many folds train first, and which then join trials that are still good."""
    first, *more, last = stages
    then = "".join(f", then {n}" for n in more)
    return (
        f"{first} of {last} folds train first{then}, and all {last} if the trial is still among "
        "the good ones"
    )


def goals(study: StudyFile) -> RenderableType:
    """Return several objectives and the limits; nothing for one objective without limits."""
    lines = []
    if len(study.objectives) > 1:
        objectives = (f"{one.direction} {label(one.metric)}" for one in study.objectives)
        lines.append(("objectives", ", ".join(objectives)))
    if study.constraints:
        lines.append(("limits", ", ".join(map(_limit, study.constraints))))
    named = [one.metric.name for one in study.objectives]
    named += [one.metric.name for one in study.constraints]
    is_clocked = "latency" in named and not trains_itself(study.tree)
    note = (
        "latency is measured with a clock: it differs from run to run, and so do the suggestions. "
        "The study is not exactly reproducible."
    )
    return Group(*starmap(beside, lines), *([Text(note, style="yellow")] if is_clocked else []))


def _limit(constraint: Constraint) -> str:
    name = constraint.metric.name
    ends = [("at least", constraint.min), ("at most", constraint.max)]
    bounds = [f"{word} {with_unit(name, end)}" for word, end in ends if end is not None]
    return f"{label(constraint.metric)} {' and '.join(bounds)}"


def remarks(
    search: SearchSettings,
    independent: Sequence[str],
    n_jobs: int,
    max_time: float | None = None,
    idle_pruner: str = "",
    n_offered: int = 0,
) -> RenderableType:
    """Return warnings about the search before it runs, one sentence per line.

    Args:
        independent: parameters that the sampler draws at random.
        n_jobs: workers that a search would use.
        max_time: seconds after which a trial is stopped.
        idle_pruner: why the pruner has no effect; empty if it may have one.
        n_offered: workers that this machine offers; 0 if unknown.
    """
    sentences = [idle_pruner] if idle_pruner else []
    if independent:
        listed = ", ".join(foreign_text.plain(name) for name in independent)
        sentences.append(
            f"{search.sampler.name} samples these parameters at random, independently of the "
            f"others: {listed}. TPE models all parameters together."
        )
    if remark := on_parallel(search.parallel, n_jobs, search.trials, n_offered):
        sentences.append(remark)
    if search.timeout is not None:
        sentences.append("search.timeout uses the clock, so the number of trials may vary.")
    if max_time is not None:
        sentences.append(
            "training.max_time uses the clock: a trial that takes about that long may fail in one "
            "run and not in another. The study is exactly reproducible only without such trials."
        )
    return Group(*(Text(sentence, style="yellow") for sentence in sentences))


def sampler_lines(study: StudyFile, blind: BlindTrials | None) -> RenderableType:
    """Return which sampler `auto` took and why, and how many trials are suggested blind.

    Args:
        blind: the first trials, which the sampler suggests before it learns.
    """
    search = study.search
    lines: list[tuple[str, str]] = []
    sampler = search.sampler.model_copy(
        update={"name": search.sampler.name.removesuffix("Sampler")}
    )
    if study.why_sampler:
        lines.append(
            ("sampler", f"auto took {flow(component_data(sampler))}: {study.why_sampler}")
        )
    if blind is not None:
        why = f"{sampler.name} needs {count(blind.n_results, 'result')} to learn"
        if blind.delay:
            delay = count(blind.delay, "trial")
            why += f", and search.parallel: {search.parallel} delays each result by {delay}"
        lines.append(("blind", f"the first {blind.n} of {count(search.trials, 'trial')}; {why}"))
    return Group(*starmap(beside, lines))


def idle_pruner(pruner: Component, first_verdict: int, n_evaluations: int) -> str:
    """Return a warning about a pruner whose arguments leave it without effect, or an empty text.

    Args:
        first_verdict: index of the first evaluation after which it could prune.
        n_evaluations: evaluations of the longest trial; 0 if unknown.
    """
    if not pruner.arguments or not n_evaluations or first_verdict < n_evaluations - 1:
        return ""
    return (
        f"search.pruner: {pruner.name.removesuffix('Pruner')} has no effect: it prunes from "
        f"evaluation {first_verdict + 1} on, but a trial has only "
        f"{count(n_evaluations, 'evaluation')}. Lower its arguments, train longer, or set "
        "pruner: none."
    )


def _memory(rehearsal: StudyRehearsal) -> str:
    largest, process = rehearsal.largest, wording.memory_text(rehearsal.n_process_bytes)
    trial, fold = wording.memory_text(largest.n_bytes), wording.memory_text(largest.fold_bytes)
    parts = [f"{fold} for each of its {largest.n_folds} folds"] if largest.n_folds > 1 else []
    if largest.shared_bytes:
        parts.append(f"{wording.memory_text(largest.shared_bytes)} of frozen weights, held once")
    if largest.waiting_bytes:
        waiting = wording.memory_text(largest.waiting_bytes)
        parts.append(f"{waiting} to keep the weights of each evaluation until all folds take part")
    of_parts = f" ({'; '.join(parts)})" if parts else ""
    on_disk = largest.fold_bytes * largest.n_folds + largest.waiting_bytes
    checkpoint = wording.memory_text(on_disk)
    return (
        f"{trial} for the largest trial{of_parts}, plus about {process} per worker process; "
        f"{checkpoint} on disk per checkpoint"
    )


def _time(rehearsal: StudyRehearsal) -> str:
    one = wording.duration(rehearsal.seconds_per_trial)
    jobs = count(rehearsal.n_jobs, "job")
    total = wording.about_range(rehearsal.least_seconds, rehearsal.seconds)
    with_ = f"with {jobs}, baselines included" if rehearsal.baseline_seconds else f"with {jobs}"
    trial, when = "trial", ""
    if rehearsal.may_stop_early:
        trial, when = "full trial", "; less if more trials stop early"
    return f"about {one} per {trial}, {total} in total {with_}{when}"


def _beyond(rehearsal: StudyRehearsal) -> str:
    tried = count(rehearsal.n_rehearsed, "configuration")
    if rehearsal.n_beyond == rehearsal.n_rehearsed:
        return (
            f"None of {tried} meets the limits, but configurations between them may. The smallest "
            f"fails because {rehearsal.beyond}."
        )
    which = "It" if rehearsal.n_beyond == 1 else "The smallest of them"
    return (
        f"{rehearsal.n_beyond} of {tried} would break a limit. {which} fails because "
        f"{rehearsal.beyond}. Such trials end before training, at no cost."
    )


def _keeps_none(rehearsal: StudyRehearsal) -> str:
    n_tried = rehearsal.n_rehearsed
    none = f"None of {n_tried:,} configurations meets the limits. The smallest fails"
    which = "The only configuration breaks a limit" if n_tried == 1 else none
    return (
        f"{which} because {rehearsal.beyond}. A search would end without a valid trial. "
        f"{wording.WIDEN}"
    )


def _verdict(rehearsal: StudyRehearsal, gates: Mapping[str, Scalar] | None) -> RenderableType:
    if rehearsal.mistakes:
        return Group(*_mistakes(rehearsal, gates))
    if rehearsal.keeps_none:
        return Text(_keeps_none(rehearsal), style="bold red")
    pairs = "some pairs" if rehearsal.n_rehearsed == MOST_POINTS else "every pair"
    trained = f", covering {pairs} of options, trained for two batches"
    trained = trained if any(rehearsal.n_weights) else " trained until the first report"
    rehearsed = count(rehearsal.n_rehearsed, "configuration")
    return Text(f"OK: {rehearsed}{trained}.", style="green")


def _mistakes(rehearsal: StudyRehearsal, gates: Mapping[str, Scalar] | None) -> Iterator[Text]:
    yield Text(f"{_failing(rehearsal)} would fail:", style="bold red")
    for sentence, point in rehearsal.mistakes:
        yield Text(f"  {foreign_text.plain(sentence)}")
        if point:
            yield Text(f"    with {' '.join(wording.assignments(point, gates))}", style="dim")


def _failing(rehearsal: StudyRehearsal) -> str:
    n_tried = rehearsal.n_rehearsed
    if rehearsal.n_failing < n_tried:
        return f"{rehearsal.n_failing:,} of {n_tried:,} configurations"
    return "The only configuration" if n_tried == 1 else f"All {n_tried:,} configurations"


def _cells(
    parameter: Parameter, gates: Mapping[str, Scalar], names: Mapping[str, str]
) -> tuple[str, str, str]:
    """Return kind, range and condition; the innermost condition implies those around it."""
    name = parameter.name
    range_ = range_text(parameter.range, "…")
    if name in gates:
        range_ += f", or {wording.other_value(name, gates)}"
    conditions = [
        _condition(condition, names)
        for condition in parameter.conditions
        if name not in gates or condition.parameter != name + GATE
    ]
    kind = _KINDS[type(parameter.range)]
    return kind, foreign_text.plain(range_), foreign_text.plain("".join(conditions[-1:]))


_KINDS: Mapping[type[Range], str] = {Categories: "choice", FloatRange: "float", IntRange: "int"}


def _condition(condition: Condition, names: Mapping[str, str]) -> str:
    values = " or ".join(wording.scalar(value) for value in condition.values)
    return f"{names.get(condition.parameter, condition.parameter)} = {values}"
