"""A trial's configuration as a study file: it runs again, and is short."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from study_texts import completed, random_value, study_texts

from tunecli.study_file.print_study import to_yaml
from tunecli.study_file.settings.settings import TrialConfig


@settings(max_examples=20, deadline=None)
@given(study_texts(), st.integers(0, 10**6))
def test_a_printed_configuration_runs_again(text: str, seed: int) -> None:
    source = random.Random(seed)
    config = completed(text).resolve(lambda name, range_: random_value(range_, source))
    printed = to_yaml(config, "again", "one\n\ntwo")
    assert printed.startswith("# one\n#\n# two\nstudy: again\n")
    study = completed(printed)
    assert (study.name, study.parameters, study.search.trials) == ("again", (), 1)
    assert repr(study.resolve(lambda name, range_: None)) == repr(config), "floats bit for bit"


@settings(max_examples=10, deadline=None)
@given(study_texts())
def test_a_configuration_survives_json(text: str) -> None:
    source = random.Random(0)
    config = completed(text).resolve(lambda name, range_: random_value(range_, source))
    assert TrialConfig.model_validate_json(config.model_dump_json()) == config


def test_defaults_are_left_out() -> None:
    study = completed("data: digits\nmodel: MLP\noptimizer: {AdamW: {lr: 1e-5}}\n")
    assert to_yaml(study.resolve(lambda name, range_: None), "best") == (
        "study: best\n"
        "seed: 0\n"
        "data: {source: digits, test: 0.2}\n"
        "validation: {folds: 5}\n"
        "model: MLP\n"
        "loss: CrossEntropyLoss\n"
        "optimizer: {AdamW: {lr: 1e-05}}\n"
        "training: {epochs: 20}\n"
        "objective: {maximize: accuracy}\n"
        "search: {trials: 1}\n"
    )


def test_what_differs_is_written() -> None:
    text = (
        "study: full\n"
        "seed: 3\n"
        "data: {source: iris, test: 0.1, scale: null}\n"
        "validation: {folds: 3, repeats: 2}\n"
        "model: {MLP: {activation: Tanh}}\n"
        "loss: CrossEntropyLoss\n"
        "optimizer: {Muon: {rest: {AdamW: {lr: 0.001}}}}\n"
        "schedule: {ReduceLROnPlateau: {patience: 3}}\n"
        "training:\n"
        "  steps: 100\n"
        "  clip_norm: 1.0\n"
        "  early_stopping: {patience: 5}\n"
        "  deterministic: false\n"
        "objective: {maximize: {f1: {average: micro}}}\n"
        "metrics:\n"
        "- {f1: {average: macro}}\n"
        "search: {trials: 1}\n"
    )
    assert to_yaml(completed(text).resolve(lambda name, range_: None), "full") in (
        text,
        text.replace(
            "training:\n  steps: 100\n  clip_norm: 1.0\n  early_stopping: {patience: 5}\n"
            "  deterministic: false\n",
            "training: {steps: 100, clip_norm: 1.0, early_stopping: {patience: 5}, "
            "deterministic: false}\n",
        ),
    )
