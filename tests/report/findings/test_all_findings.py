"""What is found of small, failed and one-sided studies, and what of it is shown."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from planted_studies import DECAY, DROPOUT, LR, SPACE, WIDTH, Plant, planted
from scipy import stats

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.findings.all_findings import (
    MOST_SHOWN,
    all_findings,
    leading_findings,
)
from tunecli.report.findings.baseline import baseline
from tunecli.report.findings.evidence.evidence import Baseline, Evidence
from tunecli.report.findings.evidence.finding import (
    ENOUGH_TRIALS,
    DroppedChoices,
    Finding,
    NewRange,
    NewSetting,
)
from tunecli.report.findings.evidence.positions import position
from tunecli.report.findings.failures import failures
from tunecli.report.findings.fitting import _spearman, fitting
from tunecli.report.findings.length import lengths
from tunecli.report.findings.limits import limits
from tunecli.report.findings.noise import noise
from tunecli.report.findings.space.losing_options import isolated_options, undecided_choices
from tunecli.report.findings.space.unstable import unstable
from tunecli.report.findings.ties import simplest, ties


def with_trials(evidence: Evidence, change: Any) -> Evidence:
    """The same study with `change(trial)` in place of each trial."""
    trials = tuple(change(trial) for trial in evidence.study.trials)
    return replace(evidence, study=replace(evidence.study, trials=trials))


def first(evidence: Evidence, n: int) -> Evidence:
    study = evidence.study
    return replace(evidence, study=replace(study, trials=study.trials[:n]))


EVERYTHING = Plant(
    optima={**Plant().optima, LR: 1.4},
    optimizers={"SGD": -0.03, "AdamW": 0.0},
    idle=True,
    rise=12.0,
)


def test_the_most_useful_are_shown_and_end_in_a_change_or_a_way_out() -> None:
    evidence = planted(EVERYTHING, 0)
    found = all_findings(evidence)
    few = leading_findings(found, evidence)
    assert few == found[:MOST_SHOWN]
    assert len(found) > MOST_SHOWN
    assert {"edge", "isolation", "length"} <= {finding.kind for finding in few}
    assert all(finding.changes or finding.advice for finding in few)
    order = ["problem", "advice", "note"]
    assert [order.index(f.severity) for f in found] == sorted(
        order.index(f.severity) for f in found
    )


def test_no_parameter_is_changed_twice() -> None:
    for seed in range(5):
        found = all_findings(planted(EVERYTHING, seed))
        changes = [change for finding in found for change in finding.changes]
        names = [c.path if isinstance(c, NewSetting) else c.parameter for c in changes]
        assert len(names) == len(set(names))


def test_an_option_whose_range_ends_too_early_has_not_lost() -> None:
    evidence = planted(Plant(optimizers={"SGD": -0.03, "AdamW": 0.0}), 0)
    (lost,) = isolated_options(evidence)
    assert lost.changes == (DroppedChoices("optimizer", ("SGD",)),)
    at_edge = [edge("optimizer.SGD.lr")]
    assert isolated_options(evidence, at_edge) == []
    (waits,) = undecided_choices(evidence, at_edge)
    assert not waits.changes
    assert "optimizer (first widen the ranges of SGD)" in waits.sentence
    assert isolated_options(evidence, [edge("optimizer.AdamW.lr")]) == [lost]


def edge(parameter: str) -> Finding:
    return Finding("advice", "", kind="edge", parameters=(parameter,))


def test_a_report_is_the_same_each_time() -> None:
    assert all_findings(planted(EVERYTHING, 1)) == all_findings(planted(EVERYTHING, 1))


def test_of_few_trials_only_what_few_can_show_is_shown() -> None:
    evidence = first(planted(EVERYTHING, 0), ENOUGH_TRIALS - 1)
    assert {f.kind for f in leading_findings(all_findings(evidence), evidence)} <= {
        "failures",
        "limits",
        "baseline",
        "edge",
    }


@pytest.mark.parametrize("n", [0, 1, 2, 5, 12])
def test_any_beginning_of_a_study_can_be_read(n: int) -> None:
    for plant in (EVERYTHING, Plant(diverges_above=0.3), Plant(diverges_above=-1.0)):
        for finding in all_findings(first(planted(plant, 0), n)):
            assert finding.sentence.endswith(".")
            assert 0 <= finding.weight <= 1


@pytest.mark.parametrize("seed", range(3))
def test_a_sentence_has_few_numbers(seed: int) -> None:
    """At most two; the noise of folds also names the folds and repeats that it compares."""
    plants = (
        EVERYTHING,
        Plant(diverges_above=0.3, n_lost=4),
        Plant(decay=0.006, baseline=0.9),
        Plant(test_noise=0.05, sampler="TPESampler"),
    )
    findings = [
        finding
        for plant in plants
        for noise in (0.005, 0.012)
        for finding in all_findings(planted(plant, seed, noise=noise))
    ]
    assert len({finding.kind for finding in findings}) > 6
    for finding in findings:
        numbers = re.findall(r"(?<![\w.])(?<!rial )\d[\d,.]*", finding.sentence)
        most = {"noise": 4, "optimism": 3}.get(finding.kind, 2)
        assert len(numbers) <= most, finding.sentence


def test_a_study_of_another_program_can_be_read() -> None:
    def bare(trial: TrialRecord) -> TrialRecord:
        return replace(trial, fold_scores=(), config=None, n_weights=None, best_step=None)

    evidence = with_trials(planted(EVERYTHING, 0), bare)
    evidence = replace(evidence, curves={}, study=replace(evidence.study, resolved=""))
    kinds = {finding.kind for finding in all_findings(evidence)}
    assert {"edge", "isolation"} <= kinds
    assert not kinds & {"ties", "noise", "length", "fitting", "optimism"}


def failed_above(
    place: float, evidence: Evidence, reason: str, outcome: str = "failed"
) -> Evidence:
    def change(trial: TrialRecord) -> TrialRecord:
        if position(SPACE[WIDTH], trial.params[WIDTH]) <= place:
            return trial
        lost = {"value": None, "fold_scores": (), "best_step": None, "reason": reason}
        state = "fail" if outcome == "failed" else "pruned"
        return replace(trial, state=state, outcome=outcome, **lost)

    return with_trials(evidence, change)


def test_failures_are_told_with_what_they_have_in_common() -> None:
    evidence = failed_above(0.7, planted(Plant(), 0), "out of memory: the kernel killed it")
    (finding,) = failures(evidence)
    assert (
        f"{len(finding.trials)} trials failed: out of memory: the kernel killed it. "
        in finding.sentence
    )
    assert f"have {WIDTH} above" in finding.sentence
    (change,) = finding.changes
    assert isinstance(change, NewRange)
    assert position(SPACE[WIDTH], change.range.high) == pytest.approx(0.7, abs=0.1)
    assert failures(planted(Plant(), 0)) == []


def test_what_is_beyond_a_limit_has_not_failed() -> None:
    reason = "n_weights of 9,000 is above 5,000 and size of 40 KB is above 20 KB"
    evidence = failed_above(0.7, planted(Plant(), 0), reason, "infeasible")
    assert failures(evidence) == []
    (finding,) = limits(evidence)
    n = len(finding.trials)
    assert f"{n} trials break a limit (n_weights and size)." in finding.sentence
    assert f"All of them have {WIDTH} above" in finding.sentence
    assert finding.severity == "note"
    (change,) = finding.changes
    assert isinstance(change, NewRange)
    assert position(SPACE[WIDTH], change.range.high) == pytest.approx(0.7, abs=0.1)
    (everything,) = limits(failed_above(-1.0, planted(Plant(), 0), reason, "infeasible"))
    assert everything.severity == "problem"
    assert (
        everything.sentence
        == "No trial of 60 meets the limits. Broken limits: n_weights and size."
    )
    assert limits(planted(Plant(), 0)) == []


def test_the_best_trial_is_never_cut_off() -> None:
    """Where the best trials are next to those that diverge, the bound keeps them."""
    for seed in range(5):
        evidence = planted(Plant(diverges_above=0.5), seed)
        for finding in unstable(evidence):
            for change in finding.changes:
                assert isinstance(change, NewRange)
                value = evidence.ranked[0].params[change.parameter]
                assert change.range.low <= value <= change.range.high


def test_a_choice_that_diverges_is_dropped() -> None:
    def change(trial: TrialRecord) -> TrialRecord:
        if trial.params["optimizer"] == "AdamW":
            return trial
        lost = {"value": None, "fold_scores": (), "best_step": None}
        return replace(trial, state="pruned", outcome="diverged", **lost)

    plant = Plant(optimizers={"SGD": 0.0, "AdamW": 0.0})
    (finding,) = unstable(with_trials(planted(plant, 0), change))
    assert finding.changes == (DroppedChoices("optimizer", ("SGD",)),)


@pytest.mark.parametrize(
    ("shift", "severity"), [(0.05, "problem"), (0.0, "advice"), (-0.05, "note")]
)
def test_trees_that_nobody_tuned(shift: float, severity: str) -> None:
    evidence = planted(Plant(), 0)
    jitter = (0.002, -0.002, 0.001, -0.002, 0.0)
    best = evidence.ranked[0].fold_scores
    scores = tuple(score + shift + j for score, j in zip(best, jitter, strict=True))
    trees = Baseline("gradient-boosted trees", scores, seconds=3.0)
    (finding,) = baseline(replace(evidence, baselines=(trees,)))
    assert finding.severity == severity
    assert "untuned gradient-boosted trees" in finding.sentence


def test_that_a_network_beats_guessing_is_no_news() -> None:
    guess = Baseline("commonest class", (0.1, 0.11, 0.1, 0.09, 0.1))
    assert baseline(replace(planted(Plant(), 0), baselines=(guess,))) == []


def test_the_simplest_is_near_the_best_and_no_larger() -> None:
    for seed in range(5):
        evidence = planted(Plant(), seed)
        best, chosen = evidence.ranked[0], simplest(evidence)
        assert chosen in evidence.equal
        assert chosen.n_weights <= best.n_weights
        assert best.value - chosen.value <= evidence.standings.region
        for finding in ties(evidence):
            assert finding.figures["recommended"] == chosen.number


def test_repeats_are_advised_where_they_would_decide() -> None:
    found = [f for seed in range(8) for f in noise(planted(Plant(), seed))]
    assert {finding.severity for finding in found} == {"advice", "note"}
    for finding in found:
        assert ("validation.repeats: 3" in [c.line for c in finding.changes]) == (
            finding.severity == "advice"
        )
        figures = finding.figures
        assert figures["least_difference_with_repeats"] < figures["least_difference"]


@pytest.mark.parametrize("seed", range(5))
def test_rank_correlation_is_scipy_s_also_with_ties(seed: int) -> None:
    draw = np.random.default_rng(seed)
    one, other = draw.normal(size=40).round(1), draw.integers(0, 4, 40) * 1.0
    expected = stats.spearmanr(one, other)
    found = _spearman(one.tolist(), other.tolist())
    assert found == pytest.approx((expected.statistic, expected.pvalue))


def test_where_guessing_is_not_beaten_trials_may_overfit_but_not_underfit() -> None:
    """A trial overfits by its own curve; that models underfit rests on a comparison of trials."""
    overfits = planted(Plant(decay=0.003), 0)
    underfits = planted(Plant(optima={**Plant().optima, DROPOUT: -0.4}), 0)
    for evidence, word, is_said in ((overfits, "overfit", True), (underfits, "underfit", False)):
        beaten = with_guess(evidence, 0.1)
        assert any(word in one.sentence for one in all_findings(beaten) if one.kind == "fitting")
        found = [one for one in all_findings(with_guess(evidence, 2.0)) if one.kind == "fitting"]
        assert any(word in one.sentence for one in found) == is_said


def with_guess(evidence: Evidence, score: float) -> Evidence:
    guess = Baseline("commonest class", (score,) * 5)
    study = replace(evidence.study, baselines=(guess,))
    return replace(evidence, study=study, baselines=(guess,))


def test_what_moved_the_overfitting_is_named() -> None:
    """The more weight decay, the less the score falls back."""
    evidence = planted(Plant(decay=0.006), 0)
    curves = {}
    for trial in evidence.study.trials:
        curve = evidence.curves[trial.trial_id]
        relief = 0.7 * 0.006 * position(SPACE[DECAY], trial.params[DECAY])
        scores = tuple(s + relief * max(step - 5, 0) for step, s in enumerate(curve.score))
        curves[trial.trial_id] = replace(curve, score=scores)
    (finding,) = fitting(replace(evidence, curves=curves))
    assert finding.parameters == (DECAY,)
    assert f"More {DECAY} reduces this." in finding.sentence


def stopped_after(n: int, evidence: Evidence, patience: int) -> list[Finding]:
    def cut(trial: TrialRecord) -> TrialRecord:
        return replace(trial, best_step=min(trial.best_step or 0, n - 1, 9))

    curves = {
        key: replace(
            curve, step=curve.step[:n], score=curve.score[:n], train_loss=curve.train_loss[:n]
        )
        for key, curve in evidence.curves.items()
    }
    changed = with_trials(replace(evidence, curves=curves), cut)
    stopping = f"{{epochs: 20, early_stopping: {{patience: {patience}}}}}"
    study: StudyRecord = replace(changed.study, resolved=f"training: {stopping}")
    return lengths(replace(changed, study=study))


def test_early_stopping_that_always_or_never_fires_is_told() -> None:
    evidence = planted(Plant(), 0)
    (always,) = stopped_after(12, evidence, patience=3)
    assert always.changes == (NewSetting("training.epochs", 12),)
    (never,) = stopped_after(20, evidence, patience=15)
    assert "stopped none of 60 trials" in never.sentence
    assert stopped_after(20, evidence, patience=20) == []
