"""The fold tensors of one process, loaded and scaled once and kept from trial to trial."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from tunecli.data.dataset import Dataset, FoldData
from tunecli.data.folds import Split, split
from tunecli.data.preprocessing import scaled, target_scale
from tunecli.data.sources import load
from tunecli.data.workspace import HERE, Workspace
from tunecli.study_file.settings import Component, DataSettings, ValidationSettings

LARGEST_STORE = 2**30
"""Bytes of scaled features kept; beyond it those unused for longest are made again when needed."""

ScaledFolds = tuple[tuple[Tensor, Tensor], ...]


class FoldStore:
    """The data of one study in one process.

    Args:
        settings: of the data; `scale` may differ from trial to trial and is not read here.
        validation: completed, with either `folds` or `holdout`.
        workspace: where the data is found and kept.
        largest: bytes of scaled features to keep; the newest are kept whatever their size.
        dataset: where it was loaded already, to know its task and size.
    """

    def __init__(
        self,
        settings: DataSettings,
        validation: ValidationSettings,
        workspace: Workspace = HERE,
        largest: int = LARGEST_STORE,
        dataset: Dataset | None = None,
    ) -> None:
        self.settings = settings
        self.validation = validation
        self.workspace = workspace
        self._loaded = dataset
        self._largest = largest
        self._scaled: dict[str, ScaledFolds] = {}  # the last used at the end

    @cached_property
    def dataset(self) -> Dataset:
        """All rows, unscaled."""
        return self._loaded or load(self.settings, self.workspace)

    @cached_property
    def split(self) -> Split:
        """Which rows are in which part."""
        return split(self.dataset, self.settings, self.validation)

    def folds(self, scale: Component | None, standardize_target: bool) -> list[FoldData]:
        """Every fold's tensors, on the CPU; shared between calls, so never to be written to.

        Args:
            scale: how features are scaled.
            standardize_target: regression targets of the training parts to mean 0 and standard
                deviation 1; no effect on classification.
        """
        return [
            self._fold(number, x_train, x_valid, standardize_target)
            for number, (x_train, x_valid) in enumerate(self._scaled_folds(scale))
        ]

    def _fold(
        self, number: int, x_train: Tensor, x_valid: Tensor, standardize_target: bool
    ) -> FoldData:
        train_rows, valid_rows = self.split.folds[number]
        y_train, y_valid = self.dataset.y[train_rows], self.dataset.y[valid_rows]
        mean, std = 0.0, 1.0
        if standardize_target and self.dataset.task == "regression":
            mean, std = target_scale(y_train)
            y_train = (y_train - mean) / std
        return FoldData(
            number=number,
            task=self.dataset.task,
            x_train=x_train,
            y_train=y_train,
            x_valid=x_valid,
            y_valid=y_valid,
            valid_rows=valid_rows,
            n_classes=len(self.dataset.classes),
            y_mean=mean,
            y_std=std,
        )

    def _scaled_folds(self, scale: Component | None) -> ScaledFolds:
        """Features of (training, validation) of each fold, from the store if they are there."""
        key = scale.model_dump_json() if scale is not None else ""
        if key not in self._scaled:
            x, seed = self.dataset.x, self.settings.split_seed
            folds = tuple(scaled(x[t], x[v], scale, seed) for t, v in self.split.folds)
            self._forget(_n_bytes(folds))
            self._scaled[key] = folds
        else:
            self._scaled[key] = self._scaled.pop(key)
        return self._scaled[key]

    def _forget(self, n_new: int) -> None:
        """Make room for `n_new` bytes."""
        while self._scaled and n_new + sum(map(_n_bytes, self._scaled.values())) > self._largest:
            del self._scaled[next(iter(self._scaled))]


def _n_bytes(folds: ScaledFolds) -> int:
    return sum(x.numel() * x.element_size() for fold in folds for x in fold)
