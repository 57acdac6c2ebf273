"""Write a commented first study of a data set, ready to run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from textwrap import wrap
from typing import Any

from tunecli.errors import DataError
from tunecli.study_file.read.defaults import MOST_ROWS_FOR_FOLDS
from tunecli.study_file.settings.settings import Task
from tunecli.study_file.settings.source_kinds import ARRAYS, TABLES, TEXT_FILES
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.table_starters import (
    EMBEDDED_CLIP_NORM,
    EMBEDDED_PATIENCE,
    MOST_EMBEDDED,
    embedded_epochs,
    embedded_rates,
    embedded_scale,
    table_models,
)
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.dump import flow
from tunecli.study_file.text.suggestions import listed
from tunecli.study_file.text_starters import (
    ADVICE_TO_FINE_TUNE,
    TEXT_MODELS,
    FineTuning,
    fine_tuning_variants,
    language_study,
)

_UNEVEN = 0.65
"""Share of the most frequent class above which accuracy is not informative.

Who always predicts that class is right in two of three rows, and models differ by less than that.
"""

_SUFFIXES = {part for kind in (*TABLES, *ARRAYS, *TEXT_FILES) for part in kind[1:].split(".")}

_WIDTH = 78
"""Characters of a line of a comment."""

_LONGEST = 20
"""Characters of a class's name in a comment."""

_QUICK_SIDE = 64
"""Side in pixels of pictures on which an epoch takes seconds, without an accelerator."""


@dataclass(frozen=True)
class FirstLook:
    """The properties of a data set that determine a first study.

    Attributes:
        source: its name in the study file.
        shape: shape of one row: (n_columns,) or (channels, height, width).
        commonest: share of the most frequent class; 0 for regression.
        text: the columns of text that a model reads as tokens.
        fine_tuning: the pretrained model to fine-tune, too; None for none.
        text_bytes: bytes of the texts.
        is_one_text: whether that text has no documents.
        has_spaces: whether spaces separate most words of the texts.
        common, positive: of two classes the more frequent one and the other; of equally frequent
            ones, `positive` is the second. Empty otherwise.
        root, download: settings of a torchvision data set.
        in_order_of: the column of dates that a table's rows follow; empty without one.
        in_order_within_groups: whether they follow it only within each group.
        group: column of ids of which most have several rows; empty for none. `n_groups`: how many.
        reading: settings of `data` for reading a table, from `reading_settings`.
        has_test, has_validation: whether the source has its own rows for this.
        median_side: median of heights and widths in pixels, of pictures that differ in size;
            `shape` then has `first_size`. None for all other data.
    """

    source: str
    task: Task
    n_rows: int
    shape: tuple[int, ...]
    n_classes: int = 0
    commonest: float = 0.0
    has_test: bool = False
    has_validation: bool = False
    target: str | None = None
    median_side: int | None = None
    root: str | None = None
    download: bool = False
    in_order_of: str = ""
    in_order_within_groups: bool = False
    group: str = ""
    n_groups: int = 0
    reading: Mapping[str, Any] = field(default_factory=dict)
    common: str = ""
    positive: str = ""
    text: tuple[str, ...] = ()
    fine_tuning: FineTuning | None = None
    text_bytes: int = 0
    is_one_text: bool = False
    has_spaces: bool = True

    @property
    def in_words(self) -> str:
        """The rows, and what is predicted."""
        if self.task == "language_modeling":
            texts = "one text" if self.is_one_text else count(self.n_rows, "document")
            return f"{texts}, to predict each next token"
        what = count(self.n_classes, "class") if self.n_classes else "numbers"
        what = "labels" if self.task == "multilabel" else what
        return f"{count(self.n_rows, 'row')}, {what} to predict"

    @property
    def is_pictures(self) -> bool:
        """Whether rows are pictures."""
        return len(self.shape) == 3

    @property
    def is_embedded(self) -> bool:
        """Whether the models turn the numbers of a table into vectors."""
        return not (self.text or self.is_pictures) and self.shape[0] <= MOST_EMBEDDED

    @property
    def has_numbers(self) -> bool:
        """Whether rows have columns that `data.scale` applies to: any but text."""
        return self.is_pictures or self.shape[0] > len(self.text)


def reading_settings(overrides: Sequence[str]) -> dict[str, Any]:
    """Return the settings of `data.name=value` overrides for reading a table, by name.

    Raises:
        StudyFileError: a value is invalid.
        DataError: an override is of another setting.
    """
    names = [override.partition("=")[0].strip() for override in overrides]
    others = [name for name in names if name.removeprefix("data.") not in _READING]
    if others:
        known = listed(f"data.{name}" for name in _READING)
        raise DataError(f"init accepts --set only for {known}, but got {others[0]!r}.")
    study = StudyFile.from_text(_SHORTEST, "init", overrides)
    return study.data.model_dump(include={name.removeprefix("data.") for name in names})


_READING = (
    *("task", "decimal", "thousands", "units", "missing", "dates"),
    *("drop", "categorical", "numeric", "group", "time", "weights"),
)
_SHORTEST = "data: {source: t.csv, target: y}\nmodel: Linear\noptimizer: SGD\n"


def first_size(median_side: int) -> int:
    """Return a height and width for pictures that differ in size: small, and not enlarged.

    Args:
        median_side: median of their heights and widths in pixels.
    """
    return min(_QUICK_SIDE, max(8, median_side // 8 * 8))


def starter_name(source: str) -> str:
    """Return a study's name: that of the file, folder, data set or function."""
    last = re.split(r"[/:]", source.rstrip("/"))[-1]
    parts = last.split(".")
    while len(parts) > 1 and parts[-1].lower() in _SUFFIXES:
        parts.pop()
    return re.sub(r"[^A-Za-z0-9_-]+", "-", ".".join(parts)).strip("-")[:100] or "study"


SCHEMA = "study.schema.json"
"""The file beside a study file in which editors find the JSON Schema."""


def starter(look: FirstLook, file: str, options: str = "") -> str:
    """Return the text of a study file.

    Args:
        file: name of the file, for the commands in its comments.
        options: further options of `search` and `check`.
    """
    head = _head(look, file, options)
    if look.task == "language_modeling":
        body = language_study(look.source, look.text_bytes, is_one_text=look.is_one_text)
    else:
        body = chain(_data(look), _parts(look))
    return "\n".join([*head, *body]) + "\n"


def _head(look: FirstLook, file: str, options: str) -> Iterator[str]:
    yield f"# A first study of {look.source}: {look.in_words}."
    yield "#"
    yield f"#   tunecli check {file}{options}     # estimates time and memory, tests every branch"
    yield f"#   tunecli search {file}{options}    # Ctrl-C stops it; the same command resumes it"
    yield f"#   tunecli report {starter_name(look.source)}"
    yield "#"
    yield "# A range is searched; a single value is fixed. All other settings have a default:"
    yield "# `tunecli guide settings` lists them all."
    yield "#"
    yield f"# Editors complete this file after `tunecli schema > {SCHEMA}`."
    yield f"# yaml-language-server: $schema={SCHEMA}"
    yield ""


def _data(look: FirstLook) -> Iterator[str]:
    yield "data:"
    yield f"  source: {flow(look.source)}"
    if look.target is not None:
        yield f"  target: {flow(look.target)}"
    for name, value in look.reading.items():
        yield f"  {name}: {flow(value)}"
    yield from _text(look)
    yield from _proposed_time(look)
    yield from _proposed_group(look)
    if look.median_side is not None:
        side = f"{look.median_side:,} pixels"
        yield f"  # The pictures differ in size: the median of heights and widths is {side}."
        yield "  # All are scaled and cropped to this size; a larger one shows more but is slower."
        yield f"  size: {first_size(look.median_side)}"
    if look.root is not None:
        yield f"  root: {flow(look.root)}"
    if look.download:
        yield "  download: true                  # if root does not contain it"
    if look.n_classes == 2:
        line = f"  positive: {flow(look.positive)}"
        yield f"{line:<33} # the class that f1 and average_precision score"
    if not look.has_test:
        yield "  test: 0.2                       # held out for the end; no trial sees it"
    if look.has_numbers:
        scale = embedded_scale(look.n_rows) if look.is_embedded else "standard"
        yield f"{f'  scale: {scale}':<33} # fitted on each training part only"
    yield ""
    if not look.has_validation:
        few = look.n_rows <= MOST_ROWS_FOR_FOLDS
        yield f"validation: {'{folds: 5}' if few else '{holdout: 0.2}'}"
        yield ""


def _text(look: FirstLook) -> Iterator[str]:
    if not look.text:
        return
    if look.target is not None or "targets" in look.reading:  # a folder has nothing but text
        columns = flow(look.text[0] if len(look.text) == 1 else list(look.text))
        yield f"{f'  text: {columns}':<33} # read as tokens: `tunecli guide text`"
    if look.fine_tuning is None:
        yield f"  {_tokenizer(look)}"


def _proposed_time(look: FirstLook) -> Iterator[str]:
    if not look.in_order_of:
        return
    if look.in_order_within_groups:
        yield f"  # The rows of each {flow(look.group)} are sorted by the date below."
    else:
        yield "  # The rows are sorted by the date below."
    yield "  # To predict the future, validate and test on later rows: remove the next #."
    yield f"  # time: {flow(look.in_order_of)}"


def _proposed_group(look: FirstLook) -> Iterator[str]:
    if not look.group:
        return
    rows = f"{look.n_rows:,} rows have {look.n_groups:,} different values of the column below"
    yield f"  # The {rows}."
    yield "  # If new rows will have other values, keep the rows of each value together, or the"
    yield "  # scores are too good. To do so, remove the next #."
    yield f"  # group: {flow(look.group)}"


def _parts(look: FirstLook) -> Iterator[str]:
    if look.fine_tuning is None:
        yield from ADVICE_TO_FINE_TUNE if look.text else ()
        yield from _trained_from_scratch(look)
    else:
        yield "variant:"
        yield "  choice:                         # each trial uses one of these"
        yield "    from_scratch:"
        yield "      data:"
        yield f"        {_tokenizer(look)}"
        yield from (f"      {line}" for line in _trained_from_scratch(look) if line)
        yield from fine_tuning_variants(look.fine_tuning)
        yield ""
    yield from _objective(look)
    yield ""
    yield "search:"
    yield "  trials: 30                      # in total; to continue, raise it and search again"
    if look.is_embedded:
        yield "  start_with: tuned               # first the published defaults of the models"


def _trained_from_scratch(look: FirstLook) -> Iterator[str]:
    yield "model:"
    yield "  choice:                         # each trial uses one of these"
    yield from _models(look)
    yield ""
    yield from ("optimizer:", "  AdamW:")
    rates = "[3e-4, 1e-2]" if look.text else "[1e-4, 1e-1]"
    lr = embedded_rates(look.n_rows) if look.is_embedded else rates
    yield f"    lr: {{float: {lr}, log: true}}"
    decay = "[1e-4, 1e-1], log: true, or: 0" if look.is_embedded else "[1e-4, 1], log: true"
    yield f"    weight_decay: {{float: {decay}}}"
    yield ""
    yield "schedule: {choice: [none, CosineAnnealingLR]}"
    yield ""
    yield "training:"
    yield f"  epochs: {_epochs(look)}"
    yield f"  batch_size: {{choice: {_batch_sizes(look)}}}"
    if look.is_embedded:
        yield f"  clip_norm: {EMBEDDED_CLIP_NORM}"
    patience = f"  early_stopping: {{patience: {EMBEDDED_PATIENCE if look.is_embedded else 5}}}"
    yield f"{patience:<33} # evaluations without a better mean over the folds"
    yield ""


def _models(look: FirstLook) -> Iterator[str]:
    if look.text:
        yield from TEXT_MODELS
    elif look.is_pictures:
        yield from _picture_models(min(look.shape[1:]))
    else:
        yield from table_models(look.n_rows, look.shape[0])


def _tokenizer(look: FirstLook) -> str:
    if look.has_spaces:
        return "tokenizer: {words: {min_frequency: {int: [1, 3]}}}   # rarer words are one token"
    return "tokenizer: characters         # few spaces separate the words"


def _picture_models(side: int) -> Iterator[str]:
    if side >= 8:
        yield "    CNN: {channels: {int: [8, 32], step: 8}, depth: {int: [2, 4]}}"
    if side >= 64:
        yield "    resnet18: {}"
    else:
        yield "    MLP: {width: {int: [32, 256], log: true}, dropout: {float: [0.0, 0.5]}}"


def _epochs(look: FirstLook) -> int:
    if look.is_embedded:
        return embedded_epochs(look.n_rows)
    return 20 if look.n_rows <= MOST_ROWS_FOR_FOLDS and not look.text else 10


def _batch_sizes(look: FirstLook) -> list[int]:
    if look.is_embedded:  # with the batches of the published defaults
        few, many = [16, 64, 256], [64, 128, 256]
        return few if look.n_rows <= 2_000 else many if look.n_rows < 30_000 else [256, 512, 1024]
    if look.n_rows <= 2_000:
        return [16, 32, 64]
    if look.text:  # embeddings of rare tokens learn only in the few batches that have them
        return [32, 64, 128]
    return [64, 128, 256] if look.n_rows <= 50_000 else [256, 512, 1024]


def _objective(look: FirstLook) -> Iterator[str]:
    if look.commonest > _UNEVEN:
        yield from _unequal(look)
        return
    if look.task == "regression" and "targets" in look.reading:  # whose units differ
        goal, others = "maximize: r2", ["rmse", "mae"]
    elif look.task == "regression":
        goal, others = "minimize: rmse", ["mae", "r2"]
    elif look.task == "multilabel":
        goal = "maximize: {f1: {average: micro}}"
        others = ["hamming", "subset_accuracy", "average_precision"]
    else:
        goal = "maximize: accuracy"
        others = ["f1", "log_loss", *(["roc_auc"] if look.n_classes == 2 else [])]
    yield f"objective: {{{goal}}}"
    yield f"metrics: [{', '.join(others)}]   # also measured and shown"


def _unequal(look: FirstLook) -> Iterator[str]:
    """Yield an objective that scores probabilities, and metrics that each class counts in."""
    share = f"{look.commonest:.0%}"
    if look.n_classes > 2:
        yield from _comment(
            f"{share} of the rows belong to one class, so a guess has an accuracy of {share}. "
            "log_loss scores the probability that each row's true class gets."
        )
        yield "objective: {minimize: log_loss}"
        yield "metrics: [balanced_accuracy, f1, accuracy]   # also measured and shown"
        return
    common, positive = (f"{name[:_LONGEST]!r}" for name in (look.common, look.positive))
    yield from _comment(
        f"{share} of the rows are {common}, so a guess has an accuracy of {share}. log_loss "
        "scores the predicted probabilities; roc_auc and average_precision score how well they "
        f"rank the rows. {positive} is the positive class."
    )
    yield "objective: {minimize: log_loss}"
    yield "metrics: [roc_auc, average_precision, balanced_accuracy, f1]   # also measured"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, _WIDTH, break_on_hyphens=False)]
