"""Names of a trial's files, so that cleaning up removes only these."""

from __future__ import annotations

import re

from tunecli.files.whole import PART

INDEX = "trial"
"""The index of a checkpoint: the files that belong together."""

MODELS_INDEX = "models.json"
"""The index of saved models."""

OWN_TRAINING = "own"
"""Folder of the user's own training within that of its trial, with one folder per fold."""

KEPT = "keep"
"""Folder of what the user's own training keeps of a trial, with one folder per fold."""

_UNFINISHED = rf"(\.tmp|{PART})?"

CHECKPOINT = re.compile(rf"\.?(trial|fold-\d+-\d+\.pt){_UNFINISHED}|{OWN_TRAINING}")
"""Files of a trial's checkpoint, and the folder of the user's own training."""

STATES = re.compile(rf"\.?fold-\d+-\d+\.pt{_UNFINISHED}|\.?trial(\.tmp|{PART})")
"""Files of a checkpoint that the next save replaces."""

MODELS = re.compile(rf"\.?(models\.json|fold-\d+\.pt){_UNFINISHED}|{KEPT}")
"""Files with the models of a trial, and the folder of what the user's own training keeps."""

PREDICTIONS = re.compile(r"(\d+)\.npy")


def state_file(fold: int, n_rounds: int) -> str:
    """Return the file name of a fold in a checkpoint."""
    return f"fold-{fold}-{n_rounds}.pt"


def model_file(fold: int) -> str:
    """Return the file name of a fold's saved model."""
    return f"fold-{fold}.pt"
