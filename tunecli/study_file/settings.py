"""The settings of a study file, with every range replaced by a value.

There is one class for a section whether it stands in a study file or in a trial: ranges live in
the study file's tree only (`tree.py`), and a range is checked by putting its ends and choices
here. So training never meets a range, and `TrialConfig` prints as a study file that runs again.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tunecli.study_file.durations import Duration

Task = Literal["classification", "regression"]
Direction = Literal["minimize", "maximize"]

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]


class Settings(BaseModel):
    """Frozen, strict (`true` is no number), and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Component(Settings):
    """A named thing with arguments: a model, loss, optimizer, sampler, metric and so on.

    Attributes:
        name: as torch, scikit-learn, Optuna or tunecli call it, e.g. `AdamW`.
        arguments: for its constructor; plain data, or a nested Component (Muon's `rest`).
    """

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)

    @field_validator("arguments")
    @classmethod
    def _nested_from_json(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """A nested component that was stored as JSON is one again."""
        return {
            key: cls(**value)
            if isinstance(value, dict) and value.keys() == {"name", "arguments"}
            else value
            for key, value in arguments.items()
        }


class DataSettings(Settings):
    """Where the rows come from, what is put away, how features are scaled.

    Attributes:
        source: a bundled set: digits, iris, wine, breast_cancer, diabetes.
        test: share of the rows that the search never sees; 0 for none. Range [0, 1).
        split_seed: decides the test set and the folds; `seed` never does.
        scale: fitted on each training part: standard, minmax, quantile or none.
    """

    source: str
    test: Annotated[float, Field(ge=0, lt=1)] = 0.2
    split_seed: Annotated[int, Field(ge=0)] = 0
    scale: Component | None = Component(name="standard")


class ValidationSettings(Settings):
    """How a trial is scored: k folds (repeated if wished), or one part held out.

    Neither given means 5 folds up to 20,000 rows and a holdout of 0.2 beyond. Classification is
    stratified.
    """

    folds: Annotated[int, Field(ge=2)] | None = None
    repeats: Positive = 1
    holdout: Fraction | None = None


class EarlyStopping(Settings):
    """Stop a trial once the mean curve over its folds no longer improves.

    Attributes:
        patience: evaluations without improvement before the trial ends.
        min_delta: an improvement must be larger than this.
        monitor: the objective's score, or the training loss.
    """

    patience: Positive
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    monitor: Literal["score", "train_loss"] = "score"


class TrainingSettings(Settings):
    """How a model is trained.

    Attributes:
        epochs: passes over the training part; 20 unless `steps` is given.
        steps: optimizer steps instead of epochs; schedules then count steps too, but for
            ReduceLROnPlateau.
        eval_every: evaluate every so many epochs (a fraction is allowed) or, with `steps`, every
            so many steps. Default: each epoch, or ten times in all with `steps`.
        batch_size: rows a batch; `full` is plain gradient descent. A last batch of one row joins
            the one before.
        shuffle: a new order each epoch.
        accumulate: batches whose gradients make one optimizer step.
        l1: factor of the sum of absolute weights (biases and norms left out) in the loss.
        decay: `all` parameters feel the optimizer's weight_decay, or `weights` only (tensors of
            two and more dimensions).
        clip_norm: largest norm of the gradient of all parameters together.
        clip_value: largest absolute value of any gradient entry.
        input_noise: standard deviation of Gaussian noise on (scaled) training inputs.
        warmup: share of all optimizer steps over which the rate rises linearly from 0.
        ema: decay of an exponential average of the weights that is evaluated in their place.
        early_stopping: when to end a trial that no longer improves; none for never.
        max_time: a trial that trains longer (30m, 2h) is ended and counts as failed; for trials
            that hang. Of a trial that goes on from a checkpoint, the time up to there counts.
        dtype: fp32; bf16 (autocast); on CUDA only, tf32 (matrix products) and fp16 (autocast with
            a gradient scaler).
        device: auto takes CUDA, then MPS, then the CPU.
        threads: torch threads of one worker on the CPU; part of the study, for the rounding.
        deterministic: auto asks for deterministic kernels and says so where one is missing.
    """

    epochs: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    steps: Annotated[int, Field(ge=1, le=10**9)] | None = None
    eval_every: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0)] | None = None
    batch_size: Positive | Literal["full"] = 32
    shuffle: bool = True
    accumulate: Positive = 1
    l1: Annotated[float, Field(ge=0)] = 0.0
    decay: Literal["all", "weights"] = "all"
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    clip_value: Annotated[float, Field(gt=0)] | None = None
    input_noise: Annotated[float, Field(ge=0)] = 0.0
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    ema: Fraction | None = None
    early_stopping: EarlyStopping | None = None
    max_time: Duration | None = None
    dtype: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: Positive = 1
    deterministic: Literal["auto"] | bool = "auto"


class Objective(Settings):
    """What the search optimizes: a metric and its direction."""

    direction: Direction
    metric: Component


class SearchSettings(Settings):
    """How the space is searched. Budgets may be edited while a study lives.

    Attributes:
        trials: the study's total; running again continues up to it.
        timeout: seconds for one call of `search`; at most ten years.
        sampler: of optuna.samplers.
        pruner: of optuna.pruners.
        parallel: trials under way at once; trial n is suggested from trials 0 … n - parallel.
        order: exact (the same table for any number of jobs) or free (uses all that is known).
        attempts: how often a trial is tried whose worker dies.
    """

    trials: Positive = 50
    timeout: Duration | None = None
    sampler: Component = Component(name="TPESampler")
    pruner: Component | None = Component(name="MedianPruner")
    parallel: Positive = 8
    order: Literal["exact", "free"] = "exact"
    attempts: Positive = 3


class TrialConfig(Settings):
    """All that decides a trial's training, with no range left and no default open."""

    seed: Annotated[int, Field(ge=0)]
    data: DataSettings
    validation: ValidationSettings
    model: Component
    loss: Component
    optimizer: Component
    schedule: Component | None = None
    training: TrainingSettings = TrainingSettings()
    objective: Objective
    metrics: tuple[Component, ...] = ()
