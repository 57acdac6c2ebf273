from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset
from tunecli.data.splits.split import Split, split
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings

Row = tuple[Any, str]
"""The cell of the group or of the time, and what the column of splits says."""


def written(file: Path, rows: Sequence[Row]) -> None:
    lines = [f"{i},{mark},{part},{i * 7 % 5}.5" for i, (mark, part) in enumerate(rows)]
    file.write_text("\n".join(["a,mark,part,y", *lines]))


def parts(folder: Path, validation: dict[str, Any], **settings: Any) -> Split:
    asked = ValidationSettings(**validation)
    data = DataSettings(source="t.csv", target="y", **settings)
    if asked.column is None:
        data = data.model_copy(update={"drop": ["part"]})
    return split(load_dataset(data, Workspace(folder), asked), data, asked)


GROUPS: list[Row] = [(f"g{i // 4}", "train" if i < 24 else "valid") for i in range(32)]
TIMES: list[Row] = [(i, "train" if i < 24 else "valid") for i in range(32)]


def with_two_in_the_other_part(rows: list[Row]) -> list[Row]:
    """The first rows of the last 8 are as those before."""
    return [*rows[:24], *((rows[i][0], rows[24][1]) for i in (0, 4)), *rows[26:]]


@pytest.mark.parametrize(
    ("rows", "keeps", "message"),
    [
        (
            GROUPS,
            {"group": "mark"},
            "groups of mark must stay whole, but 2 groups are in both the {learn} and the {judge} "
            "(2 of 8 {judge} are affected). Remove group, or put each group on one side.",
        ),
        (
            TIMES,
            {"time": "mark"},
            "{judge} must have a later mark than all {learn}, but 2 of 8 do not. Remove time",
        ),
    ],
    ids=["group", "time"],
)
@pytest.mark.parametrize(
    "way", ["validation column", "validation file", "test file", "test column"]
)
def test_a_given_split_must_keep_to_groups_and_times(
    tmp_path: Path, rows: list[Row], keeps: dict[str, str], message: str, way: str
) -> None:
    def tried(rows: list[Row]) -> Split:
        if way == "validation column":
            written(tmp_path / "t.csv", rows)
            return parts(tmp_path, {"column": "part"}, test=0.0, **keeps)
        if way == "test column":
            before = [
                (mark, "valid" if 16 <= i < 24 else "train")
                for i, (mark, _) in enumerate(rows[:24])
            ]
            written(tmp_path / "t.csv", [*before, *((mark, "test") for mark, _ in rows[24:])])
            return parts(tmp_path, {"column": "part"}, **keeps)
        written(tmp_path / "t.csv", rows[:24])
        written(tmp_path / "u.csv", rows[24:])
        if way == "test file":
            return parts(tmp_path, {"holdout": 0.25}, test="u.csv", **keeps)
        return parts(tmp_path, {"file": "u.csv"}, test=0.0, **keeps)

    found = tried(rows)
    judged = found.test_rows if "test" in way else found.folds[0][1]
    assert judged.tolist() == list(range(24, 32))
    words = {"judge": "test rows", "learn": "search rows"}
    if "validation" in way:
        words = {"judge": "validation rows", "learn": "training rows"}
    setting = {
        "validation file": "validation.file",
        "test file": "data.test",
    }.get(way, "validation.column")
    expected = re.escape(f"{setting}: {message.format(**words)}")
    with pytest.raises(DataError, match=expected):
        tried(with_two_in_the_other_part(rows))
    with pytest.raises(DataError, match="1 group is" if "group" in keeps else "1 of 8 "):
        tried([*rows[:24], (rows[23][0], rows[24][1]), *rows[25:]])


def test_numbered_folds_must_keep_to_groups(tmp_path: Path) -> None:
    rows: list[Row] = [(f"g{i // 4}", str(i // 8)) for i in range(32)]
    written(tmp_path / "t.csv", rows)
    assert len(parts(tmp_path, {"column": "part"}, test=0.0, group="mark").folds) == 4
    written(tmp_path / "t.csv", [*rows[:-1], ("g0", "3")])
    with pytest.raises(DataError, match=r"1 group is in both .* \(4 of 8 rows of fold 0 are"):
        parts(tmp_path, {"column": "part"}, test=0.0, group="mark")


def test_numbered_folds_are_no_order_of_time(tmp_path: Path) -> None:
    written(tmp_path / "t.csv", [(i, str(i // 8)) for i in range(32)])
    with pytest.raises(DataError, match=r"rows of fold 0 must have a later mark .* 8 of 8 do not"):
        parts(tmp_path, {"column": "part"}, test=0.0, time="mark")


def test_groups_that_validate_are_not_in_a_test_that_is_drawn(tmp_path: Path) -> None:
    written(tmp_path / "t.csv", GROUPS)
    found = parts(tmp_path, {"column": "part"}, test=0.3, group="mark")
    groups = [{GROUPS[row][0] for row in rows} for rows in (found.test_rows, found.search_rows)]
    assert not groups[0] & groups[1]


def test_no_test_is_drawn_that_is_earlier_than_the_rows_that_validate(tmp_path: Path) -> None:
    written(tmp_path / "t.csv", TIMES)
    with pytest.raises(DataError, match=r"data.test: the validation rows are the latest by mark"):
        parts(tmp_path, {"column": "part"}, time="mark")


def test_given_rows_that_are_not_used_may_be_as_they_like(tmp_path: Path) -> None:
    written(tmp_path / "t.csv", with_two_in_the_other_part(GROUPS))
    found = parts(tmp_path, {"column": "part", "folds": 3}, test=0.0, group="mark")
    assert len(found.folds) == 3
