"""Save the best models of a trial's folds, so that they need not be trained again.

There is one file per fold, and an index that is written last. A worker that is killed leaves a
folder without an index, which is ignored, and never half a model.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import IO

import torch
from torch import nn

from tunecli.errors import DataError
from tunecli.files.own import make_folder
from tunecli.files.small import read_small
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.compression.packing import Packed, unpack
from tunecli.training.models.frozen_weights import Saved, load_saved
from tunecli.training.state.checkpoints import write_whole
from tunecli.training.state.trial_files import MODELS_INDEX, model_file

FORMAT = 1
_OF_TORCH = b"PK\x03\x04"
"""First bytes of files by `torch.save`, which are zips; packed models are safetensors files."""

Kept = Saved | Packed
"""The weights of a network, with the digests of shared ones; or a compressed network."""


def keep_models(folder: Path, config: TrialConfig, models: Iterable[Kept]) -> None:
    """Write a trial's models, in the order of its folds.

    Raises:
        OSError: the disk is full, or writing is not permitted.
    """
    make_folder(folder)
    digests = [
        write_whole(folder / model_file(number), partial(_put, model))
        for number, model in enumerate(models)
    ]
    index = {
        "format": FORMAT,
        "numerics": config.numerics,
        "config": config.model_dump_json(),
        "files": digests,
    }
    write_whole(folder / MODELS_INDEX, lambda file: file.write(json.dumps(index).encode()))


def read_models(folder: Path, config: TrialConfig) -> list[Kept]:
    """Read what `keep_models` wrote, without running any code from it.

    Raises:
        DataError: the models are missing, damaged, or belong to another configuration or numerics
            version.
    """
    try:
        index = json.loads(read_small(folder / MODELS_INDEX))
        if index["format"] != FORMAT or TrialConfig.model_validate_json(index["config"]) != config:
            raise ValueError("they belong to another trial or version of tunecli")
        if (version := index.get("numerics", 1)) != config.numerics:  # their features differ
            wanted = f"expected version {config.numerics}"
            raise ValueError(f"they come from version {version} of tunecli's arithmetic, {wanted}")
        digests = enumerate(map(str, index["files"]))
        return [_read(folder / model_file(number), digest) for number, digest in digests]
    except FileNotFoundError:
        raise DataError(f"there are no models in {folder}.") from None
    except Exception as error:  # whatever damaged bytes can cause
        raise DataError(f"the models in {folder} cannot be used: {error}.") from None


def load_network(saved: Kept, model: nn.Module) -> nn.Module:
    """Load saved weights into a network built from its configuration; in evaluation mode.

    Raises:
        DataError: the weights belong to another network, or its pretrained weights have changed.
    """
    if isinstance(saved, Packed):
        return unpack(saved, model)
    try:
        load_saved(model, saved)
    except RuntimeError as error:
        raise DataError(f"the saved weights belong to another model ({error}).") from None
    return model.eval()


def _put(model: Kept, file: IO[bytes]) -> None:
    if isinstance(model, Packed):
        file.write(model.to_bytes())
    else:
        torch.save({"weights": dict(model)}, file)


def _read(path: Path, digest: str) -> Kept:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ValueError(f"the checksum of {path.name} is wrong")
    if not content.startswith(_OF_TORCH):
        return Packed.from_bytes(content)
    weights: Saved = torch.load(io.BytesIO(content), weights_only=True)["weights"]
    return weights
