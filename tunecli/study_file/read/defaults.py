"""Defaults of a study file, by task and number of rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tunecli.study_file.settings.settings import (
    Component,
    DataSettings,
    Direction,
    Objective,
    Task,
    ValidationSettings,
)
from tunecli.study_file.space.tree import SETTINGS, Named, Node, Plain, Slot

EPOCHS = 20
EVALUATIONS_OVER_STEPS = 10
"""Number of evaluations with `training.steps`, unless `eval_every` is set."""

MOST_ROWS_FOR_FOLDS = 20_000
FOLDS = 5
HOLDOUT = 0.2
TEST = 0.2
OF_LANGUAGE = 0.1
"""Share of the test set and of the holdout of a language model."""

_OPEN: tuple[Slot, ...] = (
    ("data", "tokenizer"),
    ("data", "augment"),
    ("data", "max_length"),
    ("schedule",),
)
LOSSES: dict[Task, str] = {
    "classification": "CrossEntropyLoss",
    "regression": "MSELoss",
    "multilabel": "BCEWithLogitsLoss",
    "language_modeling": "CrossEntropyLoss",
}
_OBJECTIVES: dict[Task, tuple[Direction, Component]] = {
    "classification": ("maximize", Component(name="accuracy")),
    "regression": ("minimize", Component(name="rmse")),
    "multilabel": ("maximize", Component(name="f1", arguments={"average": "micro"})),
    "language_modeling": ("minimize", Component(name="perplexity")),
}


def loss(task: Task) -> Named:
    """Return MSELoss for regression, BCEWithLogitsLoss for labels, else CrossEntropyLoss."""
    return Named("loss", LOSSES[task], at=("loss",))


def objective(task: Task) -> Objective:
    """Return the default: accuracy, root mean squared error, F1 of all labels, or perplexity."""
    direction, metric = _OBJECTIVES[task]
    return Objective(direction=direction, metric=metric)


def with_data_defaults(
    written: DataSettings, given: Collection[str], positive: str | None, task: Task
) -> DataSettings:
    """Return the settings with a test set, unless the file or the data has its own.

    Its share is 0.2, or 0.1 for a language model.

    Args:
        positive: the positive class, unless the file has its own.
    """
    found: dict[str, Any] = {"positive": positive} if written.positive is None else {}
    if written.test is None and "test" not in given:
        found |= {"test": OF_LANGUAGE if task == "language_modeling" else TEST}
    return written.model_copy(update=found)


def validation(
    written: ValidationSettings, n_rows: int, given: Collection[str], task: Task
) -> ValidationSettings:
    """Return 5 folds up to 20,000 rows or if they are repeated, a holdout of 0.2 beyond.

    A language model has a holdout of 0.1: its score is a mean over many tokens. Settings that are
    given, and data with its own validation rows, are left unchanged.
    """
    if not written.is_open or ("validation" in given and written.repeats == 1):
        return written
    if task == "language_modeling" and written.repeats == 1:
        return written.model_copy(update={"holdout": OF_LANGUAGE})
    if n_rows <= MOST_ROWS_FOR_FOLDS or written.repeats > 1:
        return written.model_copy(update={"folds": FOLDS})
    return written.model_copy(update={"holdout": HOLDOUT})


def slots() -> dict[Slot, Node]:
    """Return the slots whose default does not depend on the task, except epochs."""
    settings: dict[Slot, Node] = {
        (section, name): Plain(field.default, (section, name))
        for section, kind in SETTINGS.items()
        for name, field in kind.model_fields.items()
    }
    return {
        ("data", "scale"): Named("scale", "standard", at=("data", "scale")),
        **{slot: Plain(None, slot) for slot in _OPEN},
        **settings,
    }
