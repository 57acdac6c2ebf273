"""Rules between settings that are each valid by themselves.

A rule checks one configuration without ranges. To check a study file, the rules are applied to the
ends of its ranges and to every pair of its choices, so that no trial is spent on a combination
that cannot train.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from tunecli.study_file.catalogue.bounds import BOUNDS, out_of_bounds
from tunecli.study_file.catalogue.names import LOSS_TASKS, TEXT_MODELS
from tunecli.study_file.catalogue.parametrizations import mup_conflicts
from tunecli.study_file.catalogue.value_types import is_number
from tunecli.study_file.read.defaults import EPOCHS, EVALUATIONS_OVER_STEPS, LOSSES
from tunecli.study_file.read.text_rules import (
    TEXT_RULES,
    Rule,
    given_or_default,
    token_loss_conflicts,
)
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.fold_stages import FEWEST, too_few_folds, why_not
from tunecli.study_file.settings.setting_types import NotWithLBFGS, mark
from tunecli.study_file.settings.settings import (
    Component,
    Task,
    TrainingSettings,
    TrialConfig,
)
from tunecli.study_file.settings.source_kinds import kind_of
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.document import Path
from tunecli.study_file.text.problems import Conflict

_OPTIMIZER: Path = ("optimizer",)
_BATCH_SIZE: Path = ("training", "batch_size")
_MOST_EVALUATIONS = 10_000
_WITHOUT_MATRICES = {
    **dict.fromkeys(("Linear", "CNN", "TextCNN", "EmbeddingBag"), "has none"),
    "TabM": "has many versions of each",
}
"""Models that Muon cannot train, and why."""


def conflicts(config: TrialConfig) -> list[Conflict]:
    """Return all conflicts of a configuration, which keep it from being trained."""
    return [conflict for rule in (*_RULES, *TEXT_RULES) for conflict in rule(config)]


def _lbfgs(config: TrialConfig) -> Iterator[Conflict]:
    """Yield settings that change the loss between the evaluations of one LBFGS step."""
    training = config.training
    if config.optimizer.name != "LBFGS":
        return
    if training.batch_size != "full":
        yield Conflict(
            _BATCH_SIZE,
            f"LBFGS needs batch_size: full, but got {training.batch_size}. To search over both, "
            "let a variant set optimizer and batch_size together.",
            (_OPTIMIZER,),
        )
    for name, field in TrainingSettings.model_fields.items():
        unwanted, value = mark(field, NotWithLBFGS), getattr(training, name)
        if unwanted and value not in (field.default, *unwanted.except_for):
            message = (
                f"LBFGS cannot be combined with {name}: {value}. Leave it out, or use another "
                "optimizer."
            )
            yield Conflict(("training", name), message, (_OPTIMIZER,))
    if config.data.augment:
        message = "LBFGS cannot be combined with augment. Leave it out, or use another optimizer."
        yield Conflict(("data", "augment"), message, (_OPTIMIZER,))
    for name in ("dropout", "embed_dropout"):
        if (dropout := _number(config.model, name)) > 0:
            message = f"LBFGS needs a model without dropout, but got {dropout:g}. Write {name}: 0."
            yield Conflict(("model", name), message, (_OPTIMIZER,))


def _pictures_only(config: TrialConfig) -> Iterator[Conflict]:
    """Yield picture settings of a table; for other sources, the shape of a row decides later."""
    if kind_of(config.data.source) != "table":
        return
    wrong: dict[Path, bool] = {
        ("data", "augment"): bool(config.data.augment),
        ("training", "cutmix"): config.training.cutmix > 0,
    }
    for path in (path for path, is_set in wrong.items() if is_set):
        message = f"applies only to pictures, but {config.data.source!r} is a table. Remove it."
        yield Conflict(path, message)


def _muon(config: TrialConfig) -> Iterator[Conflict]:
    model = config.model.name
    if config.optimizer.name == "Muon" and model in _WITHOUT_MATRICES:
        other = "TransformerEncoder" if model in TEXT_MODELS else "MLP"
        message = (
            f"Muon trains the matrices of hidden linear layers, but {model} "
            f"{_WITHOUT_MATRICES[model]}. Use {other}, or another optimizer."
        )
        yield Conflict(_OPTIMIZER, message, (("model",),))


def _nesterov(config: TrialConfig) -> Iterator[Conflict]:
    for path, optimizer in _with_nested(_OPTIMIZER, config.optimizer):
        if optimizer.name != "SGD" or optimizer.arguments.get("nesterov") is not True:
            continue
        involved: tuple[Path, ...] = ((*path, "momentum"), (*path, "dampening"))
        if _number(optimizer, "momentum") == 0:
            message = "nesterov requires a momentum above 0, but got 0. Raise momentum."
            yield Conflict((*path, "nesterov"), message, involved)
        if _number(optimizer, "dampening") != 0:
            message = "nesterov requires dampening: 0. Leave dampening out."
            yield Conflict((*path, "nesterov"), message, involved)


def _with_nested(path: Path, component: Component) -> Iterator[tuple[Path, Component]]:
    """Yield a component and its nested components, each with the path of its arguments."""
    yield path, component
    for name, value in component.arguments.items():
        if isinstance(value, Component):
            yield from _with_nested((*path, name, value.name), value)


def _accumulation(config: TrialConfig) -> Iterator[Conflict]:
    training = config.training
    if training.accumulate > 1 and training.batch_size == "full":
        message = (
            f"accumulate has no effect with batch_size: full, but got {training.accumulate}. "
            "Leave accumulate out, or give batch_size a number."
        )
        yield Conflict(("training", "accumulate"), message, (_BATCH_SIZE,))


def _budget(config: TrialConfig) -> Iterator[Conflict]:
    training = config.training
    both: tuple[Path, ...] = (("training", "epochs"), ("training", "steps"))
    if training.epochs is not None and training.steps is not None:
        message = (
            f"only one of epochs and steps is allowed, but got {training.epochs} epochs and "
            f"{training.steps} steps. Remove one of them."
        )
        yield Conflict(("training", "steps"), message, both)
    if training.epochs is None and training.steps is None and config.train is None:
        yield Conflict(
            ("training", "epochs"), "epochs or steps is required, but got neither.", both
        )


def _evaluations(config: TrialConfig) -> Iterator[Conflict]:
    training, path = config.training, ("training", "eval_every")
    every = training.eval_every
    if every is None:
        return
    if training.steps is not None and not isinstance(every, int):
        message = f"with steps, eval_every must be a whole number of steps, but got {every:g}."
        yield Conflict(path, message, (("training", "steps"),))
    length, unit = (training.steps, "steps") if training.steps else (training.epochs, "epochs")
    if length is not None and every > length:
        message = f"no evaluation would happen: eval_every is {every:g}, but there are {length} "
        yield Conflict(path, f"{message}{unit}. Lower eval_every.", (("training", unit),))


def _evaluation_count(config: TrialConfig) -> Iterator[Conflict]:
    """Limit evaluations: each one is a row per fold in the database, and work for the driver."""
    training = config.training
    unit, length = ("steps", training.steps) if training.steps else ("epochs", training.epochs)
    every = training.eval_every or (1 if unit == "epochs" else None)
    if length is None or every is None or length / every <= _MOST_EVALUATIONS:
        return
    least = length / _MOST_EVALUATIONS
    message = (
        f"a trial has at most {_MOST_EVALUATIONS:,} evaluations, but {length:,} {unit} with "
        f"eval_every {every:g} would have {length / every:,.0f}. "
        f"Write eval_every: {math.ceil(least) if least > 1 else f'{least:g}'} or more."
    )
    both: tuple[Path, Path] = (("training", "eval_every"), ("training", unit))
    path, other = both if training.eval_every else both[::-1]
    yield Conflict(path, message, (other,))


def _smooth_score(config: TrialConfig) -> Iterator[Conflict]:
    """Yield a window that has more evaluations than a trial, or delays improvements too much."""
    training = config.training
    if training.smooth_score == 1 or config.train is not None:
        return
    path: Path = ("training", "smooth_score")
    n_evaluations, unit = _planned_evaluations(training)
    if training.smooth_score >= n_evaluations + 1:
        message = (
            f"must be at most the number of evaluations, {math.ceil(n_evaluations)}, but got "
            f"{training.smooth_score}. Lower smooth_score or eval_every."
        )
        yield Conflict(path, message, (("training", "eval_every"), ("training", unit)))
    stopping = training.early_stopping
    if stopping is None or stopping.monitor != "score":
        return
    delay = _delay(training.smooth_score)
    if stopping.patience <= delay:
        message = (
            f"patience must be above {delay}, but got {stopping.patience}: with smooth_score "
            f"{training.smooth_score}, an improvement shows {count(delay, 'evaluation')} "
            "later. Raise patience."
        )
        yield Conflict(("training", "early_stopping", "patience"), message, (path,))


def _planned_evaluations(training: TrainingSettings) -> tuple[float, str]:
    """Return how many evaluations a trial has, not rounded up, and the setting of its length."""
    if training.steps is not None:
        every = training.eval_every or math.ceil(training.steps / EVALUATIONS_OVER_STEPS)
        return training.steps / every, "steps"
    return (training.epochs or EPOCHS) / (training.eval_every or 1) - 1e-9, "epochs"


def _delay(smooth: int) -> int:
    """Return after how many evaluations a lasting improvement is the median of those so far."""
    return (smooth // 2 + 1) // 2


def _racing(config: TrialConfig) -> Iterator[Conflict]:
    """Refuse racing where folds cannot join in later; `auto` is then off."""
    ways = config.validation
    if ways.racing != "on":
        return
    path: Path = ("validation", "racing")
    if reason := why_not(config):
        yield Conflict(path, f"{reason}. Remove racing, or write racing: auto.")
    n_folds = ways.folds * ways.repeats if ways.folds else 1
    is_known = ways.column is None and not ways.is_open
    if is_known and n_folds < FEWEST:
        yield Conflict(path, too_few_folds(n_folds))


def _precision(config: TrialConfig) -> Iterator[Conflict]:
    training = config.training
    if training.dtype in ("tf32", "fp16") and training.device in ("cpu", "mps"):
        message = (
            f"{training.dtype} needs CUDA, but device is {training.device}. "
            "Write dtype: fp32 or bf16, or device: cuda."
        )
        yield Conflict(("training", "dtype"), message, (("training", "device"),))


def _cyclic_schedules(config: TrialConfig) -> Iterator[Conflict]:
    schedule = config.schedule
    if schedule is None or schedule.name not in ("OneCycleLR", "CyclicLR"):
        return
    without = ("Adagrad", "Adadelta", "Adafactor", "ASGD", "LBFGS", "Muon", "Rprop")
    if schedule.arguments.get("cycle_momentum") is True and config.optimizer.name in without:
        message = f"{config.optimizer.name} has no momentum to cycle. Write cycle_momentum: false."
        yield Conflict(("schedule", "cycle_momentum"), message, (_OPTIMIZER,))
    base = schedule.arguments.get("base_lr")
    top = schedule.arguments.get("max_lr", config.optimizer.arguments.get("lr"))
    if is_number(base) and is_number(top) and base >= top:
        message = (
            f"base_lr must be below the highest rate, {top:g} (max_lr or the optimizer's lr), "
            f"but got {base:g}."
        )
        yield Conflict(("schedule", "base_lr"), message, (("optimizer", "lr"),))


def _batch_norm(config: TrialConfig) -> Iterator[Conflict]:
    """Refuse one row per batch for an MLP; pictures have many values per channel for the norm."""
    training = config.training
    single = "micro_batch" if training.micro_batch == 1 else "batch_size"
    if getattr(training, single) != 1 or config.model.name != "MLP":
        return
    if given_or_default("model", config.model, "batch_norm") is True:
        message = f"batch_norm needs at least 2 rows per batch, but {single} is 1. Raise it."
        yield Conflict(("training", single), message, (("model", "batch_norm"),))


def _argument_values(config: TrialConfig) -> Iterator[Conflict]:
    """Yield arguments that a constructor would refuse, or that would fail in training."""
    for section in BOUNDS:
        of_data = section in ("tokenizer", "scale")
        place = ("data", section) if of_data else (section,)
        parts = config.data if of_data else config
        component: Component | None = getattr(parts, section)
        if component is None:
            continue
        for path, part in _with_nested(place, component):
            if is_code(part.name):
                continue  # its arguments may mean anything
            for below, message in out_of_bounds(section, part):
                yield Conflict((*path, *below), message)
            for argument in ("width", "kernel_sizes") if section == "model" else ():
                if part.arguments.get(argument) == []:
                    message = f"{argument} must have at least one entry, but got []."
                    yield Conflict((*path, argument), message)


def _ordered_arguments(config: TrialConfig) -> Iterator[Conflict]:
    """Yield arguments that contradict each other."""
    for path, optimizer in _with_nested(_OPTIMIZER, config.optimizer):
        sizes = optimizer.arguments.get("step_sizes")
        if optimizer.name == "Rprop" and isinstance(sizes, list) and 0 <= sizes[1] < sizes[0]:
            low, high = sizes
            message = f"step_sizes must be [smallest, largest], but got [{low:g}, {high:g}]."
            yield Conflict((*path, "step_sizes"), message)
    given = config.schedule.arguments if config.schedule is not None else {}
    alone = {"epochs", "steps_per_epoch"} & {key for key in given if given[key] is not None}
    if len(alone) == 1 and given.get("total_steps") is None:
        message = (
            "epochs and steps_per_epoch must be given together. Give both, or leave both out."
        )
        yield Conflict(("schedule", *alone), message)


_RULES: tuple[Rule, ...] = (
    _budget,
    _evaluations,
    _evaluation_count,
    _smooth_score,
    _racing,
    _lbfgs,
    _pictures_only,
    _muon,
    _nesterov,
    _accumulation,
    _precision,
    _cyclic_schedules,
    _batch_norm,
    _argument_values,
    _ordered_arguments,
    mup_conflicts,
)


def loss_conflicts(loss: Component, task: Task) -> list[Conflict]:
    """Return a conflict if a loss, or an argument of it, does not fit the task of the data."""
    if task in LOSS_TASKS.get(loss.name, (task,)):  # the user's own loss may fit any task
        if task == "language_modeling":
            return [*token_loss_conflicts(loss)]
        return [] if is_code(loss.name) else [*_label_loss_conflicts(loss, task)]
    message = (
        f"{loss.name} is for {LOSS_TASKS[loss.name][0]}, but the task is {task}. "
        f"Write {LOSSES[task]}, or leave loss out."
    )
    return [Conflict(("loss",), message)]


def _label_loss_conflicts(loss: Component, task: Task) -> Iterator[Conflict]:
    """Yield weights of labels where there are classes, and of classes where there are labels."""
    if task != "multilabel" and loss.arguments.get("pos_weight") is not None:
        message = f"is for multilabel, but the task is {task}. Write weight, one number per class."
        yield Conflict(("loss", "pos_weight"), message)
    if task == "multilabel" and loss.arguments.get("weight") == "balanced":
        message = "a label has no classes to balance. Write pos_weight: balanced."
        yield Conflict(("loss", "weight"), message)


def _number(component: Component, argument: str) -> float:
    value = component.arguments.get(argument, 0)
    return float(value) if is_number(value) else 0.0
