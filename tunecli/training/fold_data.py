"""Return the folds of a data set as a configuration trains on them."""

from __future__ import annotations

from tunecli.data.fold_store import FoldStore, NoData
from tunecli.data.rows.dataset import FoldData
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.models.building import embeds_categories
from tunecli.training.step.losses import standardizes_target


def folds_of(store: FoldStore | NoData, config: TrialConfig) -> list[FoldData]:
    """Return every fold's tensors, on the CPU; see `FoldStore.folds`."""
    return store.folds(
        config.data.scale,
        standardizes_target(config.loss),
        embeds_categories(config.model),
        takes_integers(config),
    )


def takes_integers(config: TrialConfig) -> bool:
    """Return whether rows of integers stay integers: user code may embed them."""
    return config.train is not None or is_code(config.model.name)
