"""How numbers, times and parameters are written on a terminal."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import fmean

from tunecli.data.rows.summary import DataSummary
from tunecli.report.phrases.document_lines import documents_text, held_out_text
from tunecli.report.phrases.foreign_text import plain
from tunecli.report.phrases.token_text import blocks_text, tokens_text
from tunecli.study_file.settings.ranges import GATE, is_gate
from tunecli.study_file.settings.units import with_unit
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.scalars import Scalar
from tunecli.training.outcome.evaluation import BASELINES, GUESSES, Baseline

_BLOCKS = "▁▂▃▄▅▆▇█"
_UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))  # in seconds
_SMALL, _LARGE = 1e-3, 1e9  # scores beyond have an exponent


WIDEN = "Widen the ranges, or the limits in constraints."
"""Where no configuration keeps to the limits."""


def score(value: float | None, like: float | None = None) -> str:
    """Return four significant digits with at most four decimals: 0.9763, 54.12, 2912.

    Args:
        like: use as many decimals as this number would get, to align a column. A value that is far
            larger (a fold that diverged) still gets an exponent.
    """
    if value is None:
        return "–"
    if not math.isfinite(value):
        return str(value)
    scale = abs(value if like is None or not math.isfinite(like) else like)
    if 0 < scale < _SMALL or max(scale, abs(value)) >= _LARGE:
        return f"{value:.3e}"
    digits = 4 if scale < 1 else max(0, 3 - math.floor(math.log10(scale)))
    return f"{value:.{digits}f}"


def metric_text(metric: str, value: float) -> str:
    """Return a metric's value: a cost with its unit, a score as `score` writes it."""
    text = with_unit(metric, value)
    return score(value) if text == f"{value:.4g}" else text


def with_spread(value: float | None, spread: float | None, like: float | None = None) -> str:
    """Return a mean ± its standard deviation over folds; the mean alone if that is None."""
    like = value if like is None else like
    mean = score(value, like)
    return mean if spread is None else f"{mean} ± {score(spread, like)}"


def with_interval(value: float, low: float, high: float) -> str:
    """Return a score with its 95 % interval."""
    return f"{score(value)} (95 %: {score(low, value)} to {score(high, value)})"


def scalar(value: Scalar, digits: int = 4) -> str:
    """Return a parameter's value as a study file writes it, numbers rounded to a few digits."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return plain(str(value))


def option_name(parameter: str, choice: Scalar) -> str:
    """Return the name of an option; with its parameter unless it is a text."""
    if isinstance(choice, str):
        return plain(choice)
    return f"{plain(parameter.rpartition('.')[2])} {scalar(choice)}"


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Return the last part of each path, or as many parts as make it unique.

    `optimizer.AdamW.lr` becomes `lr` unless there is another `lr`; a gate is named after its
    range: `l1.or`.
    """
    ranges = {name: name.removesuffix(GATE) for name in names}
    known = set(ranges.values())
    short = {name: unique_ends(name, known)[-1] for name in known}
    return {
        name: short[range_] + (GATE if name != range_ else "") for name, range_ in ranges.items()
    }


def unique_ends(name: str, names: Collection[str]) -> list[str]:
    """Return a path and its ends, of whole parts, that no other of `names` has, longest first.

    `model.MLP.width`, `MLP.width`, `width`; only the path itself if each end is also another's.
    """
    parts = name.split(".")
    ends = (".".join(parts[first:]) for first in range(len(parts)))
    return [end for end in ends if _is_end_of_one(end, names)] or [name]


def assignments(
    params: Mapping[str, Scalar], gates: Mapping[str, Scalar] | None = None, digits: int = 4
) -> list[str]:
    """Return `lr=0.0012` for each parameter, in order, by its short name.

    A range with `or:` has one entry: its value, or that of `or:` where this was taken.

    Args:
        gates: what `or:` gives, by the name of the range; shown as `off` if unknown.
        digits: significant digits of a number.
    """
    return [f"{name}={value}" for name, value in named_values(params, gates, digits)]


def named_values(
    params: Mapping[str, Scalar], gates: Mapping[str, Scalar] | None = None, digits: int = 4
) -> Iterator[tuple[str, str]]:
    """Yield what `assignments` shows as pairs of name and value."""
    short = short_names(params)
    for name, value in params.items():
        range_ = name.removesuffix(GATE)
        if not is_gate(name, value):
            yield plain(short[name]), scalar(value, digits)
        elif value:
            yield plain(short[name].removesuffix(GATE)), other_value(range_, gates, digits)
        elif range_ not in params:
            yield plain(short[name]), "false"


def other_value(name: str, gates: Mapping[str, Scalar] | None, digits: int = 4) -> str:
    """Return what `or:` puts in place of the range of that name."""
    return scalar(gates[name], digits) if gates and name in gates else "off"


def option(name: str, choice: Scalar, gates: Mapping[str, Scalar] | None) -> str:
    """Return a value of a choice; those of a gate by their meaning: `0` and `in its range`."""
    if not is_gate(name, choice):
        return scalar(choice)
    return other_value(name.removesuffix(GATE), gates) if choice else "in its range"


def duration(seconds: float) -> str:
    """Return a time in at most two units: 0.42 s, 4.1 s, 2 min 5 s, 3 h 20 min, 2 d 4 h."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    size, unit, smaller, name = next(units for units in _UNITS if whole >= units[0])
    return f"{whole // size} {unit} {whole % size // smaller} {name}"


def about(seconds: float) -> str:
    """Return an estimated time in one unit, so that it does not flicker."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def about_range(low: float, high: float) -> str:
    """Return an estimated time from `low` to `high` seconds: `8 to 25 min`, or one time."""
    first, last = about(low), about(high)
    if first == last:
        return f"about {last}"
    number, unit = first.split()
    return f"{number if last.endswith(unit) else first} to {last}"


def memory_text(n_bytes: int) -> str:
    """Return a number of bytes in MiB or GiB."""
    if n_bytes < 2**20:
        return "less than 1 MiB"
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.0f} MiB"


def joined(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: `a`, `a and b`, `a, b and c`."""
    *rest, last = words
    return f"{', '.join(rest)} and {last}" if rest else last


def tally(counts: Mapping[str, int], n_untrained: int = 0) -> str:
    """Return counts in words without those that are 0: `31 complete · 17 pruned`.

    Args:
        n_untrained: number of the infeasible trials that were not trained.
    """
    untrained = {"infeasible": f" ({n_untrained:,} before training)"} if n_untrained else {}
    return " · ".join(f"{n:,} {word}{untrained.get(word, '')}" for word, n in counts.items() if n)


def sparkline(
    values: Iterable[float], width: int = 40, ends: tuple[float, float] | None = None
) -> str:
    """Return a curve as one line of blocks; a gap where a value is not finite.

    More values than `width` are averaged in equal groups.

    Args:
        ends: lowest and highest value of the scale; by default those of this curve.
    """
    points = list(values)
    known = [*points, *(ends or ())]
    largest = max((abs(point) for point in known if math.isfinite(point)), default=0.0)
    points = [point / (largest or 1.0) for point in points]  # sums of huge losses overflow
    if len(points) > width:
        edges = [round(i * len(points) / width) for i in range(width + 1)]
        points = [sum(points[a:b]) / (b - a) for a, b in pairwise(edges)]
    finite = [point for point in points if math.isfinite(point)]
    if not finite:
        return ""
    low, high = (end / largest for end in ends) if ends and largest else (min(finite), max(finite))
    span = high - low
    top = len(_BLOCKS) - 1
    return "".join(
        _BLOCKS[round((point - low) / span * top) if span else top // 2]
        if math.isfinite(point)
        else " "
        for point in points
    )


def data_lines(
    summary: DataSummary,
    baselines: Sequence[Baseline] = (),
    titles: Mapping[str, str] | None = None,
) -> list[tuple[str, str]]:
    """Return (label, text) on the data, the test set, and how a trial is scored.

    Args:
        titles: what people read instead of the name of a metric.
    """
    if not summary.n_rows:
        source = "provided by the training code"
        return [("data", source), ("validation", plain(summary.validation))]
    is_of_language = summary.task == "language_modeling"
    test = held_out_text(summary) if is_of_language else _held_out(summary)
    lines = [
        ("data", documents_text(summary) if is_of_language else _rows_text(summary)),
        *([("tokens", tokens_text(summary.tokens))] if summary.tokens is not None else []),
        *([("tokens", blocks_text(summary.blocks))] if summary.blocks is not None else []),
        *([("target", plain(summary.target))] if summary.target else []),
        *([("positive", positive_text(summary))] if summary.positive is not None else []),
        ("test", test),
        ("validation", plain(summary.validation)),
    ]
    if summary.guess:
        what = BASELINES[summary.task][0]
        scores = ", ".join(
            f"{plain((titles or {}).get(name, name))} {score(value)}"
            for name, value in summary.guess.items()
        )
        lines.append(("guessing", f"always the {what}: {scores}"))
    if text := untuned(baselines):
        lines.append(("baselines", text))
    return lines + [("note", plain(note)) for note in summary.notes]


def _rows_text(summary: DataSummary) -> str:
    kind = count(len(summary.classes), "class") if summary.classes else summary.task
    rows = count(summary.n_rows, "row")
    return f"{plain(summary.source)}: {rows}, {_features(summary)}, {kind}"


def _held_out(summary: DataSummary) -> str:
    if not summary.n_test:
        return f"no rows held out, all {summary.n_search:,} used for the search"
    return f"{count(summary.n_test, 'row')} held out, {summary.n_search:,} used for the search"


def positive_text(summary: DataSummary) -> str:
    """Return the positive class and its rows: `'yes', 120 of the 2,400 rows for the search`."""
    assert summary.positive is not None
    n_rows = summary.class_counts[summary.classes.index(summary.positive)]
    share = f"{n_rows / max(summary.n_search, 1):.1%}"
    rows = f"{n_rows:,} of the {summary.n_search:,} rows for the search ({share})"
    return f"class {plain(repr(summary.positive))}, {rows}"


def untuned(baselines: Sequence[Baseline]) -> str:
    """Return what untuned models reach, and why some were skipped; without guessing."""
    models = [baseline for baseline in baselines if baseline.name not in GUESSES]
    scored = [_scored(model) for model in models if model.fold_scores]
    without: dict[str, list[str]] = {}
    for model in models:
        if not model.fold_scores:
            without.setdefault(model.note, []).append(model.name)
    skipped = [f"{joined(names)} skipped: {note}" for note, names in without.items()]
    return plain("; ".join(filter(None, [", ".join(scored), *skipped])))


def _scored(model: Baseline) -> str:
    details = ", ".join(filter(None, [model.note, duration(model.seconds)]))
    return f"{model.name} {score(fmean(model.fold_scores))} ({details})"


def _features(summary: DataSummary) -> str:
    """Return the size of a row: `14 columns (6 numeric, 8 categorical), 58 features`, and gaps."""
    n_texts = 0 if summary.tokens is None else summary.tokens.n_columns
    texts = count(n_texts, "column of text", "columns of text")
    if not summary.n_features:
        return texts if n_texts else size(summary.shape)
    if n_texts:
        return f"{texts}, {_features(replace(summary, tokens=None))}"
    missing = f", {count(summary.n_missing, 'missing value')}" if summary.n_missing else ""
    if not summary.n_categorical and summary.n_features == summary.n_numeric:
        return size((summary.n_features,)) + missing
    kinds = f"{summary.n_numeric:,} numeric, {summary.n_categorical:,} categorical"
    kinds += f", {count(summary.n_dates, 'date')}" if summary.n_dates else ""
    columns = count(summary.n_numeric + summary.n_categorical + summary.n_dates, "column")
    return f"{columns} ({kinds}), {count(summary.n_features, 'feature')}{missing}"


def size(shape: Sequence[int]) -> str:
    """Return the size of one row: `30 features`, `32 × 32 pictures in 3 channels`."""
    if len(shape) == 1:
        return count(shape[0], "feature")
    channels, *sides = shape
    pictures = f"{' × '.join(map(str, sides))} pictures"
    return pictures if channels == 1 else f"{pictures} in {channels} channels"


def _is_end_of_one(end: str, names: Collection[str]) -> bool:
    return sum(name == end or name.endswith("." + end) for name in names) == 1


def standing_counts(n_equal: int, n_open: int, n_worse: int, region: float | None) -> str:
    """Return how other trials compare with the best: `2 practically equal (within 0.002), …`.

    It is empty if nothing is known of any trial.
    """
    if region is None or not n_equal + n_open + n_worse:
        return ""
    equal = f"{f'{n_equal:,}' if n_equal else 'none'} practically equal (within {score(region)})"
    return ", ".join([equal, *open_counts(n_open, n_worse)])


def open_counts(n_open: int, n_worse: int) -> list[str]:
    """Return how many trials are not distinguished from the best, and how many are worse."""
    words = ((n_open, "not distinguished"), (n_worse, "worse"))
    return [f"{n:,} {word}" for n, word in words if n]


def equality(region: float, n_folds: int) -> str:
    """Return when a trial is practically equal to the best.

    Args:
        region: difference in score that does not matter.
    """
    if n_folds < 2:
        return f"within the tolerance of {score(region)}; with one fold, the noise is unknown"
    return f"more than 80 % likely to be at most {score(region)} behind it"


def standing_text(verdict: str, best: int, region: float, worse: float | None) -> str:
    """Return how a trial compares with the best one.

    Args:
        best: number of the best trial.
        region: difference in score that does not matter.
        worse: probability that it is behind by more; None if unknown.
    """
    link = {"practically equal": "to", "not distinguished": "from"}.get(verdict, "than")
    behind = f"likely to be more than {score(region)} behind"
    likely = "" if worse is None else f"; {worse:.0%} {behind}"
    return f"{verdict} {link} trial {best}, the best{likely}"
