"""How the best trial compares with untuned models, and how sure that is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from planted_studies import Plant, planted

from tunecli.report.analysis.guessing import UNBEATEN
from tunecli.report.analysis.importance import importance
from tunecli.report.findings.all_findings import all_findings
from tunecli.report.findings.baseline import baseline
from tunecli.report.findings.evidence.evidence import Baseline, Evidence
from tunecli.report.findings.space.losing_options import isolations


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


def around(level: float, *wiggles: float) -> tuple[float, ...]:
    return tuple(level + wiggle for wiggle in wiggles or (0.0, 0.004, -0.004, 0.002, -0.002))


def against(evidence: Evidence, *baselines: Baseline) -> Evidence:
    study = replace(evidence.study, baselines=baselines)
    return replace(evidence, study=study, baselines=baselines)


GUESS = "commonest class"
CHECK = "check the data, the loss and the learning rate before you run more trials"


@pytest.mark.parametrize("ahead", [0.002, -0.05])
def test_where_nothing_beats_guessing_that_comes_first_and_no_model_is_advised(
    ahead: float,
) -> None:
    """The trees are the strongest, and no better than guessing either."""
    evidence = planted(Plant(optimizers={"SGD": 0.0, "AdamW": 0.0}), 0)
    level = evidence.ranked[0].value - ahead
    trees = Baseline("gradient-boosted trees", around(level + 0.01, 0.1, -0.1, 0.05, -0.05, 0.0))
    found = against(evidence, Baseline(GUESS, around(level, 0.02, -0.02, 0.03, -0.03, 0.0)), trees)
    assert not found.is_guessing_beaten
    [told] = baseline(found)
    verdict = "not reliably better than" if ahead > 0 else "worse than"
    assert told.sentence.startswith(f"The best trial is {verdict} always predicting the commonest")
    assert told.sentence.endswith(". No untuned model is reliably better than guessing.")
    assert told.advice == CHECK
    assert all_findings(found)[0] == told


def test_a_model_that_alone_beats_guessing_is_advised() -> None:
    evidence = planted(Plant(), 0)
    level = evidence.ranked[0].value + 0.05
    models = [Baseline("ridge regression", around(level + n)) for n in (0.1, 0.2)]
    models[1] = replace(models[1], name="gradient-boosted trees")
    [told] = baseline(against(evidence, Baseline(GUESS, (level,) * 5), *models))
    assert told.severity == "problem"
    assert told.sentence.endswith(
        ". Reliably better than guessing: untuned gradient-boosted trees."
    )
    assert told.advice == "check the loss and the learning rate, or use gradient-boosted trees"


def test_without_models_only_guessing_is_named() -> None:
    evidence = planted(Plant(), 0)
    [told] = baseline(against(evidence, Baseline(GUESS, (2.0,) * 5)))
    assert told.sentence.count(".") == 3, "one sentence with two scores"
    assert told.advice == CHECK


def test_a_strong_model_that_wavers_too_much_to_beat_guessing_is_not_advised() -> None:
    evidence = planted(Plant(), 0)
    level = evidence.ranked[0].value
    wild = Baseline("gradient-boosted trees", around(level, 0.9, -0.8, 0.3, -0.3, 0.0))
    [told] = baseline(against(evidence, Baseline(GUESS, (level - 0.1,) * 5), wild))
    assert told.severity == "problem"
    assert told.advice == "search other models and preprocessing"


def test_where_guessing_is_not_beaten_no_parameter_or_option_is_compared() -> None:
    evidence = planted(Plant(optimizers={"SGD": -0.03, "AdamW": 0.0}), 0)
    for guess, is_compared in ((0.1, True), (2.0, False)):
        found = against(evidence, Baseline(GUESS, (guess,) * 5))
        assert bool(isolations(found)) == is_compared
        shares = importance(found.study)
        assert bool(shares.values) == is_compared
        assert (shares.reason == UNBEATEN) != is_compared
