"""Take a first look at data of any source, for a starter study."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import torch

from tunecli.data.columns.column_facts import ColumnExample
from tunecli.data.pictures.class_folders import holds_texts
from tunecli.data.pictures.pictures import median_side
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.positive_class import positive_class
from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset
from tunecli.data.starting_models import columns_of_text, fine_tuning_for
from tunecli.data.tables.tables import columns_at_a_glance, sentence_columns, split_proposals
from tunecli.data.text.unspaced_scripts import have_spaces
from tunecli.errors import DataError
from tunecli.study_file.settings import source_kinds
from tunecli.study_file.settings.setting_types import SourceKind
from tunecli.study_file.settings.settings import DataSettings
from tunecli.study_file.starter import FirstLook, first_size
from tunecli.study_file.text.dump import flow

_TARGETS = ("target", "y", "label", "labels", "class", "outcome", "result", "response")
"""Names of columns that are usually predicted, in lower case."""


class NoTargetError(DataError):
    """A table was given without the column to predict.

    Attributes:
        columns: the columns to choose from.
    """

    def __init__(self, source: str, columns: list[ColumnExample]) -> None:
        command = shlex.join(["tunecli", "init", source, "--target", _likely_target(columns)])
        super().__init__(
            "a table needs --target with the name of the column to predict. For example:\n"
            f"  {command}"
        )
        self.columns = columns


@dataclass(frozen=True)
class Asked:
    """What a user says of the data.

    Attributes:
        source: its name as in a study file of the workspace's folder.
        root: the folder of a torchvision data set.
        download: whether to fetch that set if it is missing.
        reading: settings that decide how a table is read.
        pretrained: the model to fine-tune, as a study file names it; None for the smallest one
            in the hub's cache, empty for none.
    """

    source: str
    target: str | None
    workspace: Workspace
    root: str | None = None
    download: bool = False
    reading: Mapping[str, Any] = field(default_factory=dict)
    pretrained: str | None = None

    @property
    def settings(self) -> DataSettings:
        """The settings of a study with only these."""
        return DataSettings(
            source=self.source,
            target=self.target,
            root=self.root,
            download=self.download,
            **self.reading,
        )


def first_look(
    source: str,
    target: str | None,
    workspace: Workspace,
    root: str | None = None,
    download: bool = False,
    reading: Mapping[str, Any] | None = None,
    pretrained: str | None = None,
) -> FirstLook:
    """Read data as a study with only a source and a target would, and describe it.

    Args:
        source: its name as in a study file of the workspace's folder; a folder may lack its `/`.
        root, download, reading, pretrained: see `Asked`.

    Raises:
        NoTargetError: the source is a table without a target.
        DataError: the source is missing or cannot be used.
    """
    if source_kinds.kind_of(source) is None and (workspace.folder / source).is_dir():
        source = f"{source}/"
    asked = Asked(source, target, workspace, root, download, reading or {}, pretrained)
    kind = _kind_of(asked)
    _refuse_what_does_not_apply(kind, asked)
    look = _LOOKS.get(kind, _look)(asked)
    if pretrained and look.fine_tuning is None:
        raise DataError(_no_fine_tuning(look, pretrained))
    return look


def _no_fine_tuning(look: FirstLook, pretrained: str) -> str:
    """Return that init writes no fine-tuning of this data, and what to do instead."""
    begin = f"--pretrained applies only to texts with a target, but {look.source} has none. "
    if look.task != "language_modeling":
        return f"{begin}Leave it out."
    model = {"pretrained": pretrained, "adapter": {"LoraConfig": {"target_modules": "all-linear"}}}
    return (
        f"{begin}To fine-tune a language model, run init without it. In the file that it writes, "
        "remove data.tokenizer, since the model has its own, and replace the model by\n"
        f"  model: {flow({'AutoModelForCausalLM': model})}"
    )


def _kind_of(asked: Asked) -> SourceKind:
    """Return the kind of a source.

    Raises:
        DataError: the source is unknown, or its file or folder is missing.
    """
    kind, folder = source_kinds.kind_of(asked.source), asked.workspace.folder
    if kind is None:
        raise DataError(source_kinds.unknown_source(asked.source, folder))
    if kind in ("table", "arrays", "corpus", "pictures"):
        missing = source_kinds.missing_file(asked.source, folder, kind)
        if missing is not None:
            raise DataError(missing)
    return kind


def _refuse_what_does_not_apply(kind: SourceKind, asked: Asked) -> None:
    """Refuse options that are of another kind of source.

    Raises:
        DataError: there is such an option.
    """
    if kind != "torchvision" and (asked.root is not None or asked.download):
        message = "--root and --download apply only to torchvision data sets"
        raise DataError(f"{message}, not to {asked.source}.")
    if kind != "table" and "targets" in asked.reading:
        raise DataError(f"only a table has several targets. {asked.source} takes none or one.")
    if kind != "table" and asked.reading:
        raise DataError(f"--set applies only to tables, not to {asked.source}.")


def _look(asked: Asked) -> FirstLook:
    """Describe data that needs no more than its source."""
    return _described(asked, load_dataset(asked.settings, asked.workspace))


def _look_at_table(asked: Asked) -> FirstLook:
    """Describe a table, and what its columns propose for its splits.

    Raises:
        NoTargetError: it is unknown which column to predict.
    """
    if not source_kinds.target_columns(asked.settings):
        columns = columns_at_a_glance(asked.settings, asked.workspace)
        raise NoTargetError(asked.source, columns)
    if text := sentence_columns(asked.settings, asked.workspace):
        named = {**asked.reading, "text": [*asked.reading.get("text", ()), *text]}
        look = replace(_look(replace(asked, reading=named)), reading=asked.reading)
    else:
        look = _look(asked)
    proposed = split_proposals(asked.settings, asked.workspace)
    is_in_time = "time" not in asked.reading
    is_in_groups = "group" not in asked.reading
    return replace(
        look,
        in_order_of=proposed.time if is_in_time else "",
        in_order_within_groups=proposed.is_within_groups and is_in_time,
        group=proposed.group if is_in_groups else "",
        n_groups=proposed.n_groups if is_in_groups else 0,
    )


def _look_at_folder(asked: Asked) -> FirstLook:
    """Describe pictures or texts in class folders, or else texts for a language model."""
    folder = asked.workspace.folder / asked.source
    if holds_texts(folder) and not any(folder.glob("[!.]*/")):
        return _look(replace(asked, reading={"task": "language_modeling"}))
    try:
        return _look(asked)
    except DataError as error:
        if error.setting != "data.size":
            raise
    median = median_side(asked.settings, asked.workspace)
    settings = asked.settings.model_copy(update={"size": first_size(median)})
    dataset = load_dataset(settings, asked.workspace)
    return replace(_described(asked, dataset), median_side=median)


def _look_at_torchvision(asked: Asked) -> FirstLook:
    """Describe a set of torchvision, which must be in a folder.

    Raises:
        DataError: no folder was named.
    """
    if asked.root is None:
        raise DataError(
            f"{asked.source} needs --root, the folder where torchvision stores it, and --download "
            "if it is not there yet."
        )
    return _look(asked)


_LOOKS: Mapping[SourceKind, Callable[[Asked], FirstLook]] = {
    "table": _look_at_table,
    "pictures": _look_at_folder,
    "torchvision": _look_at_torchvision,
}


def _described(asked: Asked, dataset: Dataset) -> FirstLook:
    shares = np.bincount(dataset.y.numpy()) / len(dataset.y) if dataset.classes else [0.0]
    positive = positive_class(dataset, torch.arange(len(dataset.y)), None)
    of_two = dataset.classes if positive is not None else ["", ""]
    return FirstLook(
        source=asked.source,
        task=dataset.task,
        n_rows=len(dataset.y),
        shape=dataset.shape,
        n_classes=len(dataset.classes),
        commonest=float(max(shares)),
        text=dataset.text_columns,
        fine_tuning=fine_tuning_for(dataset, asked.pretrained, asked.workspace.folder),
        text_bytes=sum(len(texts.content) for texts in columns_of_text(dataset)),
        is_one_text=dataset.is_one_text,
        has_spaces=have_spaces(_some_texts(dataset)),
        has_test="test" in dataset.given,
        has_validation="validation" in dataset.given,
        target=asked.target,
        root=asked.root,
        download=asked.download,
        reading=asked.reading,
        common=of_two[1 - (positive or 0)],
        positive=of_two[positive or 0],
    )


def _some_texts(dataset: Dataset) -> Iterator[str]:
    """Yield the beginnings of the first texts, which show the script."""
    for texts in columns_of_text(dataset):
        yield from (text[:1000] for text in islice(texts, 1000))


def _likely_target(columns: list[ColumnExample]) -> str:
    """Return the name of a column that is usually predicted, else that of the last column."""
    names = [column.name for column in columns]
    return next((name for name in names if name.lower() in _TARGETS), names[-1])
