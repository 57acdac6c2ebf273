"""Points that represent a search space: its corners, one by one and in pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, combinations

from tunecli.study_file.catalogue.bounds import DIVIDING
from tunecli.study_file.settings.ranges import Categories, IntRange, Parameter, Range
from tunecli.study_file.space.walk import Suggest, first_value
from tunecli.study_file.text.scalars import Scalar

Allowed = dict[str, tuple[Scalar, ...]]
"""The values that each parameter may have."""


def answering(allowed: Allowed) -> Suggest:
    """Return a `Suggest` that answers with the first allowed value, or else the first value."""
    return lambda name, range_: allowed[name][0] if name in allowed else first_value(range_)


def singles(searched: Sequence[Parameter]) -> Iterator[Allowed]:
    """Yield every end of every range, and every option of every choice; see `_checked`."""
    yield {}
    for parameter in searched:
        for value in _checked(parameter):
            yield _needs(parameter, value)


def pairs(searched: Sequence[Parameter]) -> Iterator[Allowed]:
    """Return every pair of ends or options of two parameters.

    Pairs with a choice come first.
    """
    return chain(_pairs(searched, with_choice=True), _pairs(searched, with_choice=False))


def _pairs(searched: Sequence[Parameter], *, with_choice: bool) -> Iterator[Allowed]:
    needs = {one.name: [_needs(one, value) for value in _checked(one)] for one in searched}
    for one, other in combinations(searched, 2):
        if with_choice != (_is_choice(one) or _is_choice(other)):
            continue
        if _both(_conditions(one), _conditions(other)) is None:
            continue
        for this in needs[one.name]:
            for that in needs[other.name]:
                both = _both(this, that)
                if both is not None:
                    yield both


def _is_choice(parameter: Parameter) -> bool:
    return isinstance(parameter.range, Categories)


def distinct(searched: Sequence[Parameter], wanted: Iterable[Allowed]) -> Iterator[Allowed]:
    """Yield those of `wanted` whose answers by `answering` differ from all earlier ones."""
    first = {parameter.name: first_value(parameter.range) for parameter in searched}
    seen: set[frozenset[tuple[str, str]]] = set()
    for allowed in wanted:
        answers = {name: values[0] for name, values in allowed.items()}
        key = frozenset((n, repr(v)) for n, v in answers.items() if repr(v) != repr(first[n]))
        if key not in seen:
            seen.add(key)
            yield allowed


def ends(range_: Range) -> tuple[Scalar, ...]:
    """Return both ends of a range, or all its categories."""
    if isinstance(range_, Categories):
        return range_.choices
    return (range_.low,) if range_.low == range_.high else (range_.low, range_.high)


def _checked(parameter: Parameter) -> tuple[Scalar, ...]:
    """Return both ends of a range, or all its categories.

    Of a range whose values must divide each other, also the value after the first: if that is a
    multiple of a number as well, all values are.
    """
    range_, argument = parameter.range, parameter.name.rpartition(".")[2]
    if not isinstance(range_, IntRange) or argument not in DIVIDING or range_.low == range_.high:
        return ends(range_)
    return (range_.low, min(range_.low + range_.step, range_.high), range_.high)


def _needs(parameter: Parameter, value: Scalar) -> Allowed:
    """Return the conditions under which a parameter exists and has a value."""
    return _conditions(parameter) | {parameter.name: (value,)}


def _conditions(parameter: Parameter) -> Allowed:
    """Return the conditions under which a parameter exists."""
    return {condition.parameter: condition.values for condition in parameter.conditions}


def _both(one: Allowed, other: Allowed) -> Allowed | None:
    """Return the conditions of both; None if they exclude each other."""
    merged = {**one, **other}
    for name in one.keys() & other.keys():
        merged[name] = tuple(value for value in one[name] if value in other[name])
        if not merged[name]:
            return None
    return merged


Point = dict[str, Scalar]
"""A value for every parameter that exists at this point."""


MOST_POINTS = 1_000
"""Largest number of points of `covering`; two choices of 40 options have more pairs."""


def covering(searched: Sequence[Parameter]) -> list[Point]:
    """Return few points that cover every end, every option and every pair with a choice.

    One point has the first options with all low ends, one with all high ends. Each pair that no
    earlier point contains gets its own point, in which the other parameters alternate between
    their ends. So the number of points is about the number of pairs of the two longest choices, or
    `MOST_POINTS` if those are too many.
    """
    points: list[Point] = []
    numbers = [parameter for parameter in searched if not _is_choice(parameter)]
    for end in (0, -1):
        at_end: Allowed = {number.name: (ends(number.range)[end],) for number in numbers}
        corner = _fill(searched, at_end, turn=0)
        if corner not in points:
            points.append(corner)
    for allowed in chain(_pairs(searched, with_choice=True), singles(searched)):
        if len(points) == MOST_POINTS:
            break
        if not any(_holds(point, allowed) for point in points):
            points.append(_fill(searched, allowed, turn=len(points)))
    return points


def _holds(point: Point, allowed: Allowed) -> bool:
    return all(name in point and point[name] in values for name, values in allowed.items())


def _fill(searched: Sequence[Parameter], allowed: Allowed, turn: int) -> Point:
    point: Point = {}
    for parameter in searched:
        if _holds(point, _conditions(parameter)):
            options = allowed.get(parameter.name) or ends(parameter.range)
            point[parameter.name] = options[turn % len(options)]
    return point
