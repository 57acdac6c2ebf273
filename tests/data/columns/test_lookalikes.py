"""Texts that look like dates or numbers and are not read: refused with the row and a way out."""

from __future__ import annotations

import pandas as pd
import pytest

from tunecli.data.columns.column_cells import AS_IS, Reading
from tunecli.data.columns.column_kinds import cells
from tunecli.data.columns.named_columns import target
from tunecli.errors import DataError


def where(row: int) -> str:
    return f"row {row + 1} of t.csv"


def column(given: list[str | None]) -> pd.Series:
    return pd.Series(given * 3, name="a", dtype="str")


LOOKALIKES = [
    (["3. März 2024", "14. April 2024", "1. Mai 2025"], "dates", "2026-01-31"),
    (["3 Mars 2024", "14 avril 2024", "1er août 2025"], "dates", "2026-01-31"),
    (["Mo, 3. Juni 2024", "Di, 4. Juni 2024"], "dates", "2026-01-31"),
    (["3. März 2024 10:30", "4. Juli 2024 11:45:10"], "dates", "2026-01-31"),
    (["3 de marzo de 2024", "7 de abril de 2024"], "dates", "2026-01-31"),
    (["3 марта 2024", "4 мая 2024"], "dates", "2026-01-31"),
    (["März 3, 2024", "Juli 14, 2024"], "dates", "2026-01-31"),
    (["März 2024", "Juli 2024", "Dezember 2023"], "dates", "2026-01"),
    (["2024年3月5日", "2024年12月1日"], "dates", "2026-01-31"),
    (["45:30", "51:02", "38:59"], "minutes and seconds", "Write seconds as numbers"),
    (["101:30.25", "99:05.5"], "minutes and seconds", "Write seconds as numbers"),
    (["1,23,456", "12,34,567.50", "99", "5,000"], "numbers with groups", "without commas"),
    (["₹1,23,456", "₹45,67,890", "₹500"], "numbers with groups", "without commas"),
]


@pytest.mark.parametrize(("given", "what", "way"), LOOKALIKES)
@pytest.mark.parametrize("is_typed", [False, True])
def test_what_is_not_read_is_refused(
    given: list[str | None], what: str, way: str, is_typed: bool
) -> None:
    with pytest.raises(DataError) as refused:
        cells(column([None, *given]), "", where, Reading(is_typed=is_typed))
    message = refused.value.message
    assert f"column 'a' looks like {what}" in message
    assert f"but {given[0]!r} in row 2 of t.csv is in an unsupported form." in message
    assert way in message
    assert message.endswith("or write categorical: [a] or drop: [a].")
    assert cells(column(given), "categorical", where).column.kind == "categorical"


@pytest.mark.parametrize(("given", "what", "way"), LOOKALIKES)
def test_a_target_of_them_is_refused_unless_it_is_classes(
    given: list[str | None], what: str, way: str
) -> None:
    with pytest.raises(DataError, match=f"looks like {what}.*or write task: classification"):
        target(column(given), None, where)
    assert target(column(given), "classification", where).task == "classification"


@pytest.mark.parametrize(
    "given",
    [
        ["red", "blue", "3. März 2024"],
        ["192.168.0.1", "10.0.0.254"],
        ["1.23.456", "1.24.0"],
        ["1:1", "4:3", "21:9"],
        ["Golf 2012", "Polo 2015", "Passat 2008"],
        ["Oak 12", "Elm 7"],
        ["12 Oak Street 2001", "3 Elm Street 1999"],
        ["1-5", "6-10"],
        ["A,12", "B,34"],
        ["12,a", "34,b"],
        ["1, 2", "2, 3"],
        [f"{day} W{'ab'[day % 2]}{chr(96 + day // 2)} 1999" for day in range(2, 30)],
    ],
)
def test_other_texts_are_categories(given: list[str | None]) -> None:
    assert cells(column(given), "", where, AS_IS).column.kind == "categorical"
