"""What changes with the length of the training; `test_planted_truths` holds when it changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted_studies import Plant, planted

from tunecli.report.findings.all_findings import all_findings
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Change, Fixed, NewRange, NewSetting
from tunecli.report.findings.length import lengths
from tunecli.report.findings.space.dead import dead
from tunecli.study_file.settings.ranges import IntRange

PATIENCE = "training.early_stopping.patience"
RISING = planted(Plant(rise=12.0), seed=0)


def with_training(evidence: Evidence, training: str, patience: IntRange | None = None) -> Evidence:
    """Return the study with other settings of its training, and a searched patience."""
    study = replace(evidence.study, resolved=f"training: {training}\n")
    if patience is not None:
        trials = [replace(t, ranges={**t.ranges, PATIENCE: patience}) for t in study.trials]
        study = replace(study, trials=tuple(trials))
    return replace(evidence, study=study)


def peaking_early(evidence: Evidence) -> Evidence:
    trials = tuple(replace(trial, best_step=1) for trial in evidence.study.trials)
    return replace(evidence, study=replace(evidence.study, trials=trials))


def changes(evidence: Evidence) -> tuple[Change, ...]:
    [finding] = lengths(evidence)
    return finding.changes


def test_a_longer_training_is_more_patient() -> None:
    fixed = with_training(RISING, "{epochs: 20, early_stopping: {patience: 15}}")
    assert changes(fixed) == (NewSetting("training.epochs", 40), NewSetting(PATIENCE, 30))
    without = with_training(RISING, "{epochs: 20}")
    assert changes(without) == (NewSetting("training.epochs", 40),)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        (IntRange(3, 10), NewRange(PATIENCE, IntRange(6, 20))),
        (IntRange(2, 4, step=2), NewRange(PATIENCE, IntRange(4, 8, step=2))),
        (IntRange(3, 9, step=3), NewRange(PATIENCE, IntRange(6, 18, step=3))),
        (IntRange(4, 4), Fixed(PATIENCE, 8)),
    ],
)
def test_a_searched_patience_moves_as_a_whole(kind: IntRange, change: Change) -> None:
    searched = "{epochs: 20, early_stopping: {patience: {int: [1, 2]}}}"
    found = changes(with_training(RISING, searched, kind))
    assert found == (NewSetting("training.epochs", 40), change)


def test_a_patience_that_moves_is_not_called_without_effect() -> None:
    # The study is short of epochs, and any patience is as good: it would be fixed, too.
    rising, draw = planted(Plant(rise=12.0), seed=0, n_trials=80), np.random.default_rng(0)
    drawn = [
        replace(trial, params={**trial.params, PATIENCE: int(draw.integers(2, 9))})
        for trial in rising.study.trials
    ]
    rising = replace(rising, study=replace(rising.study, trials=tuple(drawn)))
    searched = "{epochs: 20, early_stopping: {patience: {int: [2, 8]}}}"
    evidence = with_training(rising, searched, IntRange(2, 8))
    assert any(one.parameters == (PATIENCE,) for one in dead(evidence))
    found = [change for one in all_findings(evidence) for change in one.changes]
    assert NewRange(PATIENCE, IntRange(4, 16)) in found
    assert not any(isinstance(one, Fixed) and one.parameter == PATIENCE for one in found)


def test_patience_counts_evaluations() -> None:
    stopping = "early_stopping: {patience: 4}"
    ten = with_training(RISING, f"{{steps: 1000, {stopping}}}")
    assert changes(ten) == (NewSetting("training.steps", 2000),)
    each = with_training(RISING, f"{{steps: 1000, eval_every: 50, {stopping}}}")
    assert changes(each) == (NewSetting("training.steps", 2000), NewSetting(PATIENCE, 8))


@pytest.mark.parametrize(("before", "after"), [(10, 3), (2, 1)])
def test_a_shorter_training_is_less_patient(before: int, after: int) -> None:
    early = with_training(
        peaking_early(RISING), f"{{epochs: 20, early_stopping: {{patience: {before}}}}}"
    )
    assert changes(early) == (NewSetting("training.epochs", 6), NewSetting(PATIENCE, after))


def test_the_least_patience_stays() -> None:
    early = with_training(peaking_early(RISING), "{epochs: 20, early_stopping: {patience: 1}}")
    assert changes(early) == (NewSetting("training.epochs", 6),)
