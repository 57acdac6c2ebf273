"""What the files of a trial are called: so whoever cleans up removes these and nothing else."""

from __future__ import annotations

import re

from tunecli.files.whole import PART

INDEX = "trial"
"""Of a checkpoint: which files belong together."""

MODELS_INDEX = "models.json"
"""The same of kept models."""

OWN_TRAINING = "own"
"""The folder that a training of the user's own has in its trial's, with one for each fold."""

_UNFINISHED = rf"(\.tmp|{PART})?"

CHECKPOINT = re.compile(rf"\.?(trial|fold-\d+-\d+\.pt){_UNFINISHED}|{OWN_TRAINING}")
"""Files of a trial's checkpoint, and the folder of a training of the user's own."""

STATES = re.compile(rf"\.?fold-\d+-\d+\.pt{_UNFINISHED}|\.?trial(\.tmp|{PART})")
"""Those that the next save takes the place of."""

MODELS = re.compile(rf"\.?(models\.json|fold-\d+\.pt){_UNFINISHED}")

PREDICTIONS = re.compile(r"(\d+)\.npy")


def state_file(fold: int, n_rounds: int) -> str:
    """A fold of a checkpoint."""
    return f"fold-{fold}-{n_rounds}.pt"


def model_file(fold: int) -> str:
    """A fold of kept models."""
    return f"fold-{fold}.pt"
