"""Parameters, and resolving: laws over study files made at random."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from study_texts import completed, random_value, study_texts

from tunecli.study_file.settings.ranges import FloatRange, IntRange, Range
from tunecli.study_file.space.walk import contains
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.scalars import Scalar


@settings(max_examples=25, deadline=None)
@given(study_texts(), st.integers(0, 10**6))
def test_resolving_asks_in_the_order_of_parameters(text: str, seed: int) -> None:
    study = completed(text)
    source = random.Random(seed)
    for _ in range(10):
        asked: dict[str, Scalar] = {}

        def suggest(name: str, range_: Range, asked: dict[str, Scalar] = asked) -> Scalar:
            assert name not in asked, "asked twice"
            asked[name] = random_value(range_, source)
            return asked[name]

        config = study.resolve(suggest)
        existing = [
            parameter.name
            for parameter in study.parameters
            if all(asked.get(c.parameter, study) in c.values for c in parameter.conditions)
        ]
        assert list(asked) == existing, "conditions say exactly what exists, and when it is asked"
        again = study.resolve(lambda name, range_, asked=asked: asked[name])
        assert again == config, "stored parameters rebuild the configuration"


@settings(max_examples=15, deadline=None)
@given(study_texts())
def test_the_resolved_file_reads_back_as_the_same_study(text: str) -> None:
    for read in (lambda text: StudyFile.from_text(text, "a.yaml"), completed):
        study = read(text)
        again = read(study.to_yaml())
        assert again.to_yaml() == study.to_yaml()
        assert again.parameters == study.parameters
        assert again == study


def test_a_base_parameter_depends_on_the_variants_that_keep_it() -> None:
    study = completed(
        "data: digits\nmodel: MLP\n"
        "optimizer: {AdamW: {lr: {float: [1e-4, 1e-1]}}}\n"
        "training: {batch_size: {choice: [32, 64]}, l1: {float: [0, 1]}}\n"
        "variant: {choice: {mini: {}, full: {training: {batch_size: full}, "
        "optimizer: {SGD: {lr: {float: [0.1, 1]}}}}, big: {training: {batch_size: {int: [128, "
        "256]}}}}}\n"
    )
    conditions = {p.name: {c.parameter: c.values for c in p.conditions} for p in study.parameters}
    assert conditions == {
        "variant": {},
        "optimizer.AdamW.lr": {"variant": ("mini", "big")},
        "variant.full.optimizer.SGD.lr": {"variant": ("full",)},
        "training.batch_size": {"variant": ("mini",)},
        "variant.big.training.batch_size": {"variant": ("big",)},
        "training.l1": {},
    }
    answers = {"variant": "full", "variant.full.optimizer.SGD.lr": 0.5, "training.l1": 0.0}
    config = study.resolve(lambda name, range_: answers[name])
    assert config.training.batch_size == "full"
    assert config.optimizer.name == "SGD"


def test_steps_in_a_variant_take_the_place_of_epochs() -> None:
    study = completed(
        "data: digits\nmodel: MLP\noptimizer: Adam\ntraining: {epochs: 7}\n"
        "variant: {choice: {a: {}, b: {training: {steps: 100}}}}\n"
    )
    a, b = (study.resolve(lambda name, range_, label=label: label) for label in "ab")
    assert (a.training.epochs, a.training.steps) == (7, None)
    assert (b.training.epochs, b.training.steps) == (None, 100)


def test_the_gate_takes_the_other_value() -> None:
    study = completed(
        "data: digits\nmodel: MLP\noptimizer: Adam\n"
        "training: {batch_size: {int: [16, 64], log: true, or: full}}\n"
    )
    assert study.resolve(lambda name, range_: True).training.batch_size == "full"
    inside = {"training.batch_size.or": False, "training.batch_size": 20}
    assert study.resolve(lambda name, range_: inside[name]).training.batch_size == 20


@given(study_texts())
@settings(max_examples=50, deadline=None)
def test_each_gate_is_known_by_the_name_of_its_range(text: str) -> None:
    study = completed(text)
    names = {parameter.name for parameter in study.parameters}
    assert {f"{name}.or" for name in study.gates} == {n for n in names if n.endswith(".or")}
    assert study.gates.keys() <= names


def test_a_gate_tells_what_it_takes_in_place_of_its_range() -> None:
    l1 = "{float: [1e-8, 1e-4], log: true, or: 0}"
    clip = "{float: [0.5, 2], or: none}"
    text = (
        "data: digits\nmodel: MLP\noptimizer: {choice: {a: {SGD: {weight_decay: "
        f"{l1}}}}}, AdamW: }}}}\ntraining: {{l1: {l1}, clip_norm: {clip}}}\n"
        f"variant: {{choice: {{x: {{training: {{l1: {l1}}}}}, y: }}}}\n"
    )
    assert StudyFile.from_text(text, "a.yaml").gates == {
        "optimizer.a.weight_decay": 0,
        "training.l1": 0,
        "training.clip_norm": None,
        "variant.x.training.l1": 0,
    }


def test_an_unknown_category_is_no_branch() -> None:
    study = completed("data: digits\nmodel: {choice: [MLP, CNN]}\noptimizer: Adam\n")
    with pytest.raises(ValueError, match="model has no category 'RNN'"):
        study.resolve(lambda name, range_: "RNN")


@given(st.integers(0, 50), st.integers(1, 9), st.integers(0, 20))
def test_steps_contain_their_multiples_only(low: int, step: int, n_steps: int) -> None:
    whole = IntRange(low, low + n_steps * step, step=step)
    inside = [value for value in range(low - 2, whole.high + 3) if contains(whole, value)]
    assert inside == list(range(low, whole.high + 1, step))
    real = FloatRange(low / 10, (low + n_steps * step) / 10, step=step / 10)
    assert all(contains(real, low / 10 + i * (step / 10)) for i in range(n_steps))
    assert not contains(real, low / 10 + step / 20)
