"""Read ranges such as `{float: [low, high], log: true}` and `{int: [low, high], step: 2}`."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from math import isinf
from typing import Any, Literal

from tunecli.study_file.settings.ranges import FloatRange, IntRange
from tunecli.study_file.text.dump import inline
from tunecli.study_file.text.suggestions import closest, did_you_mean

RANGE_WORDS = ("float", "int", "choice")
BESIDE = ("log", "step", "or")
MOST_STEPS = 10**9


class RangeMistakeError(Exception):
    """A range, or something meant as one, is invalid.

    Attributes:
        messages: one sentence per mistake.
    """

    def __init__(self, *messages: str) -> None:
        super().__init__(" ".join(messages))
        self.messages = messages


def kind_of_range(data: dict[str, Any]) -> Literal["float", "int", "choice"] | None:
    """Return the kind of range of a mapping; None if it is not a range.

    Other keys of the mapping are not checked.

    Raises:
        RangeMistakeError: it was meant as a range, but is invalid.
    """
    kinds = [word for word in RANGE_WORDS if word in data]
    if len(kinds) > 1:
        got = " and ".join(kinds)
        raise RangeMistakeError(
            f"a range must have only one of float, int and choice, but got {got}."
        )
    if not kinds:
        _refuse_misspelled(data)
        return None
    return kinds[0]  # type: ignore[return-value]  # one of RANGE_WORDS


def is_range(data: Any) -> bool:
    """Return whether plain data itself is a range, or something meant as one."""
    try:
        return isinstance(data, dict) and kind_of_range(data) is not None
    except RangeMistakeError:
        return True


def beside_mistakes(data: dict[str, Any]) -> list[str]:
    """Return a message for each key that `float`, `int` or `choice` does not allow."""
    kind = next(word for word in RANGE_WORDS if word in data)
    allowed = BESIDE if kind != "choice" else ()
    return [_disallowed_key(key, kind) for key in data if key not in (kind, *allowed)]


def _disallowed_key(key: str, kind: str) -> str:
    if kind == "choice":
        return f"`choice` allows no other key, but got `{key}`. Move it into the options."
    hint = did_you_mean(key, BESIDE)
    return f"`{kind}` can be combined only with `log`, `step` and `or`, but got `{key}`.{hint}"


def _refuse_misspelled(data: dict[str, Any]) -> None:
    """Refuse a mapping without a range word that still looks like a range."""
    for key, value in data.items():
        meant = closest(key, RANGE_WORDS, likeness=0.7)
        others = [other for other in data if other != key]
        if meant and isinstance(value, list) and all(closest(o, BESIDE) for o in others):
            raise RangeMistakeError(f"unknown kind of range `{key}`. Did you mean `{meant}`?")
    if data and all(key in (*BESIDE, "low", "high") for key in data):
        raise RangeMistakeError("a range must be {float: [low, high]} or {int: [low, high]}.")


def read_number_range(data: dict[str, Any]) -> FloatRange | IntRange:
    """Return a float or int range, with its ends in order and a step that divides it.

    Raises:
        RangeMistakeError: it is invalid; has all mistakes.
    """
    kind = "float" if "float" in data else "int"
    log, step = data.get("log", False), data.get("step")
    mistakes = [*beside_mistakes(data), *_mistakes_alone(data, kind)]
    ends: tuple[float, float] | None = None
    try:
        ends = _ends(data[kind], kind)
    except RangeMistakeError as mistake:
        mistakes += mistake.messages
    if ends is not None and not mistakes:
        mistakes += _mistakes_together(*ends, step, log)
    if mistakes or ends is None:
        raise RangeMistakeError(*mistakes)
    low, high = ends
    if kind == "int":
        return IntRange(int(low), int(high), log, 1 if step is None else step)
    return FloatRange(float(low), float(high), log, None if step is None else float(step))


def _mistakes_alone(data: dict[str, Any], kind: str) -> Iterator[str]:
    """Yield mistakes of `log`, `step` and `or` by themselves."""
    log, step = data.get("log", False), data.get("step")
    if not isinstance(log, bool):
        yield f"log must be true or false, but got {inline(log)}."
    if step is not None and (not _is_number(step, kind) or step <= 0):
        what = "whole number" if kind == "int" else "number"
        yield f"step must be a {what} above 0, but got {inline(step)}."
    if isinstance(data.get("or"), list | dict):
        yield f"`or` takes a single value, such as `or: 0`, but got {inline(data['or'])}."


def _ends(data: Any, kind: str) -> tuple[float, float]:
    if not isinstance(data, list) or len(data) != 2:
        got = f"but got {inline(data)}"
        raise RangeMistakeError(f"a range of numbers must be {{{kind}: [low, high]}}, {got}.")
    for end in data:
        if not _is_number(end, kind):
            what = "whole numbers" if kind == "int" else "numbers"
            raise RangeMistakeError(f"the ends must be {what}, but got {inline(end)}.")
    if data[0] > data[1]:
        low, high = inline(data[0]), inline(data[1])
        advice = f"Write [{high}, {low}]."
        raise RangeMistakeError(f"low must not be above high, but got {low} and {high}. {advice}")
    if isinf(float(data[1]) - float(data[0])):
        raise RangeMistakeError("the range is wider than the largest number, 1.8e308. Narrow it.")
    return data[0], data[1]


def _mistakes_together(low: float, high: float, step: Any, log: bool) -> Iterator[str]:
    """Yield contradictions in a range whose parts are valid."""
    if log and low <= 0:
        yield f"a log scale needs a low end above 0, but got {inline(low)}."
    if step is None:
        return
    if log:
        yield "log and step cannot be combined. Remove one of them."
        return
    if (high - low) / step > MOST_STEPS:
        message = f"a range has at most {MOST_STEPS:,} steps, but this one has more."
        yield f"{message} Remove step, or make it larger."
        return
    width, exact_step = Decimal(str(high)) - Decimal(str(low)), Decimal(str(step))
    if width % exact_step:
        reached = Decimal(str(low)) + width // exact_step * exact_step
        yield (
            f"steps of {inline(step)} from {inline(low)} do not reach {inline(high)}. "
            f"Write {reached} as the high end, or change the step."
        )


def _is_number(value: Any, kind: str) -> bool:
    return type(value) is int or (type(value) is float and kind == "float")
