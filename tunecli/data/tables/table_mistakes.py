"""Refuse a table whose columns or classes the settings do not fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tunecli.data.columns.cell_values import is_nested
from tunecli.data.columns.named_columns import Target
from tunecli.data.tables.table_files import Frame
from tunecli.errors import DataError, DataMistakesError
from tunecli.study_file.settings.source_kinds import target_columns
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.suggestions import did_you_mean, listed


def raise_all(mistakes: Sequence[DataError]) -> None:
    """Raise these errors together; do nothing without any."""
    if len(mistakes) > 1:
        raise DataMistakesError(mistakes)
    if mistakes:
        raise mistakes[0]


def wrong_names(frame: Frame) -> Iterator[DataError]:
    """Yield settings that name a missing column, or one column twice."""
    known = list(map(str, frame.rows.columns))
    uses: dict[str, str] = {}
    for setting, names in columns_named(frame):
        for name in names:
            if name not in known:
                hint = did_you_mean(name, known) or f" There are {listed(known, most=30)}."
                message = f"column {name!r} does not exist in {frame.settings.source}.{hint}"
                yield DataError(message, setting)
            elif name in uses:
                message = f"column {name!r} is already listed in {uses[name]}. Remove one of them."
                yield DataError(message, setting)
            uses[name] = setting


def refuse_nested(frame: Frame) -> None:
    """Refuse lists in columns that are used; dropped columns may hold anything."""
    settings = frame.settings
    names = [name for name in frame.rows.columns if name not in settings.drop]
    for name in filter(lambda name: is_nested(frame.rows[name]), names):
        holds = f"column {name!r} of {settings.source} has a list or mapping in each cell"
        if name in target_columns(settings):
            way = "the target must be one number or text per row"
            setting = "data.targets" if settings.targets else "data.target"
            raise DataError(f"{holds}: {way}. Predict another column.", setting)
        raise DataError(
            f"{holds}. Write drop: [{name}], or store each value in its own column.", "data.drop"
        )


def refuse_new_classes(frame: Frame, read_target: Target) -> None:
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


def columns_named(frame: Frame) -> Iterable[tuple[str, Sequence[str]]]:
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
    yield "data.targets", settings.targets
    yield "data.drop", settings.drop
    yield "data.categorical", settings.categorical
    yield "data.numeric", settings.numeric
    yield "data.text", settings.text
