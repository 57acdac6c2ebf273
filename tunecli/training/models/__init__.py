"""The models a study file can name: tunecli's own, and torchvision's classifiers.

Each takes the shape of one row and the number of outputs, which follow from the data and the loss,
and everything else from the study file. Initial weights come from torch's global random state.
torchvision is imported only when one of its models is built.
"""

from tunecli.training.models.building import (
    build_model,
    embeds_categories,
    explain_size,
)
from tunecli.training.models.columns import Columns
from tunecli.training.models.convolutional import CNN
from tunecli.training.models.dense import MLP, Linear, ResNet
from tunecli.training.models.fine_tuning import (
    auxiliary_weight,
    rate_factors,
    set_training,
)
from tunecli.training.models.needs import Needs, check_fit, model_needs

__all__ = [
    "CNN",
    "MLP",
    "Columns",
    "Linear",
    "Needs",
    "ResNet",
    "auxiliary_weight",
    "build_model",
    "check_fit",
    "embeds_categories",
    "explain_size",
    "model_needs",
    "rate_factors",
    "set_training",
]
