"""Turn table files into a data set: choose the features and their kinds, and leave out the rest.

The result is cached, so that one process reads the files for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tunecli.data.cache.cached_datasets import kept_dataset, tensors
from tunecli.data.columns import cleaning, named_columns
from tunecli.data.columns.cell_values import is_nested, is_text
from tunecli.data.columns.column_cells import CategoryCells, Cells
from tunecli.data.columns.column_facts import ColumnExample, ColumnFacts, facts_of_columns
from tunecli.data.columns.column_kinds import cells
from tunecli.data.columns.named_columns import Target, target
from tunecli.data.columns.text_cells import TextCells
from tunecli.data.columns.unread_cells import refusals, unread
from tunecli.data.rows.array_forms import check_feature
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.texts import TextRows
from tunecli.data.rows.workspace import Workspace
from tunecli.data.tables.split_proposals import SplitProposals, proposals_of
from tunecli.data.tables.table_documents import documents_in
from tunecli.data.tables.table_files import Frame, frame_of, paths_of
from tunecli.errors import DataError, DataMistakesError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.dump import flow
from tunecli.study_file.text.suggestions import did_you_mean, listed

_PREPARED_LATER = {"scale", "tokenizer", "max_length", "split_seed", "impute", "min_frequency"}
_KINDS = ("data.categorical", "data.numeric", "data.text")
"""The settings that name features."""


def load_table(
    settings: DataSettings, validation: ValidationSettings, workspace: Workspace
) -> Dataset:
    """Read a table, and the tables of the test set and the validation rows if there are any.

    Raises:
        DataError: a file cannot be used; with the place and a remedy.
    """
    paths = paths_of(settings, validation)
    files = {name: workspace.folder / path for name, path in paths.items()}
    for name, path in files.items():
        if not path.is_file():
            raise DataError(f"file {paths[name]!r} does not exist (looked for at {path}).", name)
    asked = settings.model_dump(exclude=_PREPARED_LATER), validation.model_dump()

    def read() -> Dataset:
        return _read(frame_of(settings, validation, workspace.folder))

    return kept_dataset("table", settings.source, list(files.values()), asked, workspace, read)


def _read(frame: Frame) -> Dataset:
    _raise_all(list(_wrong_names(frame)))
    _refuse_nested(frame)
    if frame.settings.task == "language_modeling":
        splits, on_splits = _splits(frame)
        return documents_in(frame, tensors(splits), on_splits)
    read_target = _target(frame)
    is_classes = read_target.task == "classification"
    if is_classes:
        _refuse_new_classes(frame, read_target)
    columns, notes = _features(frame)
    if not columns:
        raise _nothing_left(frame, notes)
    notes += cleaning.leaks(columns, read_target.values, is_classes, "leave it out with drop")
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
        notes=(*notes, *on_splits, *on_copies),
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
    """Read a table again to describe the content and use of each column.

    Raises:
        DataError: see `load_table`.
    """
    frame = frame_of(settings, validation, workspace.folder)
    features, uses = _features_and_others(frame)
    for setting, names in _named(frame):
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


def _features_and_others(frame: Frame) -> tuple[list[Cells], dict[str, str]]:
    """Return the columns that a model gets, and why it does not get others."""
    if frame.settings.task != "language_modeling":
        return _features(frame)[0], dict.fromkeys(frame.index, "left out: index")
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
    settings = frame.settings
    return target(frame.rows[settings.target], settings.task, frame.where, frame.reading)


def _raise_all(mistakes: Sequence[DataError]) -> None:
    if len(mistakes) > 1:
        raise DataMistakesError(mistakes)
    if mistakes:
        raise mistakes[0]


def _wrong_names(frame: Frame) -> Iterator[DataError]:
    """Yield settings that name a missing column, or one column twice."""
    known = list(map(str, frame.rows.columns))
    uses: dict[str, str] = {}
    for setting, names in _named(frame):
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known) or f" There are {listed(known, most=30)}."
                message = f"column {name!r} does not exist in {frame.settings.source}.{hint}"
                yield DataError(message, setting)
            elif name in uses:
                message = f"column {name!r} is already listed in {uses[name]}. Remove one of them."
                yield DataError(message, setting)
            uses[name] = setting


def _refuse_nested(frame: Frame) -> None:
    """Refuse lists in columns that are used; dropped columns may hold anything."""
    settings = frame.settings
    names = [name for name in frame.rows.columns if name not in settings.drop]
    for name in filter(lambda name: is_nested(frame.rows[name]), names):
        holds = f"column {name!r} of {settings.source} has a list or mapping in each cell"
        if name == settings.target:
            way = "the target must be one number or text per row"
            raise DataError(f"{holds}: {way}. Predict another column.", "data.target")
        raise DataError(
            f"{holds}. Write drop: [{name}], or store each value in its own column.", "data.drop"
        )


def _refuse_new_classes(frame: Frame, read_target: Target) -> None:
    """Refuse test or validation files with a class that has no training row."""
    (_, source, n_rows), *others = frame.parts
    for setting, *_ in others:
        rows = frame.rows_of(setting)
        assert rows is not None, "it is the file of this setting"
        new = rows[~np.isin(read_target.values[rows], read_target.values[:n_rows])]
        if len(new):
            which = read_target.classes[read_target.values[new[0]]]
            more = (
                f" ({count(len(new), 'row has', 'rows have')} a class without training rows)"
                if len(new) > 1
                else ""
            )
            raise DataError(
                f"{frame.where(int(new[0]))} has class {which!r}, but no training row in {source} "
                f"has it{more}. Correct or remove the row, or add such rows to {source}.",
                setting,
            )


def _named(frame: Frame) -> Iterable[tuple[str, Sequence[str]]]:
    """Yield the settings that name columns, with their columns."""
    settings = frame.settings
    for setting, name in (
        ("data.target", settings.target),
        ("data.group", settings.group),
        ("data.time", settings.time),
        ("data.weights", settings.weights),
        ("data.prompt", settings.prompt),
        ("data.completion", settings.completion),
        ("validation.column", frame.validation.column),
    ):
        yield setting, [name] if name is not None else []
    yield "data.drop", settings.drop
    yield "data.categorical", settings.categorical
    yield "data.numeric", settings.numeric
    yield "data.text", settings.text


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
        notes.append(
            f"{noun} of sentences, left out: {listed(sentences)}. To read them as text, write "
            f"text: {flow(sentences[0] if len(sentences) == 1 else sentences)}."
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
    names = [part.column.name for part in parts]
    for part in parts:
        if names.count(part.column.name) > 1 and part.column.date is not None:
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
    _raise_all([*refusals(unreadable, form, frame.settings.missing, frame.where)])


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
    return {name for setting, names in _named(frame) if setting not in _KINDS for name in names}


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
