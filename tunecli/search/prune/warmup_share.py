"""A pruner's `warmup`: the share of a trial's evaluations before which it stops none.

Optuna counts evaluations (`n_warmup_steps`), but trials of one study may differ in length.
"""

from __future__ import annotations

import math

from tunecli.study_file.settings.settings import Component

WARMUP = "warmup"


def at_length(pruner: Component, n_evaluations: int) -> Component:
    """Return the pruner for trials of one length, with `n_warmup_steps` in place of `warmup`.

    Args:
        n_evaluations: of the whole trial; 0 if it is not known, and then there is no warm-up.
    """
    given = pruner.arguments.items()
    counted = dict(_counted(name, value, n_evaluations) for name, value in given)
    return pruner.model_copy(update={"arguments": counted})


def _counted(name: str, value: object, n_evaluations: int) -> tuple[str, object]:
    if isinstance(value, Component):
        return name, at_length(value, n_evaluations)
    if name == WARMUP and isinstance(value, int | float):
        return "n_warmup_steps", math.floor(value * n_evaluations + 1e-9)
    return name, value
