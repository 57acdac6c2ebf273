"""Say what becomes of whole numbers in arrays, which user code may embed."""

from __future__ import annotations

import re

import torch

from tunecli.data.fold_store import FoldStore, NoData
from tunecli.data.rows.dataset import Dataset
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.fold_data import takes_integers

_ADVICE = "If they are tokens or codes, write data: {scale: none}."
_ABOUT_INTEGERS = re.compile(r"\bind(?:ex|ices)\b|\bLong|\bint64\b")
"""Words of torch's errors on floats in place of integers."""


def whole_number_notes(config: TrialConfig, dataset: Dataset) -> list[str]:
    """Return a note on what becomes of integer features that user code gets."""
    if dataset.x.dtype != torch.int64 or not takes_integers(config):
        return []
    if config.data.scale is None:
        return ["Your own code gets the features unscaled, as whole numbers (int64)."]
    return [
        f"Your own code gets the features, which are integers, scaled ({config.data.scale.name}, "
        f"float32). {_ADVICE}"
    ]


def with_scale_advice(mistake: str, config: TrialConfig, store: FoldStore | NoData) -> str:
    """Return a mistake, with advice if user code needs integers that are scaled."""
    if not (_ABOUT_INTEGERS.search(mistake) and takes_integers(config)):
        return mistake
    is_whole = isinstance(store, FoldStore) and store.dataset.x.dtype == torch.int64
    if not is_whole or config.data.scale is None:
        return mistake
    scaled = f"The integers of the data are scaled ({config.data.scale.name}, float32)."
    return f"{mistake.rstrip('.')}. {scaled} {_ADVICE}"
