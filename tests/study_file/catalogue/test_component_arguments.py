from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from tunecli.study_file.catalogue import component_arguments, names
from tunecli.study_file.catalogue.names import Kind, library_signature
from tunecli.study_file.catalogue.signatures import Unreadable
from tunecli.study_file.settings.settings import Component

KINDS: tuple[Kind, ...] = (
    "model",
    "loss",
    "optimizer",
    "schedule",
    "activation",
    "scale",
    "augmentation",
    "sampler",
    "pruner",
    "metric",
)
OFFERED = [(kind, name) for kind in KINDS for name in names.names(kind)]


def problems(kind: Kind, name: str, **arguments: object) -> list[tuple[tuple[str, ...], str]]:
    return component_arguments.argument_problems(kind, Component(name=name, arguments=arguments))


def imported(kind: Kind, name: str) -> object:
    """The class or function itself: the oracle."""
    import kornia
    import optuna
    import torch
    import torchvision
    from sklearn import preprocessing

    from tunecli.data.preprocessing.smooth_clip import SmoothClipScaler
    from tunecli.training.models import (
        auto_models,
        convolutional,
        dense,
        real_mlp,
        tabm_model,
        text_models,
        transformer_decoder,
    )
    from tunecli.training.step import log_cosine

    own = (
        dense,
        tabm_model,
        real_mlp,
        convolutional,
        text_models,
        transformer_decoder,
        auto_models,
    )
    scales = {
        "standard": preprocessing.StandardScaler,
        "minmax": preprocessing.MinMaxScaler,
        "robust": preprocessing.RobustScaler,
        "quantile": preprocessing.QuantileTransformer,
        "smooth_clip": SmoothClipScaler,
    }
    places = {
        "augmentation": kornia.augmentation,
        "model": next(
            (place for place in own if hasattr(place, name)),
            torchvision.models,
        ),
        "loss": torch.nn,
        "optimizer": torch.optim,
        "schedule": log_cosine if hasattr(log_cosine, name) else torch.optim.lr_scheduler,
        "activation": torch.nn,
        "sampler": optuna.samplers,
        "pruner": optuna.pruners,
    }
    return scales[name] if kind == "scale" else getattr(places[kind], name)


def python_signature(thing: object) -> list[tuple[str, bool, object]]:
    """(name, required, default) of each argument but `self`, `*args` and `**kwargs`."""
    assert callable(thing)
    return [
        (p.name, p.default is p.empty, None if p.default is p.empty else p.default)
        for p in inspect.signature(thing).parameters.values()
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), [pair for pair in OFFERED if pair[0] != "metric"])
def test_the_sources_read_as_python_sees_the_classes(kind: Kind, name: str) -> None:
    read = library_signature(kind, name)
    expected = python_signature(imported(kind, name))
    told = [(a.name, a.required, a.default) for a in read.arguments]
    hidden = {a.name for a in read.arguments if a.default is Unreadable}
    settable = component_arguments.signature(kind, name).arguments
    assert not hidden & {a.name for a in settable if a.default is Unreadable}
    assert told == [(n, r, Unreadable if n in hidden else default) for n, r, default in expected]


@pytest.mark.slow
def test_every_optimizer_and_schedule_of_torch_is_offered_or_left_out_on_purpose() -> None:
    import torch

    optimizers = {
        name
        for name in dir(torch.optim)
        if isinstance(getattr(torch.optim, name), type)
        and issubclass(getattr(torch.optim, name), torch.optim.Optimizer)
    }
    assert set(names.names("optimizer")) == optimizers - {"Optimizer", "SparseAdam"}
    schedules = {
        name
        for name, thing in vars(torch.optim.lr_scheduler).items()
        if isinstance(thing, type) and issubclass(thing, torch.optim.lr_scheduler.LRScheduler)
    }
    need_code_or_others = {
        "LRScheduler",
        "_LRScheduler",
        "LambdaLR",
        "MultiplicativeLR",
        "SequentialLR",
        "ChainedScheduler",
    }
    own = {"CosLogLR"}
    assert set(names.names("schedule")) == schedules - need_code_or_others | own


@pytest.mark.slow
def test_torchvision_lists_the_same_classifiers() -> None:
    import torchvision

    own = set(names.OWN_MODELS)
    offered = set(names.names("model"))
    assert offered - own == set(torchvision.models.list_models(module=torchvision.models))
    assert own < offered


@pytest.mark.slow
@pytest.mark.parametrize("name", names.names("activation"))
def test_activations_work_elementwise_by_name_alone(name: str) -> None:
    import torch

    module = getattr(torch.nn, name)().eval()
    x = torch.linspace(-2, 2, 12).reshape(3, 4)
    assert torch.allclose(module(x).flatten(), module(x.flatten()))
    assert torch.allclose(module(x)[1], module(x[1]))


@pytest.mark.parametrize(("kind", "name"), OFFERED)
def test_what_is_offered_can_be_named_and_its_own_defaults_are_accepted(
    kind: Kind, name: str
) -> None:
    assert names.canonical(kind, name) == name
    for argument in component_arguments.signature(kind, name).arguments:
        assert argument.default is not Unreadable
        if not argument.required and not component_arguments.nested_kind(
            kind, name, argument.name
        ):
            value = argument.default
            given = problems(kind, name, **{argument.name: value})
            assert not [path for path, _ in given if path], (argument, given)


def test_reading_names_and_signatures_imports_no_library() -> None:
    script = """
import sys
from tunecli.study_file.catalogue import component_arguments, names
for kind in ("model", "optimizer", "schedule", "activation", "scale", "sampler", "pruner"):
    for name in names.names(kind):
        component_arguments.signature(kind, name)
heavy = {"torch", "torchvision", "optuna", "sklearn", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("kind", "written", "full"),
    [
        ("pruner", "Median", "MedianPruner"),
        ("sampler", "TPE", "TPESampler"),
        ("sampler", "CMA-ES", "CmaEsSampler"),
        ("sampler", "NSGA-II", "NSGAIISampler"),
        ("sampler", "NSGA-III", "NSGAIIISampler"),
        ("pruner", "Wilcoxon", None),
        ("pruner", "Nop", None),
        ("optimizer", "sgd", None),
        ("optimizer", "SparseAdam", None),
        ("optimizer", "lr_scheduler", None),
        ("schedule", "LambdaLR", None),
        ("model", "resnet18", "resnet18"),
        ("model", "fasterrcnn_resnet50_fpn", None),
        ("loss", "CrossEntropy", None),
    ],
)
def test_suffixes_may_be_left_out_and_nothing_else(
    kind: Kind, written: str, full: str | None
) -> None:
    assert names.canonical(kind, written) == full


def test_an_unknown_name_gets_a_suggestion() -> None:
    assert "Did you mean `SGD`?" in names.unknown_name("optimizer", "sgd")
    assert "`standard`, `minmax`, `robust`, `quantile` and `smooth_clip`" in names.unknown_name(
        "scale", "xyz"
    )


@pytest.mark.parametrize(
    ("kind", "name", "left_out"),
    [
        ("optimizer", "SGD", {"params", "maximize", "foreach", "differentiable", "fused"}),
        ("schedule", "StepLR", {"optimizer", "last_epoch"}),
        ("scale", "quantile", {"subsample", "copy", "random_state", "ignore_implicit_zeros"}),
        ("loss", "HuberLoss", {"reduction"}),
        ("model", "MLP", {"shape", "n_outputs", "columns"}),
        ("sampler", "RandomSampler", {"seed"}),
    ],
)
def test_what_tunecli_decides_is_not_settable(kind: Kind, name: str, left_out: set[str]) -> None:
    library = {argument.name for argument in library_signature(kind, name).arguments}
    offered = {argument.name for argument in component_arguments.signature(kind, name).arguments}
    assert library - offered == left_out
    for argument in left_out:
        message = f"{argument} of {name} cannot be set in a study file: tunecli sets it."
        assert problems(kind, name, **{argument: 1})[0] == ((argument,), message)


@pytest.mark.parametrize(
    ("kind", "name", "argument", "why"),
    [
        ("sampler", "TPESampler", "gamma", "it takes code"),
        ("sampler", "NSGAIISampler", "crossover", "it takes a Python object"),
        ("schedule", "CyclicLR", "scale_fn", "it takes code"),
    ],
)
def test_what_only_code_could_give_is_not_settable(
    kind: Kind, name: str, argument: str, why: str
) -> None:
    assert component_arguments.signature(kind, name).argument(argument) is None
    [(path, message)] = problems(kind, name, **{argument: 1})[:1]
    assert path == (argument,)
    reason = f"{why}, which a study file cannot contain."
    assert message == f"{argument} of {name} cannot be set in a study file: {reason}"


@pytest.mark.parametrize("name", ["CosineAnnealingLR", "OneCycleLR", "CyclicLR", "PolynomialLR"])
def test_what_follows_from_other_settings_may_be_left_out(name: str) -> None:
    assert problems("schedule", name) == []


@pytest.mark.parametrize("name", ["resnet18", "googlenet", "vit_b_16"])
def test_what_tunecli_sets_is_refused_behind_kwargs_too(name: str) -> None:
    message = f"num_classes of {name} cannot be set in a study file: tunecli sets it."
    assert problems("model", name, num_classes=4) == [(("num_classes",), message)]
    assert problems("model", name, norm_layer=None) == []  # who knows but torchvision


def test_what_is_filled_in_does_not_show_the_librarys_default() -> None:
    def default(name: str, argument: str) -> object:
        found = component_arguments.signature("schedule", name).argument(argument)
        assert found is not None
        return found.default

    assert default("PolynomialLR", "total_iters") is None
    assert default("LinearLR", "total_iters") == 5
    assert default("CyclicLR", "step_size_up") is None
    assert default("CyclicLR", "mode") == "triangular"


@pytest.mark.parametrize(
    ("kind", "name", "arguments", "path", "message"),
    [
        (
            "optimizer",
            "SGD",
            {"lr": "abc"},
            "lr",
            "lr must be a number, but got the string 'abc'.",
        ),
        ("optimizer", "SGD", {"lr": True}, "lr", "lr must be a number, but got true."),
        (
            "optimizer",
            "SGD",
            {"nesterov": 1},
            "nesterov",
            "nesterov must be true or false, but got the number 1.",
        ),
        (
            "optimizer",
            "Adam",
            {"betas": [0.9]},
            "betas",
            "betas must be a list of 2 values (each a number), but got the list [0.9].",
        ),
        (
            "optimizer",
            "SGD",
            {"momentun": 0.9},
            "momentun",
            "SGD has no argument `momentun`. Did you mean `momentum`?",
        ),
        (
            "model",
            "Linear",
            {"width": 3},
            "width",
            "Linear has no argument `width`. It takes no arguments.",
        ),
        (
            "model",
            "MLP",
            {"activation": "relu"},
            "activation",
            "activation must be one of ReLU, RReLU, Hardtanh, ReLU6, Sigmoid, Hardsigmoid, Tanh, "
            "SiLU, …, but got the string 'relu'. Did you mean `ReLU`?",
        ),
        (
            "model",
            "resnet18",
            {"weights": True},
            "weights",
            "weights must be a string or none, but got true.",
        ),
        ("schedule", "StepLR", {}, "", "StepLR needs step_size: a whole number."),
        (
            "schedule",
            "ReduceLROnPlateau",
            {"mode": "mix"},
            "mode",
            "mode must be min or max, but got the string 'mix'. Did you mean `min`?",
        ),
        (
            "loss",
            "CrossEntropyLoss",
            {"weight": "balance"},
            "weight",
            "weight must be balanced or a list (each a number) or none, but got the string "
            "'balance'. "
            "Did you mean `balanced`?",
        ),
        (
            "metric",
            "f1",
            {"average": "sum"},
            "average",
            "average must be macro or micro or weighted or binary, but got the string 'sum'.",
        ),
        (
            "optimizer",
            "Muon",
            {"rest": 3},
            "rest",
            "rest must be the name of an optimizer, but got the number 3.",
        ),
        ("optimizer", "Muon", {"rest": "LBFGS"}, "rest", "rest of Muon cannot be LBFGS."),
        (
            "optimizer",
            "Muon",
            {"rest": Component(name="AdamW", arguments={"lr": "x"})},
            "rest.AdamW.lr",
            "lr must be a number, but got the string 'x'.",
        ),
        (
            "pruner",
            "PatientPruner",
            {"patience": 3},
            "",
            "PatientPruner needs wrapped_pruner: a pruner.",
        ),
    ],
)
def test_mistakes_are_told_in_words(
    kind: Kind, name: str, arguments: dict[str, object], path: str, message: str
) -> None:
    found = [(".".join(place), words) for place, words in problems(kind, name, **arguments)]
    assert found == [(path, message)]


@pytest.mark.parametrize(
    ("kind", "name", "arguments"),
    [
        ("optimizer", "SGD", {"lr": 1, "momentum": 0.9, "nesterov": True}),
        ("optimizer", "Adam", {"betas": [0.9, 0.99]}),
        ("optimizer", "Muon", {"rest": Component(name="AdamW", arguments={"lr": 1e-3})}),
        ("optimizer", "Muon", {"rest": "SGD"}),
        ("model", "MLP", {"width": [64, 32]}),
        ("model", "MLP", {"width": 64}),
        ("model", "resnet18", {"weights": None, "zero_init_residual": True}),
        ("schedule", "MultiStepLR", {"milestones": [3, 6, 9]}),
        ("loss", "CrossEntropyLoss", {"weight": "balanced", "label_smoothing": 0.1}),
        ("loss", "CrossEntropyLoss", {"weight": None}),
        ("scale", "quantile", {"n_quantiles": 100, "output_distribution": "normal"}),
        ("pruner", "PatientPruner", {"wrapped_pruner": "Median", "patience": 3}),
        ("pruner", "PatientPruner", {"wrapped_pruner": None, "patience": 3}),
        ("pruner", "HyperbandPruner", {"max_resource": "auto"}),
    ],
)
def test_what_is_right_is_accepted(kind: Kind, name: str, arguments: dict[str, object]) -> None:
    assert problems(kind, name, **arguments) == []


def test_all_mistakes_of_a_component_are_told_at_once() -> None:
    found = problems("optimizer", "SGD", lr="x", momentum=None, nestrov=True, params=[])
    assert [path for path, _ in found] == [("lr",), ("momentum",), ("nestrov",), ("params",)]


def test_every_loss_has_a_task() -> None:
    assert set(names.names("loss")) == set(names.LOSS_TASKS)
