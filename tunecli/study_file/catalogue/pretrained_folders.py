"""Find the folder of a pretrained model: relative to the study file, or in the hub's cache.

Nothing is downloaded, so a study does not depend on the network, and a folder is used only if no
part of it would have to be unpickled or run.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tunecli.errors import DataError
from tunecli.files.small import read_small
from tunecli.study_file.catalogue.architectures import AUTO_MODELS
from tunecli.study_file.settings.settings import Component

LARGEST_CONFIG = 16 * 2**20
"""Largest size of `config.json` in bytes."""

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_PICKLES = (".pkl", ".pickle")
_PICKLED_WEIGHTS = ("pytorch_model*.bin", "*.pt", "*.pth", "*.ckpt")


def pretrained_folder(name: str, study_folder: Path) -> Path:
    """Return the folder of a pretrained model with its configuration, weights and tokenizer.

    Args:
        name: a folder relative to the study file, or a name of the hub, whose files must be in
            the hub's cache.
        study_folder: the folder of the study file.

    Raises:
        DataError: there is no such folder, a file is missing, or it would have to be unpickled.
    """
    folder = study_folder / name
    if not folder.is_dir():
        folder = _in_cache(name, study_folder)
    _refuse_unusable(folder.resolve(), name)
    return folder.resolve()


def read_model_config(folder: Path) -> dict[str, Any]:
    """Return the content of a folder's `config.json`.

    Raises:
        DataError: it cannot be read.
    """
    try:
        content = json.loads(read_small(folder / "config.json", LARGEST_CONFIG))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{folder / 'config.json'} cannot be read ({reason}).") from None
    if not isinstance(content, dict) or not isinstance(content.get("model_type"), str):
        raise DataError(f"{folder / 'config.json'} has no model_type, which transformers needs.")
    return content


def pretrained_config(name: str, study_folder: Path | None) -> dict[str, Any]:
    """Return the content of a pretrained model's `config.json`; empty if it cannot be read.

    Args:
        study_folder: the folder of the study file; None if it is unknown.
    """
    if study_folder is None:
        return {}
    try:
        return read_model_config(pretrained_folder(name, study_folder))
    except DataError:
        return {}


def _in_cache(name: str, study_folder: Path) -> Path:
    if not _HUB_NAME.fullmatch(name) or name.startswith("."):
        raise DataError(
            f"the folder {name!r} does not exist (looked for at {study_folder / name}). Paths are "
            "relative to the study file's folder."
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError, OSError):
        raise DataError(
            f"{name!r} is neither a folder, relative to the study file, nor in the cache of the "
            f"hub. tunecli downloads no models. Fetch it with `hf download {name}`, or write the "
            "path of a folder."
        ) from None


def _refuse_unusable(folder: Path, name: str) -> None:
    """Refuse a folder that lacks a file, or has pickles, which can run any code."""
    files = [path for path in folder.iterdir() if path.suffix in _PICKLES]
    if files:
        raise DataError(
            f"{name!r} contains {files[0].name}, a pickle, which can run any code when it is "
            "read. Remove this file, or save the tokenizer as tokenizer.json."
        )
    if not (folder / "config.json").is_file():
        raise DataError(
            f"{name!r} has no config.json (looked in {folder}), so it is not a model of "
            "transformers. Write the folder that `save_pretrained` made."
        )
    if not any(folder.glob("*.safetensors")):
        raise _without_safetensors(folder, name)
    if not (folder / "tokenizer.json").is_file():
        raise DataError(
            f"{name!r} has no tokenizer.json. Save it with "
            "`AutoTokenizer.from_pretrained(…).save_pretrained(…)`, which writes one."
        )
    read_model_config(folder)


def _without_safetensors(folder: Path, name: str) -> DataError:
    pickles = [path.name for glob in _PICKLED_WEIGHTS for path in folder.glob(glob)][:1]
    found = [
        f" Its weights are in {one}, a pickle, which tunecli does not read." for one in pickles
    ]
    return DataError(
        f"{name!r} has no weights as .safetensors.{''.join(found)} Load the model in a "
        "program that you trust, and write it again with `save_pretrained`."
    )


def brings_tokenizer(model: Component | None) -> bool:
    """Return whether a model is pretrained: it reads the tokens of its own tokenizer."""
    if model is None or model.name not in AUTO_MODELS:
        return False
    return model.arguments.get("pretrained") is not None


def missing_folders(
    component: Component, study_folder: Path | None
) -> list[tuple[tuple[str, ...], str]]:
    """Return why the pretrained model of a component cannot be used, if so.

    Args:
        study_folder: the folder of the study file; None to assume that the model exists.
    """
    name = component.arguments.get("pretrained")
    if component.name not in AUTO_MODELS or study_folder is None or not isinstance(name, str):
        return []
    try:
        pretrained_folder(name, study_folder)
    except DataError as error:
        return [(("pretrained",), error.message)]
    return []
