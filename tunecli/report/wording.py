"""How numbers, times, parameters and foreign text are written on a terminal.

Whatever comes from a study file, a database or an exception passes `plain` before it is shown: it
may hold control characters that move the cursor, colour or retitle the terminal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Any

from tunecli.data.summary import DataSummary
from tunecli.report.gates import GATE, is_gate
from tunecli.study_file.counts import count
from tunecli.study_file.ranges import Scalar
from tunecli.study_file.units import in_words
from tunecli.training.evaluation import GUESSES, Baseline

_BLOCKS = "▁▂▃▄▅▆▇█"
_SMALL, _LARGE = 1e-3, 1e9  # scores beyond have an exponent


WIDEN = "Widen the ranges, or the limits in constraints."
"""Where no configuration keeps to the limits."""


def plain(text: str) -> str:
    r"""One line with nothing invisible in it: `\x1b` for the character, and so on."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def plain_lines(text: str) -> str:
    """The same for a text of several lines; tabs become spaces."""
    return "\n".join(plain(line) for line in text.expandtabs(4).split("\n"))


_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that a spreadsheet computes; the last four are wide forms of the others."""


def cell(value: Any) -> Any:
    """A value as a CSV file may hold it: of foreign text no spreadsheet runs anything.

    Text that begins like a formula gets a quote in front, as OWASP advises; text that is a number
    stays one.
    """
    if not isinstance(value, str):
        return value
    text = plain(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def shortened(text: str, width: int) -> str:
    """At most `width` characters, the last an ellipsis if some are missing."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"


def score(value: float | None, like: float | None = None) -> str:
    """Four significant digits and at most four decimals: 0.9763, 54.12, 2912.

    Args:
        like: take as many decimals as this number would get, so that a column lines up. A value
            that is far larger (a fold that diverged) still gets an exponent.
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


def measured(metric: str, value: float) -> str:
    """A metric's value: a cost with its unit, a score as scores are written."""
    text = in_words(metric, value)
    return score(value) if text == f"{value:.4g}" else text


def with_spread(value: float | None, spread: float | None, like: float | None = None) -> str:
    """A mean ± its standard deviation over folds; the mean alone where that is None."""
    like = value if like is None else like
    shown = score(value, like)
    return shown if spread is None else f"{shown} ± {score(spread, like)}"


def scalar(value: Scalar, digits: int = 4) -> str:
    """A parameter's value as a study file would have it, numbers rounded to a few digits."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return plain(str(value))


def short_names(names: Iterable[str]) -> dict[str, str]:
    """The last part of each path, or as many parts as tell it from the others.

    `optimizer.AdamW.lr` is `lr` unless there is another; a gate is called as its range: `l1.or`.
    """
    ranges = {name: name.removesuffix(GATE) for name in names}
    known = set(ranges.values())
    short = {name: _shortest_end(name, known) for name in known}
    return {
        name: short[range_] + (GATE if name != range_ else "") for name, range_ in ranges.items()
    }


def assignments(
    params: Mapping[str, Scalar], gates: Mapping[str, Scalar] | None = None, digits: int = 4
) -> list[str]:
    """`lr=0.0012` for each parameter, in order, by its short name.

    Of a range with `or:` there is one entry: its value, or that of `or:` where this was taken.

    Args:
        gates: what `or:` gives, by the name of the range; shown as `off` if unknown.
        digits: significant ones of a number.
    """
    return [f"{name}={value}" for name, value in named_values(params, gates, digits)]


def named_values(
    params: Mapping[str, Scalar], gates: Mapping[str, Scalar] | None = None, digits: int = 4
) -> Iterator[tuple[str, str]]:
    """The same as pairs of name and value."""
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
    """What `or:` puts in place of the range of that name."""
    return scalar(gates[name], digits) if gates and name in gates else "off"


def option(name: str, choice: Scalar, gates: Mapping[str, Scalar] | None) -> str:
    """A value of a choice; the two of a gate by what they mean: `0` and `in its range`."""
    if not is_gate(name, choice):
        return scalar(choice)
    return other_value(name.removesuffix(GATE), gates) if choice else "in its range"


def duration(seconds: float) -> str:
    """0.42 s, 4.1 s, 2 min 5 s, 3 h 20 min, 2 d 4 h."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller, name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {name}"
    raise AssertionError("unreachable: a minute or more has a unit")


def about(seconds: float) -> str:
    """A time that is only estimated: one unit, so that it does not flicker."""
    if seconds < 90:
        return f"{max(5, 5 * round(seconds / 5))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def memory(n_bytes: int) -> str:
    """In MiB or GiB."""
    if n_bytes < 2**20:
        return "less than 1 MiB"
    return f"{n_bytes / 2**30:.1f} GiB" if n_bytes >= 2**30 else f"{n_bytes / 2**20:.0f} MiB"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *rest, last = words
    return f"{', '.join(rest)} and {last}" if rest else last


FEW_TRIALS = 10
"""Of which nobody expects a sampler to learn."""


def on_parallel(parallel: int, n_jobs: int, n_trials: int) -> str:
    """What one should know of `search.parallel`; empty where it fits."""
    if parallel >= n_trials > FEW_TRIALS:
        return (
            f"With search.parallel {parallel} and {n_trials} trials, none is suggested from "
            "another's result; a lower value lets the sampler learn."
        )
    if 1 < n_jobs and parallel < min(2 * n_jobs, n_trials):  # else none waits for another
        return (
            f"With search.parallel {parallel}, {n_jobs} workers will often wait for each other; "
            f"{2 * n_jobs} would keep them busy."
        )
    return ""


def tally(counts: Mapping[str, int]) -> str:
    """`31 complete · 17 pruned`; what did not happen is left out."""
    return " · ".join(f"{n:,} {word}" for word, n in counts.items() if n)


def sparkline(
    values: Iterable[float], width: int = 40, ends: tuple[float, float] | None = None
) -> str:
    """A curve in one line of blocks, lowest to highest; a gap where a value is not finite.

    More values than `width` are averaged in equal groups.

    Args:
        ends: lowest and highest of several curves that are compared; by default of this one.
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


def data_lines(summary: DataSummary, baselines: Sequence[Baseline] = ()) -> list[tuple[str, str]]:
    """What the data is, what was put away, how a trial is scored: (label, sentence)."""
    if not summary.n_rows:
        return [("data", "brought by the training"), ("validation", plain(summary.validation))]
    kind = count(len(summary.classes), "class") if summary.classes else "regression"
    away = (
        f"{count(summary.n_test, 'row')} put away, {summary.n_search:,} searched on"
        if summary.n_test
        else f"none put away, all {count(summary.n_search, 'row')} searched on"
    )
    rows = count(summary.n_rows, "row")
    lines = [
        ("data", f"{plain(summary.source)}: {rows}, {_features(summary)}, {kind}"),
        *([("target", plain(summary.target))] if summary.target else []),
        ("test", away),
        ("validation", plain(summary.validation)),
    ]
    if summary.guess:
        what = "commonest class" if summary.classes else "mean"
        scores = ", ".join(
            f"{plain(name)} {score(value)}" for name, value in summary.guess.items()
        )
        lines.append(("guessing", f"the {what} every time: {scores}"))
    if told := untuned(baselines):
        lines.append(("baselines", told))
    return lines + [("note", plain(note)) for note in summary.notes]


def untuned(baselines: Sequence[Baseline]) -> str:
    """What untuned models reach, and why some were left out; without the guess."""
    models = [baseline for baseline in baselines if baseline.name not in GUESSES]
    scored = [_scored(model) for model in models if model.fold_scores]
    without: dict[str, list[str]] = {}
    for model in models:
        if not model.fold_scores:
            without.setdefault(model.note, []).append(model.name)
    left_out = [f"no {' or '.join(names)}: {note}" for note, names in without.items()]
    return plain("; ".join(filter(None, [", ".join(scored), *left_out])))


def _scored(model: Baseline) -> str:
    details = ", ".join(filter(None, [model.note, duration(model.seconds)]))
    return f"{model.name} {score(fmean(model.fold_scores))} ({details})"


def _features(summary: DataSummary) -> str:
    """What a row has: `14 columns (6 numeric, 8 categorical), 58 features, 9 cells missing`."""
    if not summary.n_features:
        return size(summary.shape)
    holes = f", {count(summary.n_missing, 'cell')} missing" if summary.n_missing else ""
    if not summary.n_categorical and summary.n_features == summary.n_numeric:
        return size((summary.n_features,)) + holes
    kinds = f"{summary.n_numeric:,} numeric, {summary.n_categorical:,} categorical"
    kinds += f", {count(summary.n_dates, 'date')}" if summary.n_dates else ""
    columns = count(summary.n_numeric + summary.n_categorical + summary.n_dates, "column")
    return f"{columns} ({kinds}), {count(summary.n_features, 'feature')}{holes}"


def size(shape: Sequence[int]) -> str:
    """Of one row: `30 features`, `28 × 28 pictures`, `32 × 32 pictures in 3 channels`."""
    if len(shape) == 1:
        return count(shape[0], "feature")
    channels, *sides = shape
    pictures = f"{' × '.join(map(str, sides))} pictures"
    return pictures if channels == 1 else f"{pictures} in {channels} channels"


def _shortest_end(name: str, names: Iterable[str]) -> str:
    parts = name.split(".")
    ends = (".".join(parts[-n:]) for n in range(1, len(parts)))
    return next((end for end in ends if _is_end_of_one(end, names)), name)


def _is_end_of_one(end: str, names: Iterable[str]) -> bool:
    return sum(name == end or name.endswith("." + end) for name in names) == 1
