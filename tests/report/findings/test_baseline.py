"""How the best trial compares with untuned models, and how sure that is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planted_studies import Plant, planted

from tunecli.report.findings.baseline import baseline
from tunecli.report.findings.evidence.evidence import Baseline, Evidence


def one_fold(evidence: Evidence) -> Evidence:
    """The same study, scored on its first validation part alone."""
    trials = tuple(
        replace(trial, value=trial.fold_scores[0], fold_scores=trial.fold_scores[:1])
        for trial in evidence.study.trials
    )
    rivals = tuple(
        replace(one, fold_scores=one.fold_scores[:1], fold_metrics={})
        for one in evidence.baselines
    )
    return replace(evidence, study=replace(evidence.study, trials=trials), baselines=rivals)


@pytest.mark.parametrize("seed", range(5))
def test_a_lead_over_several_folds_beats_and_one_over_a_single_part_does_not(seed: int) -> None:
    ahead = planted(Plant(baseline=0.7), seed)
    [found] = baseline(ahead)
    assert "The best trial beats untuned" in found.sentence
    [found] = baseline(one_fold(ahead))
    assert found.severity == "note"
    assert found.figures["p"] is None
    assert "The best trial scores better than untuned" in found.sentence
    assert found.sentence.endswith(", but with a single validation part, the noise is unknown.")


@pytest.mark.parametrize("unknown", [float("nan"), float("inf")])
def test_a_baseline_that_is_not_finite_is_not_better(unknown: float) -> None:
    ahead = planted(Plant(baseline=0.7), 0)
    broken = Baseline("gradient-boosted trees", (0.9, unknown, 0.9, 0.9, 0.9))
    [alone], [both] = (
        baseline(replace(ahead, baselines=rivals))
        for rivals in (ahead.baselines, (broken, *ahead.baselines))
    )
    assert both == alone
    assert baseline(replace(ahead, baselines=(broken,))) == []


def test_a_single_part_shows_what_is_worse() -> None:
    [found] = baseline(one_fold(planted(Plant(baseline=1.2), 0)))
    assert found.severity == "problem"
    assert "noise" not in found.sentence
