"""Rehearse a trial: does it build, does it train, how much memory and time does it take?

`tunecli check` rehearses configurations so that nothing fails an hour into a search. A rehearsal
runs the real training loop on a fold that is cut to two batches. The user's own training is called
up to its first report.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import as_features
from tunecli.data.user_code.import_user_code import load_object, place_in_code
from tunecli.errors import ArgumentError, TunecliError, UserCodeError
from tunecli.study_file.settings.code_names import is_code
from tunecli.study_file.settings.fold_stages import n_copies
from tunecli.study_file.settings.metric_names import cost_metrics, label, prediction_metrics
from tunecli.study_file.settings.settings import Component, Task, TrialConfig
from tunecli.training.compression.costs import costs_of
from tunecli.training.compression.packing import unpack
from tunecli.training.compression.recipe import lose_channels, thin_out, write_down
from tunecli.training.fold import FoldTraining, new_model
from tunecli.training.models.building import build_model, explain_size
from tunecli.training.models.fine_tuning import rate_factors
from tunecli.training.models.layers.embeddings import Columns
from tunecli.training.outcome.metrics import measure
from tunecli.training.outcome.score_guard import NoScoreError, float_of
from tunecli.training.stack.fold_stack import FoldStack
from tunecli.training.stack.stackable_trials import could_stack, possible_stack
from tunecli.training.step.augmentation import Augmentation
from tunecli.training.step.batches import batch_sizes
from tunecli.training.step.losses import build_loss, n_outputs
from tunecli.training.step.optimizers import build_optimizers
from tunecli.training.step.precision import Precision, choose_device
from tunecli.training.step.schedules import Rates
from tunecli.training.step.timetable import Timetable
from tunecli.training.timed_turns import TIMED_STEPS, seconds_of_turns, warm_turn
from tunecli.training.trial_end import example, infeasible_before_training
from tunecli.training.user_loop.user_training import UserFoldTraining

Clock = Callable[[], float]

LONG = 60.0
"""If the first report takes at least this many seconds, the training is not timed again."""


@dataclass(frozen=True)
class Rehearsal:
    """Costs of a trial, estimated from two batches.

    Attributes:
        n_weights: number of the model's parameters.
        n_bytes: memory of the trial's folds: for each fold, weights and buffers, copies of those
            that may be the best, averaged weights (ema) and the optimizer's state; once, the
            frozen weights that all folds share; and, for the one fold that computes, gradients and
            what a batch saves for its backward pass (for recomputed blocks, their inputs). In a
            stack all folds compute, with copies of their weights. Data is not counted.
        waiting_bytes: the part of `n_bytes` that folds hold until all have joined, see `n_copies`.
        fold_bytes: the part of `n_bytes` that each fold holds while it waits for its turn; a
            checkpoint holds as much per fold.
        shared_bytes: the part of `n_bytes` that all folds share: frozen pretrained weights.
        n_folds: number of the trial's folds.
        seconds: time of the whole trial with evaluations, all folds one after another or as a
            stack, if nothing stops it early.
        beyond: the limit that its model violates before training; such a trial costs nothing.
        error: what is wrong, in one sentence that begins with the component; empty if nothing is
            wrong. The numbers are then 0.
    """

    n_weights: int = 0
    n_bytes: int = 0
    waiting_bytes: int = 0
    fold_bytes: int = 0
    shared_bytes: int = 0
    n_folds: int = 0
    seconds: float = 0.0
    beyond: str = ""
    error: str = ""


def rehearse(config: TrialConfig, folds: Sequence[FoldData]) -> Rehearsal:
    """Build a configuration and train it on two batches.

    Args:
        config: the configuration of any trial of a study.
        folds: folds of the study's data, scaled as in `config`; the largest one is used.
    """
    if config.train is not None:
        return rehearse_own(config, folds)
    fold = max(folds, key=lambda fold: len(fold.y_train))
    try:
        with torch.random.fork_rng(devices=[]):
            _build_one_by_one(config, fold)
            infeasible = infeasible_before_training(config, fold)
            with _blaming("training"):
                sizes = batch_sizes(len(fold.y_train), config.training.batch_size)[:2]
                device = choose_device(config.training.device)
                short = _shortened(config, len(sizes))
                training = FoldTraining(short, _cut(fold, sizes), device)
                stack = None
                if could_stack(short, training):
                    cut = [FoldTraining(short, _cut(one, sizes), device) for one in folds]
                    stack = possible_stack(short, cut)
                rehearsal = _measured(training, stack, config, folds, fold)
                return replace(rehearsal, beyond=infeasible.reason if infeasible else "")
    except _RehearsalError as error:
        return Rehearsal(error=str(error))


def build_error(config: TrialConfig, folds: Sequence[FoldData]) -> str:
    """Return why a configuration cannot be built, in a sentence; empty if it can."""
    if config.train is not None:
        return own_build_error(config)
    fold = max(folds, key=lambda fold: len(fold.y_train))
    try:
        with torch.random.fork_rng(devices=[]):
            with _blaming("training"):
                Precision(config.training, choose_device(config.training.device))
            _build_one_by_one(config, fold)
    except _RehearsalError as error:
        return str(error)
    return ""


def _build_one_by_one(config: TrialConfig, fold: FoldData) -> None:
    """Build the parts of the loop one by one, to attribute errors to them."""
    with _blaming(f"loss.{config.loss.name}"):
        loss = build_loss(config.loss, fold)
        if is_code(config.loss.name):
            outputs = torch.zeros(2, loss.n_outputs, device=fold.y_train.device)
            loss(outputs.requires_grad_(), fold.y_train[:2])
    for metric in prediction_metrics(config):
        if is_code(metric.name):
            with _blaming(f"{_section(config, metric)}.{metric.name}"):
                _try_metric(metric, fold)
    for component in config.data.augment:
        with _blaming(f"data.augment.{component.name}"):
            Augmentation([component], as_features(fold.x_train))(example(fold))
    with _blaming(f"model.{config.model.name}"):
        wanted = n_outputs(config.loss, fold)
        model = build_model(config.model, fold.shape, wanted, Columns.of(fold))
        factors = rate_factors(config.model, model)
        try:
            _check_outputs(model, example(fold, _fewest(config)), wanted, fold.task)
        except (RuntimeError, ValueError, AssertionError):
            explain_size(config.model, fold.shape, wanted)
            raise
    if names := set(cost_metrics(config)) - {"latency"}:  # a model that computes has a latency
        with _blaming(f"model.{config.model.name}"):
            costs_of(names, model, example(fold, 1))
    with _blaming(f"optimizer.{config.optimizer.name}"):
        optimizers = build_optimizers(config.optimizer, model, config.training.decay, factors)
    if config.schedule is not None:  # of full length, which the rehearsal shortens
        with _blaming(f"schedule.{config.schedule.name}"):
            n_batches = len(batch_sizes(len(fold.y_train), config.training.batch_size))
            timetable = Timetable.of(config.training, n_batches)
            Rates(config.schedule, optimizers, timetable, config.objective.direction)
    if not config.compression.is_none:
        with _blaming("compression"):
            lose_channels(model, config.compression, example(fold))
            thin_out(model, config.compression)
            unpack(write_down(model, config.compression), new_model(config, fold))


def _section(config: TrialConfig, metric: Component) -> str:
    """Return the section of the study file that names a metric."""
    if metric in [one.metric for one in (config.objective, *config.further_objectives)]:
        return "objective"
    return "constraints" if metric in [one.metric for one in config.constraints] else "metrics"


def _try_metric(metric: Component, fold: FoldData) -> None:
    """Measure perfect predictions."""
    y = fold.y_valid.numpy(force=True)
    predictions = np.eye(fold.n_classes, dtype=np.float32)[y] if fold.n_classes else y
    name = label(metric)
    try:
        values = measure(
            [metric], fold.task, y, predictions, fold.n_classes, positive=fold.positive
        )
        float_of(values[name], name)
    except NoScoreError as error:
        raise TunecliError(f"{error.reason.removeprefix('error: ')}.") from None


def _fewest(config: TrialConfig) -> int:
    """Return the smallest number of rows per forward pass: batch norms fail with a single row."""
    return 1 if 1 in (config.training.batch_size, config.training.micro_batch) else 2


@torch.no_grad()
def _check_outputs(model: nn.Module, rows: Tensor, wanted: int, task: Task) -> None:
    per = "token" if task == "language_modeling" else "row"
    shape = (*(rows.shape if per == "token" else rows.shape[:1]), wanted)
    outputs = model(rows)
    main, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
    for output in (main, *(output for output in auxiliary if output is not None)):
        if isinstance(output, Tensor) and output.ndim == 3 and per == "row":
            output = output[:, 0]  # of several predictions per row
        if not isinstance(output, Tensor) or output.shape != shape:
            raise TunecliError(f"a model must return one tensor with {wanted} outputs per {per}.")


def _shortened(config: TrialConfig, n_batches: int) -> TrialConfig:
    """Return the configuration with few steps on `n_batches` batches, evaluated twice per step.

    So every second evaluation gives the time of an evaluation alone.
    """
    steps_per_epoch = math.ceil(n_batches / config.training.accumulate)
    changes = {
        "epochs": math.ceil((1 + TIMED_STEPS) / steps_per_epoch),
        "steps": None,
        "eval_every": 0.5 / steps_per_epoch,
        "early_stopping": None,
    }
    return config.model_copy(update={"training": config.training.model_copy(update=changes)})


def _cut(fold: FoldData, sizes: Sequence[int]) -> FoldData:
    """Cut a fold to batches of these sizes, and to as many validation rows at most."""
    n_rows = sum(sizes)
    weights = fold.valid_weights  # the first ones may all be 0
    return replace(
        fold,
        x_train=as_features(fold.x_train).first(n_rows),
        y_train=fold.y_train[:n_rows],
        x_valid=as_features(fold.x_valid).first(n_rows),
        y_valid=fold.y_valid[:n_rows],
        valid_rows=fold.valid_rows[:n_rows],
        train_rows=None if fold.train_rows is None else fold.train_rows[:n_rows],
        train_weights=None if fold.train_weights is None else fold.train_weights[:n_rows],
        valid_weights=None if weights is None else np.ones_like(weights[:n_rows]),
        valid_bytes=None if fold.valid_bytes is None else fold.valid_bytes[:n_rows],
    )


def _measured(
    training: FoldTraining,
    stack: FoldStack | None,
    config: TrialConfig,
    folds: Sequence[FoldData],
    fold: FoldData,
) -> Rehearsal:
    """Train: the first step measures memory, the others time, of a stack if there is one."""
    with _saved_for_backward(training) as saved:
        next(training)
    n_at_once = 1 if stack is None else len(folds)
    turn = partial(next, training) if stack is None else warm_turn(stack)
    per_step, per_evaluation = seconds_of_turns(turn)
    sizes = batch_sizes(len(fold.y_train), config.training.batch_size)
    per_batch = per_step / min(config.training.accumulate, len(sizes[:2]))
    timetable = Timetable.of(config.training, len(sizes), fewest_batches=len(sizes))
    n_batches = timetable.n_steps * len(sizes) / timetable.steps_per_epoch
    parts_of_valid = len(fold.y_valid) / len(training.fold.y_valid)
    evaluating = per_evaluation * parts_of_valid * len(timetable.evaluations)
    gradients = [p.nbytes for p in training.model.parameters() if p.requires_grad]
    of_folds = training.n_bytes * len(folds) + training.shared_bytes
    computing = sum(gradients) + sum(saved.values())
    joined = 0 if stack is None else 4 * training.n_weights * len(folds)
    waiting = n_copies(config, len(folds), len(timetable.evaluations)) * training.copy_bytes
    return Rehearsal(
        n_weights=training.n_weights,
        n_bytes=of_folds + computing * n_at_once + joined + waiting,
        waiting_bytes=waiting,
        fold_bytes=training.n_bytes,
        shared_bytes=training.shared_bytes,
        n_folds=len(folds),
        seconds=(per_batch * n_batches + evaluating) * len(folds) / n_at_once,
    )


@contextmanager
def _saved_for_backward(training: FoldTraining) -> Iterator[dict[int, int]]:
    """Collect the bytes of each storage that autograd saves within the block, without weights."""
    weights = {p.untyped_storage().data_ptr() for p in training.model.parameters()}
    sizes: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # else an output references itself and is never freed

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield sizes


class _RehearsalError(Exception):
    """A rehearsal failed; the text is one sentence."""


@contextmanager
def _blaming(component: str) -> Iterator[None]:
    """Turn any error into a sentence about `component`.

    `check` reports every error that torch, torchvision or tunecli raises here.
    """
    try:
        yield
    except Exception as error:
        raise _RehearsalError(_sentence(component, error)) from error


def _sentence(component: str, error: Exception) -> str:
    """Return one line: the component, and the message of its library or of tunecli."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return f"{component}: out of memory. Try a smaller model or training.batch_size."
    text = (str(error).strip().splitlines() or [""])[0]
    if text.startswith(("training.", "data.")):  # the text already names its setting
        return text
    if isinstance(error, ArgumentError):  # the text begins with the argument
        return f"{component}.{text}"
    if isinstance(error, UserCodeError):  # the text already names the component
        return f"{component.partition('.')[0]}.{text}"
    location = place_in_code(error)
    if location or not isinstance(error, TunecliError | ValueError | TypeError):
        text = f"{type(error).__name__}: {text}"
    return f"{component}: {text}{location}"


def own_build_error(config: TrialConfig) -> str:
    """Return why the function cannot be called, in a sentence; empty if it can."""
    assert config.train is not None
    name, given = config.train.name, ["config", "fold", "report"]
    try:
        fit = load_object(name)
        if inspect.isgeneratorfunction(fit):
            given.remove("report")
        inspect.signature(fit).bind(*given)
    except TunecliError as error:
        return f"train.{error}"
    except TypeError as error:
        call = f"fit({', '.join(given)})"
        return f"train.{name}: tunecli calls it as {call}, which it does not accept: {error}."
    except ValueError:  # the function has no signature
        return ""
    return ""


def rehearse_own(
    config: TrialConfig, folds: Sequence[FoldData], clock: Clock = time.perf_counter
) -> Rehearsal:
    """Train the first fold to its first report, and again to time it.

    The first run includes one-time costs of a process: imports, filling caches. Its time is used
    only if it is so long that these hardly matter.

    Args:
        clock: a function that returns seconds.

    Returns:
        The seconds of the trial: those of `training.epochs` reports per fold, or of one report per
        fold if it is not set. The memory is unknown.
    """
    if mistake := own_build_error(config):
        return Rehearsal(error=mistake)
    assert config.train is not None
    n_reports = config.training.epochs or 1
    try:
        with torch.random.fork_rng(devices=[]):
            first, *_ = _times(config, folds[0], 1, clock)
            per_fold = first * n_reports
            if first < LONG:
                first, *others = _times(config, folds[0], min(2, n_reports), clock)
                per_fold = first + sum(others) * (n_reports - 1)
    except StopIteration:
        return Rehearsal(error=f"train.{config.train.name}: the training ended without a report.")
    except NoScoreError as error:
        return Rehearsal(error=f"train.{error.reason.removeprefix('error: ')}.")
    except TunecliError as error:
        return Rehearsal(error=f"train.{error}")
    return Rehearsal(seconds=per_fold * len(folds))


def _times(config: TrialConfig, fold: FoldData, n_reports: int, clock: Clock) -> list[float]:
    """Return the seconds to each report from the one before; fewer if the training ends.

    Raises:
        StopIteration: the training ends before its first report.
    """
    begin = clock()
    with closing(
        UserFoldTraining(config, fold, choose_device(config.training.device))
    ) as training:
        next(training)
        times = [clock() - begin]
        while len(times) < n_reports and next(training, None) is not None:
            times.append(clock() - begin - sum(times))
    return times
