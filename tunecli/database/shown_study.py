"""Complete trials as an Optuna study, for functions of Optuna that only read a study."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from copy import copy
from functools import cache
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tunecli.study_file.settings.settings import Direction


class ShownStudy(optuna.Study):
    """A study that shows exactly these trials; one may be among them more than once.

    Optuna would copy every trial deeply, which takes longer than all that is done with it.
    """

    def __init__(self, direction: Direction, trials: Sequence[FrozenTrial]) -> None:
        storage = InMemoryStorage()  # it announces each study that it creates
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            storage.create_new_study([StudyDirection[direction.upper()]], "shown")
        finally:
            optuna.logging.set_verbosity(verbosity)
        super().__init__("shown", storage)
        self._shown = trials

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials, whatever the arguments: all are complete, and nobody changes them."""
        return [*self._shown]


def complete_trial(
    number: int,
    value: float | None,
    params: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
) -> FrozenTrial:
    """Return a complete trial; its values are those of a database, so they are not checked."""
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=TrialState.COMPLETE,
        value=value,
        datetime_start=None,
        datetime_complete=None,
        params={**params},
        distributions={**distributions},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


def shared(distributions: Mapping[Any, BaseDistribution]) -> dict[Any, BaseDistribution]:
    """Return the same distributions, of which equal ones are one object that is quick to hash.

    Optuna groups trials by distribution, and its hash sorts the attributes each time.
    """
    unique: dict[BaseDistribution, BaseDistribution] = {}
    return {
        key: unique.setdefault(distribution, _hashed_by_identity(distribution))
        for key, distribution in distributions.items()
    }


def _hashed_by_identity(distribution: BaseDistribution) -> BaseDistribution:
    quick = copy(distribution)
    quick.__class__ = _by_identity(type(distribution))
    return quick


@cache
def _by_identity(kind: type[BaseDistribution]) -> type[BaseDistribution]:
    compared = {"__hash__": object.__hash__, "__eq__": object.__eq__}
    return type(kind.__name__, (kind,), compared)
