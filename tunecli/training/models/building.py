"""Build any model from a component of a study file, if the data fits it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import nn

from tunecli.data.rows.dataset import TokenForm
from tunecli.errors import DataError
from tunecli.study_file.catalogue.architectures import AUTO_MODELS
from tunecli.study_file.catalogue.names import LANGUAGE_MODELS, TEXT_MODELS
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.suggestions import listed
from tunecli.training.models import user_parts
from tunecli.training.models.auto_models import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
)
from tunecli.training.models.convolutional import CNN
from tunecli.training.models.dense import MLP, NO_COLUMNS, Linear, ResNet
from tunecli.training.models.fine_tuning import freeze
from tunecli.training.models.layers.embeddings import Columns
from tunecli.training.models.real_mlp import RealMLP
from tunecli.training.models.tabm_model import TabM
from tunecli.training.models.text_models import (
    GRU,
    LSTM,
    EmbeddingBag,
    TextCNN,
    TransformerEncoder,
)
from tunecli.training.models.transformer_decoder import TransformerDecoder


@dataclass(frozen=True)
class Needs:
    """The requirements of a model on the data.

    Attributes:
        rows: what rows must be: `pictures` (channels, height, width), or rows with `text`;
            `numbers` are rows of any shape, which are flattened.
        smallest: smallest height and width in pixels; 0 if only building the model shows it.
        multiple: height and width must be multiples of it.
        square: whether height and width must be equal.
    """

    rows: Literal["numbers", "pictures", "text"]
    smallest: int = 0
    multiple: int = 1
    square: bool = False


_OWN = {
    "Linear": Needs("numbers"),
    "MLP": Needs("numbers"),
    "ResNet": Needs("numbers"),
    "TabM": Needs("numbers"),
    "RealMLP": Needs("numbers"),
    "CNN": Needs("pictures", smallest=8),
    # Every stage divides its picture into windows of 7 × 7, the last one at 1/32 of the size.
    "maxvit_t": Needs("pictures", multiple=224),
    **dict.fromkeys((*TEXT_MODELS, *LANGUAGE_MODELS, *AUTO_MODELS), Needs("text")),
}


def model_needs(name: str) -> Needs:
    """Return the requirements of a model; all of torchvision's classifiers take pictures."""
    if name.startswith("vit_"):  # vit_b_16 cuts pictures into patches of 16 × 16
        return Needs("pictures", multiple=int(name.rpartition("_")[2]), square=True)
    return _OWN.get(name, Needs("pictures"))


def check_fit(name: str, shape: tuple[int, ...], tokens: TokenForm | None = None) -> None:
    """Refuse a model that cannot take rows of `shape`.

    Args:
        tokens: how the rows hold text; None for rows without text.

    Raises:
        DataError: the rows do not fit; the message names the requirement and an alternative.
    """
    wanted = model_needs(name)
    if (wanted.rows == "text") != (tokens is not None):
        raise _about_text(name, wanted, shape)
    if wanted.rows != "pictures":
        return
    if len(shape) != 3:
        raise DataError(
            f"{name} takes pictures, but each row of the data has "
            f"{count(math.prod(shape), 'feature')}. Use MLP or Linear."
        )
    height, width = shape[1:]
    if min(height, width) < wanted.smallest:
        raise too_small(name, wanted.smallest, shape)
    if height % wanted.multiple or width % wanted.multiple or (wanted.square and height != width):
        raise _indivisible(name, wanted, shape)


def _about_text(name: str, wanted: Needs, shape: tuple[int, ...]) -> DataError:
    if wanted.rows != "text":
        models = listed(TEXT_MODELS, last="or")
        return DataError(f"{name} takes {wanted.rows}, but the rows have text. Use {models}.")
    others = "CNN or MLP" if len(shape) == 3 else "MLP or Linear"
    return DataError(
        f"{name} takes text, but the data has none. Name the column that has it, such as "
        f"`data: {{text: review}}`, or use {others}."
    )


def too_small(name: str, smallest: int, shape: tuple[int, ...]) -> DataError:
    """Return the error for pictures that are too small."""
    return DataError(
        f"{name} takes pictures of at least {smallest} × {smallest} pixels, but "
        f"these have {shape[1]} × {shape[2]}. Use MLP or Linear, or larger pictures."
    )


def _indivisible(name: str, wanted: Needs, shape: tuple[int, ...]) -> DataError:
    what = "square pictures" if wanted.square else "pictures"
    height, width = shape[1:]
    side = math.ceil(max(height, width) / wanted.multiple) * wanted.multiple
    return DataError(
        f"{name} takes {what} whose sides are multiples of {wanted.multiple} pixels, but these "
        f"have {height} × {width}. Write `data: {{size: {side}}}`, or use another model."
    )


_OF_TEXT: dict[str, type[nn.Module]] = {
    "TextCNN": TextCNN,
    "EmbeddingBag": EmbeddingBag,
    "LSTM": LSTM,
    "GRU": GRU,
    "TransformerEncoder": TransformerEncoder,
}
_PLAIN: dict[str, type[nn.Module]] = {"Linear": Linear, "CNN": CNN}
_OF_COLUMNS: dict[str, type[nn.Module]] = {
    "MLP": MLP,
    "ResNet": ResNet,
    "TabM": TabM,
    "RealMLP": RealMLP,
    "TransformerDecoder": TransformerDecoder,
    "AutoModelForSequenceClassification": AutoModelForSequenceClassification,
    "AutoModelForCausalLM": AutoModelForCausalLM,
}
_OF_CODES = ("TabM", "RealMLP")
"""Models that always get categories as codes."""
_CATEGORY_SIZES = {
    **dict.fromkeys(_OF_COLUMNS, "embed"),
    **dict.fromkeys(_OF_TEXT, "category_embed"),
}
"""The argument that sets the size of the vector per category."""


def build_model(
    component: Component,
    shape: tuple[int, ...],
    n_outputs: int,
    columns: Columns = NO_COLUMNS,
) -> nn.Module:
    """Build the model that a study file names, with weights from torch's global random state.

    Args:
        component: Linear, MLP, ResNet, TabM, RealMLP, CNN, a model of text, a classifier of
            torchvision.models, or the user's own model, with its arguments.
        shape: shape of one row: (n_features,) or (channels, height, width).
        n_outputs: number of outputs that the loss requires (`losses.n_outputs`).
        columns: columns of a table, for models that embed them, and how rows hold text.

    Raises:
        DataError: the data does not fit the model.
        TypeError, ValueError: an argument is invalid for the model.
    """
    if is_code(component.name):
        return _build_own(component, shape, n_outputs, columns)
    check_fit(component.name, shape, columns.tokens)
    if component.name in _OF_TEXT:
        given = component.arguments
        return _OF_TEXT[component.name](n_outputs=n_outputs, columns=columns, **given)
    arguments = {"shape": shape, "n_outputs": n_outputs, **component.arguments}
    if component.name in _PLAIN:
        return _PLAIN[component.name](**arguments)
    if component.name in _OF_COLUMNS:
        return _OF_COLUMNS[component.name](**arguments, columns=columns)
    from tunecli.training.models.torchvision_models import build_torchvision

    return build_torchvision(component, shape, n_outputs)


def _build_own(
    component: Component, shape: tuple[int, ...], n_outputs: int, columns: Columns
) -> nn.Module:
    """Build the user's own model, and freeze a part of it if the study file asks for it."""
    model = user_parts.build_user_model(
        component, shape, n_outputs, columns.cat_cardinalities, columns.tokens
    )
    frozen = user_parts.for_tunecli(component).get("freeze")
    if frozen:
        freeze(model, component.name, frozen)
    return model


def embeds_categories(component: Component) -> bool:
    """Return whether a model takes categorical columns as integer codes instead of one-hot."""
    if is_code(component.name):
        return user_parts.user_embeds_categories(component)
    if component.name in _OF_CODES:
        return True
    argument = _CATEGORY_SIZES.get(component.name)
    return argument is not None and component.arguments.get(argument) is not None


def names_initial_weights(name: str) -> str:
    """Return the argument of a model that names a file of weights to start the training from."""
    return "vectors" if name in _OF_TEXT else "weights"


def explain_size(component: Component, shape: tuple[int, ...], n_outputs: int) -> None:
    """Explain why pictures of `shape` fail in a model, if their size is the reason.

    Raises:
        DataError: they are too small; the message names the smallest size.
    """
    if len(shape) != 3 or component.name in _OWN:
        return
    from tunecli.training.models.torchvision_models import smallest_side

    side = smallest_side(component, shape, n_outputs)
    if side is not None:
        raise too_small(component.name, side, shape)
