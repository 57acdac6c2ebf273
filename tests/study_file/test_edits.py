"""What an edit of a study file means for a study under way."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from study_texts import study_texts

from tunecli.study_file.edits import Change, changes
from tunecli.study_file.study_file import StudyFile

BASE = """
study: a
data: {source: digits}
model: {choice: {MLP: {width: {int: [16, 64]}}, mine: {CNN: {depth: 2}}}}
optimizer: {AdamW: {lr: {float: [1e-4, 1e-1], log: true}, weight_decay: 0.01}}
training: {epochs: 5, l1: {float: [1e-8, 1e-4], log: true, or: 0}, batch_size: {choice: [16, 32]}}
metrics: [f1]
search: {trials: 20, sampler: TPE}
variant: {choice: {x: {}, y: {training: {clip_norm: {float: [1, 2]}}}}}
"""


def read(text: str) -> StudyFile:
    return StudyFile.from_text(text, "a.yaml").completed("classification", 1797)


def edited(old: str, new: str) -> list[tuple[str, str]]:
    """The changes that one replacement in the text makes, with their effects."""
    assert old in BASE
    found = changes(read(BASE), read(BASE.replace(old, new)))
    return [(str(change), change.effect) for change in found]


@pytest.mark.parametrize(
    ("old", "new", "change", "effect"),
    [
        ("trials: 20", "trials: 50", "search.trials: 20 → 50", "budget"),
        ("trials: 20", "timeout: 1h, trials: 20", "search.timeout: none → 3600.0", "budget"),
        ("epochs: 5", "epochs: 5, max_time: 1h", "training.max_time: none → 1h", "budget"),
        ("trials: 20", "attempts: 5, trials: 20", "search.attempts: 3 → 5", "budget"),
        (
            "trials: 20",
            "baselines: false, trials: 20",
            "search.baselines: true → false",
            "budget",
        ),
        (
            "metrics: [f1]",
            "metrics: [f1]\nobjective: {maximize: accuracy, tolerance: 0.002}",
            "objective.tolerance: none → 0.002",
            "report",
        ),
        ("TPE", "Random", "search.sampler: TPESampler → RandomSampler", "search"),
        (
            "TPE",
            "{TPE: {n_startup_trials: 3}}",
            "search.sampler: TPESampler → {TPESampler: {n_startup_trials: 3}}",
            "search",
        ),
        (
            "TPE",
            "TPE, pruner: none",
            "search.pruner: {MedianPruner: {warmup: 0.33}} → none",
            "search",
        ),
        (
            "TPE",
            "TPE, pruner: Median",
            "search.pruner: {MedianPruner: {warmup: 0.33}} → MedianPruner",
            "search",
        ),
        ("TPE", "TPE, parallel: 8", "search.parallel: 4 → 8", "search"),
        ("TPE", "TPE, order: free", "search.order: exact → free", "search"),
        (
            "TPE",
            "TPE, start_with: [{model: MLP}]",
            "search.start_with: none → [{model: MLP}]",
            "refused",
        ),
        (
            "[1e-4, 1e-1]",
            "[1e-5, 1e-1]",
            "optimizer.AdamW.lr: [0.0001, 0.1] → [1e-05, 0.1]",
            "space",
        ),
        ("[16, 64]", "[32, 64]", "model.MLP.width: [16, 64] → [32, 64]", "space"),
        (
            "[1e-8, 1e-4]",
            "[1e-9, 1e-4]",
            "training.l1: [1e-08, 0.0001] → [1e-09, 0.0001]",
            "space",
        ),
        ("[1, 2]", "[1, 3]", "variant.y.training.clip_norm: [1.0, 2.0] → [1.0, 3.0]", "space"),
        (
            "{int: [16, 64]}",
            "{int: [16, 64], log: true}",
            "model.MLP.width: {int: [16, 64]} → {int: [16, 64], log: true}",
            "refused",
        ),
        ("{int: [16, 64]}", "32", "model.MLP.width: {int: [16, 64]} → 32", "refused"),
        (
            ", or: 0",
            "",
            "training.l1: {float: [1e-08, 0.0001], log: true, or: 0} → "
            "{float: [1e-08, 0.0001], log: true}",
            "refused",
        ),
        ("or: 0", "or: 1", "training.l1.or: 0 → 1", "refused"),
        ("epochs: 5", "epochs: 6", "training.epochs: 5 → 6", "refused"),
        ("depth: 2", "depth: 3", "model.mine.depth: 2 → 3", "refused"),
        (
            "weight_decay: 0.01",
            "weight_decay: 0.1",
            "optimizer.AdamW.weight_decay: 0.01 → 0.1",
            "refused",
        ),
        (
            "[16, 32]",
            "[16, 32, 64]",
            "training.batch_size: {choice: [16, 32]} → {choice: [16, 32, 64]}",
            "refused",
        ),
        ("{source: digits}", "{source: digits, test: 0.3}", "data.test: 0.2 → 0.3", "refused"),
        (
            "{source: digits}",
            "{source: digits, scale: minmax}",
            "data.scale: standard → minmax",
            "refused",
        ),
        (
            "metrics: [f1]",
            "metrics: [f1, mcc]",
            "metrics: [{f1: {average: macro}}] → [{f1: {average: macro}}, mcc]",
            "refused",
        ),
        (
            "metrics: [f1]",
            "objective: {maximize: mcc}\nmetrics: [f1]",
            "objective: {maximize: accuracy} → {maximize: mcc}",
            "refused",
        ),
        ("metrics: [f1]", "seed: 3\nmetrics: [f1]", "seed: 0 → 3", "refused"),
        (
            "metrics: [f1]",
            "validation: {folds: 3}\nmetrics: [f1]",
            "validation.folds: 5 → 3",
            "refused",
        ),
        (
            "metrics: [f1]",
            "loss: NLLLoss\nmetrics: [f1]",
            "loss: CrossEntropyLoss → NLLLoss",
            "refused",
        ),
        ("{x: {}, y", "{z: {}, y", "variant: [x, 'y'] → [z, 'y']", "refused"),
    ],
)
def test_an_edit_has_one_effect(old: str, new: str, change: str, effect: str) -> None:
    found = edited(old, new)
    expected = change.replace("'y'", "y")
    assert [(text.replace("'y'", "y"), what) for text, what in found] == [(expected, effect)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("study: a", "study: b"),
        ("metrics: [f1]", "# a comment\nmetrics: [f1]"),
        ("metrics: [f1]", "metrics: [{f1: {average: macro}}]"),
        ("metrics: [f1]", "metrics: [f1]\nloss: CrossEntropyLoss\nvalidation: {folds: 5}"),
        ("data: {source: digits}", "data: digits"),
        ("trials: 20, sampler: TPE", "sampler: TPESampler, trials: 20"),
        ("epochs: 5,", "epochs: 5, shuffle: true,"),
    ],
)
def test_what_means_the_same_is_no_change(old: str, new: str) -> None:
    assert edited(old, new) == []


def test_true_is_not_one() -> None:
    texts = [
        f"data: digits\nmodel: {{MLP: {{dropout: 0, residual: {x}}}}}\noptimizer: SGD\n"
        for x in ("true", "false")
    ]
    (change,) = changes(read(texts[0]), read(texts[1]))
    assert change == Change("model.MLP.residual", "true", "false", "refused")


@settings(max_examples=12, deadline=None)
@given(study_texts(), study_texts())
def test_changes_are_none_for_itself_and_some_for_another(one: str, other: str) -> None:
    before, after = read(one), read(other)
    assert changes(before, read(before.to_yaml())) == ()
    there, back = changes(before, after), changes(after, before)
    assert {change.path for change in there} == {change.path for change in back}
    if before != after:
        assert there


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (
            "{choice: {MLP: {depth: 3}, CNN: {channels: 8}}}",
            [
                "model.small: present → removed",
                "model.CNN: absent → added",
                "model.MLP.depth: 2 → 3",
            ],
        ),
        (
            "{choice: {small: {MLP: {depth: 1}}, MLP: {depth: 2}}}",
            ["model: MLP, small → small, MLP"],
        ),
    ],
)
def test_options_are_told_by_their_labels(model: str, expected: list[str]) -> None:
    written = "data: digits\noptimizer: AdamW\nmodel: "
    before = f"{written}{{choice: {{MLP: {{depth: 2}}, small: {{MLP: {{depth: 1}}}}}}}}"
    files = (StudyFile.from_text(text, "a.yaml") for text in (before, written + model))
    found = changes(*files)
    assert [str(change) for change in found] == expected
    assert {change.effect for change in found} == {"refused"}
