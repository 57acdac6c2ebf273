"""Build any model from a component of a study file."""

from __future__ import annotations

from torch import nn

from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.settings import Component
from tunecli.training.models import user_parts
from tunecli.training.models.columns import Columns
from tunecli.training.models.convolutional import CNN
from tunecli.training.models.dense import MLP, NO_COLUMNS, Linear, ResNet
from tunecli.training.models.fine_tuning import freeze
from tunecli.training.models.needs import check_fit, too_small

_PLAIN: dict[str, type[nn.Module]] = {"Linear": Linear, "CNN": CNN}
_OF_COLUMNS: dict[str, type[nn.Module]] = {"MLP": MLP, "ResNet": ResNet}


def build_model(
    component: Component,
    shape: tuple[int, ...],
    n_outputs: int,
    columns: Columns = NO_COLUMNS,
) -> nn.Module:
    """Build the model that a study file names, with weights from torch's global random state.

    Args:
        component: Linear, MLP, ResNet, CNN, a classifier of torchvision.models, or the user's own
            model, with its arguments.
        shape: shape of one row: (n_features,) or (channels, height, width).
        n_outputs: number of outputs that the loss requires (`losses.n_outputs`).
        columns: columns of a table, for models that embed them.

    Raises:
        DataError: the data does not fit the model.
        TypeError, ValueError: an argument is invalid for the model.
    """
    if is_code(component.name):
        return _build_own(component, shape, n_outputs, columns)
    check_fit(component.name, shape)
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
    model = user_parts.build_user_model(component, shape, n_outputs, columns.cat_cardinalities)
    frozen = user_parts.for_tunecli(component).get("freeze")
    if frozen:
        freeze(model, component.name, frozen)
    return model


def embeds_categories(component: Component) -> bool:
    """Return whether a model takes categorical columns as integer codes instead of one-hot."""
    if is_code(component.name):
        return user_parts.user_embeds_categories(component)
    return component.name in _OF_COLUMNS and component.arguments.get("embed") is not None


def explain_size(component: Component, shape: tuple[int, ...], n_outputs: int) -> None:
    """Explain why pictures of `shape` fail in a model, if their size is the reason.

    Raises:
        DataError: they are too small; the message names the smallest size.
    """
    if len(shape) != 3 or component.name in _PLAIN or component.name in _OF_COLUMNS:
        return
    from tunecli.training.models.torchvision_models import smallest_side

    side = smallest_side(component, shape, n_outputs)
    if side is not None:
        raise too_small(component.name, side, shape)
