"""The settings of a study file, with every range replaced by a value.

There is one class for a section whether it stands in a study file or in a trial: ranges live in
the study file's tree only (`tree.py`), and a range is checked by putting its ends and choices
here. So training never meets a range, and `TrialConfig` prints as a study file that runs again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from tunecli.study_file.durations import Duration

Task = Literal["classification", "regression"]
Direction = Literal["minimize", "maximize"]

LARGEST = 3e38
"""About the largest number that a model can compute with, which has 32 bits."""

LARGEST_SEED = 2**32 - 1
"""What numpy and scikit-learn take."""


@dataclass(frozen=True)
class Off:
    """Stands on a setting that can be off: `none`, null and an empty value mean `value`.

    A setting that may be None, a list of words, or true or false needs no mark.
    """

    value: Any


Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(gt=0, lt=1)]
Amount = Annotated[float, Field(ge=0, le=LARGEST), Off(0.0)]
"""Of something that a training may do without."""


def _one_as_list(words: Any) -> Any:
    """One word where several may stand; numbers as they would stand in a cell."""
    listed = words if isinstance(words, list) else [words]
    numbers = (int, float)
    return [
        str(word) if isinstance(word, numbers) and not isinstance(word, bool) else word
        for word in listed
    ]


Words = Annotated[
    list[str],
    BeforeValidator(
        _one_as_list, json_schema_input_type=str | int | float | list[str | int | float]
    ),
]
"""A list of words; one alone needs no brackets."""


def _is_size(written: Any) -> Any:
    """One number or two; pydantic would tell what is wrong with each way of writing it."""
    numbers = written if isinstance(written, list) and len(written) == 2 else [written]
    if all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in numbers):
        return written
    raise PydanticCustomError("no_size", "a whole number or [height, width], each at least 1")


Size = Annotated[
    Positive | Annotated[list[Positive], Field(min_length=2, max_length=2)],
    BeforeValidator(_is_size),
]
"""Height and width of pictures, in pixels; one number for both."""


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


WITHOUT = Component(name="none")
"""Stands where a training of the user's own needs no component."""


class DataSettings(Settings):
    """Where the rows come from, what is put away, how features are prepared.

    What a setting below is not meant for (`size` for a table) is an error: see `source_kinds`.

    Attributes:
        source: a bundled set, a table (.csv, .tsv, .csv.gz, .parquet), arrays (.npz, .npy, .pt), a
            folder of class folders, a torchvision set, or a function of your own.
        arguments: for a function that is the source; they may as well stand below its name.
        test: what the search never sees: a share of the rows, 0 for none, or a second file. By
            default the source's own test split, or 0.2.
        split_seed: decides the test set and the folds; `seed` never does.
        scale: fitted on each training part: standard, minmax, robust, quantile or none, which
            leaves numbers as they are and gives pictures from 0 (black) to 1 (white).
        augment: what happens to training pictures, one draw for each picture and epoch: classes
            of kornia.augmentation, in their order.
        target: the column to predict; of a .npy file, the file with the targets.
        task: classification or regression, where the target leaves it open.
        drop: columns to leave out.
        categorical: columns of categories, whatever their cells look like.
        numeric: columns of numbers, whatever their cells look like.
        missing: cells that count as missing, in addition to empty ones, such as `?`.
        decimal: the decimal sign of numbers in text: `.` or `,`.
        thousands: what separates groups of three digits in text: `,`, `.`, a space, `'` or `_`.
        units: texts before or after numbers, such as % or $; one per column, the same in rows to
            predict.
        dates: day-first or month-first, where 03.01.2026 leaves it open.
        group: a column whose rows of one value stay together, in one fold or in the test set.
        time: a column of times: validation and test are on later rows only.
        weights: a column of what each row counts, in the loss and in every score; 0 leaves a row
            out of training.
        impute: what stands for a missing number: median, mean or most_frequent.
        min_frequency: share of the training rows below which categories are taken together.
        size: height and width of all pictures, as 64 or [48, 64].
        channels: of pictures: 1 for grey, 3 for colour.
        skip_unreadable: leave pictures out that cannot be read.
        root: folder of torchvision's sets.
        download: fetch a torchvision set that is not there.
        in_memory: of a torch Dataset of your own: true to read it whole, false to load it batch by
            batch; auto decides by its size.
    """

    source: str
    arguments: dict[str, Any] = {}
    test: Annotated[Annotated[float, Field(ge=0, lt=1)] | str | None, Off(0.0)] = None
    split_seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 0
    scale: Component | None = Component(name="standard")
    augment: tuple[Component, ...] = ()
    target: str | None = None
    task: Task | None = None
    drop: Words = []
    categorical: Words = []
    numeric: Words = []
    missing: Words = []
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'", "_"] | None = None
    units: Words = []
    dates: Literal["day-first", "month-first"] | None = None
    group: str | None = None
    time: str | None = None
    weights: str | None = None
    impute: Literal["median", "mean", "most_frequent"] = "median"
    min_frequency: Annotated[float, Field(ge=0, lt=1), Off(0.0)] = 0.01
    size: Size | None = None
    channels: Literal[1, 3] | None = None
    skip_unreadable: bool = False
    root: str | None = None
    download: bool = False
    in_memory: bool | Literal["auto"] = "auto"


MOST_FOLDS = 10_000
"""Of a trial, repeats counted."""


class ValidationSettings(Settings):
    """How a trial is scored: k folds (repeated if wished), one part held out, or given rows.

    Nothing given means the source's own validation split, or 5 folds up to 20,000 rows and a
    holdout of 0.2 beyond. Classification is stratified, except in the order of time or with very
    many groups.

    Attributes:
        folds: the rows in k parts, each of which validates once.
        repeats: of the folds, each time in other parts.
        holdout: share of the rows that validates.
        file: a table whose rows validate.
        column: numbers the folds, or marks the rows that validate.
        folder: of pictures that validate, beside the class folders.
    """

    folds: Annotated[int, Field(ge=2, le=MOST_FOLDS)] | None = None
    repeats: Annotated[int, Field(ge=1, le=MOST_FOLDS)] = 1
    holdout: Fraction | None = None
    file: str | None = None
    column: str | None = None
    folder: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether nothing says how."""
        ways = (self.folds, self.holdout, self.file, self.column, self.folder)
        return all(way is None for way in ways)

    def n_valid_per_train(self, *, in_time: bool) -> float | None:
        """How many rows validate for each that trains, a mean over the splits; None if given rows.

        Args:
            in_time: rows are in the order of time, so that fold i of k trains on i parts.
        """
        if self.holdout is not None:
            return self.holdout / (1 - self.holdout)
        if self.folds is None:
            return None
        if in_time:
            return sum(1 / n_earlier for n_earlier in range(1, self.folds + 1)) / self.folds
        return 1 / (self.folds - 1)


class EarlyStopping(Settings):
    """Stop a trial once the mean curve over its folds no longer improves.

    Attributes:
        patience: evaluations without improvement before the trial ends.
        min_delta: an improvement must be larger than this.
        monitor: the objective's score, or the training loss.
    """

    patience: Positive
    min_delta: Amount = 0.0
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
        micro_batch: rows that go through the model at once, where a whole batch does not fit into
            memory; their gradients add up. auto halves it when memory runs out.
        l1: factor of the sum of absolute weights (biases and norms left out) in the loss.
        decay: `all` parameters feel the optimizer's weight_decay, or `weights` only (tensors of
            two and more dimensions).
        clip_norm: largest norm of the gradient of all parameters together.
        clip_value: largest absolute value of any gradient entry.
        input_noise: standard deviation of Gaussian noise on (scaled) training inputs.
        mixup: each batch is mixed with itself in another order, features and losses alike, by a
            share drawn from Beta(mixup, mixup); 0 for not at all.
        cutmix: each picture gets a rectangle of another one, whose area is drawn from
            Beta(cutmix, cutmix); with mixup, a coin decides for each batch.
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
    micro_batch: Positive | Literal["auto"] | None = None
    l1: Amount = 0.0
    decay: Literal["all", "weights"] = "all"
    clip_norm: Annotated[float, Field(gt=0, le=LARGEST)] | None = None
    clip_value: Annotated[float, Field(gt=0, le=LARGEST)] | None = None
    input_noise: Amount = 0.0
    mixup: Amount = 0.0
    cutmix: Amount = 0.0
    warmup: Annotated[float, Field(ge=0, lt=1), Off(0.0)] = 0.0
    ema: Fraction | None = None
    early_stopping: EarlyStopping | None = None
    max_time: Duration | None = None
    dtype: Literal["fp32", "tf32", "bf16", "fp16"] = "fp32"
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: Annotated[int, Field(ge=1, le=1024)] = 1
    deterministic: Literal["auto"] | bool = "auto"


class PruneSettings(Settings):
    """Weights of the smallest magnitude become zero, and stay so through fine-tuning.

    Attributes:
        amount: share of the weights.
        scope: compare the weights of all layers (global), or those within one (layer).
    """

    amount: Annotated[float, Field(ge=0, lt=1)]
    scope: Literal["global", "layer"] = "global"


class StructuredSettings(Settings):
    """Whole channels leave the model, by torch-pruning.

    Attributes:
        amount: share of the channels of each layer.
    """

    amount: Annotated[float, Field(ge=0, lt=1)]


class ShareSettings(Settings):
    """The weights of a layer share a few values, by k-means.

    Attributes:
        clusters: values a layer.
    """

    clusters: Annotated[int, Field(ge=2, le=256)]


class CompressionSettings(Settings):
    """What happens to each fold's model once it is trained; its score is the compressed one's.

    Attributes:
        structured: whole channels leave; smaller and faster.
        prune: single weights become zero; smaller.
        share: weights share values; smaller.
        finetune_epochs: trained further after these three, masks and shared values kept.
        fuse: batch norms are folded into the layers before them; faster.
        quantize: weights become whole numbers of 8 or 4 bits, a factor for each channel; smaller.
    """

    structured: StructuredSettings | None = None
    prune: PruneSettings | None = None
    share: ShareSettings | None = None
    finetune_epochs: Annotated[int, Field(ge=0, le=1_000_000), Off(0)] = 0
    fuse: bool = False
    quantize: Literal["int8", "int4"] | None = None

    @property
    def is_none(self) -> bool:
        """Whether nothing happens."""
        steps = (self.structured, self.prune, self.share, self.quantize)
        return not self.fuse and all(step is None for step in steps)


class Objective(Settings):
    """What the search optimizes: a metric and its direction."""

    direction: Direction
    metric: Component


class Constraint(Settings):
    """What a trial must keep to, or it is infeasible.

    Attributes:
        min, max: of the metric, in its own unit (seconds, bytes); one of them may be left open.
    """

    metric: Component
    min: float | None = None
    max: float | None = None


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
        baselines: whether untuned models of scikit-learn are scored on the same folds, once.
        keep_models: how many of the best trials leave the models of their folds in the study's
            folder, for `tunecli refit --as-searched`.
        learn_from: studies whose trials TPE or GP learns from before the first of this one, as far
            as they fit this space, on the same data, validation and objective.
    """

    trials: Positive = 50
    timeout: Duration | None = None
    sampler: Component = Component(name="TPESampler")
    pruner: Component | None = Component(name="MedianPruner")
    parallel: Positive = 8
    order: Literal["exact", "free"] = "exact"
    attempts: Positive = 3
    baselines: bool = True
    keep_models: Annotated[int, Field(ge=0), Off(0)] = 1
    learn_from: Words = []


class TrialConfig(Settings):
    """All that decides a trial's training, with no range left and no default open.

    Attributes:
        train: a training of the user's own; all else that it leaves out is `WITHOUT`.
        objective: the first one, which the curve, the best evaluation and early stopping follow.
        further_objectives: those beside it, in the order of the file.
        metrics: what else is shown.
    """

    seed: Annotated[int, Field(ge=0)]
    data: DataSettings
    validation: ValidationSettings
    model: Component = WITHOUT
    loss: Component = WITHOUT
    optimizer: Component = WITHOUT
    schedule: Component | None = None
    train: Component | None = None
    training: TrainingSettings = TrainingSettings()
    compression: CompressionSettings = CompressionSettings()
    objective: Objective
    further_objectives: tuple[Objective, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    metrics: tuple[Component, ...] = ()

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """All of them, the first one first."""
        return (self.objective, *self.further_objectives)
