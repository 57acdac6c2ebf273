"""Train one fold, as an iterator with state.

`next()` trains to the next evaluation and returns it. There is no callback and no pruner: to stop
a training, stop iterating. Between two evaluations the state can be saved and resumed elsewhere,
and the folds of a trial can be trained in any order, with the same bits.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.features import BLOCK_BYTES, as_features
from tunecli.study_file.settings.metric_names import label, prediction_metrics
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.fold_data import in_32_bits
from tunecli.training.kept_evaluations import (
    KeptEvaluations,
    outputs_as_tensor,
    outputs_from_tensor,
)
from tunecli.training.models.building import build_model
from tunecli.training.models.fine_tuning import rate_factors, set_training
from tunecli.training.models.frozen_weights import (
    changed_weight,
    count_weights,
    is_shared,
    load_own,
    load_saved,
    own_state,
    saved_state,
    shared_bytes,
)
from tunecli.training.models.layers.embeddings import Columns
from tunecli.training.outcome.evaluation import Evaluation
from tunecli.training.outcome.evaluation_choice import EvaluationChoice
from tunecli.training.outcome.metrics import measure
from tunecli.training.outcome.output_meaning import OutputMeaning
from tunecli.training.state.memory import Movable
from tunecli.training.state.random_state import GLOBAL, Draws, RandomStream, fold_seed
from tunecli.training.step.averaging import average_weights
from tunecli.training.step.batches import Batch, Batches
from tunecli.training.step.fade_out import FadeOut
from tunecli.training.step.gradient_step import GradientStep
from tunecli.training.step.losses import Predictions, build_loss, n_outputs
from tunecli.training.step.optimizers import build_optimizers
from tunecli.training.step.precision import Precision
from tunecli.training.step.schedules import Rates
from tunecli.training.step.timetable import Timetable


class FoldTraining:
    """Trains one model on one fold; the result depends only on the configuration and the fold.

    Attributes:
        fold: the data, on the device.
        device: the device of the training.
        model: the model in training; use `best_model` afterwards.
        optimizers: train all parameters of the model together.
        step: makes an optimizer step of this fold alone.
        precision: number format.
        random: the fold's random numbers.
        timetable: the planned steps and evaluations.
    """

    def __init__(
        self,
        config: TrialConfig,
        fold: FoldData,
        device: torch.device,
        fewest_batches: int | None = None,
        model: nn.Module | None = None,
    ) -> None:
        """Prepare the training.

        Args:
            fewest_batches: smallest number of batches of any fold, for folds in lockstep; see
                `Timetable.of`.
            model: model to train further, in place; None for a new one.
        """
        self.fold = in_32_bits(fold).to(device)
        self.device = device
        self._config = config
        self._settings = config.training
        self.precision = Precision(self._settings, device, config.numerics)
        self._seed = fold_seed(config.seed, fold.number)
        self.random = RandomStream(self._seed, device)
        with self._own_context():
            self._build(fewest_batches, model)
        self._y_valid = fold.y_valid.numpy(force=True)
        self._n_steps = 0  # done
        self._n_evaluations = 0  # done
        self._train_loss = float("nan")
        self._predictions: Predictions | None = None
        self._kept = KeptEvaluations()

    def _build(self, fewest_batches: int | None, model: nn.Module | None) -> None:
        config, settings, fold = self._config, self._settings, self.fold
        self._loss = build_loss(config.loss, fold)
        self.model = (new_model(config, fold) if model is None else model).to(self.device)
        self._average = average_weights(self.model, settings.ema) if settings.ema else None
        self._batches = Batches(
            fold.x_train,
            fold.y_train,
            settings.batch_size,
            settings.shuffle,
            self._seed,
            fold.train_weights,
        )
        self.timetable = Timetable.of(settings, len(self._batches.sizes), fewest_batches)
        factors = rate_factors(config.model, self.model)
        self.optimizers = build_optimizers(config.optimizer, self.model, settings.decay, factors)
        self._rates = Rates(
            config.schedule, self.optimizers, self.timetable, config.objective.direction
        )
        self._fade_out: FadeOut | None = None
        if settings.fade_out:
            plan = (settings.fade_out, self.timetable.n_steps)
            self._fade_out = FadeOut(*plan, self.model, self.optimizers)
        modules = [self.model] if self._average is None else [self.model, self._average]
        self._movable = Movable(modules, self.optimizers, is_shared)
        self.step = GradientStep(
            config, fold, self.model, self._loss, self.optimizers, self.precision
        )

    def __iter__(self) -> Iterator[Evaluation]:
        return self

    def __next__(self) -> Evaluation:
        if self.is_over:
            raise StopIteration
        self._movable.come_back()
        with self._own_context():
            for group in self.groups():
                self.step(group)
            return self.evaluate()

    @property
    def is_over(self) -> bool:
        """Whether all planned evaluations are done."""
        return self._n_evaluations == len(self.timetable.evaluations)

    def train_unmeasured(self, n_evaluations: int) -> None:
        """Train as far as `n_evaluations` evaluations reach, without evaluating.

        The weights are the same bit for bit, unless a schedule depends on scores.
        """
        self._movable.come_back()
        self._n_evaluations = n_evaluations - 1
        with self._own_context():
            for group in self.groups():
                self.step(group)
        self._n_evaluations = n_evaluations

    @property
    def meaning(self) -> OutputMeaning:
        """Meaning of the model's outputs."""
        return self._loss.meaning

    @property
    def n_weights(self) -> int:
        """Number of the model's parameters."""
        return count_weights(self.model)

    @property
    def n_bytes(self) -> int:
        """Bytes held between two turns, with copies of the weights that may be the best.

        Frozen weights that all folds share are not counted; see `shared_bytes`.
        """
        n_copies = max(self._settings.smooth_score, self._kept.n_copies)
        return self._movable.n_bytes + n_copies * self.copy_bytes

    @property
    def copy_bytes(self) -> int:
        """Bytes of the weights of one evaluation that may be the best."""
        return sum(int(weight.nbytes) for weight in own_state(self._evaluated_model).values())

    @property
    def shared_bytes(self) -> int:
        """Bytes of frozen weights that all folds share."""
        return shared_bytes(self.model)

    def leave_device(self) -> None:
        """Move to host memory until the next turn."""
        host = torch.device("cpu")
        self._movable.leave(host)
        self._kept.move(host)

    def take_notes(self) -> list[str]:
        """Return the notes for the user since the last call."""
        notes = self.step.micro_batches.notes
        self.step.micro_batches.notes = []
        return notes

    @property
    def _evaluated_model(self) -> nn.Module:
        return self.model if self._average is None else self._average.module

    @contextmanager
    def _own_context(self) -> Iterator[None]:
        """Use this fold's random state and precision within the block."""
        with self.random.in_use(), self.precision.in_force():
            yield

    def groups(self, draws: Draws = GLOBAL) -> Iterator[tuple[Batch, ...]]:
        """Yield the batches of each optimizer step up to the next evaluation.

        The caller makes the step, by `step` or together with other folds, before it asks for the
        next one; the rates are those of the step.
        """
        n_steps = self.timetable.evaluations[self._n_evaluations]
        set_training(self.model)
        while self._n_steps < n_steps:
            if self._batches.epoch_is_over:
                if self._batches.n_epochs:
                    self._rates.new_epoch(self._n_steps)
                self._batches.begin_epoch(draws)
            batches = self._batches.rest_of_epoch()
            while group := tuple(islice(batches, self._settings.accumulate)):
                self._rates.before_step(self._n_steps)
                if self._fade_out is not None:
                    self._fade_out.before_step(self._n_steps)
                yield group
                self._rates.after_step()
                if self._fade_out is not None:
                    self._fade_out.after_step()
                if self._average is not None:
                    self._average.update_parameters(self.model)
                self._n_steps += 1
                if self._n_steps == n_steps:
                    return

    def evaluate(self, outputs: Sequence[Tensor] | None = None) -> Evaluation:
        """Measure the model on the validation part; NaN if an output is not finite.

        Args:
            outputs: those of the model for the blocks of `valid_blocks`; None to compute them.
        """
        if not self.step.is_empty:  # else `eval_every` is less than a step: keep the loss
            self._train_loss = self.step.take_mean_loss()
        self._predictions, score, metrics = self.measured(self._evaluated_model, outputs)
        done = self._batches.position / len(self._batches.sizes)
        evaluation = Evaluation(
            step=self._n_evaluations,
            epoch=self._batches.n_epochs - 1 + done,
            train_loss=self._train_loss,
            score=score,
            metrics=metrics,
            lr=self._rates.rate(self._n_steps - 1),
        )
        self._n_evaluations += 1
        self._rates.watch(score)
        return evaluation

    def measured(
        self, model: nn.Module, outputs: Sequence[Tensor] | None = None
    ) -> tuple[Predictions, float, dict[str, float]]:
        """Return validation predictions, the score, and other metrics by name; see `evaluate`."""
        with self.precision.in_force():
            predictions = self._loss.predict(self._outputs(model, outputs))
        objective, *others = wanted = prediction_metrics(self._config)
        fold = self.fold
        values = measure(
            wanted,
            fold.task,
            self._y_valid,
            predictions,
            fold.n_classes,
            fold.valid_weights,
            fold.positive,
        )
        metrics = {label(metric): values[label(metric)] for metric in others}
        return predictions, values[label(objective)], metrics

    @torch.no_grad()
    def _outputs(self, model: nn.Module, given: Sequence[Tensor] | None) -> Tensor:
        """Return a model's outputs for the validation rows, (n_valid, n_outputs) float32.

        Rows of tokens are computed with others of like length.

        Args:
            given: its outputs for each block, if they are known.
        """
        x, sizes = as_features(self.fold.x_valid), self._valid_sizes
        order = None if x.lengths is None else x.lengths.argsort(stable=True)
        y = self.fold.y_valid if order is None else self.fold.y_valid[order]
        blocks = given if given is not None else map(model.eval(), x.batches(order, sizes))
        pairs = zip(blocks, torch.split(y, sizes), strict=True)
        with self.precision.forward():
            parts = [self._loss.kept(block, targets) for block, targets in pairs]
        outputs = torch.cat(parts).float()
        return outputs if order is None else outputs[order.argsort().to(outputs.device)]

    def valid_blocks(self) -> list[Tensor]:
        """Return the validation rows in blocks, as `model` is evaluated; none for an average."""
        if self._average is not None:
            return []
        return [*as_features(self.fold.x_valid).batches(None, self._valid_sizes)]

    @property
    def _valid_sizes(self) -> list[int]:
        """Rows of each block."""
        x = as_features(self.fold.x_valid)
        batch = self.step.micro_batches.most_rows(self._batches.sizes[0])
        n_rows = min(max(BLOCK_BYTES // x.row_bytes, batch), self._loss.n_evaluated * batch)
        whole, rest = divmod(len(x), n_rows)
        return [n_rows] * whole + [rest] * (rest > 0)

    def keep(self) -> None:
        """Keep the weights and the outputs of the last evaluation as the best."""
        last = self._n_evaluations - 1
        self._keep(last, {last}, last)

    def follow(self, choice: EvaluationChoice, n_ahead: int = 0) -> None:
        """Keep the evaluations that may be chosen, and take the chosen one as the best.

        Args:
            choice: the choice, to which the score of the last evaluation was added.
            n_ahead: number of the last evaluations whose scores it has not been given yet; any of
                them may be chosen.
        """
        ahead = range(len(choice), len(choice) + n_ahead)
        self._keep(len(choice) + n_ahead - 1, choice.candidates.union(ahead), choice.step)

    def _keep(self, last: int, candidates: Collection[int], best: int | None) -> None:
        weights = own_state(self._evaluated_model)
        self._kept.update(last, candidates, best, weights, self._predictions)

    @property
    def best_outputs(self) -> Predictions | None:
        """What `OutputMeaning` makes of the best evaluation's outputs; None before it."""
        best = self._kept.of_best
        return None if best is None else best.outputs

    def best_model(self) -> nn.Module:
        """Return a copy of the model with the best weights (averaged ones with `ema`).

        It shares the frozen weights of the model.
        """
        model = copy.deepcopy(self._evaluated_model)
        if (best := self._kept.of_best) is not None:
            load_own(model, best.weights)
        return model.eval()

    def state_dict(self) -> dict[str, Any]:
        """Return the state to resume from bit for bit.

        It holds only tensors and plain values, for `torch.load(weights_only=True)`, and digests of
        frozen weights that all folds share. As with a module's state, the tensors change with the
        training, so save or copy them at once.
        """
        return {
            "model": saved_state(self.model),
            "average": None if self._average is None else saved_state(self._average),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "rates": self._rates.state_dict(),
            "scaler": self.precision.state_dict(),
            "batches": self._batches.state_dict(),
            "random": self.random.state_dict(),
            "counts": [self._n_steps, self._n_evaluations],
            "micro_batch": self.step.micro_batches.size,
            "train_loss": self._train_loss,
            "predictions": outputs_as_tensor(self._predictions),
            **self._kept.state_dict(),
        }

    def changed_weight(self, state: dict[str, Any]) -> str | None:
        """Return a frozen weight that is not the one of a `state_dict`; None if all are."""
        return changed_weight(self.model, state["model"])

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a `state_dict` with the same configuration, fold and frozen weights."""
        load_saved(self.model, state["model"])
        if self._average is not None:
            load_saved(self._average, state["average"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self._rates.load_state_dict(state["rates"])
        self.precision.load_state_dict(state["scaler"])
        self._batches.load_state_dict(state["batches"])
        self.random.load_state_dict(state["random"])
        self._n_steps, self._n_evaluations = state["counts"]
        self.step.micro_batches.size = state["micro_batch"]
        self._train_loss = state["train_loss"]
        self._predictions = outputs_from_tensor(state["predictions"])
        self._kept.load_state_dict(state, own_state(self._evaluated_model))


def new_model(config: TrialConfig, fold: FoldData) -> nn.Module:
    """Build the model of a configuration for the data of a fold."""
    return build_model(config.model, fold.shape, n_outputs(config.loss, fold), Columns.of(fold))
