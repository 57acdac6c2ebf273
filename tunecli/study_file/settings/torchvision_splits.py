"""The classification sets of `torchvision.datasets`, and the parts that each of them has.

The table belongs to the settings because a study file may name only these sets.
`tunecli.data.pictures.torchvision_sets` loads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Part = Literal["train", "valid", "test"]
Arguments = Mapping[str, Any]


@dataclass(frozen=True)
class Splits:
    """Torchvision's arguments for the parts of a set.

    Attributes:
        parts: arguments of the constructor for each part; one for all rows if there are no parts.
        files: the pattern of its files in the root.
        arguments: arguments that every part needs.
    """

    parts: Mapping[Part, Arguments]
    files: str
    arguments: Arguments = field(default_factory=dict)


def _by_train(files: str, **arguments: Any) -> Splits:
    return Splits({"train": {"train": True}, "test": {"train": False}}, files, arguments)


def _by_split(files: str, valid: str = "", test: str = "test", train: str = "train") -> Splits:
    parts: dict[Part, Arguments] = {"train": {"split": train}}
    if valid:
        parts["valid"] = {"split": valid}
    return Splits({**parts, "test": {"split": test}}, files)


def _whole(files: str, **arguments: Any) -> Splits:
    return Splits({"train": {}}, files, arguments)


SETS: Mapping[str, Splits] = {
    "Caltech101": _whole("caltech101"),
    "Caltech256": _whole("caltech256"),
    "CIFAR10": _by_train("cifar-10-batches-py"),
    "CIFAR100": _by_train("cifar-100-python"),
    "Country211": _by_split("country211", valid="valid"),
    "DTD": _by_split("dtd", valid="val"),
    "EMNIST": _by_train("EMNIST", split="balanced"),
    "EuroSAT": _whole("eurosat"),
    "FashionMNIST": _by_train("FashionMNIST"),
    "FER2013": _by_split("fer2013"),
    "FGVCAircraft": _by_split("fgvc-aircraft*", valid="val"),
    "Flowers102": _by_split("flowers-102", valid="val"),
    "Food101": _by_split("food-101"),
    "GTSRB": _by_split("gtsrb"),
    "Imagenette": _by_split("imagenette2*", test="val"),
    "ImageNet": _by_split("*", test="val"),
    "INaturalist": Splits(
        {"train": {"version": "2021_train_mini"}, "test": {"version": "2021_valid"}}, "2021_*"
    ),
    "KMNIST": _by_train("KMNIST"),
    "LFWPeople": _by_split("lfw-py"),
    "MNIST": _by_train("MNIST"),
    "Omniglot": _whole("omniglot-py"),
    "OxfordIIITPet": _by_split("oxford-iiit-pet", train="trainval"),
    "PCAM": _by_split("pcam", valid="val"),
    "Places365": Splits(
        {"train": {"split": "train-standard"}, "test": {"split": "val"}}, "*", {"small": True}
    ),
    "QMNIST": _by_train("QMNIST"),
    "RenderedSST2": _by_split("rendered-sst2", valid="val"),
    "SEMEION": _whole("semeion.data"),
    "StanfordCars": _by_split("stanford_cars"),
    "STL10": _by_split("stl10_binary"),
    "SUN397": _whole("SUN397"),
    "SVHN": _by_split("*_32x32.mat"),
    "USPS": _by_train("usps*"),
}
"""How the parts of each set are opened, by its name."""
