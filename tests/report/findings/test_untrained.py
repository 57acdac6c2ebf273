"""Where the training loss shows that the networks have hardly learned."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from planted_studies import Plant, planted

from tunecli.report.findings.all_findings import all_findings
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, NewRange
from tunecli.report.findings.untrained import untrained


def with_losses(evidence: Evidence, loss: Callable[[float], float]) -> Evidence:
    """The same study, with the training loss at each share of a training."""
    curves = {
        number: replace(
            curve,
            train_loss=[loss(i / (len(curve.score) - 1)) for i in range(len(curve.score))],
        )
        for number, curve in evidence.curves.items()
    }
    return replace(evidence, curves=curves)


def found(loss: Callable[[float], float]) -> list[Finding]:
    return untrained(with_losses(planted(Plant(), 0), loss))


def test_small_steps_are_told_by_a_loss_that_has_hardly_fallen_and_still_falls() -> None:
    [one] = found(lambda share: 1.0 - 0.06 * share)
    assert "the training loss falls by 6% and is still falling at the end" in one.sentence
    assert one.changes
    for change in one.changes:
        assert isinstance(change, NewRange)
        assert change.parameter.endswith(".lr")
        before = planted(Plant(), 0).numeric[change.parameter]
        assert before.high < change.range.high <= 10 * before.high * (1 + 1e-9)
        assert change.range.low == before.low


@pytest.mark.parametrize(
    ("why", "loss"),
    [
        ("memorizes noise", lambda share: math.exp(-4 * share)),
        ("has levelled off", lambda share: 0.9 + 0.1 * math.exp(-10 * share)),
        ("does not move", lambda share: 1.0),
        ("rises", lambda share: 1.0 + share),
        ("is not finite", lambda share: math.nan if share > 0.5 else 1.0),
        ("is negative, so that a share of it has no meaning", lambda share: -1.0 - 0.01 * share),
    ],
)
def test_another_loss_says_nothing(why: str, loss: Callable[[float], float]) -> None:
    assert found(loss) == []


def test_larger_steps_come_before_a_longer_training() -> None:
    evidence = planted(Plant(rise=30.0), 0)
    assert "length" in {one.kind for one in all_findings(evidence)}
    slow = with_losses(evidence, lambda share: 1.0 - 0.06 * share)
    assert "untrained" in {one.kind for one in all_findings(slow)}
    assert "length" not in {one.kind for one in all_findings(slow)}
