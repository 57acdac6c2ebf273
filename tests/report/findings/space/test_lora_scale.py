"""A wider range of LoRA's rank moves that of lora_alpha along, or says that the scale changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from planted_studies import DECAY, WIDTH, Plant, planted

from tunecli.database.records import TrialRecord
from tunecli.report.findings.all_findings import all_findings
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import Finding, NewRange
from tunecli.report.findings.evidence.positions import position, value_at
from tunecli.report.findings.space.edge import edges
from tunecli.report.findings.space.useful_bounds import useful_bounds
from tunecli.report.next_round.chosen_changes import advice_of
from tunecli.report.next_round.round import write_next_round
from tunecli.study_file.settings.ranges import Categories, IntRange, Range

ADAPTER = "model.AutoModelForSequenceClassification.adapter"
BACKBONE = "model.AutoModelForSequenceClassification.backbone_lr"
RANKS = IntRange(4, 32, log=True)
ALPHAS = IntRange(8, 64, log=True)
FILE = """
study: reviews
data: {{source: reviews.csv, target: mood, text: review}}
model:
  AutoModelForSequenceClassification:
    config: bert
    adapter: {{LoraConfig: {{r: {{int: [4, 32], log: true}}, lora_alpha: {alpha}}}}}
optimizer: {{AdamW: {{lr: {{float: [1e-4, 1e-1], log: true}}}}}}
"""


def with_adapter(
    end: float, alpha: Range | int = 16, label: str = "LoraConfig", **arguments: Any
) -> Evidence:
    """A study whose score rises towards an end of the ranks, and depends on no alpha.

    Args:
        end: 0 for the low end, 1 for the high end.
        alpha: its range, or its value.
    """
    weights = {**Plant().weights, DECAY: 0.0}
    optima = {**Plant().optima, WIDTH: 2.0 if end else -1.0}
    evidence = planted(Plant(optima=optima, weights=weights), seed=1)
    ranges = {f"{ADAPTER}.{label}.r": (WIDTH, RANKS)}
    if not isinstance(alpha, int):
        ranges[f"{ADAPTER}.{label}.lora_alpha"] = (DECAY, alpha)

    def adapted(trial: TrialRecord) -> TrialRecord:
        params, kinds = dict(trial.params), dict(trial.ranges)
        for name, (old, kind) in ranges.items():
            place = position(kinds.pop(old), params.pop(old))
            params[name] = (
                kind.choices[place > 0.5]
                if isinstance(kind, Categories)
                else round(value_at(kind, place))
            )
            kinds[name] = kind
        adapter = {"name": "LoraConfig", "arguments": arguments}
        model = {"name": "AutoModelForSequenceClassification", "arguments": {"adapter": adapter}}
        return replace(
            trial, params=params, ranges=kinds, config={**(trial.config or {}), "model": model}
        )

    trials = tuple(map(adapted, evidence.study.trials))
    return replace(evidence, study=replace(evidence.study, trials=trials))


def found(evidence: Evidence) -> Finding:
    [finding] = edges(evidence)
    return finding


@pytest.mark.parametrize("label", ["LoraConfig", "large"])
@pytest.mark.parametrize(
    ("end", "arguments", "rank", "alpha", "scale"),
    [
        (1.0, {}, (4, 90), (8, 180), "lora_alpha / r of"),
        (0.0, {}, (2, 32), (4, 64), "lora_alpha / r of"),
        (1.0, {"use_rslora": True}, (4, 90), (8, 107), "lora_alpha / √r of"),
    ],
)
def test_a_searched_alpha_moves_along(
    label: str,
    end: float,
    arguments: dict[str, Any],
    rank: tuple[int, int],
    alpha: tuple[int, int],
    scale: str,
) -> None:
    finding = found(with_adapter(end, ALPHAS, label, **arguments))
    assert finding.changes == (
        NewRange(f"{ADAPTER}.{label}.r", IntRange(*rank, log=True)),
        NewRange(f"{ADAPTER}.{label}.lora_alpha", IntRange(*alpha, log=True)),
    )
    assert scale in finding.sentence
    assert finding.sentence.endswith("of the update keeps its range.")


@pytest.mark.parametrize("alpha", [16, Categories((8, 16))])
@pytest.mark.parametrize(
    ("end", "says"),
    [
        (1.0, " Raise lora_alpha too: the scale lora_alpha / r of the update falls as r grows."),
        (0.0, " Lower lora_alpha too: the scale lora_alpha / r of the update grows as r falls."),
    ],
)
def test_an_alpha_that_cannot_move_is_mentioned(end: float, says: str, alpha: Any) -> None:
    finding = found(with_adapter(end, alpha))
    assert [change.parameter for change in finding.changes if isinstance(change, NewRange)] == [
        f"{ADAPTER}.LoraConfig.r"
    ]
    assert finding.sentence.endswith(says)


def test_each_parameter_is_changed_once() -> None:
    """alpha has no effect here, but it is not fixed where its range must move along."""
    findings = all_findings(with_adapter(1.0, ALPHAS))
    changed = [one.about for one in advice_of(findings)]
    assert f"{ADAPTER}.LoraConfig.lora_alpha" in changed
    assert len(changed) == len(set(changed))


@pytest.mark.parametrize(
    ("alpha", "expected"),
    [("{int: [8, 64], log: true}", "{int: [8, 180], log: true}"), ("16", "16")],
)
def test_the_next_round_has_it(alpha: str, expected: str) -> None:
    evidence = with_adapter(1.0, ALPHAS if "int" in alpha else 16)
    study = replace(evidence.study, study_file=FILE.format(alpha=alpha), file="a.yaml")
    evidence = replace(evidence, study=study)
    made = write_next_round(evidence, advice_of(edges(evidence)))
    assert "r: {int: [4, 90], log: true}" in made.text
    assert f"lora_alpha: {expected}" in made.text
    assert "the scale lora_alpha / r of the update" in " ".join(made.text.split())
    assert not made.left_out


def test_useful_values_of_fine_tuning() -> None:
    evidence = with_adapter(1.0, ALPHAS, "large")
    assert useful_bounds(evidence, f"{ADAPTER}.large.r").high == 256
    assert useful_bounds(evidence, f"{ADAPTER}.large.lora_alpha").high == 512
    factor = useful_bounds(evidence, BACKBONE)
    assert (factor.low, factor.has_low, factor.high) == (0, False, 1)
    assert useful_bounds(evidence, "model.Mine.r").high == float("inf")
