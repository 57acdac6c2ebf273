from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.separation import best_rule, rule_at_end
from tunecli.study_file.settings.ranges import Categories, FloatRange

LR, OPTIMIZER = FloatRange(1e-4, 1.0, log=True), Categories(("SGD", "AdamW", None))


def trial(number: int, lr: float, optimizer: str | None) -> TrialRecord:
    return TrialRecord(
        number,
        number,
        "complete",
        "complete",
        value=0.5,
        params={"lr": lr, "optimizer": optimizer},
        ranges={"lr": LR, "optimizer": OPTIMIZER},
    )


def evidence(trials: list[TrialRecord]) -> Evidence:
    return Evidence(StudyRecord("sqlite://", 1, "s", "accuracy", "maximize", tuple(trials)))


def drawn(seed: int, n: int = 40) -> list[TrialRecord]:
    draw = np.random.default_rng(seed)
    return [
        trial(i, 10 ** draw.uniform(-4, 0), OPTIMIZER.choices[draw.integers(3)]) for i in range(n)
    ]


@pytest.mark.parametrize("end", [0.0, 1.0])
def test_the_end_of_a_range_is_told_from_the_rest(end: float) -> None:
    trials = drawn(0)
    outermost = sorted(trials, key=lambda t: t.params["lr"], reverse=end == 1.0)
    marked, others = outermost[:3], outermost[3:]
    rule = rule_at_end("lr", LR, end, marked, others, 0.6)
    assert rule is not None
    assert (rule.side, rule.n_inside, rule.n_marked_inside) == ("above" if end else "below", 3, 3)
    bounds = sorted([marked[-1].params["lr"], others[0].params["lr"]])
    assert bounds[0] < rule.value < bounds[1]
    assert rule.chance == pytest.approx(1 / math.comb(40, 3))
    assert rule_at_end("lr", LR, 1 - end, marked, others, 0.6) is None


def test_a_threshold_is_found_with_its_chance() -> None:
    trials = drawn(0)
    marked = [t for t in trials if t.params["lr"] > 0.1]
    rule = best_rule(evidence(trials), marked, [t for t in trials if t not in marked])
    assert rule is not None
    assert (rule.parameter, rule.side, rule.purity, rule.captured) == ("lr", "above", 1.0, 1.0)
    below = max(t.params["lr"] for t in trials if t not in marked)
    assert below < rule.value < min(t.params["lr"] for t in marked)
    once = stats.hypergeom.sf(len(marked) - 1, 40, len(marked), len(marked))
    assert rule.chance == pytest.approx(2 * 2 * 40 * once)  # parameters, sides, values


@pytest.mark.parametrize("choice", OPTIMIZER.choices)
def test_a_choice_is_found(choice: str | None) -> None:
    trials = drawn(1)
    marked = [t for t in trials if t.params["optimizer"] == choice]
    rule = best_rule(evidence(trials), marked, [t for t in trials if t not in marked])
    assert rule is not None
    assert (rule.side, rule.value, rule.quality) == ("is", choice, 1.0)
    assert rule.text == f"optimizer = {choice or 'none'}"


def test_nothing_in_common_is_seldom_taken_for_something() -> None:
    n_found = 0
    for seed in range(100):
        trials = drawn(seed)
        rule = best_rule(evidence(trials), trials[:8], trials[8:])
        assert rule is not None
        n_found += rule.chance < 0.05
    assert n_found <= 5
