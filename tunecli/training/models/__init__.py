"""Build the models a study file can name: tunecli's own, torchvision's classifiers, the user's.

The shape of one row and the number of outputs follow from the data and the loss; all other
arguments come from the study file. Initial weights come from torch's global random state.
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
