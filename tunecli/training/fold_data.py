"""Return the folds of a data set as a configuration trains on them."""

from __future__ import annotations

from tunecli.data.fold_store import FoldStore, NoData
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.rows.dataset import FoldData
from tunecli.data.text.tokens import MAX_LENGTH, TokenSetting
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.training.models.building import embeds_categories
from tunecli.training.step.losses import standardizes_target

TOKENIZER = Component(name="words")
"""The tokenizer of a study file that names none."""


def folds_of(store: FoldStore | NoData, config: TrialConfig) -> list[FoldData]:
    """Return every fold's tensors, on the CPU; see `FoldStore.folds`."""
    return store.folds(feature_form(config), standardizes_target(config.loss))


def feature_form(config: TrialConfig) -> FeatureForm:
    """Return the form in which a configuration wants its features."""
    data = config.data
    return FeatureForm(
        scale=data.scale,
        embeds=embeds_categories(config.model),
        integers=takes_integers(config),
        tokens=TokenSetting(data.tokenizer or TOKENIZER, data.max_length or MAX_LENGTH),
    )


def takes_integers(config: TrialConfig) -> bool:
    """Return whether rows of integers stay integers: user code may embed them."""
    return config.train is not None or is_code(config.model.name)
