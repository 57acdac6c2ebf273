"""A model as the files of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from tunecli.model_folder.format.folder import WEIGHTS, nested, packed_name, write_folder
from tunecli.model_folder.format.model import Model
from tunecli.training.compression.packing import plain_file


def write_model(path: Path, model: Model, texts: Mapping[str, str]) -> None:
    """Write a model folder, in the place of the one that is there.

    Args:
        texts: other files by name, for people and programs.

    Raises:
        ModelFolderError: there is no room, or no right to write; the old folder stands.
    """
    fitted = nested({i: m.preprocessing.arrays() for i, m in enumerate(model.members)})
    arrays = {name: torch.from_numpy(np.array(array)) for name, array in fitted.items()}
    write_folder(path, model.facts, weight_files(model), arrays, texts)


def weight_files(model: Model) -> dict[str, bytes]:
    """The files with a model's weights, by name: packed ones only where they are smaller."""
    weights = nested({i: m.network.state_dict() for i, m in enumerate(model.members)})
    plain = {WEIGHTS: plain_file(weights)}
    packed = {
        packed_name(i): member.packed.to_bytes()
        for i, member in enumerate(model.members)
        if member.packed is not None and not member.packed.is_plain
    }
    return (
        packed
        if len(packed) == len(model.members) and _n_bytes(packed) < _n_bytes(plain)
        else plain
    )


def _n_bytes(files: Mapping[str, bytes]) -> int:
    return sum(map(len, files.values()))
