"""Study files drawn at random, with answers for what they search."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import strategies as st

from tunecli.study_file.settings.ranges import Categories, IntRange, Range
from tunecli.study_file.study_file import Study, StudyFile
from tunecli.study_file.text.dump import to_text
from tunecli.study_file.text.scalars import Scalar

LR = {"float": [1e-4, 0.1], "log": True}


@st.composite
def optimizers(draw: st.DrawFn) -> Any:
    rates = st.sampled_from([1e-3, LR, {"choice": [0.1, 1, "0.1"[:0] or 0.01]}])
    decay = st.sampled_from([0, {"float": [1e-6, 1], "log": True, "or": 0}])
    one = {"AdamW": {"lr": draw(rates), "weight_decay": draw(decay)}}
    other = {"SGD": {"momentum": draw(st.sampled_from([0.9, {"float": [0.5, 0.99]}]))}}
    forms = [
        one,
        "Adam",
        {"Muon": {"rest": one}},
        {"choice": ["Adam", one, other]},
        {"choice": {**one, "mine": other, "plain": {"SGD": {"lr": draw(rates)}}}},
    ]
    return draw(st.sampled_from(forms))


@st.composite
def trainings(draw: st.DrawFn) -> Any:
    candidates = {
        "epochs": [3, {"int": [2, 10]}],
        "batch_size": [16, {"choice": [32, 64]}, {"int": [8, 64], "step": 8}],
        "l1": [0.0, {"float": [1e-8, 1e-4], "log": True, "or": 0}],
        "clip_norm": [None, 1.0, {"choice": [None, 1, 2.5]}],
        "early_stopping": [None, {"patience": {"int": [1, 4]}}, {"patience": 3}],
    }
    chosen = draw(st.lists(st.sampled_from(sorted(candidates)), unique=True))
    return {name: draw(st.sampled_from(candidates[name])) for name in chosen}


@st.composite
def study_texts(draw: st.DrawFn) -> str:
    """Study files without mistakes."""
    width = st.sampled_from([64, {"int": [8, 64], "log": True}, [{"int": [4, 8]}, 16]])
    mlp = {"MLP": {"width": draw(width), "dropout": {"float": [0.0, 0.5]}}}
    data: dict[str, Any] = {
        "data": {"source": "digits", "scale": draw(st.sampled_from(["standard", None, "minmax"]))},
        "model": draw(
            st.sampled_from(["MLP", mlp, {"choice": {"deep": {"MLP": {"depth": 3}}, **mlp}}])
        ),
        "optimizer": draw(optimizers()),
        "training": draw(trainings()),
        "seed": draw(st.integers(0, 3)),
    }
    if draw(st.booleans()):
        data["data"]["scale"] = {"choice": ["standard", None, "quantile"]}
    if draw(st.booleans()):
        data["schedule"] = {"choice": [None, {"StepLR": {"step_size": {"int": [1, 5]}}}]}
    if draw(st.booleans()):
        branch = draw(trainings())
        data["variant"] = {"choice": {"as-is": {}, "mine": {"training": branch}}}
        if draw(st.booleans()):
            data["variant"]["choice"]["third"] = {"model": "MLP", "optimizer": draw(optimizers())}
    return to_text(data)


def random_value(range_: Range, source: random.Random) -> Scalar:
    if isinstance(range_, Categories):
        return source.choice(range_.choices)
    if isinstance(range_, IntRange):
        return source.randrange(range_.low, range_.high + 1, range_.step)
    return source.uniform(range_.low, range_.high)


def completed(text: str) -> Study:
    return StudyFile.from_text(text, "a.yaml").completed("classification", 1797)
