"""Return the folds of a data set as a configuration trains on them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import torch

from tunecli.data.fold_store import FoldStore, NoData
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.rows.dataset import Dataset, FoldData
from tunecli.data.text.tokens import TokenSetting
from tunecli.study_file.catalogue.architectures import AUTO_MODELS
from tunecli.study_file.catalogue.pretrained_folders import pretrained_folder
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.setting_types import MAX_LENGTH
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.training.models.building import embeds_categories
from tunecli.training.step.losses import standardizes_target

TOKENIZER = Component(name="words")
"""The tokenizer of a study file that names none."""
_ADVICE = "If they are tokens or codes, write data: {scale: none}."
_ABOUT_INTEGERS = re.compile(r"\bind(?:ex|ices)\b|\bLong|\bint64\b")
"""Words of torch's errors on floats in place of integers."""


def folds_of(store: FoldStore | NoData, config: TrialConfig) -> list[FoldData]:
    """Return every fold's tensors, on the CPU; see `FoldStore.folds`."""
    form = feature_form(config, store.workspace.folder)
    return store.folds(form, standardizes_target(config.loss))


def feature_form(config: TrialConfig, study_folder: Path) -> FeatureForm:
    """Return the form in which a configuration wants its features.

    Args:
        study_folder: the folder of the study file.

    Raises:
        DataError: the folder of a pretrained model is missing.
    """
    data = config.data
    return FeatureForm(
        scale=data.scale,
        embeds=embeds_categories(config.model),
        integers=takes_integers(config),
        tokens=_token_setting(config, study_folder),
    )


def _token_setting(config: TrialConfig, study_folder: Path) -> TokenSetting:
    """Return how texts become tokens: by a pretrained model's own tokenizer, if it has one."""
    data, given = config.data, config.model.arguments
    tokenizer = data.tokenizer or TOKENIZER
    if config.model.name not in AUTO_MODELS or given.get("pretrained") is None:
        return TokenSetting(tokenizer, data.max_length or MAX_LENGTH)
    folder = pretrained_folder(given["pretrained"], study_folder)
    return TokenSetting(tokenizer, given.get("max_length", MAX_LENGTH), str(folder))


def takes_integers(config: TrialConfig) -> bool:
    """Return whether rows of integers stay integers: user code may embed them."""
    return config.train is not None or is_code(config.model.name)


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


def in_32_bits(fold: FoldData) -> FoldData:
    """Return the fold with 32-bit targets, as losses need; standardized targets already are."""
    if not fold.y_train.is_floating_point():
        return fold
    return replace(fold, y_train=fold.y_train.float())
