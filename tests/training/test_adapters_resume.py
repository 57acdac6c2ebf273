"""Every adapter of peft trains exactly: resumed, and with activations that are recomputed."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import torch
from auto_model_cases import ADAPTERS, SMALL
from training_cases import CPU

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.workspace import Workspace
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.study_file import StudyFile
from tunecli.training.fold import FoldTraining
from tunecli.training.fold_data import folds_of

WORDS = "the film was is very good bad fine awful dull long short and not".split()


@cache
def folder() -> Path:
    """A folder with a table of texts of different lengths."""
    made, draw = Path(mkdtemp()), np.random.default_rng(0)
    rows = [
        (" ".join(draw.choice(WORDS, draw.integers(1, 9))), draw.choice(["p", "q"]))
        for _ in range(40)
    ]
    table = ["text,mood", *(",".join(row) for row in rows)]
    (made / "t.csv").write_text("\n".join(table) + "\n")
    return made


def first_fold(architecture: str, **arguments: Any) -> tuple[TrialConfig, FoldData]:
    dropouts = {"dropout": 0.2, "attention_dropout": 0.2}
    model = {"config": architecture, **SMALL[architecture], **dropouts, **arguments}
    study = {
        "data": {"source": "t.csv", "target": "mood", "text": "text", "test": 0},
        "validation": {"folds": 2},
        "model": {"AutoModelForSequenceClassification": model},
        "optimizer": {"AdamW": {"lr": 0.02}},
        "training": {"epochs": 3, "batch_size": 8},
    }
    read = StudyFile.from_text(json.dumps(study), str(folder() / "s.yaml"))
    config = read.completed("classification", 40).first_config
    return config, folds_of(
        FoldStore(config.data, config.validation, Workspace(folder())), config
    )[0]


def finished(training: FoldTraining) -> tuple[list[float], list[torch.Tensor]]:
    scores = [evaluation.score for evaluation in training]
    return scores, [value.detach().clone() for value in training.model.state_dict().values()]


def assert_equal(one: FoldTraining, other: FoldTraining) -> None:
    (scores, weights), (other_scores, other_weights) = finished(one), finished(other)
    assert scores == other_scores
    assert all(map(torch.equal, weights, other_weights))


def adapter(name: str) -> dict[str, Any]:
    chosen = ADAPTERS[name]
    return {"adapter": {chosen.name: dict(chosen.arguments)}}


@pytest.mark.parametrize("architecture", ["bert", "gpt2"])
@pytest.mark.parametrize("name", ADAPTERS)
def test_a_resumed_adapter_is_the_same_to_the_bit(architecture: str, name: str) -> None:
    config, fold = first_fold(architecture, **adapter(name))
    whole = FoldTraining(config, fold, CPU)
    before = [p.detach().clone() for p in whole.model.parameters() if p.requires_grad]
    next(whole)
    trained = [p for p in whole.model.parameters() if p.requires_grad]
    assert not all(map(torch.equal, before, trained))
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    torch.manual_seed(99)  # what happens in between does not matter
    resumed = FoldTraining(config, fold, CPU)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    assert_equal(whole, resumed)


@pytest.mark.parametrize("architecture", ["bert", "gpt2", "llama"])
@pytest.mark.parametrize("name", [None, "LoRA", "DoRA", "IA3", "LNTuning"])
def test_recomputed_activations_with_dropout_give_the_same_bits(
    architecture: str, name: str | None
) -> None:
    given = {} if name is None else adapter(name)
    trainings = [
        FoldTraining(*first_fold(architecture, checkpoint_activations=recomputes, **given), CPU)
        for recomputes in (False, True)
    ]
    assert_equal(*trainings)
