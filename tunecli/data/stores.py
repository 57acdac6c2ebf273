"""The data of a study in one process: one store for each mapping of data arguments."""

from __future__ import annotations

import json

from tunecli.data.fold_store import FoldStore
from tunecli.data.placeholder_data import NoData
from tunecli.data.rows.workspace import HERE, Workspace
from tunecli.errors import DataError
from tunecli.study_file.settings.metric_names import METRICS
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.settings.source_kinds import NO_SOURCE
from tunecli.study_file.text.dump import inline

MOST = 2
"""Data sets that stay in memory: the current trial's, and the previous one."""


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
        while len(self._stores) >= MOST:
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
    measure = METRICS.get(config.objective.metric.name)
    task = store.dataset.task
    if measure is not None and measure.task != task:
        raise DataError(
            f"{config.data.source} with {inline(config.data.arguments)} returns data for {task}, "
            f"but the study's objective is {config.objective.metric.name}, for {measure.task}. "
            "The task must be the same for all arguments."
        )
