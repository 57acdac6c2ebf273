"""The fold tensors of one process: loaded and prepared once, and kept from trial to trial."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from torch import Tensor

from tunecli.data.cache.cached_datasets import kept_split
from tunecli.data.preprocessing.preparation import Prepared, keeps_integers, prepared
from tunecli.data.preprocessing.scaling import TargetScale
from tunecli.data.rows.dataset import Dataset, FoldData
from tunecli.data.rows.workspace import HERE, Workspace
from tunecli.data.sources import load_dataset
from tunecli.data.splits.split import Split
from tunecli.study_file.settings.settings import Component, DataSettings, ValidationSettings

LARGEST_STORE = 2**30
"""Bytes of prepared features to keep; beyond that, the least recently used are dropped and made
again, or read again from the cache, when needed."""

PreparedFolds = tuple[Prepared, ...]


class FoldStore:
    """The data of one study in one process.

    Args:
        settings: the settings of the data; `scale` may differ from trial to trial and is not read
            here.
        validation: the completed settings: `folds`, `holdout`, or neither if the data marks its
            validation rows.
        workspace: where the data is found and cached.
        largest: bytes of prepared features to keep; the newest are kept whatever their size.
        dataset: the data set, if it was loaded already to know its task and size.
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
        self._prepared: dict[
            tuple[str, bool, bool], PreparedFolds
        ] = {}  # the last used at the end

    @cached_property
    def dataset(self) -> Dataset:
        """All rows, as read from the source."""
        return self._loaded or load_dataset(self.settings, self.workspace, self.validation)

    @cached_property
    def split(self) -> Split:
        """The rows of the search, of the test set and of each fold."""
        split = kept_split(self.dataset, self.settings, self.validation, self.workspace.cache)
        weights = self.dataset.weights
        return split if weights is None else split.weighted(weights)

    def folds(
        self,
        scale: Component | None,
        standardize_target: bool,
        embeds: bool = False,
        integers: bool = False,
    ) -> list[FoldData]:
        """Return every fold's tensors, on the CPU; calls share them, so do not write to them.

        Args:
            scale: how features are scaled.
            standardize_target: scale regression targets of the training parts to mean 0 and
                standard deviation 1; no effect on classification.
            embeds: give the model categories as codes (`FoldData.cat_cardinalities`); no effect
                on data without categories.
            integers: keep whole numbers of arrays as int64 if nothing scales them; no effect on
                other data.
        """
        has_categories = any(column.kind == "categorical" for column in self.dataset.columns)
        integers = keeps_integers(self.dataset.x, scale, integers)
        features = self._features(scale, embeds and has_categories, integers)
        return [
            self._fold(number, fold_features, standardize_target)
            for number, fold_features in enumerate(features)
        ]

    def _fold(self, number: int, features: Prepared, standardize_target: bool) -> FoldData:
        train_rows, valid_rows = self.split.folds[number]
        y_train = self.dataset.y[train_rows]
        fold = FoldData(
            number=number,
            task=self.dataset.task,
            x_train=features.x_train,
            y_train=y_train,
            x_valid=features.x_valid,
            y_valid=self.dataset.y[valid_rows],
            valid_rows=valid_rows,
            n_classes=len(self.dataset.classes),
            cat_cardinalities=features.cat_cardinalities,
            train_rows=train_rows,
            train_weights=training_weights(self.dataset, train_rows),
            valid_weights=self.dataset.weights_of(valid_rows),
            targets_need_64_bits=self.dataset.targets_need_64_bits,
        )
        if not standardize_target or self.dataset.task != "regression":
            return fold
        scale = TargetScale.of(y_train)
        return replace(
            fold, y_train=scale.standardized(y_train), y_mean=scale.mean, y_std=scale.std
        )

    def _features(self, scale: Component | None, embeds: bool, integers: bool) -> PreparedFolds:
        """Return the features of each fold, from the store if they are in it."""
        key = scale.model_dump_json() if scale is not None else "", embeds, integers
        if key in self._prepared:
            self._prepared[key] = self._prepared.pop(key)
            return self._prepared[key]
        folds = tuple(
            prepared(
                self.dataset,
                train,
                valid,
                self.settings,
                scale,
                embeds,
                self.workspace.cache,
                integers=integers,
            )
            for train, valid in self.split.folds
        )
        self._forget(_n_bytes(folds))
        self._prepared[key] = folds
        return folds

    def _forget(self, n_new: int) -> None:
        """Drop the least recently used folds to make room for `n_new` bytes."""
        while (
            self._prepared and n_new + sum(map(_n_bytes, self._prepared.values())) > self._largest
        ):
            del self._prepared[next(iter(self._prepared))]


def training_weights(dataset: Dataset, rows: Tensor) -> Tensor | None:
    """Return the weights of rows in a training loss; None if all of them are equal.

    They have mean 1, so that learning rates keep their meaning.
    """
    if dataset.weights is None:
        return None
    weights = dataset.weights[rows]
    if (weights == weights[0]).all():
        return None
    return (weights / weights.mean()).float()


def _n_bytes(folds: PreparedFolds) -> int:
    return sum(fold.n_bytes for fold in folds)
