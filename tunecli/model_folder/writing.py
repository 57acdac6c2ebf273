"""A model as the files of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from tunecli.model_folder.folder import nested, write
from tunecli.model_folder.model import Model


def write_model(path: Path, model: Model, texts: Mapping[str, str]) -> None:
    """Write a model folder, in the place of the one that is there.

    Args:
        texts: other files by name, for people and programs.

    Raises:
        ModelFolderError: there is no room, or no right to write; the old folder stands.
    """
    numbered = dict(enumerate(model.members))
    weights = nested({i: member.network.state_dict() for i, member in numbered.items()})
    packed = [member.packed.to_bytes() for member in model.members if member.packed is not None]
    fitted = nested({i: member.preprocessing.arrays() for i, member in numbered.items()})
    arrays = {name: torch.from_numpy(np.array(array)) for name, array in fitted.items()}
    write(path, model.facts, packed or weights, arrays, texts)
