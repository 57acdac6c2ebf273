"""Studies in which little can be claimed: constants, a wild trial, few folds, rare classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_studies import LR, SPACE, Plant, planted

from tunecli.database.records import TrialRecord
from tunecli.report.findings.all_findings import KINDS, all_findings
from tunecli.report.findings.evidence.evidence import Baseline, Evidence
from tunecli.report.findings.evidence.finding import Finding, Fixed, parameters_in
from tunecli.report.findings.evidence.positions import position
from tunecli.report.findings.ties import simplest, ties

EVERYTHING = Plant(
    optima={**Plant().optima, LR: 1.4},
    optimizers={"SGD": 0.0, "AdamW": 0.0},
    idle=True,
    rise=12.0,
)
COMPARES = {name for name, kind in KINDS.items() if kind.compares}


def with_trials(evidence: Evidence, change: Callable[[TrialRecord], TrialRecord]) -> Evidence:
    trials = tuple(change(trial) for trial in evidence.study.trials)
    return replace(evidence, study=replace(evidence.study, trials=trials))


def with_guess(evidence: Evidence, *scores: float) -> Evidence:
    guess = Baseline("commonest class", scores)
    study = replace(evidence.study, baselines=(guess,))
    return replace(evidence, study=study, baselines=(guess,))


def scored(trial: TrialRecord, scores: Any) -> TrialRecord:
    return replace(trial, value=float(np.mean(scores)), fold_scores=tuple(map(float, scores)))


def of_folds(evidence: Evidence, n_folds: int) -> Evidence:
    """The same trials on the first folds only."""

    def cut(trial: TrialRecord) -> TrialRecord:
        config = {**(trial.config or {}), "validation": {"folds": n_folds}}
        if n_folds == 1:
            config["validation"] = {"holdout": 0.2}
        return replace(scored(trial, trial.fold_scores[:n_folds]), config=config)

    return with_trials(evidence, cut)


def tolerant(evidence: Evidence, tolerance: float) -> Evidence:
    resolved = f"objective: {{maximize: accuracy, tolerance: {tolerance}}}\n"
    study = replace(evidence.study, resolved=evidence.study.resolved + resolved)
    return replace(evidence, study=study)


def true_scores(evidence: Evidence, plant: Plant) -> dict[int, float]:
    return {trial.number: plant.score(trial.params) for trial in evidence.ranked}


def kinds(findings: list[Finding]) -> set[str]:
    return {finding.kind for finding in findings}


def test_constant_predictions_are_compared_with_nothing() -> None:
    """All trials always predict the commonest class; so does the baseline."""
    evidence = with_trials(planted(EVERYTHING, 0), lambda trial: scored(trial, [0.95] * 5))
    evidence = with_guess(evidence, *[0.95] * 5)
    assert evidence.equal == evidence.ranked[:1]
    assert simplest(evidence) is evidence.ranked[0]
    found = all_findings(evidence)
    assert not kinds(found) & COMPARES
    assert "is no better than always predicting the commonest class" in found[0].sentence


def test_constant_trials_among_others_are_worse_or_not_distinguished() -> None:
    """Where the learning rate is high a trial predicts one class, and has no noise at all."""

    def constant(trial: TrialRecord) -> TrialRecord:
        is_high = position(SPACE[LR], trial.params[LR]) > 0.6
        return scored(trial, [0.5] * 5) if is_high else trial

    evidence = with_guess(with_trials(planted(Plant(), 0), constant), *[0.5] * 5)
    constants = [trial for trial in evidence.ranked if trial.value == 0.5]
    assert len(constants) > 10
    assert {evidence.standings.verdict(trial) for trial in constants} == {"worse"}
    assert evidence.is_guessing_beaten


@pytest.mark.parametrize("seed", range(5))
def test_rare_classes_where_no_trial_learns_anything(seed: int) -> None:
    """19 of 20 rows are of one class: the accuracy of all trials is that of guessing."""
    draw = np.random.default_rng(seed)
    evidence = planted(EVERYTHING, seed)
    evidence = with_trials(evidence, lambda trial: scored(trial, draw.normal(0.949, 0.002, 5)))
    evidence = with_guess(evidence, *[0.95] * 5)
    found = all_findings(evidence)
    assert not evidence.is_guessing_beaten
    assert not kinds(found) & COMPARES
    assert found[0].kind == "baseline"
    assert found[0].severity != "note"


def test_no_more_trials_are_advised_where_guessing_is_as_good() -> None:
    evidence = planted(Plant(), 0, n_trials=24, noise=0.002)
    assert any(one.advice.startswith("search --trials") for one in all_findings(evidence))
    found = all_findings(with_guess(evidence, *[0.97] * 5))
    assert "before you run more trials" in found[0].advice
    assert "budget" not in kinds(found)


@pytest.mark.parametrize("seed", range(5))
def test_one_wild_trial_neither_ties_nor_spoils(seed: int) -> None:
    """It is behind on all folds, by more than the noise of all others; they stay as they were."""
    evidence = planted(Plant(), seed)
    best = evidence.ranked[0]
    behind = np.array([0.05, 0.5, 0.1, 0.45, 0.1])
    wild = evidence.ranked[30].number

    def change(trial: TrialRecord) -> TrialRecord:
        return scored(trial, best.fold_scores - behind) if trial.number == wild else trial

    spoiled = with_trials(evidence, change)
    assert spoiled.standings.verdict(spoiled.study.trial(wild)) == "worse"
    before, after = (
        {n: one.verdict for n, one in which.standings.of.items() if n != wild}
        for which in (evidence, spoiled)
    )
    assert sum(before[number] != after[number] for number in before) <= 2


@pytest.mark.parametrize("n_folds", [2, 3, 5])
@pytest.mark.parametrize("tolerance", [None, 0.01])
def test_what_is_called_equal_or_worse_is_so(n_folds: int, tolerance: float | None) -> None:
    """Counted over studies: verdicts against the score that was planted."""
    n_equal = n_worse = n_false = 0
    for seed in range(10):
        evidence = of_folds(planted(Plant(), seed), n_folds)
        evidence = evidence if tolerance is None else tolerant(evidence, tolerance)
        true, best = true_scores(evidence, Plant()), evidence.ranked[0].number
        region = evidence.standings.region
        assert region is not None
        behind = {number: true[best] - true[number] for number in true}
        for number, one in evidence.standings.of.items():
            n_equal += one.verdict == "practically equal"
            n_worse += one.verdict == "worse"
            n_false += one.verdict == "practically equal" and behind[number] > region
            n_false += one.verdict == "worse" and behind[number] < 0
    assert n_worse > 100
    assert n_equal > (5 if tolerance is not None else -1)
    assert n_false <= 0.05 * (n_equal + n_worse)


def test_of_a_holdout_nothing_is_said_but_what_the_tolerance_says() -> None:
    evidence = of_folds(planted(Plant(), 0), 1)
    assert ties(evidence) == []
    assert simplest(evidence) is evidence.ranked[0]
    assert not kinds(all_findings(evidence)) & {"ties", "noise"}
    given = tolerant(evidence, 0.02)
    (found,) = ties(given)
    best = given.ranked[0]
    within = [t for t in given.ranked if best.value - t.value <= 0.02]
    assert [*found.trials] == [trial.number for trial in within]
    assert len(within) > 3
    assert simplest(given).n_weights == min(trial.n_weights for trial in within)


def test_the_finding_names_the_simplest_of_the_equal_trials() -> None:
    evidence = tolerant(planted(Plant(), 0), 0.03)
    best, chosen = evidence.ranked[0], simplest(evidence)
    assert chosen.n_weights < 0.9 * best.n_weights
    (found,) = ties(evidence)
    assert found.severity == "advice"
    assert found.sentence == (
        f"Trial {chosen.number} is practically equal to the best (trial {best.number}) and "
        f"simpler: {chosen.n_weights:,} weights instead of {best.n_weights:,}."
    )
    assert found.figures["region"] == 0.03


def test_where_nothing_is_equal_the_finding_says_how_to_set_a_tolerance() -> None:
    (found,) = ties(planted(Plant(), 0))
    assert "or practically equal to it." in found.sentence
    assert found.figures["n_equal"] == 0
    assert "tolerance: X" in found.advice
    (known,) = ties(tolerant(planted(Plant(), 0), 0.0001))
    assert known.advice == f"use trial {known.figures['recommended']}"


def assert_noise_agrees(evidence: Evidence, found: list[Finding]) -> None:
    """No trial is worse by less than is said to be reliable, nor is one to be chosen by its cost.

    Which of the top trials to use is told by `ties`.
    """
    worse = [evidence.ranked[0].value - t.value for t in evidence.standings.having("worse")]
    for one in found:
        assert min(worse, default=np.inf) >= one.figures["least_difference"] - 1e-9
        assert bool(one.changes) != (one.advice == "add data")


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(2, 10),
    st.sampled_from([0.002, 0.01, 0.05]),
    st.sampled_from([0.0, 0.003, 0.03]),
)
def test_noise_does_not_contradict_the_verdicts_on_any_table(
    seed: int, n_folds: int, noise: float, width: float
) -> None:
    """Random scores of 40 trials, of which a tenth waver."""
    draw = np.random.default_rng(seed)
    own = noise * np.where(draw.random(40) < 0.1, 10.0, 1.0)
    table = 0.9 - draw.exponential(width, 40)[:, None] + draw.normal(0.0, 0.02, n_folds)
    table = table + own[:, None] * draw.normal(size=(40, n_folds))
    study = planted(Plant(), 0, n_trials=40)

    def change(trial: TrialRecord) -> TrialRecord:
        config = {**(trial.config or {}), "validation": {"folds": n_folds}}
        return replace(scored(trial, table[trial.number]), config=config)

    evidence = with_trials(study, change)
    found = [one for one in all_findings(evidence) if one.kind == "noise"]
    assert_noise_agrees(evidence, found)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "plant", [EVERYTHING, replace(EVERYTHING, optimizers={"SGD": -0.03, "AdamW": 0.0}), Plant()]
)
@pytest.mark.parametrize("n_folds", [3, 5])
def test_findings_do_not_contradict_each_other(plant: Plant, seed: int, n_folds: int) -> None:
    evidence = of_folds(planted(plant, seed, noise=0.008), n_folds)
    found: dict[str, list[Finding]] = {name: [] for name in KINDS}
    for one in all_findings(evidence):
        found[one.kind].append(one)
    assert_noise_agrees(evidence, found["noise"])
    fixed = {c.parameter for one in found["dead"] for c in one.changes if isinstance(c, Fixed)}
    effective = parameters_in(*(found[k] for k in ("unstable", "edge", "isolation", "fitting")))
    assert not fixed & effective
    assert not parameters_in(found["undecided"]) & (fixed | parameters_in(found["isolation"]))
    longer = any(one.figures.get("factor", 1) > 1 for one in found["length"])
    assert not (longer and any("overfit" in one.sentence for one in found["fitting"]))


def test_a_choice_without_effect_is_not_undecided_too() -> None:
    """The report of one study said both of an activation."""
    from tunecli.report.findings.space.losing_options import undecided_choices

    evidence = planted(Plant(optimizers={"SGD": 0.0, "AdamW": 0.0}), 0)
    (undecided,) = undecided_choices(evidence)
    assert undecided.parameters == ("optimizer",)
    dead = Finding("advice", "", kind="dead", parameters=("optimizer",))
    assert undecided_choices(evidence, (), (), [dead]) == []
