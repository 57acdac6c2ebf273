"""Run the user's own training as an iterator over one fold, like `FoldTraining`.

The user writes `fit(config, fold, report)`, a plain function that calls `report` after each
evaluation, or a generator `fit(config, fold)` that yields its reports. A plain function runs in
its own thread, but never at the same time as anything else: `next()` lets it continue, and
`report` blocks until the next call. So the folds of a trial advance in lockstep, each with its own
random state.

Every report is stored on the disk before `report` returns, and no step is requested twice: a
killed trial resumes with the first step that is not recorded.

`report` returns whether the step is the best so far, by the mean over all folds, so that the
training can save the model that the trial's value belongs to in `fold.keep`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import Features, TensorFeatures
from tunecli.data.user_code.import_user_code import blaming, load_object
from tunecli.errors import UserCodeError
from tunecli.files.own import make_folder, remove_empty
from tunecli.study_file.settings.metric_names import label, prediction_metrics
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.space.tree import component_data
from tunecli.training.outcome.evaluation import Evaluation
from tunecli.training.outcome.evaluation_choice import EvaluationChoice
from tunecli.training.outcome.score_guard import finite_float, float_of
from tunecli.training.state.random_state import RandomStream, fold_seed
from tunecli.training.state.trial_files import KEPT, OWN_TRAINING
from tunecli.training.step.losses import Predictions
from tunecli.training.step.precision import Precision
from tunecli.training.user_loop.handover import GeneratorFit, Report, ThreadFit
from tunecli.training.user_loop.user_reports import (
    UserPredictions,
    UserReports,
    validated_predictions,
)
from tunecli.training.user_loop.user_trial import IN_CHECK, REHEARSED, UserTrial


@dataclass(frozen=True)
class Fold:
    """The data and settings of one fold for the user's own training.

    Attributes:
        number: number of the fold, from 0.
        seed: seed of this fold, the same in every trial. The global generators of torch, numpy and
            Python are already seeded with it.
        device: the device to train on; the tensors are on it.
        resume_step: the first step that is not recorded; 0 in a fresh trial.
        checkpoints: a folder for this fold that survives a kill and is deleted when the trial
            ends.
        keep: a folder for the model of this fold. It survives a kill, and the end of the trial if
            the search keeps the trial's models.
        trial, study: number of the trial and name of the study.
        is_refit: whether this is the final training on all rows of the search.
        x_train, y_train, x_valid, y_valid: preprocessed features and targets in their original
            unit, as tensors (as `Features` if they do not fit into memory); None without data.
            Regression targets are float32, or float64 if 32 bits would change them by more than a
            ten-thousandth of their standard deviation. In a refit that holds out no rows,
            `x_valid` and `y_valid` have 0 rows.
        train_rows, valid_rows: indices of the rows in the data set, on the CPU.
        n_classes: number of classes; 0 for regression.
    """

    number: int
    seed: int
    device: torch.device
    resume_step: int
    checkpoints: Path
    keep: Path
    trial: int = IN_CHECK
    study: str = ""
    is_refit: bool = False
    x_train: Tensor | Features | None = None
    y_train: Tensor | None = None
    x_valid: Tensor | Features | None = None
    y_valid: Tensor | None = None
    train_rows: Tensor | None = None
    valid_rows: Tensor | None = None
    n_classes: int = 0


class UserFoldTraining:
    """Runs the user's own training on one fold of a trial.

    Args:
        trial: the trial, and the folders of its files.

    Attributes:
        fold: the data, on the device.
        n_weights: always 0, since the model is unknown.
    """

    n_weights = 0

    def __init__(
        self,
        config: TrialConfig,
        fold: FoldData,
        device: torch.device,
        trial: UserTrial = REHEARSED,
    ) -> None:
        assert config.train is not None
        self.fold = fold.to(device)
        self._notes: list[str] = []
        self._name = config.train.name
        self._config = config
        self._device = device
        self._trial = trial
        self._temporary = TemporaryDirectory() if trial.checkpoints is None else None
        root = Path(self._temporary.name) if self._temporary else trial.checkpoints
        assert root is not None
        self._folder = make_folder(root, OWN_TRAINING, str(fold.number))
        self._reports = UserReports(self._folder / "reports.jsonl")
        self._predictions = UserPredictions(self._folder / "predictions")
        self._checkpoints = make_folder(self._folder, "checkpoints")
        self._kept = make_folder(trial.kept or self._folder, KEPT, str(fold.number))
        self._random = RandomStream(fold_seed(config.seed, fold.number), device)
        self._precision = Precision(config.training, device, config.numerics)
        self._fit: GeneratorFit | ThreadFit | None = None
        self._newest: int | None = None  # step of the last report of the running training
        self._n_returned = 0

    def __next__(self) -> Evaluation:
        while self._n_returned == len(self._reports.kept):
            report = self._next_report()
            if report is None:
                raise StopIteration
            self._record(report)
        self._n_returned += 1
        return self._reports.kept[self._n_returned - 1]

    def follow(self, choice: EvaluationChoice, n_ahead: int = 0) -> None:
        """Mark the chosen evaluation as the best; its weights are up to the user.

        Args:
            n_ahead: always 0, since all folds of the user's own training begin at once.
        """
        assert n_ahead == 0
        self._predictions.best = choice.step

    def save_best(self) -> None:
        """Let the training save the model of the last evaluation, if that is the best one.

        The training runs until it ends or reports a further step, which is not recorded.
        """
        last = len(self._reports.kept) - 1
        if self._predictions.best != last:
            return
        report = self._next_report()
        while report is not None and step_of(report, self._name) <= last:
            self._record(report)
            report = self._next_report()

    def train_unmeasured(self, n_evaluations: int) -> None:
        """Train without scores: `report` returns True for the last of `n_evaluations` steps.

        The training runs until it ends or reports a further step. What it reports is not used.
        """
        self._predictions.best = n_evaluations - 1
        report = self._next_report()
        while report is not None and step_of(report, self._name) < n_evaluations:
            report = self._next_report()

    @property
    def best_outputs(self) -> Predictions | None:
        """Predictions for the validation rows at the best evaluation, if reported."""
        return self._predictions.of_best()

    def take_notes(self) -> list[str]:
        """Return the notes for the user since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def close(self) -> bool:
        """End the training with TrialStopped; return whether it ended within some seconds."""
        ended = self._fit is None or self._fit.close()
        remove_empty(self._kept, *self._kept.parents[:2])
        if self._temporary is not None and ended:
            self._temporary.cleanup()
        return ended

    def state_dict(self) -> dict[str, Any]:
        """Return the progress of the trial; reports and checkpoints are on the disk."""
        return {"n_told": self._n_returned, "best": self._predictions.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume after the evaluations that were already returned."""
        self._n_returned = min(state["n_told"], len(self._reports.kept))
        self._predictions.best = state["best"]

    def _next_report(self) -> Report | None:
        """Let the training run to its next report; return None if it is over."""
        is_best = self._newest is not None and self._newest == self._predictions.best
        with self._random.in_use(), self._precision.in_force(), blaming(self._name):
            report = self._running_fit().advance(is_best)
        self._newest = None if report is None else step_of(report, self._name)
        return report

    def _running_fit(self) -> GeneratorFit | ThreadFit:
        """Return the running training; start it when its first unrecorded step is requested."""
        if self._fit is None:
            self._fit = begin(self._config, self._fold_argument())
        return self._fit

    def _fold_argument(self) -> Fold:
        fold = self.fold
        seed = fold_seed(self._config.seed, fold.number)
        n_recorded = len(self._reports.kept)
        bare = Fold(
            fold.number,
            seed,
            self._device,
            n_recorded,
            self._checkpoints,
            self._kept,
            self._trial.number,
            self._trial.study,
            self._trial.is_refit,
        )
        if not len(fold.y_train):
            return bare
        return replace(
            bare,
            x_train=_as_tensor(fold.x_train),
            y_train=self._targets(fold.y_train),
            x_valid=_as_tensor(fold.x_valid),
            y_valid=self._targets(fold.y_valid),
            train_rows=fold.train_rows,
            valid_rows=fold.valid_rows,
            n_classes=fold.n_classes,
        )

    def _targets(self, y: Tensor) -> Tensor:
        """Move targets to the device; in 32 bits, as models compute, if that is exact enough."""
        is_unchanged = not y.is_floating_point() or self.fold.targets_need_64_bits
        return (y if is_unchanged else y.float()).to(self._device)

    def _record(self, report: Report) -> None:
        """Record a report, or compare it with the recorded report of its step."""
        recorded = self._reports.kept
        evaluation = self._evaluation(report)
        if evaluation.step < len(recorded):
            if not _same(recorded[evaluation.step], evaluation):
                self._notes.append(
                    f"step {evaluation.step} of fold {self.fold.number} scored "
                    f"{evaluation.score:g} when trained again, but "
                    f"{recorded[evaluation.step].score:g} before: {self._name} is not reproducible"
                )
        elif evaluation.step > len(recorded):
            raise UserCodeError(
                f"{self._name}: expected a report of step {len(recorded)}, but got step "
                f"{evaluation.step}. Report each step before you save its checkpoint, and resume "
                "from fold.resume_step or an earlier step."
            )
        else:
            are_values = self.fold.task == "regression"
            predictions = validated_predictions(
                report.predictions, len(self.fold.y_valid), self._name, are_values=are_values
            )
            self._predictions.add(evaluation.step, predictions)
            self._reports.add(evaluation)

    def _evaluation(self, report: Report) -> Evaluation:
        values, step = report.values, step_of(report, self._name)
        objective, *others = [label(metric) for metric in prediction_metrics(self._config)]
        missing = [name for name in (objective, *others) if name not in values]
        if missing:
            given = f"has only {', '.join(map(str, values))}" if values else "is empty"
            raise UserCodeError(
                f"{self._name}: the study needs {', '.join(missing)}, but the report {given}."
            )
        where = "" if self._trial.is_refit else f" of fold {self.fold.number}"
        at = f" at step {step}"
        loss = values.get("train_loss")
        return Evaluation(
            step=step,
            epoch=finite_float(values.get("epoch", step + 1), f"epoch{where}", at),
            train_loss=math.nan if loss is None else finite_float(loss, f"train_loss{where}", at),
            score=finite_float(values[objective], objective + where, at),
            metrics={name: float_of(values[name], name + where, at) for name in others},
            lr=finite_float(values.get("lr", 0.0), f"lr{where}", at),
        )


def begin(config: TrialConfig, fold: Fold) -> GeneratorFit | ThreadFit:
    """Return the user's training, which begins with its first `advance`."""
    assert config.train is not None
    fit = load_object(config.train.name)
    kind = GeneratorFit if inspect.isgeneratorfunction(fit) else ThreadFit
    return kind(fit, given_config(config), fold)


def step_of(report: Report, name: str) -> int:
    """Return the step of a report, which its values may state.

    Args:
        name: name of the user's function, for messages.

    Raises:
        UserCodeError: the values are no mapping, or the step is not a whole number.
    """
    if not isinstance(report.values, Mapping):
        got = type(report.values).__name__
        raise UserCodeError(f"{name}: a report must be a mapping of numbers, but got {got}.")
    step = report.values.get("step", report.step)
    if not isinstance(step, int) or isinstance(step, bool) or step < 0:
        raise UserCodeError(
            f"{name}: a step must be a whole number of at least 0, but got {step!r}."
        )
    return step


def given_config(config: TrialConfig) -> dict[str, Any]:
    """Return the user's `config`: the arguments, and the other components of the study file."""
    assert config.train is not None
    values = deepcopy(config.train.arguments)
    for section in ("model", "loss", "optimizer", "schedule"):
        component = getattr(config, section)
        if component is not None and component.name != "none":
            values.setdefault(section, component_data(component))
    return values


def _as_tensor(x: Tensor | Features) -> Tensor | Features:
    return x.x if isinstance(x, TensorFeatures) else x


def _same(one: Evaluation, other: Evaluation) -> bool:
    """Return whether two evaluations of one step have equal scores and metrics; NaN equals NaN."""
    pairs = (
        (one.score, other.score),
        *zip(one.metrics.values(), other.metrics.values(), strict=True),
    )
    return all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in pairs)
