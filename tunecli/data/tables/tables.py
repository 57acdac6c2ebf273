"""Turn table files into a data set: choose the features and their kinds, and leave out the rest.

The result is cached, so that one process reads the files for all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.cache.cached_datasets import kept_dataset, kept_facts, tensors
from tunecli.data.columns import cleaning, named_columns
from tunecli.data.columns.cell_values import is_text
from tunecli.data.columns.column_cells import CategoryCells, Cells
from tunecli.data.columns.column_facts import ColumnExample, ColumnFacts, facts_of_columns
from tunecli.data.columns.column_kinds import cells
from tunecli.data.columns.named_columns import Target, several_targets, target
from tunecli.data.columns.text_cells import TextCells
from tunecli.data.columns.unread_cells import refusals, unread
from tunecli.data.rows.array_forms import check_feature
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.texts import TextRows
from tunecli.data.rows.workspace import Workspace
from tunecli.data.tables.split_proposals import SplitProposals, proposals_of
from tunecli.data.tables.table_documents import documents_in
from tunecli.data.tables.table_files import Frame, frame_of, paths_of
from tunecli.data.tables.table_mistakes import (
    columns_named,
    raise_all,
    refuse_nested,
    refuse_new_classes,
    wrong_names,
)
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.dump import flow
from tunecli.study_file.text.suggestions import listed

_USED_LATER = {
    *("scale", "tokenizer", "max_length", "split_seed", "impute", "min_frequency", "positive"),
    "test",
}
"""Settings that decide nothing while files are read; the file of `test` is among the files."""
_KINDS = ("data.categorical", "data.numeric", "data.text")
"""The settings that name features."""


def load_table(
    settings: DataSettings, validation: ValidationSettings, workspace: Workspace
) -> Dataset:
    """Read a table, and the tables of the test set and the validation rows if there are any.

    Raises:
        DataError: a file cannot be used; with the place and a remedy.
    """
    files, asked = _files(settings, validation, workspace), _asked(settings, validation)

    def read() -> Dataset:
        table = _Table(frame_of(settings, validation, workspace.folder))
        dataset = _read(table)
        if workspace.describes_columns:
            _kept_facts(files, asked, workspace, lambda: table)
        return dataset

    return kept_dataset("table", settings.source, files, asked, workspace, read)


def _files(
    settings: DataSettings, validation: ValidationSettings, workspace: Workspace
) -> list[Path]:
    """Return all files of a table.

    Raises:
        DataError: one does not exist.
    """
    paths = paths_of(settings, validation)
    files = {name: workspace.folder / path for name, path in paths.items()}
    for name, path in files.items():
        if not path.is_file():
            raise DataError(f"file {paths[name]!r} does not exist (looked for at {path}).", name)
    return list(files.values())


def _asked(settings: DataSettings, validation: ValidationSettings) -> object:
    """Return the settings that decide what is read from the files.

    They are the same before and after a study's defaults that depend on its data.
    """
    of_splits = validation.model_dump(include={"file", "column"})
    return settings.model_dump(exclude=_USED_LATER), of_splits, paths_of(settings, validation)


@dataclass(frozen=True)
class _Table:
    """The rows of a table, and the features in them, which are looked for once."""

    frame: Frame

    @cached_property
    def features(self) -> tuple[list[Cells], list[str]]:
        """The cleaned feature columns, and notes on the others."""
        return _features(self.frame)


def _kept_facts(
    files: Sequence[Path], asked: object, workspace: Workspace, table: Callable[[], _Table]
) -> list[ColumnFacts]:
    return kept_facts(
        "columns", files, asked, workspace, ColumnFacts, lambda: _column_facts(table())
    )


def _read(table: _Table) -> Dataset:
    frame = table.frame
    raise_all(list(wrong_names(frame)))
    refuse_nested(frame)
    if frame.settings.task == "language_modeling":
        splits, on_splits = _splits(frame)
        return documents_in(frame, tensors(splits), on_splits)
    read_target = _target(frame)
    is_classes = read_target.task in ("classification", "multilabel")
    if read_target.classes:
        refuse_new_classes(frame, read_target)
    columns, on_columns = table.features
    if not columns:
        raise _nothing_left(frame, on_columns)
    on_leaks = cleaning.leaks(columns, read_target.values, is_classes, "leave it out with drop")
    splits, on_splits = _splits(frame)
    texts = [column for column in columns if isinstance(column, TextCells)]
    parts = _parts([column for column in columns if not isinstance(column, TextCells)])
    copies, on_copies = cleaning.duplicate_rows([c.values for c in columns], read_target.values)
    splits |= {"copies": copies} if copies is not None else {}
    return Dataset(
        name=frame.settings.source,
        task=read_target.task,
        x=_rows(parts, texts),
        y=torch.from_numpy(read_target.values),
        classes=read_target.classes,
        columns=tuple(part.column for part in parts),
        text_columns=tuple(text.column.name for text in texts),
        target=read_target.words,
        targets=read_target.names,
        notes=(*on_columns, *on_leaks, *on_splits, *on_copies),
        **tensors(splits),
    )


def _rows(parts: Sequence[Cells], texts: Sequence[TextCells]) -> Tensor | TextRows:
    """Return the rows of a table, (n_rows, n_columns), and their texts if there are any."""
    n_rows = len((*parts, *texts)[0].values)
    table = np.empty((n_rows, len(parts)))
    for position, part in enumerate(parts):
        table[:, position] = part.values
    x = torch.from_numpy(table)
    return TextRows(x, tuple(text.texts for text in texts)) if texts else x


def table_column_facts(
    settings: DataSettings, validation: ValidationSettings, workspace: Workspace
) -> list[ColumnFacts]:
    """Describe the content and use of each column of a table; reads it, unless that is cached.

    Raises:
        DataError: see `load_table`.
    """
    files, asked = _files(settings, validation, workspace), _asked(settings, validation)
    return _kept_facts(
        files, asked, workspace, lambda: _Table(frame_of(settings, validation, workspace.folder))
    )


def _column_facts(table: _Table) -> list[ColumnFacts]:
    frame = table.frame
    settings, validation = frame.settings, frame.validation
    features, uses = _features_and_others(table)
    for setting, names in columns_named(frame):
        if setting in _KINDS:
            uses = {name: use for name, use in uses.items() if name not in names}
        else:
            use = "left out: in drop" if setting == "data.drop" else setting.removeprefix("data.")
            uses |= dict.fromkeys(names, use)
    codes = {settings.group, validation.column}
    has_classes = settings.target is not None and _target(frame).task == "classification"
    codes |= {settings.target} if has_classes else set()

    def read(name: str) -> Cells:
        given = "categorical" if name in codes else frame.given(name)
        return cells(frame.rows[name], given, frame.where, frame.reading)

    return facts_of_columns(frame.rows, features, uses, read)


def _features_and_others(table: _Table) -> tuple[list[Cells], dict[str, str]]:
    """Return the columns that a model gets, and why it does not get others."""
    frame = table.frame
    if frame.settings.task != "language_modeling":
        return table.features[0], dict.fromkeys(frame.index, "left out: index")
    names = frame.settings.text
    texts = [cells(frame.rows[name], "text", frame.where, frame.reading) for name in names]
    return texts, dict.fromkeys(map(str, frame.rows.columns), "left out: not named")


def split_proposals(settings: DataSettings, workspace: Workspace) -> SplitProposals:
    """Read a table again to see which of its columns propose a split by time or by groups.

    Raises:
        DataError: see `load_table`.
    """
    frame = frame_of(settings, ValidationSettings(), workspace.folder)
    return proposals_of(_features(frame)[0])


def sentence_columns(settings: DataSettings, workspace: Workspace) -> tuple[str, ...]:
    """Read a table again to see which of its columns, unless settings name them, have sentences.

    Raises:
        DataError: see `load_table`.
    """
    frame = frame_of(settings, ValidationSettings(), workspace.folder)
    others = _no_features(frame)
    return tuple(name for name in _of_sentences(frame) if name not in others)


def _of_sentences(frame: Frame) -> list[str]:
    """Return the columns of sentences whose kind the user does not name."""
    names = [name for name in map(str, frame.rows.columns) if not frame.given(name)]
    texts = [name for name in names if is_text(frame.rows[name])]
    return [name for name in texts if CategoryCells.as_texts(frame.rows[name]).are_sentences]


def columns_at_a_glance(settings: DataSettings, workspace: Workspace) -> list[ColumnExample]:
    """Return each column of a table without a target, in its order.

    Raises:
        DataError: the file cannot be read.
    """
    frame = frame_of(settings, ValidationSettings(), workspace.folder)

    def read(name: str) -> Cells:
        return cells(frame.rows[name], frame.given(name), frame.where, frame.reading)

    uses = dict.fromkeys(map(str, frame.rows.columns), "undecided")
    facts = facts_of_columns(frame.rows, [], uses, read)
    firsts = (frame.rows[one.name].dropna() for one in facts)
    examples = (str(first.iloc[0]) if len(first) else "" for first in firsts)
    kinds = {one.name: one.kind for one in facts} | dict.fromkeys(_of_sentences(frame), "text")
    return [
        ColumnExample(one.name, kinds[one.name], cell)
        for one, cell in zip(facts, examples, strict=True)
    ]


def _target(frame: Frame) -> Target:
    settings, rows = frame.settings, frame.rows
    if settings.targets:
        return several_targets(rows[settings.targets], settings.task, frame.where, frame.reading)
    return target(rows[settings.target], settings.task, frame.where, frame.reading)


def _features(frame: Frame) -> tuple[list[Cells], list[str]]:
    """Return the cleaned feature columns, and notes on the others."""
    others = _no_features(frame)
    left_out = [name for name in frame.index if name not in others and not frame.given(name)]
    names = [name for name in frame.rows.columns if name not in {*others, *left_out}]
    are_read = ("text", "categorical")
    _refuse_unread(frame, [name for name in names if frame.given(name) not in are_read])
    notes, columns = _on_reading(frame, names, left_out), []
    identifiers: list[str] = []
    sentences: list[str] = []
    for name in names:
        column = cells(frame.rows[name], frame.given(name), frame.where, frame.reading)
        if not frame.given(name) and column.tell_rows_apart:
            (sentences if column.are_sentences else identifiers).append(name)
            continue
        if column.column.kind == "numeric":
            check_feature(name, column.values, frame.where)
        columns.append(column)
        notes += [column.note] if column.note else []
    if sentences:
        noun = "Column" if len(sentences) == 1 else "Columns"
        texts = [*frame.settings.text, *sentences]
        notes.append(
            f"{noun} of sentences, left out: {listed(sentences)}. To read them as text, write "
            f"text: {flow(texts[0] if len(texts) == 1 else texts)}."
        )
    if identifiers:
        notes.append(
            f"Columns left out because nearly every row has a different text: "
            f"{listed(identifiers)}. To keep them, list them in categorical; to hide "
            "this note, list them in drop."
        )
    features, more = cleaning.without_idle_columns(columns)
    return features, notes + more


def _parts(columns: Sequence[Cells]) -> list[Cells]:
    """Return the columns that a model gets, with dates as parts that have unique names."""
    parts = [part for column in columns for part in column.parts()]
    n_named = Counter(part.column.name for part in parts)
    for part in parts:
        if n_named[part.column.name] > 1 and part.column.date is not None:
            raise DataError(
                f"column {part.column.name!r} has the same name as a feature made from the date "
                f"column {part.column.source!r}. Rename it.",
                "data.source",
            )
    return parts


def _refuse_unread(frame: Frame, names: Iterable[str]) -> None:
    """Refuse, all at once, the columns of numbers with cells that cannot be read."""
    form = frame.reading.form
    unreadable = [one for name in names if (one := unread(frame.rows[name], form)) is not None]
    raise_all([*refusals(unreadable, form, frame.settings.missing, frame.where)])


def _on_reading(frame: Frame, names: Sequence[str], left_out: Sequence[str]) -> list[str]:
    """Return notes on facts that only the files show."""
    notes = []
    if frame.trimmed:
        notes.append(f"White space around cells is ignored in {listed(frame.trimmed)}.")
    guessed = [name for name in names if frame.given(name) not in ("numeric", "text")]
    codes = [name for name in frame.zero_padded if name in guessed]
    if codes:
        notes.append(
            f"Columns whose numbers begin with a zero, as codes do: {listed(codes)}. If they are "
            "codes, list them in categorical."
        )
    if left_out:
        notes.append(
            f"Columns left out because they look like the index of a data frame: "
            f"{listed(left_out)}. To keep them, list them in numeric or categorical; to hide this "
            "note, list them in drop."
        )
    return notes


def _no_features(frame: Frame) -> set[str]:
    """Return the columns that settings use for something other than features."""
    return {
        name for setting, names in columns_named(frame) if setting not in _KINDS for name in names
    }


def _nothing_left(frame: Frame, notes: Sequence[str]) -> DataError:
    """Explain why there is no feature column, at the setting that can change it."""
    nothing, drop = "no column is left for the features.", frame.settings.drop
    if not {*frame.rows.columns} <= _no_features(frame):
        return DataError(f"{nothing} {' '.join(notes)}", "data.source")
    if drop:
        why = f"Remove a column from drop ({listed(drop, most=5)})."
        return DataError(f"{nothing} {why}", "data.drop")
    why = "All columns are used by other settings. Add a column, or remove one of these settings."
    return DataError(f"{nothing} {why}", "data.source")


def _splits(frame: Frame) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """Return the arrays that decide the splits, by their name in a data set; and notes."""
    settings, rows, where = frame.settings, frame.rows, frame.where
    splits: dict[str, NDArray[Any]] = {}
    notes: list[str] = []
    if settings.group is not None:
        splits["groups"] = named_columns.groups(rows[settings.group], where)
        of = f"of {settings.group}"
        groups = count(splits["groups"].max() + 1, f"group {of} is", f"groups {of} are")
        notes.append(f"{groups} kept whole.")
    if settings.time is not None:
        splits["times"] = named_columns.times(rows[settings.time], where, frame.reading)
    if settings.weights is not None:
        form = frame.reading.form
        weights = named_columns.weights(rows[settings.weights], where, form)
        splits |= {"weights": weights} if len(np.unique(weights)) > 1 else {}
    if (test := frame.rows_of("data.test")) is not None:
        splits["given_test"] = test
    if (validating := frame.rows_of("validation.file")) is not None:
        splits["given_folds"] = np.full(len(rows), -1)
        splits["given_folds"][validating] = 0
    if frame.validation.column is not None:
        folds, test = named_columns.fold_numbers(rows[frame.validation.column])
        splits["given_folds"] = folds
        if test is not None:
            splits.setdefault("given_test", test)
    return splits, notes
