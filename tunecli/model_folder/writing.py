"""A model as the files of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from tunecli.model_folder.folder import WEIGHTS, apart, nested, packed_name, write
from tunecli.model_folder.model import Model


def write_model(path: Path, model: Model, texts: Mapping[str, str]) -> None:
    """Write a model folder, in the place of the one that is there.

    Args:
        texts: other files by name, for people and programs.

    Raises:
        ModelFolderError: there is no room, or no right to write; the old folder stands.
    """
    fitted = nested({i: m.preprocessing.arrays() for i, m in enumerate(model.members)})
    arrays = {name: torch.from_numpy(np.array(array)) for name, array in fitted.items()}
    write(path, model.facts, weight_files(model), arrays, texts)


def weight_files(model: Model) -> dict[str, bytes]:
    """The files with a model's weights, by name."""
    packed = [member.packed for member in model.members if member.packed is not None]
    if packed:
        return {packed_name(number): one.to_bytes() for number, one in enumerate(packed)}
    weights = nested({i: m.network.state_dict() for i, m in enumerate(model.members)})
    return {WEIGHTS: save({name: apart(weight) for name, weight in weights.items()})}
