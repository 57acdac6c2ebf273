"""What mup is combined with: each pair without a rule is refused at its line."""

from __future__ import annotations

import pytest

from tunecli.errors import StudyFileError
from tunecli.study_file.catalogue.component_arguments import signature
from tunecli.study_file.catalogue.parametrizations import (
    ADAM_LIKE,
    BASE_WIDTH,
    SGD_LIKE,
    base_width,
)
from tunecli.study_file.study_file import StudyFile

MUP = "parametrization: mup"
TOKENS = "{source: c.txt, task: language_modeling}"
GPT = f"config: gpt2, {MUP}"


def study(model: str, optimizer: str, data: str = "digits", more: str = "") -> StudyFile:
    text = f"data: {data}\nmodel: {{{model}}}\noptimizer: {optimizer}\n{more}\n"
    return StudyFile.from_text(text, "s.yaml")


@pytest.mark.parametrize(
    "optimizer",
    [
        *(f"{{{name}: {{lr: 0.01}}}}" for name in (*ADAM_LIKE, *SGD_LIKE)),
        "{AdamW: {weight_decay: {float: [0, 0.1]}}}",
        "{SGD: {lr: 0.1, weight_decay: 0.1}}",
        "{Adam: {weight_decay: 0.1, decoupled_weight_decay: true}}",
        "{NAdam: {weight_decay: 0.1, decoupled_weight_decay: true}}",
    ],
)
def test_optimizers_with_a_rule_are_accepted(optimizer: str) -> None:
    study(f"MLP: {{{MUP}}}", optimizer)


@pytest.mark.parametrize(
    ("model", "optimizer", "data", "more", "place", "message"),
    [
        *(
            (f"MLP: {{{MUP}}}", name, "digits", "", "optimizer", f"no learning rates for {name}.")
            for name in ("Muon", "Adafactor", "RAdam", "Rprop", "Adadelta", "ASGD")
        ),
        (
            f"MLP: {{{MUP}}}",
            "{Adam: {weight_decay: {float: [0, 0.1]}}}",
            "digits",
            "",
            "optimizer.Adam.weight_decay",
            "Use AdamW, or write weight_decay: 0.",
        ),
        (
            f"MLP: {{{MUP}}}",
            "AdamW",
            "digits",
            "schedule: {CosineAnnealingLR: {eta_min: 1e-5}}",
            "schedule.CosineAnnealingLR.eta_min",
            "Write eta_min: 0.",
        ),
        (
            f"AutoModelForCausalLM: {{config: llama, {MUP}}}",
            "AdamW",
            TOKENS,
            "",
            "model.AutoModelForCausalLM.parametrization",
            "mup supports only config: gpt2, but got llama.",
        ),
        (
            f"AutoModelForCausalLM: {{{GPT}, adapter: {{LoraConfig: {{r: 4}}}}}}",
            "AdamW",
            TOKENS,
            "",
            "model.AutoModelForCausalLM.parametrization",
            "an adapter freezes them",
        ),
        (
            f"TransformerEncoder: {{d_model: 64, {MUP}}}",
            "AdamW",
            "{source: t.csv, target: y, text: x}",
            "",
            "model.TransformerEncoder.parametrization",
            "mup needs dim_feedforward, which must grow with d_model.",
        ),
        (
            f"MLP: {{{MUP}, base_width: 0}}",
            "AdamW",
            "digits",
            "",
            "model.MLP.base_width",
            "must be at least 1, but got 0",
        ),
        (
            "MLP: {parametrization: mupp}",
            "AdamW",
            "digits",
            "",
            "model.MLP.parametrization",
            "Did you mean",
        ),
    ],
)
def test_what_has_no_rule_is_refused_at_its_line(
    model: str, optimizer: str, data: str, more: str, place: str, message: str
) -> None:
    with pytest.raises(StudyFileError, match=r"s\.yaml") as caught:
        study(model, optimizer, data, more)
    found = [(one.path, one.message) for one in caught.value.problems]
    assert any(path == place and message in text for path, text in found), found


def test_a_pretrained_model_is_refused() -> None:
    with pytest.raises(StudyFileError, match=r"mup starts from random weights"):
        study(f"AutoModelForCausalLM: {{pretrained: folder, {MUP}}}", "AdamW", TOKENS)


def test_other_models_do_not_take_it() -> None:
    with pytest.raises(StudyFileError, match="ResNet has no argument `parametrization`"):
        study(f"ResNet: {{{MUP}}}", "AdamW")


def test_the_base_width_is_the_default_of_every_model_that_has_one() -> None:
    for name in ("MLP", "TransformerEncoder", "TransformerDecoder", "AutoModelForCausalLM"):
        known = signature("model", name).argument("base_width")
        assert known is not None
        assert known.default == BASE_WIDTH
    assert base_width({"parametrization": "mup"}) == BASE_WIDTH
    assert base_width({"parametrization": "mup", "base_width": 32}) == 32
    assert base_width({"parametrization": "standard", "base_width": 32}) is None


@pytest.mark.parametrize(
    ("optimizer", "more", "place", "message"),
    [
        ("{Rprop: {lr: 1}}", "", "optimizer.Rprop", "RealMLP has no learning rates for Rprop"),
        ("Adafactor", "", "optimizer", "or use MLP."),
        (
            "{Adam: {weight_decay: 0.1}}",
            "",
            "optimizer.Adam.weight_decay",
            "for which RealMLP has no rule",
        ),
        (
            "AdamW",
            "schedule: {CosineAnnealingLR: {eta_min: 1e-4}}",
            "schedule.CosineAnnealingLR.eta_min",
            "with RealMLP their rates differ",
        ),
    ],
)
def test_the_neural_tangent_parametrization_has_the_same_limits(
    optimizer: str, more: str, place: str, message: str
) -> None:
    with pytest.raises(StudyFileError, match=r"s\.yaml") as caught:
        study("RealMLP: {}", optimizer, more=more)
    found = [(one.path, one.message) for one in caught.value.problems]
    assert any(path == place and message in text for path, text in found), found


def test_real_mlp_takes_sgd_and_optimizers_like_adam() -> None:
    for name in (*ADAM_LIKE, *SGD_LIKE):
        study("RealMLP: {}", f"{{{name}: {{lr: 0.01}}}}")
