"""From table files to a data set: which columns are features, of what kind, and what is left out.

What was read is kept, so that one process reads the files for all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tunecli.data import cleaning, split_columns
from tunecli.data.cell_values import is_nested
from tunecli.data.column_facts import ColumnFacts, facts_of_columns
from tunecli.data.column_kinds import Cells, Reading, cells, tells_rows_apart
from tunecli.data.dataset import Dataset
from tunecli.data.kept_sets import kept_dataset, tensors
from tunecli.data.magnitudes import check_feature
from tunecli.data.number_forms import NumberForm
from tunecli.data.table_frame import Frame, frame_of, paths_of
from tunecli.data.target_column import Target, target
from tunecli.data.unread_numbers import refusals, unread
from tunecli.data.workspace import Workspace
from tunecli.errors import DataError, DataMistakesError
from tunecli.study_file.counts import count
from tunecli.study_file.settings import DataSettings, ValidationSettings
from tunecli.study_file.suggestions import did_you_mean, listed

_PREPARED_LATER = {"scale", "split_seed", "impute", "min_frequency"}


def load_table(
    settings: DataSettings, validation: ValidationSettings, workspace: Workspace
) -> Dataset:
    """Read a table, and those of the test and the validation if they are given.

    Raises:
        DataError: with file, row or column, and the way out.
    """
    paths = paths_of(settings, validation)
    files = {name: workspace.folder / path for name, path in paths.items()}
    for name, path in files.items():
        if not path.is_file():
            raise DataError(f"there is no file {paths[name]!r} (looked for at {path}).", name)
    asked = settings.model_dump(exclude=_PREPARED_LATER), validation.model_dump()

    def read() -> Dataset:
        return _read(settings, validation, paths, workspace)

    return kept_dataset("table", settings.source, list(files.values()), asked, workspace, read)


def _read(
    settings: DataSettings,
    validation: ValidationSettings,
    paths: Mapping[str, str],
    workspace: Workspace,
) -> Dataset:
    frame = frame_of(settings, validation, paths, workspace.folder)
    _check_names(frame, settings, validation)
    _refuse_nested(frame, settings)
    found = _target(frame, settings)
    if found.task == "classification":
        _refuse_new_classes(frame, found)
    columns, notes = _features(frame, settings, validation)
    is_classes = found.task == "classification"
    if not columns:
        raise _nothing_left(frame, settings, validation, notes)
    notes += cleaning.leaks(columns, found.values, is_classes, "leave it out with drop")
    splits, on_splits = _splits(frame, settings, validation)
    parts = _parts(columns)
    copies, on_copies = cleaning.copies([c.values for c in columns], found.values)
    splits |= {"copies": copies} if copies is not None else {}
    return Dataset(
        name=settings.source,
        task=found.task,
        x=torch.from_numpy(np.stack([part.values for part in parts], axis=1)),
        y=torch.from_numpy(found.values),
        classes=found.classes,
        columns=tuple(part.column for part in parts),
        target=found.words,
        notes=(*notes, *on_splits, *on_copies),
        **tensors(splits),
    )


def column_facts(
    settings: DataSettings, validation: ValidationSettings, workspace: Workspace
) -> list[ColumnFacts]:
    """Read a table anew for what each of its columns holds and is for.

    Raises:
        DataError: see `load_table`.
    """
    paths = paths_of(settings, validation)
    frame = frame_of(settings, validation, paths, workspace.folder)
    features, _ = _features(frame, settings, validation)
    uses = dict.fromkeys(frame.index, "left out: index")
    for setting, names in _named(settings, validation):
        if setting in ("data.categorical", "data.numeric"):
            uses = {name: use for name, use in uses.items() if name not in names}
        else:
            use = "left out: in drop" if setting == "data.drop" else setting.removeprefix("data.")
            uses |= dict.fromkeys(names, use)

    reading = Reading.of(settings, frame.is_typed)
    codes = {settings.group, validation.column}
    codes |= {settings.target} if _target(frame, settings).task == "classification" else set()

    def read(name: str) -> Cells:
        given = "categorical" if name in codes else _given(name, settings)
        return cells(frame.rows[name], given, frame.where, reading)

    return facts_of_columns(frame.rows, features, uses, read)


def _target(frame: Frame, settings: DataSettings) -> Target:
    reading = Reading.of(settings, frame.is_typed)
    return target(frame.rows[settings.target], settings.task, frame.where, reading)


def _check_names(frame: Frame, settings: DataSettings, validation: ValidationSettings) -> None:
    """Every column that a setting names must be there, and have one meaning."""
    mistakes = [*_wrong_names(frame, settings, validation)]
    _raise_all(mistakes)


def _raise_all(mistakes: Sequence[DataError]) -> None:
    if len(mistakes) > 1:
        raise DataMistakesError(mistakes)
    if mistakes:
        raise mistakes[0]


def _wrong_names(
    frame: Frame, settings: DataSettings, validation: ValidationSettings
) -> Iterator[DataError]:
    known = list(map(str, frame.rows.columns))
    uses: dict[str, str] = {}
    for setting, names in _named(settings, validation):
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known) or f" There are {listed(known, most=30)}."
                yield DataError(f"{settings.source} has no column {name!r}.{hint}", setting)
            elif name in uses:
                message = f"column {name!r} stands in {uses[name]} already. Remove one of the two."
                yield DataError(message, setting)
            uses[name] = setting


def _refuse_nested(frame: Frame, settings: DataSettings) -> None:
    """No column that is used may hold lists; what is dropped may be anything."""
    names = [name for name in frame.rows.columns if name not in settings.drop]
    for name in filter(lambda name: is_nested(frame.rows[name]), names):
        holds = f"column {name!r} of {settings.source} has a list or mapping in each cell"
        if name == settings.target:
            way = "the target must be one number or text a row"
            raise DataError(f"{holds}: {way}. Predict another column.", "data.target")
        raise DataError(f"{holds}. Write drop: [{name}], or a column for each value.", "data.drop")


def _refuse_new_classes(frame: Frame, found: Target) -> None:
    """A file of rows to judge by must not have a class that there is no row to learn from."""
    (_, source, n_rows), *others = frame.parts
    for setting, *_ in others:
        rows = frame.rows_of(setting)
        assert rows is not None, "it is the file of this setting"
        new = rows[~np.isin(found.values[rows], found.values[:n_rows])]
        if len(new):
            which = found.classes[found.values[new[0]]]
            more = f" ({count(len(new), 'row')} in all)" if len(new) > 1 else ""
            raise DataError(
                f"{frame.where(int(new[0]))} is of class {which!r}, of which {source} has no row "
                f"to learn from{more}. Correct or remove it, or add such rows to {source}.",
                setting,
            )


def _named(
    settings: DataSettings, validation: ValidationSettings
) -> Iterable[tuple[str, Sequence[str]]]:
    """The settings that name columns, with these."""
    for setting, name in (
        ("data.target", settings.target),
        ("data.group", settings.group),
        ("data.time", settings.time),
        ("data.weights", settings.weights),
        ("validation.column", validation.column),
    ):
        yield setting, [name] if name is not None else []
    yield "data.drop", settings.drop
    yield "data.categorical", settings.categorical
    yield "data.numeric", settings.numeric


def _features(
    frame: Frame, settings: DataSettings, validation: ValidationSettings
) -> tuple[list[Cells], list[str]]:
    """The columns to predict from, cleaned, and notes on the others."""
    named = {*settings.categorical, *settings.numeric}
    others = _no_features(settings, validation)
    left_out = [name for name in frame.index if name not in others | named]
    names = [name for name in frame.rows.columns if name not in {*others, *left_out}]
    reading = Reading.of(settings, frame.is_typed)
    _refuse_unread(frame, [name for name in names if name not in settings.categorical], settings)
    shown = [name for name in names if name not in settings.numeric]
    notes, found, identifiers = _on_reading(frame, shown, left_out), [], []
    for name in names:
        column = cells(frame.rows[name], _given(name, settings), frame.where, reading)
        if name not in settings.categorical and tells_rows_apart(column):
            identifiers.append(name)
            continue
        if column.column.kind == "numeric":
            check_feature(name, column.values, frame.where)
        found.append(column)
        notes += [column.note] if column.note else []
    if identifiers:
        notes.append(
            f"Left out, since nearly every row has another text there: {listed(identifiers)}. "
            "Keep them with categorical, or put them into drop."
        )
    kept_columns, more = cleaning.without_idle_columns(found)
    return kept_columns, notes + more


def _parts(columns: Sequence[Cells]) -> list[Cells]:
    """What a model sees of the columns; of dates their parts, by names that no column has."""
    parts = [part for column in columns for part in column.parts()]
    names = [part.column.name for part in parts]
    for part in parts:
        if names.count(part.column.name) > 1 and part.column.date is not None:
            raise DataError(
                f"column {part.column.name!r} has the name of what {part.column.source!r} becomes "
                "as a date. Rename it.",
                "data.source",
            )
    return parts


def _refuse_unread(frame: Frame, names: Iterable[str], settings: DataSettings) -> None:
    """Refuse, all at once, the columns of numbers that are written in a way that is not read."""
    form = NumberForm.of(settings)
    found = [one for name in names if (one := unread(frame.rows[name], form)) is not None]
    _raise_all([*refusals(found, form, settings.missing, frame.where)])


def _on_reading(frame: Frame, names: Collection[str], left_out: Sequence[str]) -> list[str]:
    """Notes on what the cells do not show, or only the files do."""
    notes = []
    if frame.trimmed:
        notes.append(f"White space around cells is ignored in {listed(frame.trimmed)}.")
    codes = [name for name in frame.zero_padded if name in names]
    if codes:
        notes.append(
            f"Numbers begin with a zero, as codes do, in {listed(codes)}: name such columns in "
            "categorical if they are codes."
        )
    if left_out:
        notes.append(
            f"Left out, since they are the index of a data frame: {listed(left_out)}. Keep them "
            "with numeric or categorical, or put them into drop."
        )
    return notes


def _no_features(settings: DataSettings, validation: ValidationSettings) -> set[str | None]:
    """Return the columns that settings use for something else than to predict from them."""
    used = {settings.target, settings.group, settings.time, settings.weights}
    return {*used, validation.column, *settings.drop}


def _nothing_left(
    frame: Frame, settings: DataSettings, validation: ValidationSettings, notes: Sequence[str]
) -> DataError:
    """Say why there is no column to predict from, at the setting that can change it."""
    nothing = "no column is left to predict from."
    if not {*frame.rows.columns} <= _no_features(settings, validation):
        return DataError(f"{nothing} {' '.join(notes)}", "data.source")
    if settings.drop:
        why = f"Remove from drop what is to be predicted from ({listed(settings.drop, most=5)})."
        return DataError(f"{nothing} {why}", "data.drop")
    return DataError(f"{nothing} There is none but those that other settings name.", "data.source")


def _given(name: str, settings: DataSettings) -> Literal["numeric", "categorical", ""]:
    if name in settings.categorical:
        return "categorical"
    return "numeric" if name in settings.numeric else ""


def _splits(
    frame: Frame, settings: DataSettings, validation: ValidationSettings
) -> tuple[dict[str, NDArray[Any]], list[str]]:
    """What decides which rows go where, by its name in a data set; and notes."""
    found: dict[str, NDArray[Any]] = {}
    notes: list[str] = []
    if settings.group is not None:
        found["groups"] = split_columns.groups(frame.rows[settings.group], frame.where)
        of = f"of {settings.group}"
        groups = count(found["groups"].max() + 1, f"group {of} is", f"groups {of} are")
        notes.append(f"{groups} kept whole.")
    if settings.time is not None:
        found["times"] = split_columns.times(
            frame.rows[settings.time], frame.where, Reading.of(settings)
        )
    if settings.weights is not None:
        weights = split_columns.weights(
            frame.rows[settings.weights], frame.where, NumberForm.of(settings)
        )
        found |= {"weights": weights} if len(np.unique(weights)) > 1 else {}
    if (test := frame.rows_of("data.test")) is not None:
        found["given_test"] = test
    if (rows := frame.rows_of("validation.file")) is not None:
        found["given_folds"] = np.full(len(frame.rows), -1)
        found["given_folds"][rows] = 0
    if validation.column is not None:
        folds, test = split_columns.fold_numbers(frame.rows[validation.column])
        found["given_folds"] = folds
        if test is not None:
            found.setdefault("given_test", test)
    return found, notes
