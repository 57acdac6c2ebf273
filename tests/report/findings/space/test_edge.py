"""Where a range is widened to; `test_planted_truths` holds when."""

from __future__ import annotations

import pytest

from tunecli.report.findings.space.edge import widened
from tunecli.study_file.settings.ranges import FloatRange, IntRange


@pytest.mark.parametrize(
    ("name", "kind", "end", "wider"),
    [
        ("o.lr", FloatRange(1e-4, 1e-1, True), 1, FloatRange(1e-4, 3.2, True)),
        ("o.lr", FloatRange(1e-3, 1e-2, True), 0, FloatRange(1e-4, 1e-2, True)),
        ("m.width", IntRange(16, 256, True), 1, IntRange(16, 1000, True)),
        ("m.width", IntRange(2, 256, True), 0, IntRange(1, 256, True)),
        ("m.depth", IntRange(1, 3), 1, IntRange(1, 4)),
        ("m.channels", IntRange(8, 32, step=8), 1, IntRange(8, 40, step=8)),
        ("m.dropout", FloatRange(0.2, 0.5), 0, FloatRange(0.05, 0.5)),
        ("o.momentum", FloatRange(0.5, 0.9), 1, FloatRange(0.5, 0.99)),
        ("m.shift", FloatRange(-1.0, 1.0), 0, FloatRange(-2.0, 1.0)),
    ],
)
def test_a_bound_moves_out(
    name: str, kind: FloatRange | IntRange, end: float, wider: FloatRange | IntRange
) -> None:
    assert widened(name, kind, end) == wider


@pytest.mark.parametrize(
    ("name", "kind", "end"),
    [
        ("model.MLP.dropout", FloatRange(0.0, 0.5), 0),
        ("optimizer.SGD.momentum", FloatRange(0.5, 0.99), 1),
        ("optimizer.AdamW.betas[1]", FloatRange(0.9, 0.9999), 1),
        ("loss.CrossEntropyLoss.label_smoothing", FloatRange(0.0, 0.2), 0),
        ("training.batch_size", IntRange(1, 64), 0),
        ("model.MLP.depth", IntRange(1, 4), 0),
        ("anything.share", FloatRange(0.0, 1.0), 0),
    ],
)
def test_a_natural_bound_stays(name: str, kind: FloatRange | IntRange, end: float) -> None:
    assert widened(name, kind, end) is None
