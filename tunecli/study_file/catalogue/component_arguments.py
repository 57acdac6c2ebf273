"""The arguments of the components of a study file, and mistakes in those that are given.

Names and arguments are those of the installed torch, torchvision, scikit-learn and Optuna, so
their documentation applies. They are read from the sources without importing the libraries, and a
file is read only when it is needed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import cache

from tunecli.study_file.catalogue.allowed_code import FOR_TUNECLI
from tunecli.study_file.catalogue.intervals import Interval
from tunecli.study_file.catalogue.names import (
    LOSS_TASKS,
    OWN_MODELS,
    SCALES,
    Kind,
    canonical,
    closest_name,
    library_signature,
    names,
    unknown_name,
    with_article,
)
from tunecli.study_file.catalogue.signatures import Argument, Signature, Unreadable
from tunecli.study_file.catalogue.value_types import (
    ValueType,
    number_within,
    one_of,
    value_in_words,
    value_type,
)
from tunecli.study_file.settings.code_names import is_code, short_name
from tunecli.study_file.settings.metric_names import METRICS, MetricNumber
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.text.suggestions import closest, did_you_mean, listed

__all__ = [
    "LOSS_TASKS",
    "WITHDRAWN",
    "Kind",
    "argument_problems",
    "argument_type",
    "canonical",
    "closest_argument",
    "closest_name",
    "names",
    "nested_kind",
    "signature",
    "unknown_argument",
    "unknown_name",
    "with_article",
]

ArgumentProblem = tuple[tuple[str, ...], str]
"""A path below the component, such as ("lr",) or ("rest", "AdamW", "lr"), and the message."""

_COMMON_UNSETTABLE = {"params", "maximize", "foreach", "fused", "capturable", "differentiable"}
_COMMON_UNSETTABLE |= {"reduction", "size_average", "reduce", "last_epoch", "optimizer"}
_COMMON_UNSETTABLE |= {"device", "dtype", "inplace"}
_UNSETTABLE: dict[Kind, set[str]] = {
    "model": {"shape", "n_outputs", "columns", "num_classes", "progress"},
    "augmentation": {"same_on_batch", "keepdim", "data_keys"},
    # No target is ignored, and predictions are the rate.
    "loss": {"ignore_index", "log_input"},
    "sampler": {
        "seed",
        "search_space",
        "x0",
        "source_trials",
        "warn_independent_sampling",
        "warn_asynchronous_seeding",
    },
}

_DEPRECATED = "Optuna has deprecated it and will remove it. Leave it out."
WITHDRAWN: dict[str, dict[str, str]] = {
    "TPESampler": {
        "consider_prior": _DEPRECATED,
        "prior_weight": _DEPRECATED,
        "consider_magic_clip": _DEPRECATED,
        "consider_endpoints": _DEPRECATED,
    },
    "CmaEsSampler": {
        "sigma0": f"{_DEPRECATED} CMA-ES then starts with a sixth of each range.",
        "restart_strategy": "it has no effect: Optuna no longer restarts CMA-ES. Leave it out.",
        "inc_popsize": "it has no effect: Optuna no longer restarts CMA-ES. Write popsize, "
        "or leave both out.",
    },
}
"""Arguments, by sampler, that the library still accepts but has deprecated, and what to do."""

_FILLED_IN: dict[tuple[Kind, str], set[str]] = {
    ("augmentation", "RandomCrop"): {"size"},
    ("augmentation", "RandomResizedCrop"): {"size"},
    ("schedule", "CosineAnnealingLR"): {"T_max"},
    ("schedule", "PolynomialLR"): {"total_iters"},
    ("schedule", "ReduceLROnPlateau"): {"mode"},
    ("schedule", "CyclicLR"): {"base_lr", "max_lr", "step_size_up", "cycle_momentum"},
    ("schedule", "OneCycleLR"): {"max_lr", "total_steps", "cycle_momentum"},
}
"""Arguments that tunecli derives from the data or other settings unless the file gives them."""

_WEIGHT = Argument("weight", "Literal['balanced'] | list[float] | None", required=False)
_OUTPUT_DISTRIBUTION = Argument(
    "output_distribution", "Literal['normal', 'uniform']", required=False, default="normal"
)
_REPLACED: dict[tuple[Kind, str], tuple[Argument, ...]] = {
    ("loss", "CrossEntropyLoss"): (_WEIGHT,),
    ("loss", "NLLLoss"): (_WEIGHT,),
    ("loss", "BCEWithLogitsLoss"): (_WEIGHT,),
    ("optimizer", "Muon"): (Argument("rest", "Component", required=False, default="AdamW"),),
    ("scale", "quantile"): (_OUTPUT_DISTRIBUTION,),
}
"""Arguments that tunecli has instead of the library's, or in addition."""

_OF_TORCHVISION = (
    Argument("weights", "str | None", required=False),
    *FOR_TUNECLI["model"],
    Argument("checkpoint_activations", "bool", required=False, default=False),
)
"""Arguments of every torchvision model; see `training/models/torchvision_models.py`."""

# Words that the constructors document but annotate as `str`.
_WORDS: dict[tuple[str, str], tuple[object, ...]] = {
    ("LBFGS", "line_search_fn"): ("strong_wolfe", None),
    ("Muon", "adjust_lr_fn"): ("original", "match_rms_adamw", None),
    ("QMCSampler", "qmc_type"): ("sobol", "halton"),
}

_NESTED: dict[tuple[str, str], Kind] = {
    ("Muon", "rest"): "optimizer",
    ("PatientPruner", "wrapped_pruner"): "pruner",
}
_NOT_NESTED = {"Muon": ("Muon", "LBFGS"), "PatientPruner": ("PatientPruner",)}


def nested_kind(kind: Kind, name: str, argument: str) -> Kind | None:
    """Return the kind of component that an argument holds: Muon's `rest` is an optimizer."""
    nested = _NESTED.get((name, argument))
    return nested if nested is not None and kind == nested else None


@cache
def signature(kind: Kind, name: str) -> Signature:
    """Return the arguments of a component that a study file can set.

    Args:
        kind: the kind of component.
        name: its name in full, as `canonical` returns it.

    Returns:
        The library's arguments and defaults in its order, without those that tunecli sets or that
        only code can provide; those that tunecli fills in are not required.
    """
    if is_code(name):  # its arguments are read by `AllowedCode`, which knows its file
        return Signature(short_name(name), (), open=True)
    if kind == "scale" and not SCALES[name][1]:  # the default scale: avoids parsing a long file
        return Signature(name, ())
    full = library_signature(kind, name)
    replaced = _replaced(kind, name)
    settable = [
        _left_open(argument)
        if argument.name in _FILLED_IN.get((kind, name), ()) or argument.default is Unreadable
        else argument
        for argument in full.arguments
        if _settable(kind, name, argument) and argument.name not in {r.name for r in replaced}
    ]
    return Signature(name, (*settable, *replaced), full.open)


def _replaced(kind: Kind, name: str) -> tuple[Argument, ...]:
    if kind == "model":
        return () if name in OWN_MODELS else _OF_TORCHVISION
    return _REPLACED.get((kind, name), ())


@cache
def argument_type(kind: Kind, name: str, argument: Argument) -> ValueType:
    """Return the type of an argument; nested components are checked separately."""
    if kind == "metric":
        known = METRICS[name].arguments[argument.name]
        if not isinstance(known, MetricNumber):
            return one_of(known)
        return number_within(Interval.of(known.within), whole=isinstance(known.default, int))
    if kind == "model" and argument.name == "activation":
        return one_of(names("activation"))
    words = _WORDS.get((name, argument.name))
    return one_of(words) if words else value_type(argument.annotation, argument.default)


def argument_problems(
    kind: Kind, component: Component, broken: Collection[str] = ()
) -> list[ArgumentProblem]:
    """Return everything wrong with a component's arguments, with ranges replaced by values.

    Args:
        kind: the kind of component.
        component: has its name in full, as `canonical` returns it; a nested component is a
            `Component`, or its name as a string.
        broken: arguments that are given, but have no value because their range is wrong.
    """
    known = signature(kind, component.name)
    problems: list[ArgumentProblem] = []
    for name, value in component.arguments.items():
        argument = known.argument(name)
        unknown = unknown_argument(kind, component.name, name)
        if argument is not None:
            problems += _value_problems(kind, component.name, argument, value)
        elif unknown is not None:
            problems.append(((name,), unknown))
    problems += [
        ((), f"{component.name} needs {argument.name}: {_expected(kind, known, argument)}.")
        for argument in known.arguments
        if argument.required and argument.name not in (*component.arguments, *broken)
    ]
    return problems


def _value_problems(
    kind: Kind, name: str, argument: Argument, value: object
) -> list[ArgumentProblem]:
    nested = nested_kind(kind, name, argument.name)
    if nested is not None:
        return _nested_problems(nested, name, argument, value)
    accepted = argument_type(kind, name, argument)
    if accepted.accepts(value) or (value is None and _none_is_default(argument)):
        return []
    words, got = accepted.words, value_in_words(value)
    hint = did_you_mean(value, _options(accepted)) if isinstance(value, str) else ""
    return [((argument.name,), f"{argument.name} must be {words}, but got {got}.{hint}")]


def _options(accepted: ValueType) -> list[str]:
    """Return the strings that the type allows, if it is a choice between strings."""
    members = [accepted.schema, *accepted.schema.get("anyOf", ())]
    return [word for m in members for word in m.get("enum", ()) if isinstance(word, str)]


def _nested_problems(
    kind: Kind, outer: str, argument: Argument, value: object
) -> list[ArgumentProblem]:
    if value is None and _takes_none(argument):
        return []
    component = Component(name=value) if isinstance(value, str) else value
    if not isinstance(component, Component):
        what = f"the name of {with_article(kind)}"
        message = f"{argument.name} must be {what}, but got {value_in_words(value)}."
        return [((argument.name,), message)]
    known = canonical(kind, component.name)
    if known is None:
        return [((argument.name,), unknown_name(kind, component.name))]
    problems = argument_problems(kind, component.model_copy(update={"name": known}))
    inner = [((argument.name, component.name, *path), message) for path, message in problems]
    if known in _NOT_NESTED[outer]:
        inner.append(((argument.name,), f"{argument.name} of {outer} cannot be {known}."))
    return inner


def unknown_argument(kind: Kind, component: str, name: str) -> str | None:
    """Return the message for an argument that a component does not take; None if it takes it."""
    known = signature(kind, component)
    if known.argument(name) is not None or is_code(component):
        return None
    if name in _unsettable_names(kind, known.name):
        return (
            f"{name} of {known.name} cannot be set in a study file: {_why_not(kind, known, name)}"
        )
    if known.open:
        return None
    taken = [argument.name for argument in known.arguments]
    others = f" It takes {listed(taken)}." if taken else " It takes no arguments."
    return f"{known.name} has no argument `{name}`.{did_you_mean(name, taken) or others}"


def closest_argument(kind: Kind, component: str, name: str) -> str | None:
    """Return the argument that an unknown one probably means; None if none is similar."""
    return closest(name, [argument.name for argument in signature(kind, component).arguments])


def _why_not(kind: Kind, known: Signature, name: str) -> str:
    """Return why an argument of the library cannot be set, and what to set instead."""
    argument = library_signature(kind, known.name).argument(name)
    if name in WITHDRAWN.get(known.name, ()):
        return WITHDRAWN[known.name][name]
    if argument is None or _is_tunecli_s(kind, known.name, name):
        return "tunecli sets it."
    holds = "a tensor" if "Tensor" in argument.annotation else "a Python object"
    holds = "code" if "Callable" in argument.annotation else holds
    way_out = " Write weight: balanced." if name == "pos_weight" else ""
    return f"it takes {holds}, which a study file cannot contain.{way_out}"


def _expected(kind: Kind, known: Signature, argument: Argument) -> str:
    nested = nested_kind(kind, known.name, argument.name)
    return with_article(nested) if nested else argument_type(kind, known.name, argument).words


def _none_is_default(argument: Argument) -> bool:
    return not argument.required and argument.default is None


def _takes_none(argument: Argument) -> bool:
    return "None" in argument.annotation or _none_is_default(argument)


def _left_open(argument: Argument) -> Argument:
    """Return the argument without the library's default, which a study does not use."""
    return replace(argument, required=False, default=None)


def _settable(kind: Kind, name: str, argument: Argument) -> bool:
    if _is_tunecli_s(kind, name, argument.name) or argument.name in WITHDRAWN.get(name, ()):
        return False
    if nested_kind(kind, name, argument.name):
        return True
    return argument_type(kind, name, argument).settable


def _is_tunecli_s(kind: Kind, name: str, argument: str) -> bool:
    """Return whether tunecli sets an argument itself."""
    if kind == "scale" and argument not in SCALES[name][1]:
        return True
    return argument in _COMMON_UNSETTABLE | _UNSETTABLE.get(kind, set())


@cache
def _unsettable_names(kind: Kind, name: str) -> frozenset[str]:
    """Return the library's arguments that a study file cannot set, including `**kwargs`."""
    settable = {argument.name for argument in signature(kind, name).arguments}
    library = library_signature(kind, name)
    hidden = _COMMON_UNSETTABLE | _UNSETTABLE.get(kind, set()) if library.open else set()
    return frozenset({argument.name for argument in library.arguments} | hidden) - settable
