"""Find pretrained models that can be fine-tuned: a named one, or those in the hub's cache.

Only file names and `config.json` are read; transformers is not imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tunecli.errors import DataError
from tunecli.study_file.catalogue.architectures import (
    NOT_INSTALLED,
    model_types,
    transformers_is_installed,
)
from tunecli.study_file.catalogue.pretrained_folders import pretrained_folder, read_model_config
from tunecli.study_file.catalogue.token_positions import n_token_positions

CLASSIFIER = "AutoModelForSequenceClassification"
_PREFIX = "models--"
"""How the hub's cache begins the name of a model's folder: `models--owner--name`."""


@dataclass(frozen=True)
class PretrainedModel:
    """A pretrained model on this machine.

    Attributes:
        name: as a study file names it.
        folder: the folder with its files.
        n_bytes: size of its weights.
        n_positions: largest number of tokens that it has places for; None for any number.
    """

    name: str
    folder: Path
    n_bytes: int
    n_positions: int | None


def pretrained_model(name: str, study_folder: Path) -> PretrainedModel:
    """Return a pretrained model that can classify texts.

    Args:
        name: a name of the hub, or a folder relative to the study file.

    Raises:
        DataError: transformers is missing, or the model is missing, unusable or of another kind.
    """
    if not transformers_is_installed():
        raise DataError(f"a pretrained model {NOT_INSTALLED}")
    folder = pretrained_folder(name, study_folder)
    config = read_model_config(folder)
    kind = config["model_type"]
    if config.get("is_encoder_decoder") or kind not in model_types(CLASSIFIER):
        raise DataError(
            f"{name!r} is a model of type {kind!r}, which {CLASSIFIER} does not support. Name an "
            "encoder such as BERT, or a decoder such as GPT-2."
        )
    sizes = [path.stat().st_size for path in folder.glob("*.safetensors")]
    return PretrainedModel(name, folder, sum(sizes), n_token_positions(kind, config))


def cached_models(study_folder: Path) -> list[PretrainedModel]:
    """Return the usable models in the hub's cache, the smallest first; none without the extra."""
    from huggingface_hub import constants

    if not transformers_is_installed():
        return []
    entries = Path(constants.HF_HUB_CACHE).glob(f"{_PREFIX}*")
    names = [entry.name.removeprefix(_PREFIX).replace("--", "/", 1) for entry in entries]
    found = (_usable(name, study_folder) for name in names)
    return sorted(filter(None, found), key=lambda model: (model.n_bytes, model.name))


def _usable(name: str, study_folder: Path) -> PretrainedModel | None:
    try:
        return pretrained_model(name, study_folder)
    except DataError:
        return None
