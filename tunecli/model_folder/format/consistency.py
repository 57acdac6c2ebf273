"""Check that the parts of a model folder fit together, before any of them is used.

Checksums show that files are unchanged, not that their author can be trusted: a position beyond
the columns, or a size beyond all memory, must end in a message and not in a crash.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as registration

from tunecli.data.preprocessing.fitted_blocks import FittedBlocks
from tunecli.data.preprocessing.fitted_pixels import FittedPixels
from tunecli.data.preprocessing.fitted_table import FittedTable
from tunecli.data.preprocessing.fitted_text import FittedText
from tunecli.data.preprocessing.preparation import Preprocessing
from tunecli.data.preprocessing.scaling import FittedScale
from tunecli.data.rows.dataset import positions_by_source
from tunecli.model_folder.format.manifest import Manifest, MemberManifest, ThresholdManifest
from tunecli.study_file.settings.setting_types import MOST_TOKENS
from tunecli.training.outcome.output_meaning import OutputMeaning

_FREE_WEIGHTS = 2**22
_FREE_TENSORS = 1000
_MOST_INPUTS = MOST_TOKENS + 2**20
"""Numbers of weights and tensors that a network may have in any case, whatever is in its file."""


def check_facts(facts: Manifest) -> None:
    """Check that the fields of `model.json` do not contradict each other.

    Raises:
        ValueError: two of them do; the message names them.
    """
    n_classes = len(facts.classes)
    if (facts.task == "classification") != (n_classes >= 2):
        raise ValueError(f"{n_classes} classes for {facts.task}")
    if facts.temperature is not None and not n_classes:
        raise ValueError(f"a temperature for {facts.task}")
    if facts.decision is not None:
        _check_decision(facts.decision, facts.classes)
    _check_targets(facts)
    names = [*(column.name for column in facts.columns), *facts.texts]
    if names and facts.row_shape != (len(names),):
        raise ValueError(f"rows of shape {facts.row_shape} for {len(names)} columns")
    if len({*names}) < len(names):
        raise ValueError("two columns have the same name")
    for column in facts.columns:
        if (column.kind == "categorical") != bool(column.categories):
            raise ValueError(f"{len(column.categories)} categories in a {column.kind} column")
    for source, positions in positions_by_source(facts.columns).items():
        if len({facts.columns[i].content for i in positions}) > 1:
            raise ValueError(f"column {source!r} has several kinds")
    for member in facts.members:
        if (member.trial is None) != (member.config is None):
            raise ValueError(f"trial {member.trial} and its configuration must be given together")
        number = facts.trial_of(member)
        if facts.config_of(member) != facts.configs[number]:
            raise ValueError(f"two configurations of trial {number}")
        if (facts.config_of(member).train is None) != (facts.config.train is None):
            raise ValueError("some networks of the user's own training, and others")
        _check_outputs(member, facts)
        _check_kind(member, facts)


def _check_decision(decision: ThresholdManifest, classes: Sequence[str]) -> None:
    if len(classes) != 2 or decision.positive not in classes:
        raise ValueError(f"a threshold of {decision.positive!r} for {len(classes)} classes")


def _check_targets(facts: Manifest) -> None:
    n_targets, are_labels = len(facts.targets), facts.task == "multilabel"
    if len({*facts.targets}) < n_targets or n_targets == 1 or (are_labels and not n_targets):
        raise ValueError(f"targets {facts.targets} for {facts.task}")
    if n_targets and facts.task not in ("multilabel", "regression"):
        raise ValueError(f"{n_targets} targets for {facts.task}")
    if facts.thresholds and (not are_labels or len(facts.thresholds) != n_targets):
        raise ValueError(f"{len(facts.thresholds)} thresholds for {n_targets} targets")


def _check_outputs(member: MemberManifest, facts: Manifest) -> None:
    meaning, n_outputs, n_classes = member.meaning, member.n_outputs, len(facts.classes)
    if (meaning.kind == "next_token") != (member.preprocessing == "blocks"):
        raise ValueError(f"{meaning.kind} outputs for {member.preprocessing}")
    if (meaning.kind == "labels") != (facts.task == "multilabel"):
        raise ValueError(f"{meaning.kind} outputs for {facts.task}")
    if meaning.gives_probabilities != (n_classes > 0 or meaning.kind == "labels"):
        raise ValueError(f"{meaning.kind} outputs for {n_classes} classes")
    is_one_for_two = meaning.kind == "sigmoid" and (n_outputs, n_classes) == (1, 2)
    names = facts.classes or facts.targets
    is_exact = meaning.gives_probabilities and not is_one_for_two
    if n_outputs < len(names) - is_one_for_two or (is_exact and n_outputs > len(names)):
        what = "classes" if n_classes else "targets"
        raise ValueError(f"{n_outputs} outputs for {len(names)} {what}")
    _check_scale_of_targets(meaning, len(facts.targets))


def _check_scale_of_targets(meaning: OutputMeaning, n_targets: int) -> None:
    """Check the mean of each value or rate, and the deviation of each value."""
    numbers = (meaning.mean, meaning.std) if meaning.kind == "value" else (meaning.mean,)
    for number in numbers if not meaning.gives_probabilities else ():
        if (len(number) if isinstance(number, tuple) else 0) != n_targets:
            raise ValueError(f"the mean or deviation of other than {n_targets} targets")
    if not all(map(math.isfinite, (*meaning.of_each[0], *meaning.of_each[1]))):
        raise ValueError("the mean or deviation of the target is not finite")


def _check_kind(member: MemberManifest, facts: Manifest) -> None:
    kind = {"uint8": "pixels", "int64": "integers"}.get(facts.row_dtype, "numbers")
    kind = "table" if facts.columns and kind != "integers" else kind
    kind = "text" if facts.texts else kind
    kind = "blocks" if facts.task == "language_modeling" else kind
    if member.preprocessing != kind:
        raise ValueError(f"preprocessing {member.preprocessing!r} instead of {kind}")
    is_changed = kind in ("table", "text", "blocks")
    if not is_changed and member.shape != facts.row_shape:
        raise ValueError(f"rows of shape {facts.row_shape} for inputs of shape {member.shape}")


def check_arrays(arrays: Mapping[str, Tensor]) -> None:
    """Refuse numbers that are not finite, which would make all predictions useless.

    Raises:
        ValueError: an array has one; the message names it.
    """
    for name, array in arrays.items():
        if not bool(array.isfinite().all()):
            raise ValueError(f"{name} contains numbers that are not finite")


def check_preprocessing(fitted: Preprocessing, member: MemberManifest, facts: Manifest) -> None:
    """Check fitted preprocessing against the shapes of its input and output rows.

    Raises:
        ValueError: something does not fit; the message names it.
    """
    n_channels = facts.row_shape[0]
    if isinstance(fitted, FittedBlocks):
        _check_blocks(fitted, member, facts)
    elif isinstance(fitted, FittedText):
        _check_text(fitted, member, facts)
    elif isinstance(fitted, FittedTable):
        _check_table(fitted, member.shape, facts)
    elif not isinstance(fitted, FittedPixels):
        _check_scale(fitted.scale, n_channels)
    elif len(fitted.table) != n_channels:
        raise ValueError(f"levels for {len(fitted.table)} channels instead of {n_channels}")


def _check_blocks(fitted: FittedBlocks, member: MemberManifest, facts: Manifest) -> None:
    if member.shape != (fitted.block_size,) or not 1 <= fitted.block_size <= MOST_TOKENS:
        raise ValueError(f"blocks of {fitted.block_size} tokens for inputs of {member.shape}")
    if fitted.tokens.vocab_size != member.n_outputs:
        raise ValueError(f"{member.n_outputs} outputs for {fitted.tokens.vocab_size} tokens")
    if not facts.texts or (fitted.has_prompts and len(facts.texts) != 2):
        raise ValueError(f"documents of {len(facts.texts)} columns of text")


def _check_text(fitted: FittedText, member: MemberManifest, facts: Manifest) -> None:
    tokens, n_columns = fitted.tokens, len(facts.columns)
    if (fitted.table is None) != (n_columns == 0):
        raise ValueError(f"preprocessing that does not fit {n_columns} columns besides text")
    if fitted.table is not None:
        _check_table(fitted.table, (tokens.n_features,), facts)
    if len(member.shape) != 1 or not tokens.n_features < member.shape[0] <= _MOST_INPUTS:
        raise ValueError(f"tokens for a network with inputs of shape {member.shape}")
    if not 1 <= fitted.tokenizer.max_length <= MOST_TOKENS:
        raise ValueError(f"rows of at most {fitted.tokenizer.max_length} tokens")


def _check_table(fitted: FittedTable, shape: tuple[int, ...], facts: Manifest) -> None:
    if shape != (fitted.n_features,):
        raise ValueError(
            f"{fitted.n_features} features for a network with inputs of shape {shape}"
        )
    n_columns = len(facts.columns)
    for name in ("numbers", "with_holes", "categories"):
        _check_whole(name, getattr(fitted, name), 0, n_columns)
    if fitted.fill.shape != fitted.numbers.shape:
        raise ValueError(
            f"fill of shape {tuple(fitted.fill.shape)} for {len(fitted.numbers)} numeric columns"
        )
    _check_scale(fitted.scale, len(fitted.numbers))
    start = len(fitted.numbers) + len(fitted.with_holes)
    n_codes = len(fitted.cardinalities)
    if n_codes not in (0, len(fitted.categories)):
        raise ValueError(
            f"codes for {n_codes} columns, but {len(fitted.categories)} categorical columns"
        )
    n_behind = fitted.n_features - start
    if n_behind < 0 or (n_codes and n_behind != n_codes) or (n_behind and not fitted.places):
        raise ValueError(f"{fitted.n_features} features, {start} of them numeric")
    for i, (position, places) in enumerate(zip(fitted.categories, fitted.places, strict=True)):
        n_categories = len(facts.columns[position].categories)
        if places.shape != (n_categories + 2,):
            raise ValueError(
                f"places of shape {tuple(places.shape)} for {n_categories} categories"
            )
        if n_codes:
            _check_whole(f"places.{i}", places, 0, fitted.cardinalities[i])
        else:
            _check_whole(f"places.{i}", places, -1, n_behind)


def _check_whole(name: str, values: Tensor, low: int, end: int) -> None:
    """Refuse anything but whole numbers from `low` to below `end`, (n,) int64."""
    if values.ndim != 1 or values.dtype != torch.int64:
        dtype = str(values.dtype).removeprefix("torch.")
        raise ValueError(f"{name} of shape {tuple(values.shape)} and type {dtype}")
    if len(values) and not (values.min() >= low and values.max() < end):
        raise ValueError(f"{name} has values outside of {low} to {end - 1}")


_FLOATS = (torch.float32, torch.float64)


def _check_scale(scale: FittedScale, n_columns: int) -> None:
    for name, operand in scale.steps:
        ends = {"clip": (2,), "smooth_clip": (1,)}
        wanted: Sequence[int] = ends.get(name, (n_columns,))
        if name.endswith("_rank"):
            wanted = (len(operand), n_columns)
        shape = tuple(operand.shape)
        if shape != tuple(wanted) or not operand.numel() or operand.dtype not in _FLOATS:
            raise ValueError(f"{name} of shape {shape} for {n_columns} columns")


@torch.no_grad()
def check_shapes(network: nn.Module, member: MemberManifest, is_whole: bool) -> None:
    """Pass a row through a network whose layers have taken the shapes of their weights.

    Args:
        is_whole: whether the network gets whole numbers.

    Raises:
        ValueError, RuntimeError: the layers do not fit together.
    """
    if math.prod(member.shape) <= _FREE_WEIGHTS:
        row = torch.zeros(1, *member.shape, dtype=torch.int64 if is_whole else None)
        outputs = network(row)
        if outputs.shape[-1] != member.n_outputs or len(outputs) != 1:
            raise ValueError(f"{outputs.shape[1:]} outputs instead of {member.n_outputs}")


def check_arguments(
    arguments: Mapping[str, Any], weights: Mapping[str, Tensor], growth: float = 1.0
) -> None:
    """Refuse arguments that are too large for a network of so many weights, before it is built.

    Args:
        arguments: arguments of a network of tunecli or torchvision.
        growth: see `no_larger_than`.

    Raises:
        ValueError: the sum of their whole numbers is too large.
    """
    total = sum(map(abs, _whole_numbers(arguments)))
    if total > _most_weights(weights, growth):
        n_stored = _n_stored(weights)
        raise ValueError(f"arguments that sum to {total:,} for {n_stored:,} stored weights")


def _whole_numbers(data: Any) -> Iterator[int]:
    if isinstance(data, int) and not isinstance(data, bool):
        yield data
    elif isinstance(data, Mapping):
        yield from _whole_numbers(list(data.values()))
    elif isinstance(data, list | tuple):
        for item in data:
            yield from _whole_numbers(item)


def _n_stored(weights: Mapping[str, Tensor]) -> int:
    return sum(weight.numel() for weight in weights.values())


def _most_weights(weights: Mapping[str, Tensor], growth: float) -> int:
    return int(4 * growth * _n_stored(weights)) + _FREE_WEIGHTS


@contextmanager
def no_larger_than(weights: Mapping[str, Tensor], growth: float = 1.0) -> Iterator[None]:
    """Stop building a network that is much larger than its stored weights.

    Each parameter and buffer is counted when a module registers it, before it is filled.

    Args:
        growth: the factor by which compression may have reduced the number of weights.

    Raises:
        ValueError: the network is too large; raised while it is built.
    """
    n_stored = _n_stored(weights)
    left = {
        "weights": _most_weights(weights, growth),
        "tensors": 4 * len(weights) + _FREE_TENSORS,
    }

    def count(_: nn.Module, __: str, tensor: Tensor | None) -> None:
        left["weights"] -= 0 if tensor is None else tensor.numel()
        left["tensors"] -= 1
        if min(left.values()) < 0:
            raise ValueError(f"a network far larger than its {n_stored:,} stored weights")

    hooks = (
        registration.register_module_parameter_registration_hook(count),
        registration.register_module_buffer_registration_hook(count),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
