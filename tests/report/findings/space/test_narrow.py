"""Ranges of which only a part is good, below options that win, lose or are still open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted_studies import Plant, planted

from tunecli.database.records import TrialRecord
from tunecli.report.findings.all_findings import all_findings
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding
from tunecli.report.findings.evidence.positions import position
from tunecli.study_file.settings.ranges import Categories, FloatRange

LR = FloatRange(1e-4, 1.0, log=True)


def two_optimizers(behind: float, seed: int) -> Evidence:
    """A study in which each optimizer has a learning rate, and SGD is worse by `behind`."""
    draw = np.random.default_rng(seed)
    whole = planted(Plant(), seed, n_trials=80)

    def trial(old: TrialRecord) -> TrialRecord:
        optimizer = ("Adam", "SGD")[int(draw.integers(2))]
        lr = f"optimizer.{optimizer}.lr"
        rate = float(10 ** draw.uniform(-4, 0))
        goodness = 0.9 - 0.2 * (position(LR, rate) - 0.5) ** 2
        goodness -= behind if optimizer == "SGD" else 0.0
        scores = tuple((goodness + draw.normal(0.0, 0.004, 5)).tolist())
        return replace(
            old,
            params={"optimizer": optimizer, lr: rate},
            ranges={"optimizer": Categories(("Adam", "SGD")), lr: LR},
            value=float(np.mean(scores)),
            fold_scores=scores,
        )

    trials = tuple(map(trial, whole.study.trials))
    return Evidence(replace(whole.study, trials=trials))


def narrowed(evidence: Evidence) -> Finding:
    return next(one for one in all_findings(evidence) if one.kind == "narrow")


@pytest.mark.parametrize("seed", range(3))
def test_a_range_inside_an_option_that_lost_is_not_narrowed(seed: int) -> None:
    evidence = two_optimizers(0.05, seed)
    assert any(one.kind == "isolation" for one in all_findings(evidence))
    found = narrowed(evidence)
    assert found.parameters == ("optimizer.Adam.lr",)
    assert "the best 8 trials use only a part of it." in found.sentence


def test_of_trials_that_lack_a_parameter_nothing_is_said() -> None:
    found = narrowed(two_optimizers(0.0, 0))
    assert {*found.parameters} == {"optimizer.Adam.lr", "optimizer.SGD.lr"}
    assert "the best trials that have them use only a part of each." in found.sentence
