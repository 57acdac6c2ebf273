"""A training of a model of transformers resumes to the bit, without its base in checkpoints."""

from __future__ import annotations

import io

import pytest
import torch
from training_cases import CPU
from transformers_studies import studies

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.workspace import Workspace
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.study_file import read_study_file
from tunecli.training.fold import FoldTraining
from tunecli.training.fold_data import folds_of
from tunecli.training.models.auto_models import TransformersModel
from tunecli.training.models.frozen_weights import is_shared


def first_fold(name: str) -> tuple[TrialConfig, FoldData]:
    folder = studies()
    study = read_study_file(folder / f"{name}.yaml")
    store = FoldStore(study.data, study.validation, Workspace(folder))
    completed = study.completed(store.dataset.task, len(store.dataset.y))
    config = completed.first_config
    store = FoldStore(config.data, config.validation, Workspace(folder), dataset=store.dataset)
    return config, folds_of(store, config)[0]


def finished(training: FoldTraining) -> list[object]:
    scores = [evaluation.score for evaluation in training]
    weights = [p.detach().clone() for p in training.model.parameters()]
    return [scores, *weights]


@pytest.mark.parametrize("name", ["adapter", "whole", "prompt", "beside", "value"])
def test_a_resumed_training_is_the_same_to_the_bit(name: str) -> None:
    config, fold = first_fold(name)
    whole = FoldTraining(config, fold, CPU)
    next(whole)
    file = io.BytesIO()
    torch.save(whole.state_dict(), file)
    file.seek(0)
    torch.manual_seed(99)  # what happens in between does not matter
    resumed = FoldTraining(config, fold, CPU)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for one, other in zip(finished(whole), finished(resumed), strict=True):
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def test_the_base_of_an_adapter_is_bit_equal_after_training_and_in_no_checkpoint() -> None:
    config, fold = first_fold("adapter")
    training = FoldTraining(config, fold, CPU)
    before = {name: p.clone() for name, p in training.model.named_parameters() if is_shared(p)}
    assert isinstance(training.model, TransformersModel)
    frozen = [*training.model.library_network().base_model.parameters()]
    assert len(before) == len([p for p in frozen if not p.requires_grad])
    next(training)
    state = training.state_dict()["model"]
    assert all(isinstance(state[name], str) for name in before)  # a digest
    after = dict(training.model.named_parameters())
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())
