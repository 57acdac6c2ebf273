"""Studies with a known answer: the finding comes where it is planted, and nowhere else.

`python tests/report/findings/test_planted_truths.py` prints the table over 20 seeds, as the slow
test does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # where this file is run for itself
from planted_studies import ACTIVATION, DROPOUT, IDLE, LR, SPACE, WIDTH, Plant, planted

from tunecli.report.analysis.ranking import noise_of
from tunecli.report.findings.all_findings import all_findings
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import (
    DroppedChoices,
    Finding,
    Fixed,
    NewRange,
    NewSetting,
)
from tunecli.report.findings.evidence.positions import position
from tunecli.report.findings.limits import limits

N_SEEDS = 20
ENOUGH = 18  # of them show what was planted
MOST_ALARMS = 1  # of them show what was not

BEYOND = Plant(optima={**Plant().optima, LR: 1.4})


@dataclass(frozen=True)
class Truth:
    """What is planted, and how to recognize it among the findings."""

    plant: Plant
    is_found: Callable[[list[Finding]], bool]


def of_kind(findings: list[Finding], kind: str) -> Iterator[Finding]:
    return (finding for finding in findings if finding.kind == kind)


def widens(parameter: str, *, upwards: bool) -> Callable[[list[Finding]], bool]:
    def is_found(findings: list[Finding]) -> bool:
        wider = [c for f in of_kind(findings, "edge") for c in f.changes]
        return len(wider) == 1 and all(
            isinstance(change, NewRange)
            and change.parameter == parameter
            and (change.range.high > SPACE[parameter].high) == upwards
            and (change.range.low < SPACE[parameter].low) == (not upwards)
            for change in wider
        )

    return is_found


def cuts_at(place: float) -> Callable[[list[Finding]], bool]:
    """The learning rate, not far from where it diverges; and nothing is widened there."""

    def is_found(findings: list[Finding]) -> bool:
        cuts = [c for f in of_kind(findings, "unstable") for c in f.changes]
        return not any(of_kind(findings, "edge")) and any(
            isinstance(change, NewRange)
            and change.parameter == LR
            and abs(position(SPACE[LR], change.range.high) - place) < 0.1
            for change in cuts
        )

    return is_found


def stays_at_the_bound(findings: list[Finding]) -> bool:
    """The learning rate is told to be unstable there, and not widened."""
    unstable = [f.parameters for f in of_kind(findings, "unstable")]
    return not any(of_kind(findings, "edge")) and (LR,) in unstable


def fixes_the_idle_one(findings: list[Finding]) -> bool:
    fixed = [c for f in of_kind(findings, "dead") for c in f.changes]
    return [c.parameter for c in fixed if isinstance(c, Fixed)] == [IDLE]


def names_no_winner(findings: list[Finding]) -> bool:
    (found,) = of_kind(findings, "undecided")
    return not any(of_kind(findings, "isolation")) and "optimizer (" in found.sentence


def drops_the_worse(findings: list[Finding]) -> bool:
    changes = [c for f in of_kind(findings, "isolation") for c in f.changes]
    return changes == [DroppedChoices("optimizer", ("SGD",))]


def trains_longer(findings: list[Finding]) -> bool:
    changes = [c for f in of_kind(findings, "length") for c in f.changes]
    return changes == [NewSetting("training.epochs", 40)]


def overfits(findings: list[Finding]) -> bool:
    return any("overfit" in f.sentence for f in of_kind(findings, "fitting"))


def underfits(findings: list[Finding]) -> bool:
    return any(f.parameters == (DROPOUT,) for f in of_kind(findings, "fitting"))


def rises(place: float) -> float:
    """The cost of a learning rate whose best value lies beyond the upper end."""
    return 0.3 * (1.4 - place) ** 2


def peaks(place: float) -> float:
    """The cost of a learning rate whose best value lies in the middle."""
    return 0.3 * (0.5 - place) ** 2


TRUTHS: Mapping[str, Truth] = {
    "optimum beyond an edge": Truth(BEYOND, widens(LR, upwards=True)),
    "the same, searched by TPE": Truth(
        Plant(optima=BEYOND.optima, sampler="TPESampler"), widens(LR, upwards=True)
    ),
    "below the lower edge of whole numbers": Truth(
        Plant(optima={**Plant().optima, WIDTH: -0.4}), widens(WIDTH, upwards=False)
    ),
    "beyond an edge of the better of two optimizers": Truth(
        Plant(optimizers={"SGD": -0.1, "AdamW": 0.0}, lr_costs={"AdamW": rises, "SGD": peaks}),
        widens(LR, upwards=True),
    ),
    "diverges above a learning rate": Truth(Plant(diverges_above=0.7), cuts_at(0.7)),
    "the same with the optimum beyond": Truth(
        Plant(diverges_above=0.8, optima=BEYOND.optima), cuts_at(0.8)
    ),
    "the same where few trials lie beyond": Truth(
        Plant(diverges_above=0.92, optima=BEYOND.optima), stays_at_the_bound
    ),
    "a parameter without effect": Truth(Plant(idle=True), fixes_the_idle_one),
    "two tied optimizers": Truth(Plant(optimizers={"SGD": 0.0, "AdamW": 0.0}), names_no_winner),
    "one optimizer clearly better": Truth(
        Plant(optimizers={"SGD": -0.03, "AdamW": 0.0}), drops_the_worse
    ),
    "too few epochs": Truth(Plant(rise=12.0), trains_longer),
    "overfitting": Truth(Plant(decay=0.003), overfits),
    "underfitting": Truth(Plant(optima={**Plant().optima, DROPOUT: -0.4}), underfits),
}
TPE = {name for name, truth in TRUTHS.items() if truth.plant.sampler == "TPESampler"}

UNMARKED = Plant(
    optimizers={"SGD": 0.0, "AdamW": 0.0},
    n_lost=4,
    baseline=0.9,
    test_noise=0.004,
    log_loss=0.2,
)
CLEAN = {"random": UNMARKED, "TPE": replace(UNMARKED, sampler="TPESampler")}
"""Nothing in it: four trials fail and four diverge wherever they lie, and a baseline is behind, or
as good in the log loss.
"""
BEYOND_LIMITS = 12
"""Trials of such a study that break a limit wherever they lie, for findings on limits."""


FLAT = {LR: lambda place: 0.5 * min(place - 0.8, 0.0) ** 2}
STEEP = {**Plant().weights, LR: 0.6}
LATE = {"SiLU": 0.0, "ReLU": 0.03, "Tanh": 0.035}


@dataclass(frozen=True)
class Untruth:
    """What a study seems to show, and must not be said of it."""

    plant: Plant
    kind: str
    parameter: str
    noise: float = 0.004


UNTRUTHS: Mapping[str, Untruth] = {
    "flat at the edge": Untruth(Plant(costs=FLAT), "edge", LR),
    "flat at the edge, searched by TPE": Untruth(
        Plant(costs=FLAT, sampler="TPESampler"), "edge", LR
    ),
    "best just inside the edge": Untruth(
        Plant(optima={**Plant().optima, LR: 0.9}, weights=STEEP), "edge", LR
    ),
    "a trend below the noise": Untruth(
        Plant(costs={LR: lambda place: 0.003 * (1 - place)}, weights=dict.fromkeys(SPACE, 0.0)),
        "edge",
        LR,
        noise=0.07,
    ),
    "beyond an edge of the worse of two optimizers": Untruth(
        Plant(optimizers={"SGD": -0.1, "AdamW": 0.0}, lr_costs={"SGD": rises, "AdamW": peaks}),
        "edge",
        LR,
    ),
    "a choice that counts among the good": Untruth(
        Plant(activations=LATE, weights=STEEP), "dead", ACTIVATION
    ),
    "a number that counts among the good": Untruth(
        Plant(idle=True, idle_costs=lambda place: 0.06 * place, weights=STEEP), "dead", IDLE
    ),
}


def cuts_the_optimum_off(finding: Finding, _: Evidence) -> bool:
    ranges = [change for change in finding.changes if isinstance(change, NewRange)]
    assert len(ranges) == len(finding.changes)
    return any(
        not position(SPACE[c.parameter], c.range.low)
        <= Plant().optima[c.parameter]
        <= position(SPACE[c.parameter], c.range.high)
        for c in ranges
    )


def recommends_a_worse_one(finding: Finding, evidence: Evidence) -> bool:
    """The simplest equal trial is truly behind the best by more than folds show."""
    best, simple = evidence.ranked[0], evidence.study.trial(finding.figures["recommended"])
    behind = UNMARKED.score(best.params) - UNMARKED.score(simple.params)
    noise = noise_of(best)
    assert noise is not None
    return behind > 2 * noise


def promises_too_much(finding: Finding, evidence: Evidence) -> bool:
    """More than is left to the top of the bump."""
    gains = finding.figures.get("gains", {"100": 0.0})
    return gains["100"] > 0.95 - UNMARKED.score(evidence.ranked[0].params) + 0.004


def tells_apart_what_is_one(finding: Finding, evidence: Evidence) -> bool:
    """Repeats are advised although the top trials truly differ by less than they would show."""
    true = [UNMARKED.score(trial.params) for trial in evidence.ranked[:10]]
    return (
        bool(finding.changes)
        and max(true) - min(true) < (finding.figures["least_difference_with_repeats"])
    )


def promises_a_winner(finding: Finding, _: Evidence) -> bool:
    """Two tied optimizers would be settled, or one of them is to go."""
    promises = "would settle it" in finding.sentence
    is_open = "settle it if the difference so far is real" in finding.sentence
    return bool(finding.changes) or (promises and not is_open)


ALARMS: Mapping[str, Callable[[Finding, Evidence], bool]] = {
    "edge": lambda finding, _: True,
    "unstable": lambda finding, _: bool(finding.parameters),
    "dead": lambda finding, _: True,
    "isolation": lambda finding, _: "beats" in finding.sentence,
    "length": lambda finding, _: True,
    "fitting": lambda finding, _: True,
    "failures": lambda finding, _: bool(finding.parameters),
    "limits": lambda finding, _: bool(finding.parameters) or finding.severity != "note",
    "untrained": lambda finding, _: True,
    "undecided": promises_a_winner,
    "metric": lambda finding, _: True,
    "baseline": lambda finding, _: finding.severity != "note",
    "narrow": cuts_the_optimum_off,
    "ties": recommends_a_worse_one,
    "noise": tells_apart_what_is_one,
    "budget": promises_too_much,
    "optimism": lambda finding, _: finding.figures["side"] != "expected",
}
"""What would be false of a study with nothing in it, by the kind of finding that says it."""


@cache
def findings_of(plant_name: str, seed: int) -> list[Finding]:
    if plant_name in UNTRUTHS:
        untruth = UNTRUTHS[plant_name]
        return all_findings(planted(untruth.plant, seed, noise=untruth.noise))
    if plant_name in CLEAN:
        return all_findings(planted(CLEAN[plant_name], seed))
    return all_findings(planted(TRUTHS[plant_name].plant, seed))


def clean_findings(clean: str, kind: str, seed: int) -> tuple[Evidence, list[Finding]]:
    """The findings of a kind in a study with nothing in it, and the study."""
    if kind != "limits":
        return planted(CLEAN[clean], seed), [*of_kind(findings_of(clean, seed), kind)]
    evidence = planted(replace(CLEAN[clean], n_beyond=BEYOND_LIMITS), seed)
    return evidence, limits(evidence)


def n_found(name: str, n_seeds: int = N_SEEDS) -> int:
    return sum(TRUTHS[name].is_found(findings_of(name, seed)) for seed in range(n_seeds))


def n_untrue(name: str, n_seeds: int = N_SEEDS) -> int:
    untruth = UNTRUTHS[name]
    return sum(
        any(
            untruth.parameter in f.parameters
            for f in of_kind(findings_of(name, seed), untruth.kind)
        )
        for seed in range(n_seeds)
    )


def n_alarms(clean: str, kind: str, n_seeds: int = N_SEEDS) -> int:
    studies = (clean_findings(clean, kind, seed) for seed in range(n_seeds))
    return sum(ALARMS[kind](one, evidence) for evidence, found in studies for one in found)


@pytest.mark.parametrize("name", sorted(TRUTHS.keys() - TPE))
def test_a_planted_truth_is_found(name: str) -> None:
    assert n_found(name, n_seeds=3) >= 2


@pytest.mark.parametrize("name", UNTRUTHS)
def test_what_only_seems_so_is_not_said(name: str) -> None:
    assert n_untrue(name, n_seeds=3) <= 1


@pytest.mark.parametrize("kind", ALARMS)
def test_a_clean_study_raises_no_alarm(kind: str) -> None:
    assert n_alarms("random", kind, n_seeds=4) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", TRUTHS)
def test_a_planted_truth_is_found_in_18_of_20(name: str) -> None:
    assert n_found(name) >= ENOUGH


@pytest.mark.slow
@pytest.mark.parametrize("name", UNTRUTHS)
def test_what_only_seems_so_is_said_in_1_of_20(name: str) -> None:
    assert n_untrue(name) <= MOST_ALARMS


@pytest.mark.slow
@pytest.mark.parametrize("clean", CLEAN)
@pytest.mark.parametrize("kind", ALARMS)
def test_a_clean_study_raises_an_alarm_in_1_of_20(clean: str, kind: str) -> None:
    assert n_alarms(clean, kind) <= MOST_ALARMS


@pytest.mark.slow
def test_the_table() -> None:
    """Printed with `pytest -s`; computed once for all tests of this module."""
    lines = [*table()]
    assert len(lines) == len(TRUTHS) + len(UNTRUTHS) + len(ALARMS) + 3
    print("", *lines, sep="\n")


def table() -> Iterator[str]:
    yield f"{'planted':<40} found in {N_SEEDS} studies"
    for name in TRUTHS:
        yield f"{name:<40} {n_found(name):>2}"
    yield f"{'what only seems so':<40} said of {N_SEEDS} studies"
    for name in UNTRUTHS:
        yield f"{name:<40} {n_untrue(name):>2}"
    yield f"{'false alarms in clean studies':<40} " + "  ".join(CLEAN)
    for kind in ALARMS:
        counts = (f"{n_alarms(clean, kind):>{len(clean)}}" for clean in CLEAN)
        yield f"{kind:<40} " + "  ".join(counts)


if __name__ == "__main__":
    for line in table():
        print(line, flush=True)
