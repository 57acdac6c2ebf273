"""The names that a study file can use, and the files of their sources.

Names of classes that tunecli must know to use them (losses, samplers, pruners, scales, its own
models) are fixed lists; names that torch and torchvision list themselves are read from their
sources.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import tunecli
from tunecli.study_file.catalogue import signatures
from tunecli.study_file.catalogue.adapters import ADAPTERS, adapter_signature
from tunecli.study_file.catalogue.architectures import AUTO_MODELS
from tunecli.study_file.catalogue.signatures import Argument, Signature
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.metric_names import METRICS, argument_default, must_be_given
from tunecli.study_file.settings.settings import Task
from tunecli.study_file.text.suggestions import closest, did_you_mean, listed

Kind = Literal[
    "model",
    "loss",
    "optimizer",
    "schedule",
    "activation",
    "scale",
    "tokenizer",
    "sampler",
    "pruner",
    "metric",
    "train",
    "augmentation",
    "data",
    "adapter",
]
CODE_KINDS = frozenset(
    {"model", "loss", "optimizer", "schedule", "metric", "train", "augmentation", "data"}
)
"""Kinds of components that can be the user's own code."""

_LOSS_TASKS: dict[str, tuple[Task, ...]] = {
    "CrossEntropyLoss": ("classification", "language_modeling"),
    "NLLLoss": ("classification",),
    "BCEWithLogitsLoss": ("classification", "multilabel"),
    "MultiMarginLoss": ("classification",),
    "MSELoss": ("regression",),
    "L1Loss": ("regression",),
    "SmoothL1Loss": ("regression",),
    "HuberLoss": ("regression",),
    "PoissonNLLLoss": ("regression",),
    "GaussianNLLLoss": ("regression",),
}
LOSS_TASKS = MappingProxyType(_LOSS_TASKS)
"""The supported losses, and the tasks of each."""

TEXT_MODELS = ("TextCNN", "EmbeddingBag", "LSTM", "GRU", "TransformerEncoder")
"""Models that take text and train from scratch."""
OWN_LANGUAGE_MODELS = ("TransformerDecoder",)
LANGUAGE_MODELS = (*OWN_LANGUAGE_MODELS, "AutoModelForCausalLM")
"""Models that score the next token."""
KEPT_CHANNELS = {
    "TabM": "units that many perceptrons share",
    "RealMLP": "units with an activation of their own",
    **dict.fromkeys(("LSTM", "GRU"), "states of LSTM or GRU layers"),
    **dict.fromkeys(
        ("TransformerEncoder", *AUTO_MODELS),
        "channels of attention, which are divided into heads",
    ),
}
"""What structured pruning cannot remove, by model."""

_OWN_MODULES = {
    **dict.fromkeys(("Linear", "MLP", "ResNet"), "dense.py"),
    "TabM": "tabm_model.py",
    "RealMLP": "real_mlp.py",
    "CNN": "convolutional.py",
    **dict.fromkeys(TEXT_MODELS, "text_models.py"),
    **dict.fromkeys(OWN_LANGUAGE_MODELS, "transformer_decoder.py"),
    **dict.fromkeys(AUTO_MODELS, "auto_models.py"),
}
OWN_MODELS = tuple(_OWN_MODULES)
_OWN_SCALES = {"smooth_clip": "smooth_clip.py"}
_OWN_SCHEDULES = {"CosLogLR": "log_cosine.py"}
_SAMPLERS = (
    "RandomSampler",
    "TPESampler",
    "CmaEsSampler",
    "QMCSampler",
    "GPSampler",
    "NSGAIISampler",
    "NSGAIIISampler",
    "GridSampler",
    "BruteForceSampler",
)
_PRUNERS = (
    "MedianPruner",
    "PercentilePruner",
    "SuccessiveHalvingPruner",
    "HyperbandPruner",
    "PatientPruner",
    "ThresholdPruner",
)
SCALES = {
    "standard": ("StandardScaler", ()),
    "minmax": ("MinMaxScaler", ()),
    "robust": ("RobustScaler", ()),
    "quantile": ("QuantileTransformer", ("n_quantiles", "output_distribution")),
    "smooth_clip": ("SmoothClipScaler", ("limit",)),
}
TOKENIZERS = {
    "characters": "single_characters",
    "words": "whole_words",
    "BPE": "byte_pairs",
    "Unigram": "unigram",
    "WordPiece": "word_pieces",
}
"""Functions of `data/text/tokenizers.py` that train each tokenizer."""
_EVERYDAY = {
    "acc": "accuracy",
    "top1": "accuracy",
    "bacc": "balanced_accuracy",
    "bal_acc": "balanced_accuracy",
    "auc": "roc_auc",
    "auroc": "roc_auc",
    "rocauc": "roc_auc",
    "ap": "average_precision",
    "aupr": "average_precision",
    "auprc": "average_precision",
    "pr_auc": "average_precision",
    "prauc": "average_precision",
    "bce": "log_loss",
    "ce": "log_loss",
    "cross_entropy": "log_loss",
    "logloss": "log_loss",
    "nll": "log_loss",
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
    "root_mean_squared_error": "rmse",
    "r2_score": "r2",
    "f1_score": "f1",
    "error": "accuracy",
    "error_rate": "accuracy",
    "ppv": "precision",
    "tpr": "recall",
    "kappa": "cohen_kappa",
    "qwk": "cohen_kappa",
    "top5": "top_k_accuracy",
    "quantile_loss": "pinball",
    "sensitivity": "recall",
    "matthews_corrcoef": "mcc",
    "ppl": "perplexity",
    "bpb": "bits_per_byte",
    "bits_per_character": "bits_per_byte",
    "bpc": "bits_per_byte",
}
"""What people call metrics, in lower case."""

ALIASES = {"CMA-ES": "CmaEsSampler", "NSGA-II": "NSGAIISampler", "NSGA-III": "NSGAIIISampler"}

_TAKES_CODE = "it takes code, and a study file can contain only data."
_COMBINES_SCHEDULES = (
    "it combines other schedules, which a study file cannot do. Write a single schedule; for a "
    "warm-up before it, write `training.warmup`."
)
_ABSTRACT = "it is the abstract base class of all others."
_NOT_ELEMENTWISE = "it is not elementwise. Write `ReLU` or `GELU`."
_NO_MEASURE = "it does not compare predictions with the targets of classification or regression."
_OTHER_SIZE = "it changes the size of pictures. Write `data.size` instead."
_SCALES = "`data.scale` does this, fitted on the training part."
_OTHER_PICTURE = "it requires masks or boxes."
_NOT_OFFERED: dict[Kind, dict[str, str]] = {
    "augmentation": {
        **dict.fromkeys(
            ("CenterCrop", "Resize", "LongestMaxSize", "SmallestMaxSize", "PadTo"), _OTHER_SIZE
        ),
        **dict.fromkeys(("Normalize", "Denormalize"), _SCALES),
        **dict.fromkeys(("RandomTransplantation", "RandomMosaic", "PatchMix"), _OTHER_PICTURE),
        "RandomMixUpV2": "it also mixes targets. Write training: {mixup: 0.2}.",
        "RandomCutMixV2": "it also mixes targets. Write training: {cutmix: 1.0}.",
        "RandomFisheye": "its arguments are tensors, which a study file cannot contain.",
        "RandomDissolving": "it downloads a diffusion model.",
    },
    "optimizer": {
        "Optimizer": _ABSTRACT,
        "SparseAdam": "it requires sparse gradients, which no model here has. Write `Adam`.",
    },
    "schedule": {
        "LambdaLR": f"{_TAKES_CODE} For a warm-up, write `training.warmup`.",
        "MultiplicativeLR": f"{_TAKES_CODE} Write `ExponentialLR`.",
        **dict.fromkeys(("SequentialLR", "ChainedScheduler"), _COMBINES_SCHEDULES),
        "LRScheduler": _ABSTRACT,
        "_LRScheduler": _ABSTRACT,
    },
    "activation": {
        **dict.fromkeys(
            ("MultiheadAttention", "GLU", "Softmax", "Softmax2d", "LogSoftmax", "Softmin"),
            _NOT_ELEMENTWISE,
        ),
        "Threshold": "it requires arguments. Write `ReLU` or `Hardtanh`.",
    },
    "adapter": {
        "AdaLoraConfig": "it moves ranks between layers on a schedule for the whole training, "
        "which a trial that pauses or stops early cannot follow exactly. Write `LoraConfig`, "
        "and search its `r`.",
        "PeftConfig": _ABSTRACT,
        "PromptLearningConfig": _ABSTRACT,
    },
    "pruner": {
        "WilcoxonPruner": "it expects steps to be independent instances, but here they are "
        "evaluations of one curve. Write `Median` or `Hyperband`.",
        "NopPruner": "it prunes nothing. Write `pruner: none`.",
        "BasePruner": _ABSTRACT,
    },
    "sampler": {
        "PartialFixedSampler": "the study file itself fixes parameters. Write a value instead of "
        "a range.",
        "BaseSampler": _ABSTRACT,
    },
}
"""Names of the libraries that a study file cannot use, and the reason."""


_SOURCES: Mapping[Kind, tuple[str, ...]] = {
    "loss": ("torch", "nn", "modules", "loss.py"),
    "activation": ("torch", "nn", "modules", "activation.py"),
    "optimizer": ("torch", "optim", "__init__.py"),
    "schedule": ("torch", "optim", "lr_scheduler.py"),
    "augmentation": ("kornia", "augmentation", "__init__.py"),
    "scale": ("sklearn", "preprocessing", "_data.py"),
    "sampler": ("optuna", "samplers", "__init__.py"),
    "pruner": ("optuna", "pruners", "__init__.py"),
}
"""The library's module of a kind: a package, and the path in it."""

_LISTED: Mapping[Kind, str] = {
    "optimizer": "[A-Z]",
    "schedule": "",
    "activation": "",
    "augmentation": "(Random|ColorJ).*(?<!3D)$",  # the rest are bases, containers and volumes
}
"""Kinds whose names are those in their module's `__all__` that match a pattern."""

_FIXED: Mapping[Kind, tuple[str, ...]] = {
    "loss": tuple(LOSS_TASKS),
    "scale": tuple(SCALES),
    "tokenizer": tuple(TOKENIZERS),
    "sampler": _SAMPLERS,
    "pruner": _PRUNERS,
    "metric": tuple(METRICS),
    "adapter": tuple(ADAPTERS),
}


@cache
def names(kind: Kind) -> tuple[str, ...]:
    """Return the valid names of a kind, in the library's spelling and order."""
    if kind == "model":
        return (*OWN_MODELS, *_torchvision_models())
    if kind not in _LISTED:
        return _FIXED.get(kind, ())
    offered = (n for n in signatures.exported(_source(kind)) if n not in _NOT_OFFERED[kind])
    own = tuple(_OWN_SCHEDULES) if kind == "schedule" else ()
    return (*(name for name in offered if re.match(_LISTED[kind], name)), *own)


def canonical(kind: Kind, name: str) -> str | None:
    """Return the name in full: `MedianPruner` for `Median`; None if it is unknown."""
    if kind in CODE_KINDS and is_code(name):
        return name
    if kind == "model" and name in OWN_MODELS:  # without reading torchvision's sources
        return name
    candidates = [name]
    if kind in ("sampler", "pruner"):
        candidates += [f"{name}{kind.capitalize()}", ALIASES.get(name, name)]
    return next((candidate for candidate in candidates if candidate in names(kind)), None)


def with_article(kind: Kind) -> str:
    """Return a kind with its article: `an optimizer`, `a model`."""
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def unknown_name(kind: Kind, name: str) -> str:
    """Return the message for a name that `canonical` does not know."""
    if kind == "train":
        return f"{name!r} is not the name of a function. Write {{my_train.py:fit: {{…}}}}."
    if (reason := _why_not_offered(kind, name)) is not None:
        return reason
    if kind == "metric" and name.lower() in _EVERYDAY:
        return f"unknown metric `{name}`. Did you mean `{_EVERYDAY[name.lower()]}`?"
    short = _short_names(kind)
    known = f" Valid names are {listed(short, most=16)}."
    return f"unknown {kind} `{name}`.{did_you_mean(name, [*names(kind), *short]) or known}"


def closest_name(kind: Kind, name: str) -> str | None:
    """Return the name in full that was probably meant; None if none is similar."""
    if _why_not_offered(kind, name) is not None:
        return None
    everyday = _EVERYDAY.get(name.lower()) if kind == "metric" else None
    meant = everyday or closest(name, [*names(kind), *_short_names(kind)])
    return canonical(kind, meant) if meant is not None else None


def _short_names(kind: Kind) -> list[str]:
    """Return names without the suffix of their kind, such as `TPE` and `Median`."""
    suffix = kind.capitalize() if kind in ("sampler", "pruner") else ""
    return [known.removesuffix(suffix) for known in names(kind)]


def _why_not_offered(kind: Kind, name: str) -> str | None:
    """Return why a name of the library is not supported; None if the library lacks it."""
    table = _NOT_OFFERED.get(kind, {})
    full = next((n for n in (name, f"{name}{kind.capitalize()}") if n in table), None)
    if full is not None:
        return f"{full} is not supported: {table[full]}"
    if kind == "loss" and name in signatures.exported(_source("loss")):
        return f"{name} is not supported: {_NO_MEASURE} Valid names are {listed(LOSS_TASKS)}."
    return None


@cache
def library_signature(kind: Kind, name: str) -> Signature:
    """Return all arguments of a component in the library."""
    if kind == "metric":
        return Signature(
            name,
            tuple(
                Argument(argument, required=must_be_given(known), default=argument_default(known))
                for argument, known in METRICS[name].arguments.items()
            ),
        )
    if kind == "model" and name not in OWN_MODELS:
        return signatures.function_signature(_torchvision_models()[name], name)
    if kind == "adapter":
        return adapter_signature(name)
    if kind == "tokenizer":
        file = Path(tunecli.__file__).parent / "data" / "text" / "tokenizers.py"
        return replace(signatures.function_signature(file, TOKENIZERS[name]), name=name)
    class_name = SCALES[name][0] if kind == "scale" else name
    signature = signatures.class_signature(_file(kind, name), class_name)
    if kind == "augmentation" and not signature.arguments:  # kornia's base has the constructor
        base = _source(kind).with_name("base.py")
        signature = signatures.class_signature(base, "_BasicAugmentationBase")
    return replace(signature, name=name)


def _file(kind: Kind, name: str) -> Path:
    """Return the source file of a class."""
    package = Path(tunecli.__file__).parent
    if kind == "model":
        return package / "training" / "models" / _OWN_MODULES[name]
    if kind == "scale" and name in _OWN_SCALES:
        return package / "data" / "preprocessing" / _OWN_SCALES[name]
    if kind == "schedule" and name in _OWN_SCHEDULES:
        return package / "training" / "step" / _OWN_SCHEDULES[name]
    if kind in ("optimizer", "sampler", "pruner"):
        return signatures.imported_from(_SOURCES[kind][0], _source(kind))[name]
    if kind == "augmentation":
        files = sorted(_source(kind).parent.glob("_2d/*/[a-z]*.py"))
        return next(file for file in files if f"class {name}(" in file.read_text("utf-8"))
    return _source(kind)


def _source(kind: Kind) -> Path:
    package, *path = _SOURCES[kind]
    return signatures.package_folder(package).joinpath(*path)


@cache
def _torchvision_models() -> Mapping[str, Path]:
    """Return the modules of torchvision's classifiers; other tasks are in subfolders."""
    files = sorted((signatures.package_folder("torchvision") / "models").glob("[a-z]*.py"))
    decorated = signatures.decorated_functions
    return {name: file for file in files for name in decorated(file, "register_model")}
