"""Return the folds of a data set as a configuration trains on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tunecli.data.fold_store import FoldStore, NoData
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.rows.dataset import FoldData
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


def in_32_bits(fold: FoldData) -> FoldData:
    """Return the fold with 32-bit targets, as losses need; standardized targets already are."""
    if not fold.y_train.is_floating_point():
        return fold
    return replace(fold, y_train=fold.y_train.float())
