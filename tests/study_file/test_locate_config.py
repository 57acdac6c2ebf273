from __future__ import annotations

from pathlib import Path

import pytest
from drawn_answers import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from locations import STUDIES
from study_texts import study_texts

from tunecli.study_file.locate_config import match
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.scalars import Scalar


@settings(max_examples=60, deadline=None)
@given(study_texts(), st.integers(0, 9))
def test_a_configuration_tells_what_was_answered_for_it(text: str, seed: int) -> None:
    study = StudyFile.from_text(text, "a.yaml").completed("classification", 1797)
    answers = drawn(study, seed)
    config = study.resolve(lambda name, _: answers[name])
    found = match(study.tree, config, answers)
    assert found.misfits == ()
    assert study.resolve(lambda name, _: found.answers[name]) == config


@pytest.mark.parametrize("path", sorted(STUDIES.glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("seed", range(5))
def test_also_for_the_shipped_studies(path: Path, seed: int) -> None:
    file = StudyFile.from_text(path.read_text(), str(path))
    numbers = "r2" in path.read_text()
    task = file.task or ("regression" if numbers else "classification")
    study = file.completed(task, 1797)
    answers = drawn(study, seed)
    config = study.resolve(lambda name, _: answers[name])
    assert match(study.tree, config, answers).answers == answers
    assert match(study.tree, config, {}).misfits == ()


BEFORE = """
data: digits
model: {MLP: {width: {int: [8, 64]}}}
optimizer:
  choice:
    momentum: {SGD: {lr: {float: [1e-4, 1]}, momentum: 0.9}}
    plain: {SGD: {lr: {float: [1e-4, 1]}}}
    AdamW: {lr: {float: [1e-4, 1]}}
training: {epochs: 3, l1: {float: [1e-8, 1e-4], or: 0}}
"""
ANSWERS: dict[str, Scalar] = {
    "model.MLP.width": 20,
    "optimizer": "momentum",
    "optimizer.momentum.lr": 0.5,
    "training.l1.or": False,
    "training.l1": 1e-5,
}


@pytest.mark.parametrize(
    ("optimizer", "training", "name", "misfits"),
    [
        (
            "{choice: {momentum: {SGD: {lr: {float: [1e-4, 1]}, momentum: 0.9}}, AdamW: }}",
            "epochs: 3, l1: {float: [1e-8, 1e-4], or: 0}",
            "optimizer.momentum.lr",
            (),
        ),
        (  # the option that is left has lost its label
            "{SGD: {lr: {float: [1e-4, 1]}, momentum: 0.9}}",
            "epochs: 3, l1: {float: [1e-8, 1e-4], or: 0}",
            "optimizer.SGD.lr",
            (),
        ),
        (
            "{SGD: {lr: {float: [1e-4, 1e-1]}, momentum: 0.9}}",
            "epochs: 3, l1: 1e-5",
            "",
            ("optimizer.SGD.lr outside its range",),
        ),
        (
            "{SGD: {lr: 0.5, momentum: 0.9}}",
            "epochs: 4, l1: 0",
            "",
            ("another training.epochs", "another training.l1"),
        ),
        ("AdamW", "epochs: 3, l1: 1e-5", "", ("another optimizer",)),
    ],
)
def test_what_is_in_the_way_is_named(
    optimizer: str, training: str, name: str, misfits: tuple[str, ...]
) -> None:
    before = StudyFile.from_text(BEFORE, "a.yaml").completed("classification", 1797)
    text = f"data: digits\nmodel: {{MLP: {{width: {{int: [8, 64]}}}}}}\noptimizer: {optimizer}\n"
    after = StudyFile.from_text(f"{text}training: {{{training}}}", "a.yaml")
    config = before.resolve(lambda name, _: ANSWERS[name])
    found = match(after.completed("classification", 1797).tree, config, ANSWERS)
    assert set(found.misfits) == set(misfits)
    assert found.answers["model.MLP.width"] == 20
    if name:
        assert found.answers[name] == 0.5
