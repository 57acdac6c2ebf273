"""Write a model as the files of its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tunecli.model_folder.format.folder import WEIGHTS, nested, packed_name, write_folder
from tunecli.model_folder.format.model import Model
from tunecli.training.compression.packing import plain_file


def write_model(path: Path, model: Model, texts: Mapping[str, str]) -> None:
    """Write a model folder, and replace an existing one.

    Args:
        texts: other files by name, for people and programs.

    Raises:
        ModelFolderError: the folder cannot be written; the old one is unchanged.
    """
    fitted = nested({i: m.preprocessing.tensors() for i, m in enumerate(model.members)})
    write_folder(path, model.facts, weight_files(model), fitted, texts)


def weight_files(model: Model) -> dict[str, bytes]:
    """Return the files with a model's weights, by name; packed ones only if they are smaller."""
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
