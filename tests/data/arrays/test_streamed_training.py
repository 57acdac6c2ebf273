"""Training on rows that are loaded batch by batch: the same bits as from memory, and resumed."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from loaded_cases import N, Noisy, Rows, loaded_rows, x_of
from training_cases import CPU, component, trial

from tunecli.data.arrays.arrays import from_arrays, with_targets
from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.rows.dataset import Dataset, FoldData
from tunecli.study_file.settings.settings import DataSettings, TrialConfig, ValidationSettings
from tunecli.training.fold import FoldTraining
from tunecli.training.outcome.evaluation import Evaluation

Y = np.arange(N) % 2
DATA = DataSettings(source="own.py:load")
CNN = component("CNN", channels=8)
FLIP = (component("RandomHorizontalFlip"),)

CASES: dict[str, tuple[str, TrialConfig]] = {
    "table": ("table", trial(model=component("MLP", width=8, depth=2, dropout=0.3))),
    "not shuffled": ("table", trial(shuffle=False, eval_every=0.4)),
    "full batch": ("table", trial(batch_size="full")),
    "in parts": ("table", trial(batch_size=9, micro_batch=4, accumulate=2)),
    "mixed": ("bytes", trial(model=CNN, mixup=0.4, cutmix=0.3, epochs=2)),
    "augmented bytes": ("bytes", trial(model=CNN, epochs=2)),
    "augmented numbers": ("numbers", trial(model=CNN, epochs=2)),
}


def augmented(name: str, config: TrialConfig) -> TrialConfig:
    change = {"augment": FLIP if name.startswith("augmented") else ()}
    return config.model_copy(update={"data": DATA.model_copy(update=change)})


def folds(dataset: Dataset) -> list[FoldData]:
    store = FoldStore(DATA, ValidationSettings(folds=2), dataset=dataset)
    return store.folds(FeatureForm(component("minmax")), standardize_target=False)


def of_items(items: Rows, n_loaders: int) -> Dataset:
    dataset = with_targets("own.py:load", loaded_rows(items, n_loaders), Y, DATA)
    return replace(dataset, known_fingerprint="f")


def trained(config: TrialConfig, data: list[FoldData]) -> list[tuple[Evaluation, Any]]:
    """Evaluations and weights of all folds, in lockstep."""
    loops = [FoldTraining(config, fold, CPU) for fold in data]
    rounds = zip(*loops, strict=True)
    told = [evaluation for one in rounds for evaluation in one]
    weights = [torch.cat([p.flatten() for p in loop.model.parameters()]) for loop in loops]
    return [(told[0], w) for w in weights] + [(evaluation, None) for evaluation in told]


def assert_same(one: list[tuple[Evaluation, Any]], other: list[tuple[Evaluation, Any]]) -> None:
    assert [e for e, _ in one] == [e for e, _ in other]
    for (_, first), (_, second) in zip(one, other, strict=True):
        assert first is None or torch.equal(first, second)


@pytest.mark.parametrize("name", CASES)
def test_a_training_has_the_same_bits_as_from_memory(name: str) -> None:
    kind, config = CASES[name]
    config = augmented(name, config)
    x = x_of(kind)
    expected = trained(config, folds(from_arrays("own.py:load", x, Y, DATA)))
    n_loaders = 2 if name == "mixed" else 0
    assert_same(trained(config, folds(of_items(Rows(x), n_loaders))), expected)


@pytest.mark.parametrize("shuffle", [True, False])
def test_items_that_draw_are_drawn_anew_each_epoch_and_alike_when_resumed(shuffle: bool) -> None:
    config = trial(shuffle=shuffle, eval_every=0.5, epochs=3)
    fold = folds(of_items(Noisy(np.zeros((N, 3))), 0))[0]
    whole = list(FoldTraining(config, fold, CPU))
    for stop in range(1, len(whole)):
        first, second = FoldTraining(config, fold, CPU), FoldTraining(config, fold, CPU)
        for _ in range(stop):
            next(first)
        file = io.BytesIO()
        torch.save(first.state_dict(), file)
        file.seek(0)
        second.load_state_dict(torch.load(file, weights_only=True))
        assert list(second) == whole[stop:]
    seen: list[torch.Tensor] = []
    watched = replace(fold, x_train=Watched(fold.x_train, seen))
    list(FoldTraining(trial(shuffle=False, batch_size="full", epochs=3), watched, CPU))
    assert len(seen) == 3
    assert all((seen[i] != seen[j]).all() for i, j in ((0, 1), (0, 2), (1, 2)))


class Watched:
    """Remembers the batches that it gives."""

    def __init__(self, x: Any, seen: list[torch.Tensor]) -> None:
        self._x = x
        self._seen = seen
        self.shape, self.row_bytes = x.shape, x.row_bytes

    def __len__(self) -> int:
        return len(self._x)

    def to(self, device: torch.device) -> Watched:
        return self

    def batches(self, *wanted: Any) -> Any:
        for batch in self._x.batches(*wanted):
            self._seen.append(batch)
            yield batch
