"""Where a range grows to, and where it ends."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from tunecli.report.findings.evidence.positions import Numeric
from tunecli.report.findings.space.useful_bounds import CONVENTIONS, bounds_of
from tunecli.report.findings.space.wider import FAR, NEAR, widened
from tunecli.study_file.catalogue.bounds import BOUNDS
from tunecli.study_file.catalogue.value_types import Interval
from tunecli.study_file.settings.ranges import FloatRange, IntRange

ANY = Interval()


@pytest.mark.parametrize(
    ("kind", "end", "wider"),
    [
        (FloatRange(1e-4, 1e-1, True), 1, FloatRange(1e-4, 1.0, True)),
        (FloatRange(1e-3, 1e-2, True), 0, FloatRange(1e-4, 1e-2, True)),
        (FloatRange(1e-3, 1.26e-2, True), 1, FloatRange(1e-3, 0.12, True)),
        (IntRange(16, 256, True), 1, IntRange(16, 1000, True)),
        (IntRange(2, 256, True), 0, IntRange(1, 256, True)),
        (IntRange(1, 3), 1, IntRange(1, 4)),
        (IntRange(8, 32, step=8), 1, IntRange(8, 40, step=8)),
        (FloatRange(0.2, 0.5), 0, FloatRange(0.05, 0.5)),
        (FloatRange(0.1, 0.5), 0, FloatRange(0.01, 0.5)),
        (IntRange(30, 90), 0, IntRange(3, 90)),
        (FloatRange(-1.0, 1.0), 0, FloatRange(-2.0, 1.0)),
        (FloatRange(-100.0, 1.0), 1, FloatRange(-100.0, 10.0)),
        (FloatRange(0.0, 0.7, step=0.1), 1, FloatRange(0.0, 1.0, step=0.1)),
    ],
)
def test_a_bound_moves_out_by_at_most_ten(
    kind: FloatRange | IntRange, end: float, wider: FloatRange | IntRange
) -> None:
    assert widened(kind, end, ANY) == wider


@pytest.mark.parametrize(
    ("kind", "end", "wider"),
    [
        (FloatRange(1e-4, 1e-1, True), 1, FloatRange(1e-4, 0.3, True)),
        (FloatRange(1e-3, 1e-2, True), 0, FloatRange(3.4e-4, 1e-2, True)),
        (IntRange(16, 256, True), 1, IntRange(16, 760, True)),
        (FloatRange(0.1, 0.5), 0, FloatRange(0.034, 0.5)),
        (FloatRange(0.2, 0.5), 1, FloatRange(0.2, 0.65)),
    ],
)
def test_within_the_noise_by_at_most_three(
    kind: FloatRange | IntRange, end: float, wider: FloatRange | IntRange
) -> None:
    assert widened(kind, end, ANY, NEAR) == wider


@pytest.mark.parametrize(
    ("section", "component", "argument", "kind", "end", "wider"),
    [
        ("optimizer", "AdamW", "lr", FloatRange(1e-3, 0.5, True), 1, FloatRange(1e-3, 1.0, True)),
        ("optimizer", "SGD", "lr", FloatRange(1e-2, 0.5, True), 1, FloatRange(1e-2, 5.0, True)),
        ("optimizer", "SGD", "lr", FloatRange(0.01, 0.1), 0, FloatRange(0.001, 0.1)),
        ("optimizer", "SGD", "momentum", FloatRange(0.5, 0.9), 1, FloatRange(0.5, 0.99)),
        ("schedule", "OneCycleLR", "max_momentum", FloatRange(0.8, 0.9), 1, FloatRange(0.8, 0.95)),
        ("model", "MLP", "dropout", FloatRange(0.1, 0.5), 0, FloatRange(0.0, 0.5)),
        ("model", "MLP", "dropout", FloatRange(0.1, 0.8), 1, FloatRange(0.1, 0.9)),
        ("model", "LSTM", "embed_dropout", FloatRange(0.1, 0.8), 1, FloatRange(0.1, 0.9)),
        ("loss", "focal.py:Focal", "gamma", FloatRange(1.0, 2.0), 1, FloatRange(1.0, 2.5)),
        ("model", "CNN", "depth", IntRange(4, 9), 1, IntRange(4, 10)),
    ],
)
def test_not_beyond_what_is_known(
    section: str,
    component: str,
    argument: str,
    kind: FloatRange | IntRange,
    end: float,
    wider: FloatRange | IntRange,
) -> None:
    assert widened(kind, end, bounds_of(section, component, argument)) == wider


@pytest.mark.parametrize(
    ("section", "component", "argument", "kind", "end"),
    [
        ("model", "MLP", "dropout", FloatRange(0.0, 0.5), 0),
        ("optimizer", "SGD", "momentum", FloatRange(0.5, 0.99), 1),
        ("optimizer", "AdamW", "lr", FloatRange(1e-3, 1.0, True), 1),
        ("optimizer", "AdamW", "lr", FloatRange(1e-3, 7.0, True), 1),
        ("optimizer", "AdamW", "betas[1]", FloatRange(0.9, 0.9999), 1),
        ("loss", "CrossEntropyLoss", "label_smoothing", FloatRange(0.0, 0.2), 0),
        ("training", "", "batch_size", IntRange(1, 64), 0),
        ("model", "MLP", "depth", IntRange(1, 4), 0),
        ("anything", "", "share", FloatRange(0.0, 1.0), 0),
    ],
)
def test_a_natural_bound_stays(
    section: str, component: str, argument: str, kind: FloatRange | IntRange, end: float
) -> None:
    assert widened(kind, end, bounds_of(section, component, argument)) is None


KNOWN = [
    (section, *name.rpartition(".")[::2]) for section, known in BOUNDS.items() for name in known
] + [("optimizer", *name.rpartition(".")[::2]) for name in CONVENTIONS]


@pytest.mark.parametrize(("section", "component", "argument"), KNOWN)
def test_growing_again_and_again_stays_inside_the_bounds(
    section: str, component: str, argument: str
) -> None:
    useful = bounds_of(section, component, argument)
    low = max(useful.low, -0.6) + 0.05
    first = FloatRange(low, min(low + 0.5, useful.high - 0.01))
    for farthest, log, end in product((NEAR, FAR), (False, True), (0.0, 1.0)):
        kind: Numeric = replace(first, log=log and low > 0)
        for _ in range(40):
            wider = widened(kind, end, useful, farthest)
            if wider is None:
                break
            for old, new in ((kind.low, wider.low), (kind.high, wider.high)):
                assert new in useful or new == old
                assert not old or not new or 1 / farthest <= abs(new / old) * (1 + 1e-9)
                assert not old or abs(new / old) <= farthest * (1 + 1e-9)
            kind = wider
