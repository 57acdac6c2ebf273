"""How far the finding widens a range, and what it says; `test_planted_truths` holds when."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted_studies import LR, Plant, planted

from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, NewRange
from tunecli.report.findings.space.edge import edges
from tunecli.report.findings.space.edge_gain import edge_gain
from tunecli.report.findings.space.useful_bounds import useful_bounds
from tunecli.study_file.settings.ranges import FloatRange

BEYOND = planted(Plant(optima={**Plant().optima, LR: 1.4}), seed=1)
STEEP = planted(
    Plant(optima={**Plant().optima, LR: 2.0}, weights={**Plant().weights, LR: 0.5}), seed=1
)


def with_noise(evidence: Evidence, deviation: float) -> Evidence:
    """Return the study with noisier folds, whose means stay."""
    draw = np.random.default_rng(0)

    def noisy(scores: tuple[float, ...]) -> tuple[float, ...]:
        noise = draw.normal(0.0, deviation, len(scores))
        return tuple((np.array(scores) + noise - noise.mean()).tolist())

    trials = [replace(t, fold_scores=noisy(t.fold_scores)) for t in evidence.study.trials]
    return replace(evidence, study=replace(evidence.study, trials=tuple(trials)))


def with_config(evidence: Evidence, **parts: object) -> Evidence:
    trials = [replace(t, config={**(t.config or {}), **parts}) for t in evidence.study.trials]
    return replace(evidence, study=replace(evidence.study, trials=tuple(trials)))


def found(evidence: Evidence) -> Finding:
    [finding] = edges(evidence)
    return finding


def test_a_certain_gain_widens_by_ten() -> None:
    finding = found(STEEP)
    assert finding.changes == (NewRange(LR, FloatRange(1e-4, 1.0, log=True)),)
    assert finding.sentence.endswith(" lie near it, and the score still improves towards it.")
    assert finding.figures["gain"] > 2 * finding.figures["noise"]


def test_a_gain_within_the_noise_widens_by_three() -> None:
    finding = found(with_noise(STEEP, 0.3))
    assert finding.changes == (NewRange(LR, FloatRange(1e-4, 0.3, log=True)),)
    assert finding.sentence.endswith(
        "the score still improves towards it, though by no more than the noise."
    )


def test_a_trend_that_promises_less_than_the_noise_widens_nothing() -> None:
    assert not list(edges(with_noise(STEEP, 1.0)))


def test_a_shared_parameter_is_judged_in_the_branch_that_wins_and_names_it() -> None:
    def rises(place: float) -> float:
        return 0.3 * (1.4 - place) ** 2

    def peaks(place: float) -> float:
        return 0.3 * (0.5 - place) ** 2

    optimizers = {"SGD": -0.1, "AdamW": 0.0}
    evidence = planted(
        Plant(optimizers=optimizers, lr_costs={"AdamW": rises, "SGD": peaks}), seed=1
    )
    finding = found(evidence)
    assert finding.figures["branch"] == {"optimizer": "AdamW"}
    assert " of the best 5 trials with AdamW lie near it," in finding.sentence
    numbers = {t.number for t in evidence.study.trials if t.params["optimizer"] == "AdamW"}
    assert numbers >= set(finding.trials)
    only = [t for t in evidence.study.trials if t.params["optimizer"] == "AdamW"]
    alone = replace(evidence, study=replace(evidence.study, trials=tuple(only)))
    assert not found(alone).figures["branch"]


def test_without_folds_the_noise_is_unknown_and_the_step_is_small() -> None:
    one = [replace(t, fold_scores=t.fold_scores[:1]) for t in STEEP.study.trials]
    finding = found(replace(STEEP, study=replace(STEEP.study, trials=tuple(one))))
    assert finding.figures["noise"] is None
    assert finding.changes == (NewRange(LR, FloatRange(1e-4, 0.3, log=True)),)


def test_the_gain_is_that_of_the_best_trial_at_the_end() -> None:
    gain = edge_gain(BEYOND, LR, 1.0, 0.2)
    edge = 10 ** (-4 + 0.8 * 3)
    inside = [t for t in BEYOND.ranked if float(str(t.params[LR])) < edge]
    beyond = [t for t in BEYOND.ranked if float(str(t.params[LR])) >= edge]
    difference = BEYOND.goodness(beyond[0]) - BEYOND.goodness(inside[0])
    assert gain.score == pytest.approx(difference)


def test_a_label_does_not_hide_the_class_of_an_argument() -> None:
    assert useful_bounds(BEYOND, LR).high == 1
    for name, high in (("SGD", float("inf")), ("Adam", 1.0)):
        labelled = with_config(BEYOND, optimizer={"name": name, "arguments": {}})
        assert useful_bounds(labelled, LR).high == high
