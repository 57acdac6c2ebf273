"""`check` on the columns of a table: one line each, true to what a model gets."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import call_in
from rich.console import Console

from tunecli.data.columns.column_facts import ColumnFacts
from tunecli.data.rows.workspace import Workspace
from tunecli.report.screen import column_lines
from tunecli.search.workers.check_study import StudyCheck
from tunecli.study_file.settings.settings import DataSettings
from tunecli.study_file.study_file import StudyFile

N = 120
DRAWN = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "id": DRAWN.permutation(N) + 1000,
        "when": pd.date_range("2026-01-01", periods=N, freq="7h"),
        "price": DRAWN.normal(size=N).round(3),
        "city": DRAWN.choice(list("abc"), N),
        "street": [f"s{i % 60}" for i in range(N)],
        "const": 1,
        "text": [f"comment number {i}" for i in range(N)],
        "day": [f"202601{i % 9 + 1:02d}" for i in range(N)],
        "hole": [None if i % 5 else i * 0.5 for i in range(N)],
        "gone": DRAWN.normal(size=N),
        "y": DRAWN.choice(["yes", "no"], N),
    }
).assign(copy=lambda table: table["price"])

STUDY = """data: {source: t.csv, target: y, drop: [gone], min_frequency: 0.06}
model: {Linear: {}}
optimizer: {SGD: {lr: {float: [1e-3, 1e-1]}}}
validation: {folds: 2}
training: {epochs: 1}
search: {trials: 1, baselines: false}
"""


def facts_of(folder: Path, table: pd.DataFrame, *overrides: str) -> dict[str, ColumnFacts]:
    table.to_csv(folder / "t.csv", index=False)
    study = StudyFile.from_text(STUDY, "s.yaml", overrides, folder=folder)
    check = StudyCheck(study, Workspace(folder))
    assert n_told(check.columns) == check.summary.n_features
    return {one.name: one for one in check.columns}


def n_told(facts: tuple[ColumnFacts, ...]) -> int:
    """Features by what the lines say."""
    n = 0
    for one in facts:
        if found := re.match(r"([\d,]+) features?", one.use):
            n += int(found[1])
        elif "elapsed" in one.use:
            n += 1 + 2 * one.use.count(", ")
        elif "standardized" in one.use:
            n += 1 + ("marks" in one.use)
    return n


def test_every_column_has_its_line(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, TABLE)
    n_streets = int(facts["street"].use.split()[2])
    assert {name: one.use for name, one in facts.items()} == {
        "id": "standardized",
        "when": "elapsed, hour, weekday, day of year",
        "price": "standardized",
        "city": "3 features",
        "street": f"1 feature, {n_streets} rare ones merged",
        "const": "left out: constant",
        "text": "left out: sentences",
        "day": "standardized",
        "hole": "standardized, marks where missing",
        "gone": "left out: in drop",
        "y": "target",
        "copy": "left out: identical to price",
    }
    assert (facts["when"].smallest, facts["when"].largest) == ("2026-01-01", "2026-02-04")
    assert (facts["id"].smallest, facts["id"].largest) == ("1000", "1119")
    assert (facts["hole"].n_distinct, facts["hole"].n_missing) == (24, 96)


def test_the_smallest_and_the_largest_differ_as_shown_if_they_differ(tmp_path: Path) -> None:
    ids = [f"{10**17 + i % 6}" for i in range(N)]
    table = TABLE.assign(city=ids, price=1e9 + TABLE["price"].abs(), copy=np.arange(N))
    facts = facts_of(tmp_path, table, "data.categorical=[city]")
    out = io.StringIO()
    Console(file=out, width=200).print(column_lines.column_table([facts["city"], facts["price"]]))
    assert "…000000000 …000000005" in out.getvalue()
    low, high = (f"{end:.15g}"[-9:] for end in (table["price"].min(), table["price"].max()))
    assert f"…{low} …{high}" in out.getvalue()


def test_classes_and_groups_are_told_apart_as_they_are_written(tmp_path: Path) -> None:
    groups = [f"{i % 8:0{1 + i % 16 // 8}d}" for i in range(N)]  # 0 to 7 and 00 to 07
    table = TABLE.assign(y=["01", "1", "002"] * (N // 3), group=groups)
    facts = facts_of(tmp_path, table, "data.group=group")
    assert (facts["y"].kind, facts["y"].n_distinct) == ("category", 3)
    assert (facts["group"].kind, facts["group"].n_distinct) == ("category", 16)


@pytest.mark.parametrize("min_frequency", [0, 0.02, 0.1, 0.3, 0.9])
def test_features_are_counted_as_a_model_gets_them(tmp_path: Path, min_frequency: float) -> None:
    table = TABLE.assign(city=TABLE["city"].where(TABLE["price"] > -0.5))
    facts_of(tmp_path, table, f"data.min_frequency={min_frequency}")


def test_what_looks_wrong_is_told(tmp_path: Path) -> None:
    facts = facts_of(tmp_path, TABLE)
    warned = {name: one.warnings[0] for name, one in facts.items() if one.warnings}
    assert set(warned) == {"id", "street", "day"}
    assert "different whole number in every row. If it is an id, write drop: [id]" in warned["id"]
    assert "rarer than min_frequency (0.06 of the training rows)" in warned["street"]
    assert "dates written as numbers (20260101)" in warned["day"]


@pytest.mark.parametrize(
    ("n_rows", "is_warned"), [(9, False), (10, True), (49, True), (50, False)]
)
def test_texts_that_all_differ_are_told_or_left_out(
    tmp_path: Path, n_rows: int, is_warned: bool
) -> None:
    table = (
        TABLE[["price", "text", "y"]].head(n_rows).assign(text=[*map("t{}".format, range(n_rows))])
    )
    table["y"] = ["yes", "no"] * (n_rows // 2) + ["yes"] * (n_rows % 2)
    table["twice"] = ["a", *table["text"][1:-1], "a"]
    facts = facts_of(tmp_path, table, "data.drop=[]", "data.test=0")
    warned = "different category in every row" in "".join(facts["text"].warnings)
    assert warned == is_warned
    assert not warned or facts["text"].warnings[0].endswith("write drop: [text].")
    assert (facts["text"].use == "left out: unique texts") == (n_rows == 50)
    assert not any("in every row" in one for one in facts["twice"].warnings)


def test_a_day_that_stands_for_none_is_told(tmp_path: Path) -> None:
    table = TABLE.assign(when=[*TABLE["when"].dt.date.astype(str)[:-2], *["9999-12-31"] * 2])
    (warning,) = facts_of(tmp_path, table)["when"].warnings
    assert "is 9999-12-31 in 2 rows" in warning
    assert "missing: ['9999-12-31']" in warning


def shown(facts: list[ColumnFacts], width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(column_lines.column_table(facts))
    return console.file.getvalue()


def number(name: str, use: str = "standardized") -> ColumnFacts:
    return ColumnFacts(name, "number", 17, 0, "1", "99", use)


def test_a_wide_table_is_cut_and_counted() -> None:
    facts = [number(f"column {i}") for i in range(200)] + [number("z", "left out: constant")]
    lines = shown(facts).splitlines()
    assert len(lines) == 1 + column_lines.MOST_LINES + 2
    assert "… and 171 more columns: 171 number; 1 of them left out." in lines[-2]


@pytest.mark.parametrize("width", [80, 120])
def test_lines_fit_the_terminal(width: int) -> None:
    long = ColumnFacts("name\x1b" * 20, "time of day", 10**6, 10**6, "a" * 99, "b" * 99, "c" * 99)
    lines = shown([long], width).splitlines()
    assert max(map(len, lines)) <= width
    assert "\x1b" not in "".join(lines)


def told(facts: list[ColumnFacts], **data: object) -> str:
    console = Console(file=io.StringIO(), width=200)
    settings = DataSettings.model_validate({"source": "t.csv", **data})
    console.print(column_lines.warnings(facts, settings))
    return console.file.getvalue()


def test_time_is_proposed_where_dates_order_the_rows(tmp_path: Path) -> None:
    facts = list(facts_of(tmp_path, TABLE).values())
    assert "sorted by 'when'" in told(facts)
    assert "set time: when" in told(facts)
    assert "order" not in told(facts, time="id")
    mixed = TABLE.sample(frac=1, random_state=0)
    assert "order" not in told(list(facts_of(tmp_path, mixed).values()))
    latest_first = TABLE.iloc[::-1]
    assert "sorted by 'when'" in told(list(facts_of(tmp_path, latest_first).values()))


def test_check_and_init_say_it(tmp_path: Path) -> None:
    TABLE.to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "s.yaml").write_text(STUDY)
    lines = call_in(tmp_path, "check", "s.yaml").stdout
    assert re.search(r"^city +category +3 +a +c +3 features", lines, re.MULTILINE)
    assert "drop: [id]" in lines
    call_in(tmp_path, "init", "t.csv", "--target", "y")
    assert "  # time: when" in (tmp_path / "t.yaml").read_text()


def test_columns_that_are_not_used_may_hold_anything(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"a": range(12), "lists": [[1, 2]] * 12, "y": [0.5 * i for i in range(12)]}
    )
    table["mixed"] = ["2026-01-01", *["soon"] * 3, *["2026-01-02"] * 8]
    table.to_parquet(tmp_path / "t.parquet")
    text = STUDY.replace("t.csv", "t.parquet").replace("[gone]", "[lists, mixed]")
    (tmp_path / "s.yaml").write_text(text)
    lines = call_in(tmp_path, "check", "s.yaml").stdout
    assert re.search(r"^lists +list +1 +left out: in", lines, re.MULTILINE)
