"""The settings of a study file, with every range replaced by a value.

A section has the same class in a study file and in a trial: ranges exist only in the study file's
tree (`space/tree.py`), and a range is checked by validating its ends and choices here. So training
never sees a range, and `TrialConfig` can be printed as a study file that runs again.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tunecli.study_file.settings.setting_descriptions import Described
from tunecli.study_file.settings.setting_types import (
    LARGEST,
    LARGEST_SEED,
    MOST_FOLDS,
    MOST_TOKENS,
    Amount,
    AnyTraining,
    ClassLabel,
    Duration,
    Fraction,
    NoRange,
    NotWithLBFGS,
    OddWindow,
    Off,
    OnEdit,
    OnlyFor,
    Positive,
    Size,
    Words,
)

Task = Literal["classification", "regression", "multilabel", "language_modeling"]
Direction = Literal["minimize", "maximize"]

_TABLE = OnlyFor(("table",))
_PICTURES = OnlyFor(("pictures", "torchvision"))
_FROM_TARGETS = OnlyFor(("table", "arrays", "code"))


class Settings(Described, BaseModel):
    """Base of all settings: frozen, strict (`true` is not a number), without unknown keys."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Component(Settings):
    """A named thing with arguments: a model, loss, optimizer, sampler, metric and so on."""

    name: str
    """its name in torch, scikit-learn, Optuna or tunecli, such as `AdamW`."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """arguments of its constructor; plain data, or a nested Component (Muon's `rest`)."""

    @field_validator("arguments")
    @classmethod
    def _nested_from_json(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """Turn nested components that were stored as JSON back into components."""
        return {
            key: cls(**value)
            if isinstance(value, dict) and value.keys() == {"name", "arguments"}
            else value
            for key, value in arguments.items()
        }


WITHOUT = Component(name="none")
"""The placeholder of a component that the user's own training does not need."""


class DataSettings(Settings):
    """Source of the rows, rows to hold out, and preparation of the features.

    A setting that does not apply to the source is an error: see `source_kinds`.
    """

    source: str
    """a bundled dataset, a table (.csv, .tsv, .csv.gz, .parquet, .jsonl), arrays (.npz, .npy,
    .pt), a folder of class folders, a torchvision dataset, or a function of your own.
    """
    arguments: Annotated[dict[str, Any], OnlyFor(("code",))] = {}
    """arguments of the source function; they can also be written below its name."""
    test: Annotated[Annotated[float, Field(ge=0, lt=1)] | str | None, Off(0.0)] = None
    """the rows to hold out from the search: a share of the rows, 0 for none, or a second file.
    Default: the source's own test split, or 0.2; for a language model 0.1.
    """
    split_seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 0
    """seed of the test split and the folds, which `seed` does not affect."""
    scale: Component | None = Component(name="standard")
    """scaling, fitted on each training split: standard, minmax, robust, smooth_clip, quantile or
    none. Without scaling, numbers are unchanged and pictures range from 0 (black) to 1 (white).
    """
    augment: tuple[Component, ...] = ()
    """augmentation of training pictures, drawn anew for each picture and epoch: classes of
    kornia.augmentation, applied in order.
    """
    target: Annotated[str | None, OnlyFor(("table", "arrays"))] = None
    """the column to predict, required for a table; for a .npy file, the file of the targets."""
    targets: Annotated[Words, _TABLE] = []
    """several columns to predict at once: numbers, each standardized by itself, or labels."""
    task: Annotated[Task | None, OnlyFor(("table", "arrays", "corpus", "code"))] = None
    """classification, regression, multilabel or language_modeling. Default: fits the target."""
    positive: ClassLabel | None = None
    """the class that binary metrics score. Default: the rarer one; on a tie, the second."""
    drop: Annotated[Words, _TABLE] = []
    """columns to ignore."""
    categorical: Annotated[Words, _TABLE] = []
    """columns to treat as categories, whatever their cells look like."""
    numeric: Annotated[Words, _TABLE] = []
    """columns to treat as numbers, whatever their cells look like."""
    text: Annotated[Words, _TABLE] = []
    """columns of text, which a model reads as tokens; several columns are read one after another,
    each on a new line.
    """
    tokenizer: Component | None = None
    """how text becomes tokens: characters, words, BPE, Unigram or WordPiece, fitted on each
    training split. Default: words. A pretrained model has its own.
    """
    max_length: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None
    """largest number of tokens of a row; what follows them is cut off. Default: 256."""
    block_size: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None
    """number of tokens that a language model reads at once. Default: 128."""
    documents: Annotated[Literal["file", "line"], OnlyFor(("corpus",))] = "file"
    """how a language model reads a text file: as a whole, or a document per line."""
    prompt: Annotated[str | None, _TABLE] = None
    """a column of text that a language model reads, but is not trained to predict."""
    completion: Annotated[str | None, _TABLE] = None
    """a column of text that a language model is trained to predict after the prompt."""
    missing: Annotated[Words, _TABLE] = []
    """cells that count as missing, in addition to empty ones, such as `?`."""
    decimal: Annotated[Literal[".", ","], _TABLE] = "."
    """the decimal sign of numbers in text: `.` or `,`."""
    thousands: Annotated[Literal[",", ".", " ", "'", "_"] | None, _TABLE] = None
    """the separator of groups of three digits in text: `,`, `.`, a space, `'` or `_`."""
    units: Annotated[Words, _TABLE] = []
    """strings before or after numbers, such as % or $. All numbers of a column need the same
    one, also in rows to predict.
    """
    dates: Annotated[Literal["day-first", "month-first"] | None, _TABLE] = None
    """day-first or month-first, needed if dates such as 03.01.2026 are ambiguous."""
    group: Annotated[str | None, _TABLE] = None
    """a column of groups; all rows of a group stay in one fold or in the test set."""
    time: Annotated[str | None, _TABLE] = None
    """a column of times; validation and test rows are later than the training rows."""
    weights: Annotated[str | None, _TABLE] = None
    """a column of row weights, used in the loss and in every score; 0 excludes a row from
    training.
    """
    impute: Annotated[Literal["median", "mean", "most_frequent"], _FROM_TARGETS] = "median"
    """the replacement of missing numbers: median, mean or most_frequent."""
    min_frequency: Annotated[float, Field(ge=0, lt=1), Off(0.0), _TABLE] = 0.01
    """share of the training rows below which categories are merged into one."""
    size: Annotated[Size | None, _PICTURES] = None
    """height and width of all pictures in pixels, such as 64 or [48, 64]; required if they differ
    in size.
    """
    channels: Annotated[Literal[1, 3] | None, _PICTURES] = None
    """channels of pictures: 1 for grey, 3 for colour. Default: 1 if all are grey, else 3."""
    skip_unreadable: Annotated[bool, OnlyFor(("pictures",))] = False
    """whether to leave out pictures that cannot be read."""
    root: Annotated[str | None, OnlyFor(("torchvision",))] = None
    """folder of torchvision's data sets."""
    download: Annotated[bool, OnlyFor(("torchvision",))] = False
    """whether to download a torchvision data set that is missing."""
    in_memory: Annotated[bool | Literal["auto"], OnlyFor(("code",))] = "auto"
    """for a torch Dataset of your own: true reads it whole, false loads it batch by batch; auto
    decides by its size.
    """


class ValidationSettings(Settings):
    """Validation of a trial: k folds (optionally repeated), one holdout, or given rows.

    The default is the source's own validation split, or else 5 folds up to 20,000 rows and a
    holdout of 0.2 beyond. Classification is stratified, except in time order or with very many
    groups.
    """

    folds: Annotated[int, Field(ge=2, le=MOST_FOLDS)] | None = None
    """number of parts to split the rows into; each part is used once for validation."""
    repeats: Annotated[int, Field(ge=1, le=MOST_FOLDS)] = 1
    """how many times to repeat the folds, each time with different parts."""
    holdout: Fraction | None = None
    """share of the rows to validate on."""
    file: Annotated[str | None, OnlyFor(("table", "corpus"))] = None
    """a table of rows, or a text file or folder, to validate on."""
    column: Annotated[str | None, _TABLE] = None
    """a column that numbers the folds, or marks the rows to validate on."""
    folder: Annotated[str | None, OnlyFor(("pictures",))] = None
    """an image folder to validate on: in the source folder, or else next to the study file."""
    racing: Annotated[Literal["off", "on", "auto"], Off("off"), OnEdit("search")] = "off"
    """`on`: a trial trains two folds first, and all folds only if it is still among the good
    trials; the value of a complete trial is over all folds in any case. auto is `on` with 5 folds
    or more.
    """

    @property
    def is_open(self) -> bool:
        """Whether no way to validate is given."""
        ways = (self.folds, self.holdout, self.file, self.column, self.folder)
        return all(way is None for way in ways)

    def n_valid_per_train(self, *, in_time: bool) -> float | None:
        """Return validation rows per training row, a mean over the splits; None for given rows.

        Args:
            in_time: whether rows are in time order, so that fold i of k trains on i parts.
        """
        if self.holdout is not None:
            return self.holdout / (1 - self.holdout)
        if self.folds is None:
            return None
        if in_time:
            return sum(1 / n_earlier for n_earlier in range(1, self.folds + 1)) / self.folds
        return 1 / (self.folds - 1)


class EarlyStopping(Settings):
    """Stop a trial once the mean curve over its folds no longer improves."""

    patience: Positive
    """number of evaluations without improvement before the trial ends."""
    min_delta: Amount = 0.0
    """an improvement must be larger than this."""
    monitor: Literal["score", "train_loss"] = "score"
    """the objective's score, or the training loss."""


_Dtype = Literal["fp32", "tf32", "bf16", "fp16"]
_Bound = Annotated[float, Field(gt=0, le=LARGEST)]


class TrainingSettings(Settings):
    """Training of a model."""

    epochs: Annotated[Annotated[int, Field(ge=1, le=1_000_000)] | None, AnyTraining()] = None
    """passes over the training split; 20 unless `steps` is given."""
    steps: Annotated[int, Field(ge=1, le=10**9)] | None = None
    """optimizer steps instead of epochs; schedules then also count steps, except
    ReduceLROnPlateau.
    """
    eval_every: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0)] | None = None
    """number of epochs between evaluations (a fraction is allowed) or, with `steps`, number of
    steps. Default: one epoch or, with `steps`, a tenth of all steps.
    """
    batch_size: Positive | Literal["full"] = 32
    """rows per batch; `full` is plain gradient descent. A last batch of one row is merged into the
    one before.
    """
    shuffle: bool = True
    """whether each epoch has a new order of rows."""
    accumulate: Positive = 1
    """number of batches whose gradients are combined in one optimizer step."""
    micro_batch: Positive | Literal["auto"] | None = None
    """rows per pass through the model, if a whole batch does not fit into memory; the gradients of
    the passes are summed. auto halves the rows when memory runs out.
    """
    l1: Amount = 0.0
    """factor of the sum of absolute weights (without biases and norms) in the loss."""
    decay: Annotated[Literal["all", "weights"], NotWithLBFGS()] = "all"
    """parameters that the optimizer's weight_decay applies to: `all`, or `weights` only (tensors
    of two or more dimensions).
    """
    clip_norm: Annotated[_Bound | None, NotWithLBFGS()] = None
    """largest norm of the gradient of all parameters together."""
    clip_value: Annotated[_Bound | None, NotWithLBFGS()] = None
    """largest absolute value of any gradient entry."""
    input_noise: Annotated[Amount, NotWithLBFGS()] = 0.0
    """standard deviation of Gaussian noise on (scaled) training inputs."""
    mixup: Annotated[Amount, NotWithLBFGS()] = 0.0
    """mixes each batch with a permutation of itself (inputs and losses), with a mixing coefficient
    drawn from Beta(mixup, mixup); 0 is off.
    """
    cutmix: Annotated[Amount, NotWithLBFGS()] = 0.0
    """pastes a rectangle of another picture into each picture; its area is drawn from Beta(cutmix,
    cutmix). With mixup, each batch uses one of the two at random.
    """
    warmup: Annotated[float, Field(ge=0, lt=1), Off(0.0)] = 0.0
    """share of all optimizer steps over which the learning rate rises linearly from 0."""
    fade_out: Annotated[float, Field(ge=0, le=1), Off(0.0), NotWithLBFGS()] = 0.0
    """share of all optimizer steps, at the end, over which dropout and weight decay fall to 0
    along half a cosine.
    """
    ema: Fraction | None = None
    """decay of an exponential moving average of the weights, which evaluations use."""
    early_stopping: Annotated[EarlyStopping | None, AnyTraining()] = None
    """when to stop a trial that no longer improves; none for never."""
    smooth_score: Annotated[OddWindow, Off(1), NoRange()] = 1
    """an odd n: the best evaluation is chosen by a median over n evaluations; 1 is off."""
    max_time: Annotated[Duration | None, AnyTraining(), NoRange(), OnEdit("budget")] = None
    """longest training time of a trial (30m, 2h), after which it is stopped and counts as failed;
    for trials that hang. If a trial resumes, its time up to the checkpoint still counts.
    """
    dtype: Annotated[_Dtype, NotWithLBFGS(("tf32", "bf16"))] = "fp32"
    """fp32; bf16 (autocast); on CUDA only, tf32 (matrix products) and fp16 (autocast with a
    gradient scaler).
    """
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], AnyTraining()] = "auto"
    """auto uses CUDA, then MPS, then the CPU."""
    threads: Annotated[int, Field(ge=1, le=1024), AnyTraining()] = 1
    """torch threads per worker on the CPU; part of the study, as it affects rounding."""
    deterministic: Annotated[Literal["auto"] | bool, AnyTraining()] = "auto"
    """auto uses deterministic kernels, and warns where one is missing."""


class PruneSettings(Settings):
    """Weights of the smallest magnitude become zero, and stay zero in fine-tuning."""

    amount: Annotated[float, Field(ge=0, lt=1)]
    """share of the weights."""
    scope: Literal["global", "layer"] = "global"
    """whether weights are compared across all layers (global) or within each (layer)."""


class StructuredSettings(Settings):
    """Whole channels leave the model, by torch-pruning."""

    amount: Annotated[float, Field(ge=0, lt=1)]
    """share of the channels of each layer."""


class ShareSettings(Settings):
    """The weights of a layer share a few values, by k-means."""

    clusters: Annotated[int, Field(ge=2, le=256)]
    """number of values per layer."""


class CompressionSettings(Settings):
    """Compression of each fold's model after training; the compressed model is scored."""

    merge: bool = False
    """merges an adapter into the weights that it adapts; faster."""
    structured: StructuredSettings | None = None
    """removes whole channels; smaller and faster."""
    prune: PruneSettings | None = None
    """sets single weights to zero; smaller."""
    share: ShareSettings | None = None
    """makes weights share values; smaller."""
    finetune_epochs: Annotated[int, Field(ge=0, le=1_000_000), Off(0)] = 0
    """epochs of training after the steps above; zeros stay zero, shared weights stay shared."""
    fuse: bool = False
    """folds batch norms into the layers before them; faster."""
    quantize: Literal["int8", "int4"] | None = None
    """stores weights as 8-bit or 4-bit integers with one scale per output channel; smaller."""

    @property
    def is_none(self) -> bool:
        """Whether nothing is compressed."""
        steps = (self.structured, self.prune, self.share, self.quantize)
        return not (self.merge or self.fuse) and all(step is None for step in steps)


class Objective(Settings):
    """The metric that the search optimizes, and its direction."""

    direction: Direction
    metric: Component


class Constraint(Settings):
    """Limits of a metric; a trial beyond them is infeasible."""

    metric: Component
    min: float | None = None
    """Limits in the metric's own unit (seconds, bytes); one of them may be None."""
    max: float | None = None


class TrialConfig(Settings):
    """Everything that decides a trial's training, with a value for each range and default."""

    seed: Annotated[int, Field(ge=0)]
    data: DataSettings
    validation: ValidationSettings
    model: Component = WITHOUT
    loss: Component = WITHOUT
    optimizer: Component = WITHOUT
    schedule: Component | None = None
    train: Component | None = None
    """the user's own training; parts that it does not need are `WITHOUT`."""
    training: TrainingSettings = TrainingSettings()
    compression: CompressionSettings = CompressionSettings()
    objective: Objective
    """the first objective; the curve, the best evaluation and early stopping follow it."""
    further_objectives: tuple[Objective, ...] = ()
    """the other objectives, in the order of the file."""
    constraints: tuple[Constraint, ...] = ()
    metrics: tuple[Component, ...] = ()
    """other metrics to measure and show."""
    numerics: Annotated[int, Field(ge=1)] = 2
    """version of tunecli's arithmetic; configurations of versions that did not store it have 2."""

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """All objectives, in order."""
        return (self.objective, *self.further_objectives)
