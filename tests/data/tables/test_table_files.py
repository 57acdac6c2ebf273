from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tunecli.data.rows.dataset import Column, Dataset
from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset
from tunecli.data.tables import table_bounds
from tunecli.data.tables.table_bounds import UnreadableTableError
from tunecli.data.tables.table_rows import table_blocks
from tunecli.errors import DataError, DataMistakesError
from tunecli.study_file.settings.settings import DataSettings

N = 40
FRAME = pd.DataFrame(
    {"a": np.arange(N) % 7 + 0.5, "b": [f"c{i % 3}" for i in range(N)], "y": ["no", "yes"] * 20}
)
CSV = FRAME.to_csv(index=False)


def read(folder: Path, name: str, **settings: Any) -> Dataset:
    return load_dataset(
        DataSettings(**{"source": name, "target": "y", **settings}), Workspace(folder)
    )


@pytest.mark.parametrize(
    "name", ["T.CSV", "t.Tsv", "T.CSV.GZ", "t.tsv.GZ", "t.PARQUET", "my.tsv.data.csv"]
)
def test_a_suffix_is_read_without_case(tmp_path: Path, name: str) -> None:
    file, suffixes = tmp_path / name, name.lower()
    if "parquet" in suffixes:
        FRAME.to_parquet(tmp_path / "x")
        (tmp_path / "x").rename(file)
    else:
        text = CSV.replace(",", "\t") if suffixes.endswith((".tsv", ".tsv.gz")) else CSV
        file.write_bytes(gzip.compress(text.encode()) if "gz" in suffixes else text.encode())
    found = read(tmp_path, name)
    assert [column.name for column in found.columns] == ["a", "b"]
    (block,) = table_blocks(file, found.columns, DataSettings(source=name), 100)
    assert np.array_equal(block, found.x.numpy())  # type: ignore[union-attr]


def parquet_bytes(folder: Path) -> bytes:
    FRAME.to_parquet(folder / "whole.parquet")
    return (folder / "whole.parquet").read_bytes()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda raw: b"", "is empty."),
        (
            lambda raw: CSV.encode(),
            "does not begin with PAR1. It is text: rename it to .csv or .tsv.",
        ),
        (lambda raw: b"\x89PNG\r\n\x1a\n" * 9, "does not begin with PAR1. Write it with to_parq"),
        (lambda raw: raw[:-9], "is truncated: a Parquet file ends with PAR1."),
        (lambda raw: b"PAR1" + b"\0" * 99 + raw[-60:], "is Parquet, but cannot be read: "),
    ],
)
def test_what_is_wrong_with_a_parquet_is_told_apart(
    tmp_path: Path, damage: Any, message: str
) -> None:
    (tmp_path / "t.parquet").write_bytes(damage(parquet_bytes(tmp_path)))
    with pytest.raises(DataError, match=re.escape(message)):
        read(tmp_path, "t.parquet")


@pytest.mark.parametrize(
    "text", ["Exported on Monday\n" + CSV, "Exported,on Monday\n" + CSV, "\nExported\n" + CSV]
)
def test_a_line_above_the_header_is_told_with_the_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    message = r"in line \d \('Exported.*'\), but line \d has 3 cells\. The first line must be the"
    with pytest.raises(DataError, match=message):
        read(tmp_path, "t.csv")


def test_the_index_of_a_data_frame_is_said_and_used_where_it_is_named(tmp_path: Path) -> None:
    for index in (pd.Index([f"p{i % 5}" for i in range(N)]), pd.RangeIndex(0, 2 * N, 2)):
        FRAME.set_index(index.rename("pid")).to_parquet(tmp_path / "t.parquet")
        found = read(tmp_path, "t.parquet")
        assert [column.name for column in found.columns] == ["a", "b"]
        assert "index of a data frame: `pid`" in found.notes[0]
        grouped = read(tmp_path, "t.parquet", group="pid")
        assert grouped.groups is not None
        assert len(grouped.groups.unique()) == index.nunique()
        asked = read(tmp_path, "t.parquet", categorical="pid")
        assert len(asked.columns) == 3
        blocks = table_blocks(tmp_path / "t.parquet", asked.columns, DataSettings(source="t"), 7)
        assert np.array_equal(np.concatenate(list(blocks)), asked.x.numpy())  # type: ignore[union-attr]
    FRAME.set_index(pd.Index(range(N))[::-1]).to_parquet(tmp_path / "t.parquet")
    assert read(tmp_path, "t.parquet").notes == ()


def test_text_of_digits_stays_text_in_parquet(tmp_path: Path) -> None:
    frame = FRAME.assign(z=["01234", "1234"] * 20, f=["0.5", "1.5"] * 20)
    frame.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match=r"'f' has numbers stored as text, such as '0.5' in row 1"):
        read(tmp_path, "t.parquet")
    found = read(tmp_path, "t.parquet", numeric="f")
    assert [c.categories for c in found.columns if c.name == "z"] == [("01234", "1234")]
    assert any("'z' has digits stored as text" in note for note in found.notes)
    as_numbers = read(tmp_path, "t.parquet", numeric=["f", "z"])
    assert as_numbers.columns[-1].kind == "numeric"


def test_a_bound_on_rows_and_columns_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnreadableTableError, match=r"300,000,000 rows, but a table may have at m"):
        table_bounds.check_size(300_000_000, 2)
    (tmp_path / "t.csv").write_text(",".join(f"c{i}" for i in range(200_000)) + "\n1\n")
    with pytest.raises(DataError, match=r"has 200,000 columns, but a table may have at most 100"):
        read(tmp_path, "t.csv")
    FRAME.to_parquet(tmp_path / "s.parquet")
    for bound, message in {
        "MOST_ROWS": "has 40 rows, but a table may have at most 2",
        "MOST_COLUMNS": "has 3 columns, but a table may have at most 2",
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(table_bounds, bound, 2)
            with pytest.raises(DataError, match=message):
                read(tmp_path, "s.parquet")
    monkeypatch.setattr(table_bounds, "main_memory", lambda: 2000)
    with pytest.raises(DataError, match=r"has 40 rows of 3 columns, which need about 0.0 GiB"):
        read(tmp_path, "s.parquet")
    for name, content in {"s.csv": 9 * CSV, "s.csv.gz": 9 * CSV}.items():
        packed = gzip.compress(content.encode()) if name.endswith("gz") else content.encode()
        (tmp_path / name).write_bytes(packed)
        with pytest.raises(DataError, match=r"of text, which does not fit into memory"):
            read(tmp_path, name)
        blocks = table_blocks(tmp_path / name, [Column("b", "categorical", ("c0",))], S, 10)
        assert next(iter(blocks)).shape == (10, 1)


S = DataSettings(source="t.csv")


def test_what_is_not_read_in_several_columns_is_told_at_once(tmp_path: Path) -> None:
    lines = [f"{i},5;{'NA' if i % 2 else i};{i} %;{'ab'[i % 2]}" for i in range(N)]
    (tmp_path / "t.csv").write_text("\n".join(["a;b;c;y", *lines]))
    with pytest.raises(DataMistakesError, match=r"'a' .*\n.*'b' .*\n.*'c' ") as caught:
        read(tmp_path, "t.csv")
    assert [m.setting for m in caught.value.mistakes] == ["data.source"] * 3
    found = read(tmp_path, "t.csv", decimal=",", units="%", missing="NA")
    assert [column.kind for column in found.columns] == ["numeric"] * 3
    assert found.x[2].tolist() == [2.5, 2, 2]
    columns = found.columns
    blocks = table_blocks(tmp_path / "t.csv", columns, S.model_copy(update=NUMBERS), 7)
    assert np.array_equal(np.concatenate(list(blocks)), found.x.numpy(), equal_nan=True)  # type: ignore[union-attr]


NUMBERS = {"decimal": ",", "units": ["%"], "missing": ["NA"]}


def test_a_file_that_looks_like_numbers_is_read_as_the_other_is(tmp_path: Path) -> None:
    first = FRAME.assign(z=["01", "1"] * 20).to_csv(index=False)
    (tmp_path / "t.csv").write_text(first)
    FRAME.assign(z=["01", "x"] * 20).to_csv(tmp_path / "u.csv", index=False)
    found = read(tmp_path, "t.csv", test="u.csv")
    assert found.columns[-1].categories == ("01", "1", "x")
    assert "begin with a zero, as codes do: `z`" in read(tmp_path, "t.csv").notes[0]


def test_ids_and_labels_beyond_2_53_are_told_apart(tmp_path: Path) -> None:
    ids = [10**17 + i % 6 for i in range(N)]
    frame = FRAME.assign(s=pd.array(ids, dtype="Int64"), y=[10**17 + i % 3 for i in range(N)])
    frame.loc[[3, 4], "s"] = pd.NA
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.parquet"):
        with pytest.raises(DataError, match=r"'s' has whole numbers beyond 2\^53, such as 100000"):
            read(tmp_path, name)
        found = read(tmp_path, name, categorical="s")
        assert found.columns[-1].categories == tuple(str(10**17 + i) for i in range(6))
        assert found.classes == tuple(str(10**17 + i) for i in range(3))
        groups = read(tmp_path, name, group="y", target="b", drop="s").groups
        assert groups is not None
        assert len(groups.unique()) == 3


def test_classes_are_called_as_they_are_written(tmp_path: Path) -> None:
    frame = FRAME.assign(y=["01", "1 ", "1", "001"] * 10)
    frame.to_csv(tmp_path / "t.csv", index=False)
    found = read(tmp_path, "t.csv")
    assert found.classes == ("001", "01", "1")
    assert found.notes == ("White space around cells is ignored in `y`.",)


def test_why_no_column_is_left_is_said(tmp_path: Path) -> None:
    frame = pd.DataFrame({"t": [f"this is text {i}" for i in range(60)], "y": ["a", "b"] * 30})
    frame.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(
        DataError, match=r"data.source: no column is left .* left out: `t`\. .* write text: t\."
    ):
        read(tmp_path, "t.csv")
