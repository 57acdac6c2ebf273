"""Defaults of a study file, by task and number of rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from tunecli.study_file.settings.settings import (
    Component,
    DataSettings,
    Objective,
    Task,
    ValidationSettings,
)
from tunecli.study_file.space.tree import SETTINGS, Named, Node, Plain, Slot

EPOCHS = 20
MOST_ROWS_FOR_FOLDS = 20_000
FOLDS = 5
HOLDOUT = 0.2
TEST = 0.2

_OPEN: tuple[Slot, ...] = (
    ("data", "tokenizer"),
    ("data", "augment"),
    ("data", "max_length"),
    ("schedule",),
)
_LOSSES: dict[Task, str] = {"classification": "CrossEntropyLoss", "regression": "MSELoss"}


def loss(task: Task) -> Named:
    """Return CrossEntropyLoss for classification, MSELoss for regression."""
    return Named("loss", _LOSSES[task], at=("loss",))


def objective(task: Task) -> Objective:
    """Return the default: maximize accuracy, or minimize the root mean squared error."""
    if task == "classification":
        return Objective(direction="maximize", metric=Component(name="accuracy"))
    return Objective(direction="minimize", metric=Component(name="rmse"))


def with_data_defaults(
    written: DataSettings, given: Collection[str], positive: str | None
) -> DataSettings:
    """Return the settings with a test set of 0.2, unless the file or the data has its own.

    Args:
        positive: the positive class, unless the file has its own.
    """
    found: dict[str, Any] = {"positive": positive} if written.positive is None else {}
    if written.test is None and "test" not in given:
        found |= {"test": TEST}
    return written.model_copy(update=found)


def validation(
    written: ValidationSettings, n_rows: int, given: Collection[str] = ()
) -> ValidationSettings:
    """Return 5 folds up to 20,000 rows or if they are repeated, a holdout of 0.2 beyond.

    Settings that are given, and data with its own validation rows, are left unchanged.
    """
    if not written.is_open or ("validation" in given and written.repeats == 1):
        return written
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
