"""The data of a study in one process: loaded and prepared once, and kept from trial to trial."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from tunecli.data.cache.cached_datasets import kept_split
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.preprocessing.preparation import Prepared, prepared
from tunecli.data.preprocessing.prepared_blocks import PreparedBlocks
from tunecli.data.preprocessing.scaling import TargetScale
from tunecli.data.rows.dataset import Dataset, FoldData, TokenForm
from tunecli.data.rows.positive_class import positive_class
from tunecli.data.rows.summary import DataSummary
from tunecli.data.rows.workspace import HERE, Workspace
from tunecli.data.sources import load_dataset
from tunecli.data.splits.split import Split
from tunecli.errors import DataError
from tunecli.study_file.settings.metric_names import METRICS, is_for, tasks_in_words
from tunecli.study_file.settings.settings import (
    DataSettings,
    TrialConfig,
    ValidationSettings,
)
from tunecli.study_file.settings.source_kinds import NO_SOURCE
from tunecli.study_file.study_file import Study, StudyFile
from tunecli.study_file.text.dump import inline

LARGEST_STORE = 2**30
"""Bytes of prepared features to keep; beyond that, the least recently used are dropped and made
again, or read again from the cache, when needed."""

MOST_DATASETS = 2
"""Data sets that stay in memory: the current trial's, and the previous one."""
GIVEN = ("test", "validation")
"""The splits that tunecli cannot make, because it has no rows."""

PreparedFolds = tuple[Prepared | PreparedBlocks, ...]


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
        self._prepared: dict[str, PreparedFolds] = {}  # the last used at the end

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

    @cached_property
    def positive(self) -> int | None:
        """Index of the positive class; None without two classes.

        Raises:
            DataError: `data.positive` does not fit the data.
        """
        return positive_class(self.dataset, self.split.search_rows, self.settings.positive)

    @property
    def positive_name(self) -> str | None:
        """Name of the positive class; None without two classes."""
        return None if self.positive is None else self.dataset.classes[self.positive]

    def folds(self, form: FeatureForm, standardize_target: bool) -> list[FoldData]:
        """Return every fold's tensors, on the CPU; calls share them, so do not write to them.

        Args:
            standardize_target: scale regression targets of the training parts to mean 0 and
                standard deviation 1; no effect on classification.
        """
        features = self._features(form.of(self.dataset))
        return [
            self.fold_data(self.split.folds[number], fold_features, standardize_target, number)
            for number, fold_features in enumerate(features)
        ]

    def fold_data(
        self,
        rows: tuple[Tensor, Tensor],
        features: Prepared | PreparedBlocks,
        standardize_target: bool,
        number: int = 0,
    ) -> FoldData:
        """Return the tensors of training and validation rows, (n,) int64 each; see `folds`."""
        if isinstance(features, PreparedBlocks):
            blocks = features.fold(number)
            return replace(blocks, tokens=self._with_folder(blocks.tokens))
        train_rows, valid_rows = rows
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
            positive=self.positive,
            cat_cardinalities=features.cat_cardinalities,
            tokens=self._with_folder(features.tokens),
            train_rows=train_rows,
            train_weights=_training_weights(self.dataset, train_rows),
            valid_weights=self.dataset.weights_of(valid_rows),
            targets_need_64_bits=self.dataset.targets_need_64_bits,
        )
        if not standardize_target or self.dataset.task != "regression":
            return fold
        scale = TargetScale.of(y_train)
        return replace(
            fold, y_train=scale.standardized(y_train), y_mean=scale.mean, y_std=scale.std
        )

    def _with_folder(self, tokens: TokenForm | None) -> TokenForm | None:
        return tokens and replace(tokens, study_folder=self.workspace.folder)

    def _features(self, form: FeatureForm) -> PreparedFolds:
        """Return the features of each fold, from the store if they are in it."""
        key = form.key
        if key in self._prepared:
            self._prepared[key] = self._prepared.pop(key)
            return self._prepared[key]
        folds = tuple(
            prepared(self.dataset, train, valid, self.settings, form, self.workspace.cache)
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


def _training_weights(dataset: Dataset, rows: Tensor) -> Tensor | None:
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


class NoData:
    """A stand-in for `FoldStore`: as many folds as the study asks for, all of them empty."""

    workspace = HERE

    def __init__(self, validation: ValidationSettings) -> None:
        self._n_folds = (validation.folds or 1) * validation.repeats

    def folds(self, *_: object) -> list[FoldData]:
        """Return the folds; there is nothing to prepare."""
        empty = torch.empty(0, 0)
        none, rows = torch.empty(0), torch.empty(0, dtype=torch.int64)
        return [
            FoldData(number, "regression", empty, none, empty, none, rows, n_classes=0)
            for number in range(self._n_folds)
        ]

    def summary(self) -> DataSummary:
        """Return a summary without rows, for the screen and the database."""
        return DataSummary(
            source=NO_SOURCE,
            task="regression",
            n_rows=0,
            n_search=0,
            n_test=0,
            shape=(),
            classes=(),
            class_counts=(),
            n_folds=self._n_folds,
            validation=f"{self._n_folds} runs" if self._n_folds > 1 else "one run",
            guess={},
            fingerprint="",
            given=GIVEN,
        )


def completed_without_data(study: StudyFile) -> Study:
    """Fill in the defaults of a study whose training brings its own data."""
    return study.completed("regression", 0, GIVEN)


class FoldStoreCache:
    """Cache of the folds of a study's trials: a `FoldStore` for each mapping of data arguments.

    Args:
        workspace: where the data is found and cached.
    """

    def __init__(self, workspace: Workspace = HERE) -> None:
        self._workspace = workspace
        self._stores: dict[str, FoldStore | NoData] = {}  # the last used at the end

    def add(self, config: TrialConfig, store: FoldStore | NoData) -> None:
        """Keep a store that was opened already, as the data of `config`."""
        self._stores[_key(config)] = store

    def of(self, config: TrialConfig) -> FoldStore | NoData:
        """Return the data of a trial, opened on first use.

        Raises:
            DataError: the data cannot be read, or is for another task than the objective.
        """
        key = _key(config)
        store = self._stores.pop(key, None) or self._opened(config)
        while len(self._stores) >= MOST_DATASETS:
            del self._stores[next(iter(self._stores))]
        self._stores[key] = store
        return store

    def _opened(self, config: TrialConfig) -> FoldStore | NoData:
        if config.data.source == NO_SOURCE:
            return NoData(config.validation)
        store = FoldStore(config.data, config.validation, self._workspace)
        if config.data.arguments:
            _check_task(config, store)
        return store


def _key(config: TrialConfig) -> str:
    return json.dumps(config.data.arguments, sort_keys=True)


def _check_task(config: TrialConfig, store: FoldStore) -> None:
    """Refuse data for another task than the objective: all trials must be scored alike."""
    metric, task = config.objective.metric, store.dataset.task
    if metric.name in METRICS and not is_for(metric, task):
        raise DataError(
            f"{config.data.source} with {inline(config.data.arguments)} returns data for {task}, "
            f"but the study's objective, {metric.name}, is for {tasks_in_words(metric.name)}. "
            "The task must be the same whatever the arguments."
        )
