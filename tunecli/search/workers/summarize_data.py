"""Read and describe a study's data, and score a constant guess, before the first trial.

Objectives and limits that cannot have a value on the study's rows are refused then.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.cache.cached_datasets import kept_split
from tunecli.data.columns.column_facts import ColumnFacts, with_uses
from tunecli.data.fold_store import FoldStore, FoldStoreCache, NoData, completed_without_data
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.summary import DataSummary
from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset
from tunecli.data.splits.split import (
    STRATIFIED,
    copy_notes,
    left_out,
    rows_per_class,
    validation_in_words,
)
from tunecli.data.tables.tables import table_column_facts
from tunecli.errors import UserCodeError
from tunecli.search.workers.summarize_text import (
    block_summary,
    prompt_notes,
    text_bytes,
    token_guesses,
    token_summary,
)
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.fold_stages import FEWEST, too_few_folds
from tunecli.study_file.settings.metric_names import (
    is_binary,
    label,
    prediction_metrics,
    title,
)
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.study_file.settings.source_kinds import NO_SOURCE
from tunecli.study_file.study_file import Study, StudyFile
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.document import Path
from tunecli.training.fold_data import whole_number_notes
from tunecli.training.outcome.metrics import constant, guesses, measure, why_undefined
from tunecli.training.outcome.score_guard import NoScoreError, float_of

Rows = tuple[str, Tensor]
"""The name of a part of the rows, and the row numbers."""

FEW_ROWS = 5
"""A class with fewer rows than this in a validation part gets a note."""


def read_data(
    study: StudyFile,
    workspace: Workspace,
    stores: FoldStoreCache,
    arguments: Mapping[str, Any] | None = None,
) -> tuple[Study, TrialConfig, FoldStore | NoData]:
    """Read a study's data, and return the completed study, any of its trials, and its data.

    Args:
        stores: keeps the data.
        arguments: arguments of the function that gives the data; None for the first value of each.

    Raises:
        DataError: if the data cannot be read or split.
    """
    if study.data.source == NO_SOURCE:
        completed = completed_without_data(study)
        config = completed.first_config
        return completed, config, NoData(config.validation)
    chosen = {} if arguments is None else {"arguments": arguments}
    data = study.data.model_copy(update=chosen)
    dataset = load_dataset(data, workspace, study.validation)
    known = dataset.task, len(dataset.y), dataset.given
    split = study.completed(*known)  # its positive class depends on the rows for the search
    store = FoldStore(
        split.data.model_copy(update=chosen), split.validation, workspace, dataset=dataset
    )
    completed = study.completed(*known, store.positive_name)
    config = completed.first_config
    config = config.model_copy(update={"data": config.data.model_copy(update=chosen)})
    stores.add(config, store)
    return completed, config, store


def describe(config: TrialConfig, store: FoldStore | NoData | None = None) -> DataSummary:
    """Describe a study's data.

    Args:
        config: any trial of the study; data, validation, objective and metrics are read.
        store: the process's store of the same data; without it, the data is loaded.

    Raises:
        DataError: if the data cannot be read or split.
    """
    if isinstance(store, NoData):
        return store.summary()
    store = store or FoldStore(config.data, config.validation)
    dataset, split = store.dataset, store.split
    counts = _class_counts(dataset, store)
    guess = _guess(config, store)
    kinds = Counter("date" if c.date else c.kind for c in dataset.columns if c.is_first)
    return DataSummary(
        source=config.data.source,
        task=dataset.task,
        n_rows=len(dataset.y),
        n_search=len(split.search_rows),
        n_test=len(split.test_rows),
        shape=dataset.shape,
        classes=tuple(dataset.classes),
        targets=dataset.targets,
        class_counts=counts,
        positive=store.positive_name,
        n_folds=len(split.folds),
        validation=validation_in_words(config.validation, dataset),
        guess={name: float(np.mean(scores)) for name, scores in guess.items()},
        guess_folds=guess,
        fingerprint=dataset.fingerprint,
        notes=(
            *dataset.notes,
            *_left_out(config, store),
            *whole_number_notes(config, dataset),
            *copy_notes(dataset, split),
            *_notes(dataset, store, counts),
            *measuring_notes(config, store),
            *prompt_notes(config, store),
        ),
        given=dataset.given,
        target=dataset.target,
        n_numeric=kinds["numeric"],
        n_categorical=kinds["categorical"],
        n_dates=kinds["date"],
        n_features=_n_features(config, store),
        n_missing=_n_missing(dataset),
        tokens=token_summary(config, store),
        blocks=block_summary(config, store),
        first_fingerprint=dataset.first_fingerprint,
        text_bytes=text_bytes(dataset),
        is_one_text=dataset.is_one_text,
    )


def described_columns(config: TrialConfig, store: FoldStore) -> tuple[ColumnFacts, ...]:
    """Describe the columns of a table, and how the first fold uses them.

    Args:
        config: any trial of the study; data and validation are read.
    """
    facts = table_column_facts(config.data, config.validation, store.workspace)
    return with_uses(facts, store.dataset, store.split.folds[0][0], config.data)


def _left_out(config: TrialConfig, store: FoldStore) -> list[str]:
    """Return a note on rows that are left out because of groups and times together."""
    dataset = store.dataset
    if dataset.times is None or dataset.groups is None:
        return []
    whole = kept_split(dataset, config.data, config.validation, store.workspace.cache)
    return left_out(dataset, whole, config.validation)


def _n_missing(dataset: Dataset) -> int:
    """Return the number of missing cells in a table; 0 for other data."""
    if not dataset.columns:
        return 0
    table = dataset.without_texts.x
    assert isinstance(table, torch.Tensor), "loaded rows have no columns"
    are_first = torch.tensor([column.is_first for column in dataset.columns])
    return int(table[:, are_first].isnan().sum())


def _n_features(config: TrialConfig, store: FoldStore) -> int:
    """Return the number of features of a table's row, one-hot; 0 for other data."""
    if not store.dataset.columns:
        return 0
    fold = store.folds(FeatureForm(config.data.scale), standardize_target=False)[0]
    return fold.shape[0]


def _guess(config: TrialConfig, store: FoldStore) -> dict[str, tuple[float, ...]]:
    """Return the scores on each fold of a constant guess, by metric, where they are finite."""
    # User code may not accept a guess.
    metrics = [metric for metric in prediction_metrics(config) if not is_code(metric.name)]
    if store.dataset.task == "language_modeling":
        scores = [*token_guesses(metrics, config, store)]
    else:
        scores = [
            _measured_guess(metrics, store, *pair, store.dataset.weights_of(pair[1]))
            for pair in store.split.folds
        ]
    folds = {name: tuple(float(score[name]) for score in scores) for name in scores[0]}
    return {name: values for name, values in folds.items() if all(map(math.isfinite, values))}


def _class_counts(dataset: Dataset, store: FoldStore) -> tuple[int, ...]:
    """Return the number of search rows of each class or label; empty for regression."""
    if dataset.task not in STRATIFIED:
        return ()
    return tuple(rows_per_class(dataset, store.split.search_rows).tolist())


def _notes(dataset: Dataset, store: FoldStore, counts: Sequence[int]) -> list[str]:
    """Return notes on classes or labels with too few rows to train or validate on."""
    if dataset.task not in STRATIFIED:
        return []
    parts = [rows_per_class(dataset, rows) for pair in store.split.folds for rows in pair]
    train, valid = np.array(parts[0::2]), np.array(parts[1::2])
    notes, what = [], "Class" if dataset.classes else "Label"
    for number, name in enumerate(dataset.classes or dataset.targets):
        mean = valid[:, number].mean()
        if (train[:, number] == 0).any():
            notes.append(f"{what} {name!r} has no training rows in at least one fold.")
        elif (valid[:, number] == 0).any():
            notes.append(f"{what} {name!r} has no validation rows in at least one fold.")
        elif mean < FEW_ROWS:
            notes.append(
                f"{what} {name!r} has {count(counts[number], 'row')} for the search, about "
                f"{mean:.0f} in each validation part: its scores will be noisy."
            )
    return notes


def refuse_what_cannot_be_measured(
    study: Study, config: TrialConfig, store: FoldStore | NoData
) -> None:
    """Refuse objectives and limits that cannot have a value in any trial, and racing of few folds.

    Args:
        study: a completed study file.
        config: the configuration of any trial of the study.

    Raises:
        StudyFileError: there are such objectives or limits; each is listed with its line.
    """
    if config.train is not None or isinstance(store, NoData):
        return
    mistakes = [*_binary_of_many(study, store)] or [*_mistakes(config, store)]
    if mistakes := [*_racing_with_few_folds(config, store), *mistakes]:
        raise study.error(mistakes)


def _racing_with_few_folds(config: TrialConfig, store: FoldStore) -> Iterator[tuple[Path, str]]:
    """Yield racing if the data has too few folds, such as those of a column."""
    n_folds = len(store.split.folds)
    if config.validation.racing == "on" and n_folds < FEWEST:
        yield ("validation", "racing"), too_few_folds(n_folds)


def _binary_of_many(study: Study, store: FoldStore) -> Iterator[tuple[Path, str]]:
    """Yield the metrics of a positive class, if the data has none."""
    if store.positive is not None:
        return
    names = store.dataset.classes or store.dataset.targets
    has = count(len(names), "label" if store.dataset.targets else "class")
    for at, metric in study.named_metrics:
        if is_binary(metric):
            message = f"binary needs two classes, but the data has {has}."
            yield (
                (*_arguments_of(metric, at), "average"),
                f"{message} Write macro, micro or weighted.",
            )


def _arguments_of(metric: Component, at: Path) -> Path:
    """Return the place of a metric's arguments; those of a limited one are next to its limits."""
    return at if at[-1] == metric.name else (*at, metric.name)


def _mistakes(config: TrialConfig, store: FoldStore) -> Iterator[tuple[Path, str]]:
    advice = "Validate on other rows, or choose another metric."
    several = len(config.objectives) > 1
    for index, one in enumerate(config.objectives):
        path: Path = ("objective", *((index,) if several else ()), one.direction)
        why = _undefined(one.metric, _validation(store), store) or _constant(one.metric, store)
        if why:
            yield (
                path,
                f"{title(one.metric, store.positive_name)} cannot rank trials: {why}. {advice}",
            )
    for limit in config.constraints:
        if why := _undefined(limit.metric, _validation(store), store):
            message = f"no trial can meet this limit: {why}. {advice}"
            yield ("constraints", limit.metric.name), message


def measuring_notes(config: TrialConfig, store: FoldStore) -> list[str]:
    """Return a sentence on each metric that is not defined on some rows of the study."""
    notes: list[str] = []
    if config.train is not None:  # the user's training measures by itself
        return notes
    for metric in prediction_metrics(config):
        if is_code(metric.name):
            why = _no_guess(metric, store)
            name = label(metric)
            notes += (
                [f"{name} is not finite if every prediction is the same constant: {why}."]
                if why
                else []
            )
            continue
        for parts in (_validation(store), [("the test set", store.split.test_rows)]):
            if why := _undefined(metric, parts, store):
                notes.append(
                    f"{title(metric, store.positive_name)} is not defined everywhere: {why}."
                )
    return notes


def _validation(store: FoldStore) -> list[Rows]:
    folds = store.split.folds
    return [(f"the validation part of fold {n}", valid) for n, (_, valid) in enumerate(folds)]


def _undefined(metric: Component, parts: list[Rows], store: FoldStore) -> str:
    """Return the first part where a metric is not defined, and why; empty if there is none."""
    data = store.dataset
    for name, rows in parts:
        weights = data.weights_of(rows)
        targets = _targets(store, rows)
        names = data.classes or data.targets
        why = why_undefined(metric, targets, names, weights, store.positive)
        if why and len(rows):
            return f"in {name}, {why}"
    return ""


def _constant(metric: Component, store: FoldStore) -> str:
    """Return why a metric is the same for all predictions in every fold; empty if it is not."""
    data = store.dataset
    reasons = [
        constant(
            metric, _targets(store, rows), data.classes, data.weights_of(rows), store.positive
        )
        for _, rows in _validation(store)
    ]
    return f"in the validation part of every fold, {reasons[0]}" if all(reasons) else ""


def _targets(store: FoldStore, rows: Tensor) -> NDArray[np.generic]:
    targets: NDArray[np.generic] = store.dataset.y[rows].numpy()
    return targets


def _no_guess(metric: Component, store: FoldStore) -> str:
    """Return why the user's metric is not finite for a constant guess in any fold, or empty."""
    reasons = [_of_guess(metric, store, *pair) for pair in store.split.folds]
    return f"{reasons[0]}, in every fold" if all(reasons) else ""


def _of_guess(metric: Component, store: FoldStore, train_rows: Tensor, valid_rows: Tensor) -> str:
    name = label(metric)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = _measured_guess([metric], store, train_rows, valid_rows)
        value = float_of(values[name], name)
    except (UserCodeError, NoScoreError) as error:
        return str(error).removeprefix("error: ")
    return "" if math.isfinite(value) else f"it is {value}"


def _measured_guess(
    metrics: Sequence[Component],
    store: FoldStore,
    train_rows: Tensor,
    valid_rows: Tensor,
    weights: NDArray[np.float64] | None = None,
) -> dict[str, float]:
    """Measure a constant guess from the training rows on the validation rows."""
    data = store.dataset
    y_train, y_valid = _targets(store, train_rows), _targets(store, valid_rows)
    guessed = guesses(data, y_train, len(y_valid), data.weights_of(train_rows))
    return measure(
        metrics, data.task, y_valid, guessed, len(data.classes), weights, store.positive
    )
