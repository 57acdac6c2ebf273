"""Read checkpoints of format 3, which earlier versions wrote: without the configuration itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from tunecli.study_file.settings.settings import TrialConfig

FORMAT_3 = 3


def digest_of_3(config: TrialConfig) -> str:
    """Return what a checkpoint of format 3 says of its configuration.

    It is a hash of all settings that there were then, with their defaults. A configuration that
    comes from the study database has these settings set, and those that were added later unset.
    """
    text = config.model_dump_json(exclude_unset=True)
    return hashlib.sha256(f"{config.numerics} {text}".encode()).hexdigest()


def upgraded_from_3(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a `CrossValidation.state_dict()` of format 3 as today's."""
    rest = {key: value for key, value in state.items() if key not in ("folds", "best_step")}
    folds = [_upgraded_fold(fold, state["best_step"]) for fold in state["folds"]]
    return {**rest, "folds": folds}


def _upgraded_fold(fold: Mapping[str, Any], best: int | None) -> dict[str, Any]:
    """Return the state of a fold, whose only kept weights are those of the best evaluation."""
    if "best_weights" not in fold:  # the user's own training
        return dict(fold)
    names = {"weights": "best_weights", "outputs": "best_outputs"}
    rest = {key: value for key, value in fold.items() if key not in names.values()}
    kept = {best: {name: fold[key] for name, key in names.items()}} if best is not None else {}
    return {**rest, "best": best, "kept": kept}
