from __future__ import annotations

from itertools import combinations

import pytest

from tunecli.study_file.settings.ranges import (
    Categories,
    Condition,
    FloatRange,
    IntRange,
    Parameter,
)
from tunecli.study_file.space.corner_cases import (
    Allowed,
    Point,
    answering,
    covering,
    distinct,
    ends,
    pairs,
)

SPACE = (
    Parameter("model", Categories(("MLP", "CNN"))),
    Parameter("model.MLP.width", IntRange(8, 64), (Condition("model", ("MLP",)),)),
    Parameter("optimizer", Categories(("SGD", "Adam", "AdamW", "RMSprop"))),
    Parameter("optimizer.SGD.lr", FloatRange(0.1, 1.0), (Condition("optimizer", ("SGD",)),)),
    Parameter("training.batch_size", Categories((16, 32, "full"))),
    Parameter("training.l1.or", Categories((False, True))),
    Parameter("training.l1", FloatRange(1e-8, 1e-4), (Condition("training.l1.or", (False,)),)),
)
CHOICES = [parameter for parameter in SPACE if isinstance(parameter.range, Categories)]


def exists(parameter: Parameter, point: Point) -> bool:
    return all(point.get(c.parameter) in c.values for c in parameter.conditions)


def test_every_point_has_just_the_parameters_that_exist_there() -> None:
    for point in covering(SPACE):
        assert list(point) == [p.name for p in SPACE if exists(p, point)]


def test_every_pair_of_choices_occurs() -> None:
    points = covering(SPACE)
    for one, other in combinations(CHOICES, 2):
        for value in ends(one.range):
            for with_value in ends(other.range):
                assert any(
                    point[one.name] == value and point[other.name] == with_value
                    for point in points
                ), (one.name, value, other.name, with_value)


@pytest.mark.parametrize("parameter", SPACE, ids=lambda parameter: parameter.name)
def test_both_ends_of_every_range_occur(parameter: Parameter) -> None:
    points = covering(SPACE)
    for value in ends(parameter.range):
        assert any(point.get(parameter.name) == value for point in points)


def test_all_low_ends_occur_together_and_all_high_ones_too() -> None:
    space = (*SPACE, Parameter("seed", IntRange(1, 9)), Parameter("ema", FloatRange(0.5, 0.9)))
    points = covering(space)
    for end in (0, -1):
        together = {p.name: ends(p.range)[end] for p in space if p not in CHOICES}
        assert any(
            all(together[name] == value for name, value in point.items() if name in together)
            for point in points
        )


def test_every_pair_of_parameters_that_can_exist_together_is_tried_at_every_end() -> None:
    tried = list(pairs(SPACE))
    for one, other in combinations(SPACE, 2):
        conditions = [(c.parameter, c.values) for p in (one, other) for c in p.conditions]
        wanted = dict(conditions)
        for value in ends(one.range):
            for with_value in ends(other.range):
                both = {**wanted, one.name: (value,), other.name: (with_value,)}
                excluded = any(both[name][0] not in values for name, values in conditions)
                assert (both in tried) != excluded


def test_no_point_is_tried_twice_and_none_is_left_out() -> None:
    def point(allowed: Allowed) -> dict[str, object]:
        suggest = answering(allowed)
        return {p.name: suggest(p.name, p.range) for p in SPACE}

    every = [point(allowed) for allowed in pairs(SPACE)]
    once = [point(allowed) for allowed in distinct(SPACE, pairs(SPACE))]
    assert all(one in once for one in every)
    assert all(one != other for one, other in combinations(once, 2))


def test_there_are_few_points() -> None:
    n_pairs = sum(
        len(ends(one.range)) * len(ends(other.range)) for one, other in combinations(CHOICES, 2)
    )
    assert len(covering(SPACE)) <= n_pairs / 2 + 2  # the corners of all numbers


def test_a_space_without_ranges_is_one_point() -> None:
    assert covering(()) == [{}]
