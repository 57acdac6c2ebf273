"""Compression inside a trial: what is scored, stored and refused."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from training_cases import CPU, classification, component

from tunecli.errors import StudyFileError
from tunecli.study_file.settings.settings import (
    CompressionSettings,
    DataSettings,
    Objective,
    TrainingSettings,
    TrialConfig,
    ValidationSettings,
)
from tunecli.study_file.study_file import StudyFile
from tunecli.training.compression.packing import Packed, unpack
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold import FoldTraining, new_model
from tunecli.training.rehearsal import build_error
from tunecli.training.trial_end import compress_folds, conclude

FOLDS = [classification(number) for number in range(2)]

STUDY = """
data: digits
model: MLP
optimizer: AdamW
compression:
"""


def config(**compression: Any) -> TrialConfig:
    return TrialConfig(
        seed=3,
        data=DataSettings(source="digits"),
        validation=ValidationSettings(folds=2),
        model=component("MLP", width=16, batch_norm=True),
        loss=component("CrossEntropyLoss"),
        optimizer=component("AdamW", lr=0.02),
        objective=Objective(direction="maximize", metric=component("accuracy")),
        training=TrainingSettings(epochs=4, batch_size=8),
        compression=CompressionSettings.model_validate(compression),
    )


def trained(**compression: Any) -> CrossValidation:
    training = CrossValidation(config(**compression), FOLDS, CPU)
    for _ in training:
        pass
    return training


def test_without_compression_a_result_is_what_it_was() -> None:
    training = trained()
    found, plain = conclude(training).result, training.result()
    assert found.predictions == plain.predictions
    assert found.metrics == plain.metrics == {}


def test_the_score_is_that_of_what_the_packed_files_give_back() -> None:
    training = trained(prune={"amount": 0.7}, quantize="int8", fuse=True, finetune_epochs=2)
    result, plain = conclude(training).result, training.result()
    folds = compress_folds(training.config, training.loops)
    assert result.fold_scores == tuple(fold.score for fold in folds)
    assert result.value == pytest.approx(np.mean(result.fold_scores))
    assert result.metrics["uncompressed"] == plain.value
    assert result.metrics["zeros"] >= 0.69
    assert result.predictions is not None
    archive = np.load(io.BytesIO(result.predictions))
    sizes = [len(fold.packed.smallest()) for fold in folds]
    assert result.metrics["size"] == np.mean(sizes)
    for number, fold in enumerate(folds):
        loop = training.folds[number]
        assert isinstance(loop, FoldTraining)
        content = fold.packed.to_bytes()
        back = unpack(Packed.from_bytes(content), new_model(training.config, loop.fold))
        outputs, score, _ = loop.measured(back)
        assert score == fold.score
        np.testing.assert_array_equal(outputs, archive[f"outputs_{number}"])


def test_equal_configurations_are_compressed_to_equal_bits_in_any_process_state() -> None:
    recipe = {"share": {"clusters": 8}, "finetune_epochs": 2, "fuse": True}
    once, twice = (conclude(trained(**recipe)).result for _ in range(2))
    assert once.fold_scores == twice.fold_scores
    assert once.metrics == twice.metrics
    assert once.predictions == twice.predictions


def test_compression_leaves_the_training_as_it_was() -> None:
    training = trained(share={"clusters": 2}, finetune_epochs=1)
    before = training.result()
    conclude(training)
    assert training.result().predictions == before.predictions


def test_fine_tuning_brings_back_what_pruning_took() -> None:
    harsh = {"prune": {"amount": 0.85}}
    without, tuned = (
        conclude(trained(**harsh)).result,
        conclude(trained(**harsh, finetune_epochs=8)).result,
    )
    assert without.value is not None
    assert tuned.value is not None
    assert tuned.value > without.value


def test_fine_tuning_that_diverges_is_no_score() -> None:
    training = trained(share={"clusters": 4}, finetune_epochs=2)
    changed = training.config.model_copy(update={"optimizer": component("SGD", lr=1e30)})
    training.config = changed
    result = conclude(training).result
    assert result.outcome == "diverged"
    assert result.reason.startswith("in fine-tuning: ")
    assert result.value is None


def test_what_cannot_be_compressed_is_found_before_the_first_trial() -> None:
    pytest.importorskip("torch_pruning")
    assert build_error(config(structured={"amount": 0.5}, fuse=True), FOLDS) == ""


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("  prune: {amount: 1.5}", r"compression.prune.amount: must be below 1"),
        ("  share: {clusters: 1}", r"compression.share.clusters: must be at least 2"),
        ("  quantize: int7", r"compression.quantize: .*int8"),
        ("  prun: {amount: 0.5}", r"compression.prun: unknown.*prune"),
        ("  prune: {amuont: 0.5}", r"compression.prune.amuont: unknown.*amount"),
        ("  prune: {amount: {float: [0.5, 1.5]}}", r"compression.prune.amount.*below 1"),
    ],
)
def test_mistakes_are_told_by_line(written: str, told: str) -> None:
    with pytest.raises(StudyFileError, match=told):
        StudyFile.from_text(STUDY + written, "x.yaml")


def test_each_step_may_be_searched() -> None:
    text = (
        STUDY
        + """\
  prune:
    choice:
      none: none
      some: {amount: {float: [0.1, 0.9]}, scope: {choice: [global, layer]}}
  share: {clusters: {choice: [4, 16]}}
  quantize: {choice: [none, int8]}
  finetune_epochs: {int: [0, 3]}
"""
    )
    names = [parameter.name for parameter in StudyFile.from_text(text, "x.yaml").parameters]
    assert names == [
        "compression.prune",
        "compression.prune.some.amount",
        "compression.prune.some.scope",
        "compression.share.clusters",
        "compression.finetune_epochs",
        "compression.quantize",
    ]
