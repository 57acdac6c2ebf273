"""The arguments of the components of a study file, and mistakes in those that are given.

Names and arguments are those of the installed torch, torchvision, scikit-learn and Optuna, so
their documentation applies. They are read from the sources without importing the libraries, and a
file is read only when it is needed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cache

from tunecli.study_file.catalogue import names
from tunecli.study_file.catalogue.adapters import ADAPTERS
from tunecli.study_file.catalogue.allowed_code import FOR_TUNECLI
from tunecli.study_file.catalogue.architectures import (
    AUTO_MODELS,
    NOT_INSTALLED,
    open_arguments,
    refused_arguments,
    transformers_is_installed,
    unknown_architecture,
)
from tunecli.study_file.catalogue.names import SCALES, Kind
from tunecli.study_file.catalogue.signatures import Argument, Signature, Unreadable
from tunecli.study_file.catalogue.value_types import (
    Interval,
    ValueType,
    number_within,
    one_of,
    value_in_words,
    value_type,
)
from tunecli.study_file.settings.code_names import is_code, short_name
from tunecli.study_file.settings.metric_names import METRICS, MetricNumber
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.text.suggestions import closest, did_you_mean

ArgumentProblem = tuple[tuple[str, ...], str]
"""A path below the component, such as ("lr",) or ("rest", "AdamW", "lr"), and the message."""

_COMMON_UNSETTABLE = {"params", "maximize", "foreach", "fused", "capturable", "differentiable"}
_COMMON_UNSETTABLE |= {"reduction", "size_average", "reduce", "last_epoch", "optimizer"}
_COMMON_UNSETTABLE |= {"device", "dtype", "inplace"}
_UNSETTABLE: dict[Kind, set[str]] = {
    "model": {"shape", "n_outputs", "columns", "num_classes", "progress"},
    "adapter": {"task_type", "peft_type", "inference_mode", "base_model_name_or_path", "revision"},
    "augmentation": {"same_on_batch", "keepdim", "data_keys"},
    "tokenizer": {"texts"},
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
    "TPESampler": dict.fromkeys(
        ("consider_prior", "prior_weight", "consider_magic_clip", "consider_endpoints"),
        _DEPRECATED,
    ),
    "CmaEsSampler": {
        "sigma0": f"{_DEPRECATED} CMA-ES then starts with a step size of a sixth of each range.",
        "restart_strategy": "it has no effect: Optuna no longer restarts CMA-ES. Leave it out.",
        "inc_popsize": "it has no effect: Optuna no longer restarts CMA-ES. Write popsize "
        "instead, or neither.",
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
    ("schedule", "CosLogLR"): {"total_steps"},
    ("schedule", "OneCycleLR"): {"max_lr", "total_steps", "cycle_momentum"},
}
"""Arguments that tunecli derives from the data or other settings unless the file gives them."""

_WEIGHT = Argument("weight", "Literal['balanced'] | list[float] | None", required=False)
_POS_WEIGHT = replace(_WEIGHT, name="pos_weight")
_OF_TARGETS = replace(_WEIGHT, annotation="list[float] | None")
_VIRTUAL_TOKENS = Argument("num_virtual_tokens", "int")
_INIT_LORA = Argument(
    "init_lora_weights", "bool | Literal['gaussian', 'orthogonal']", required=False, default=True
)
"""Without the ways that change the weights of the base, or need data."""
_OUTPUT_DISTRIBUTION = Argument(
    "output_distribution", "Literal['normal', 'uniform']", required=False, default="normal"
)
_WARMUP = Argument("warmup", "float", required=False, default=0.0)
"""The share of a trial before which a pruner stops none: `search/prune/warmup_share.py`."""
_REPLACED: dict[tuple[Kind, str], tuple[Argument, ...]] = {
    ("loss", "CrossEntropyLoss"): (_WEIGHT,),
    ("loss", "NLLLoss"): (_WEIGHT,),
    ("loss", "BCEWithLogitsLoss"): (_WEIGHT, _POS_WEIGHT),
    **{
        ("loss", name): (_OF_TARGETS,)
        for name, tasks in names.LOSS_TASKS.items()
        if tasks == ("regression",)
    },
    ("optimizer", "Muon"): (Argument("rest", "Component", required=False, default="AdamW"),),
    ("pruner", "MedianPruner"): (_WARMUP,),
    ("pruner", "PercentilePruner"): (_WARMUP,),
    ("scale", "quantile"): (_OUTPUT_DISTRIBUTION,),
    ("adapter", "LoraConfig"): (_INIT_LORA,),
    ("adapter", "PromptTuningConfig"): (_VIRTUAL_TOKENS,),
    ("adapter", "PrefixTuningConfig"): (_VIRTUAL_TOKENS,),
    ("adapter", "PromptEncoderConfig"): (_VIRTUAL_TOKENS,),
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
    ("PromptTuningConfig", "prompt_tuning_init"): ("RANDOM", "SAMPLE_VOCAB"),
    ("PromptEncoderConfig", "encoder_reparameterization_type"): ("MLP", "LSTM"),
}

_NESTED: dict[tuple[Kind, str, str], Kind] = {
    ("optimizer", "Muon", "rest"): "optimizer",
    ("pruner", "PatientPruner", "wrapped_pruner"): "pruner",
    **{("model", name, "adapter"): "adapter" for name in AUTO_MODELS},
}
_NOT_NESTED = {"Muon": ("Muon", "LBFGS"), "PatientPruner": ("PatientPruner",)}


def nested_kind(kind: Kind, name: str, argument: str) -> Kind | None:
    """Return the kind of component that an argument holds: Muon's `rest` is an optimizer."""
    return _NESTED.get((kind, name, argument))


def can_be_none(kind: Kind, name: str, argument: str) -> bool:
    """Return whether an argument can be none, which is what leaving it out means."""
    known = signature(kind, name).argument(argument)
    return known is not None and known.is_none_by_default


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
    if kind == "adapter" and not transformers_is_installed():
        return Signature(name, (), open=True)
    full = names.library_signature(kind, name)
    replaced = _replaced(kind, name)
    left_open = _FILLED_IN.get((kind, name), ())
    settable = [
        replace(argument, required=False, default=None)  # a study does not use the default
        if argument.name in left_open or argument.default is Unreadable
        else argument
        for argument in full.arguments
        if argument.name not in {r.name for r in replaced} and not _why_not(kind, name, argument)
    ]
    return Signature(name, (*settable, *replaced), full.open)


def signature_with(kind: Kind, name: str, given: Mapping[str, object]) -> Signature:
    """Return `signature` with the arguments that others among those given add.

    `config: gpt2` adds the arguments of that architecture. Until it is known, all are accepted.
    """
    known = signature(kind, name)
    if name not in AUTO_MODELS:
        return known
    further = open_arguments(name, given) if transformers_is_installed() else None
    added = () if further is None else further.arguments
    new = tuple(argument for argument in added if known.argument(argument.name) is None)
    return Signature(name, (*known.arguments, *new), open=further is None)


def _replaced(kind: Kind, name: str) -> tuple[Argument, ...]:
    if kind == "model":
        return () if name in names.OWN_MODELS else _OF_TORCHVISION
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
        return one_of(names.names("activation"))
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
    known = signature_with(kind, component.name, component.arguments)
    problems = _of_transformers(component, broken) if component.name in AUTO_MODELS else []
    for name, value in component.arguments.items():
        argument = known.argument(name)
        if argument is not None:
            problems += _value_problems(kind, component.name, argument, value)
        elif unknown := unknown_argument(kind, component.name, name, component.arguments):
            problems.append(((name,), unknown))
    for argument in known.missing({*component.arguments, *broken}):
        nested = nested_kind(kind, known.name, argument.name)
        expected = argument_type(kind, known.name, argument).words
        expected = names.with_article(nested) if nested else expected
        problems.append(((), f"{component.name} needs {argument.name}: {expected}."))
    return problems


def _of_transformers(component: Component, broken: Collection[str]) -> list[ArgumentProblem]:
    """Return what is wrong with the source of a model of transformers."""
    if not transformers_is_installed():
        return [((), f"{component.name} {NOT_INSTALLED}")]
    given = {name for name, value in component.arguments.items() if value is not None}
    sources = {"pretrained", "config"} & (given | {*broken})
    if len(sources) != 1:
        got = "both" if sources else "neither"
        rule = (
            "needs either pretrained (a folder, or a name of the hub) or config (an architecture)"
        )
        return [((), f"{component.name} {rule}, but got {got}.")]
    config = component.arguments.get("config")
    unknown = unknown_architecture(component.name, config) if config is not None else None
    return [(("config",), unknown)] if unknown else []


def _value_problems(
    kind: Kind, name: str, argument: Argument, value: object
) -> list[ArgumentProblem]:
    nested = nested_kind(kind, name, argument.name)
    if nested is not None:
        return _nested_problems(nested, name, argument, value)
    accepted = argument_type(kind, name, argument)
    if accepted.accepts(value) or (value is None and argument.is_none_by_default):
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
    if value is None and (argument.is_none_by_default or "None" in argument.annotation):
        return []
    component = Component(name=value) if isinstance(value, str) else value
    if not isinstance(component, Component):
        what = f"the name of {names.with_article(kind)}"
        message = f"{argument.name} must be {what}, but got {value_in_words(value)}."
        return [((argument.name,), message)]
    known = names.canonical(kind, component.name)
    if known is None:
        return [((argument.name,), names.unknown_name(kind, component.name))]
    problems = argument_problems(kind, component.model_copy(update={"name": known}))
    inner = [
        ((argument.name, component.name, *path) if path else (argument.name,), message)
        for path, message in problems
    ]
    if known in _NOT_NESTED.get(outer, ()):
        inner.append(((argument.name,), f"{argument.name} of {outer} cannot be {known}."))
    return inner


def unknown_argument(
    kind: Kind, component: str, name: str, given: Mapping[str, object]
) -> str | None:
    """Return the message for an argument that a component does not take; None if it takes it.

    Args:
        given: all arguments as they are written.
    """
    known = signature_with(kind, component, given)
    if is_code(component) or known.argument(name) is not None:
        return None
    library = names.library_signature(kind, known.name)
    argument = library.argument(name)
    if library.open and (name in _set(kind) or name in refused_arguments(component)):
        argument = argument or Argument(name)
    if argument and (why := _why_not(kind, known.name, argument)):
        return f"{name} of {known.name} cannot be set in a study file: {why}"
    return known.unknown(name)


def closest_argument(
    kind: Kind, component: str, name: str, given: Mapping[str, object]
) -> str | None:
    """Return the argument that an unknown one probably means; None if none is similar."""
    known = signature_with(kind, component, given)
    return closest(name, [argument.name for argument in known.arguments])


def _why_not(kind: Kind, name: str, argument: Argument) -> str | None:
    """Return why an argument of the library cannot be set, and what to set instead, if so."""
    if argument.name in WITHDRAWN.get(name, ()):
        return WITHDRAWN[name][argument.name]
    if why := refused_arguments(name).get(argument.name):
        return why
    if argument.name in _set(kind) or (kind == "scale" and argument.name not in SCALES[name][1]):
        return "tunecli sets it."
    if kind == "adapter" and argument.name not in ADAPTERS[name][1]:
        return "tunecli does not support it. Leave it out."
    if nested_kind(kind, name, argument.name) or argument_type(kind, name, argument).settable:
        return None
    holds = "a tensor" if "Tensor" in argument.annotation else "a Python object"
    holds = "code" if "Callable" in argument.annotation else holds
    return f"it takes {holds}, which a study file cannot contain."


def _set(kind: Kind) -> set[str]:
    """Return the arguments that tunecli sets itself."""
    return _COMMON_UNSETTABLE | _UNSETTABLE.get(kind, set())
