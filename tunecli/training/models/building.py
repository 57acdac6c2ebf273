"""The one door to all models: a component of a study file becomes a module."""

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
    """The model that a study file names, with fresh weights from torch's global random state.

    Args:
        component: Linear, MLP, ResNet, CNN, a classifier of torchvision.models, or a model of the
            user's own; and its arguments.
        shape: of one row: (n_features,) or (channels, height, width).
        n_outputs: as the loss wants it (`losses.n_outputs`).
        columns: of a table, for models that embed them.

    Raises:
        DataError: the data is not what the model needs.
        TypeError, ValueError: an argument is not what the model takes.
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
    """A model of the user's own, part of it frozen if the study file says so."""
    model = user_parts.build_user_model(component, shape, n_outputs, columns.cat_cardinalities)
    frozen = user_parts.for_tunecli(component).get("freeze")
    if frozen:
        freeze(model, component.name, frozen)
    return model


def embeds_categories(component: Component) -> bool:
    """Whether a model wants columns of categories as integer codes, and not one column each."""
    if is_code(component.name):
        return user_parts.user_embeds_categories(component)
    return component.name in _OF_COLUMNS and component.arguments.get("embed") is not None


def explain_size(component: Component, shape: tuple[int, ...], n_outputs: int) -> None:
    """Tell why pictures of `shape` did not go through a model, if their size is the reason.

    Raises:
        DataError: they are too small; how large they must be.
    """
    if len(shape) != 3 or component.name in _PLAIN or component.name in _OF_COLUMNS:
        return
    from tunecli.training.models.torchvision_models import smallest_side

    side = smallest_side(component, shape, n_outputs)
    if side is not None:
        raise too_small(component.name, side, shape)
