"""Choose the pretrained model that a first study of texts fine-tunes, and where it cuts texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.texts import TextRows, Texts
from tunecli.data.text.pretrained_tokenizers import pretrained_tokenizer
from tunecli.data.text.tokens import FittedTokenizer
from tunecli.study_file.catalogue.cached_models import (
    PretrainedModel,
    cached_models,
    pretrained_model,
)
from tunecli.study_file.text_starters import FineTuning

_LENGTHS = (32, 64, 128, 256)
"""Numbers of tokens after which texts may be cut."""
_MOST_TEXTS = 1_000
"""Texts that are made into tokens to see how long they are."""
_UNCUT = 0.95
"""Share of the texts that are read whole, unless they are too long."""
_MOST_OTHERS = 3


def fine_tuning_for(dataset: Dataset, named: str | None, folder: Path) -> FineTuning | None:
    """Return the model to fine-tune on texts with a target; None for other data.

    Args:
        named: the model; None for the smallest one in the hub's cache, empty for none.
        folder: the folder of the study file.

    Raises:
        DataError: the named model cannot be used.
    """
    if dataset.task == "language_modeling" or not dataset.text_columns or named == "":
        return None
    if named is not None:
        return _chosen([pretrained_model(named, folder)], dataset)
    cached = cached_models(folder)
    return _chosen(cached, dataset) if cached else None


def columns_of_text(dataset: Dataset) -> tuple[Texts, ...]:
    """Return the columns of text."""
    return dataset.x.texts if isinstance(dataset.x, TextRows) else ()


def _chosen(models: list[PretrainedModel], dataset: Dataset) -> FineTuning:
    first, *others = models
    names = tuple(other.name for other in others[:_MOST_OTHERS])
    return FineTuning(first.name, first.n_bytes, _max_length(first, dataset), names)


def _max_length(model: PretrainedModel, dataset: Dataset) -> int:
    """Return a length that cuts few of the texts, and that the model has places for."""
    assert isinstance(dataset.x, TextRows)
    last = len(dataset.x) - 1
    some = dataset.x[torch.linspace(0, last, min(last + 1, _MOST_TEXTS)).long()]
    tokenizer = FittedTokenizer(pretrained_tokenizer(model.folder))
    lengths = tokenizer.encode(some.joined()).n_whole
    wanted = np.quantile(lengths, _UNCUT)
    most = model.n_positions or _LENGTHS[-1]
    fitting = [length for length in _LENGTHS if length <= most] or [most]
    return next((length for length in fitting if length >= wanted), fitting[-1])
