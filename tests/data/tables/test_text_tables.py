"""Columns of text in every kind of table: what is read, recognized, noted and refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from tunecli.data.cache import cached_datasets
from tunecli.data.first_looks import NoTargetError, first_look
from tunecli.data.new_rows import RowKind, blocks_of, rows_of
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.texts import TextRows
from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset
from tunecli.data.tables.tables import table_column_facts
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings

CELLS = [
    *("Straße, „schön“", "中文没有空格的句子", "emoji 😀\nsecond line", "a\0b", "12", "true"),
    *(None, "word " * 100_000 + "end", 'with "quotes"', "2026-01-31", "3,5", "x"),
]
FRAME = pd.DataFrame({"t": CELLS, "n": [float(i) for i in range(12)], "y": ["a", "b"] * 6})
WANTED = [(cell or "").strip() for cell in CELLS]
NAMES = ["t.csv", "t.tsv", "t.csv.gz", "t.parquet", "t.jsonl", "t.jsonl.gz"]


def write(folder: Path, name: str, frame: pd.DataFrame = FRAME) -> Path:
    path = folder / name
    if name.endswith(".parquet"):
        frame.to_parquet(path)
    elif ".jsonl" in name:
        lines = [
            json.dumps({k: v for k, v in row.items() if v is not None and v == v})
            for row in frame.to_dict("records")
        ]
        text = "\ufeff" + "\n".join(lines) + "\n\n"
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    else:
        sep = "\t" if ".tsv" in name else ","
        frame.to_csv(path, index=False, sep=sep, encoding="utf-8-sig")
    return path


def load(folder: Path, name: str = "t.csv", **data: object) -> Dataset:
    asked = {"target": "y", "text": ["t"], **data}
    return load_dataset(DataSettings(source=name, **asked), Workspace(folder, folder / "cache"))


def texts(x: object) -> list[list[str]]:
    assert isinstance(x, TextRows)
    return [[*one] for one in x.texts]


def test_sorted_texts_next_to_sorted_numbers_are_kept(tmp_path: Path) -> None:
    """Texts have the codes 0, 1, …, which are the numbers of an identifier."""
    rows = [[n, f"text {n}", f"title {n}", "ab"[n % 2]] for n in range(9)]
    write(tmp_path, "t.csv", pd.DataFrame(rows, columns=["id", "t", "u", "y"]))
    dataset = load(tmp_path, text=["t", "u"])
    assert dataset.text_columns == ("t", "u")
    assert texts(dataset.x)[0] == [f"text {n}" for n in range(9)]
    assert not any("identical" in note for note in dataset.notes)


def test_equal_columns_of_text_are_read_once(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", FRAME.assign(u=FRAME["t"]))
    dataset = load(tmp_path, text=["t", "u"])
    assert dataset.text_columns == ("t",)
    assert "Column 'u' is identical to 't' and is left out." in dataset.notes


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_table_gives_the_same_texts(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    found = load(tmp_path, name)
    assert texts(found.x) == [WANTED]
    assert found.text_columns == ("t",)
    assert [column.name for column in found.columns] == ["n"]
    assert found.shape == (2,)
    kind = RowKind(found.columns, (2,), "float64", DataSettings(source=name), None, ("t",))
    blocks = [*blocks_of(name, kind, Workspace(tmp_path), 1)]
    assert [text for block in blocks for text in texts(block.x)[0]] == WANTED
    assert texts(rows_of(FRAME, kind)) == [WANTED]


def test_a_table_from_the_cache_is_the_one_that_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "t.csv")
    plain = load(tmp_path)
    monkeypatch.setattr(cached_datasets, "SMALL", 0)
    cold, warm = load(tmp_path), load(tmp_path)
    assert (tmp_path / "cache").is_dir()
    assert texts(cold.x) == texts(warm.x) == texts(plain.x)
    assert cold.fingerprint == warm.fingerprint == plain.fingerprint
    write(tmp_path, "t.csv", FRAME.assign(t=[*CELLS[:-1], "y"]))
    assert load(tmp_path).fingerprint != plain.fingerprint


def test_text_alone_and_several_columns_of_text(tmp_path: Path) -> None:
    write(tmp_path, "t.csv", FRAME[["t", "y"]].assign(u=["1", "2", "3"] * 4))
    alone = load(tmp_path, drop=["u"])
    assert (alone.columns, alone.shape) == ((), (1,))
    both = load(tmp_path, text=["t", "u"])
    assert isinstance(both.x, TextRows)
    assert next(both.x.joined()) == f"{WANTED[0]}\n1"


def test_equal_rows_are_copies(tmp_path: Path) -> None:
    frame = pd.DataFrame({"t": ["one", "two", "one", "three"], "y": ["a", "b", "a", "b"]})
    write(tmp_path, "t.csv", frame)
    copies = load(tmp_path).copies
    assert copies is not None
    assert copies.tolist() == [0, 1, 0, 3]


def test_a_text_that_is_different_in_every_row_is_no_leak_and_no_identifier(
    tmp_path: Path,
) -> None:
    n = 60
    frame = pd.DataFrame({"t": [f"a text {i}" for i in range(n)], "y": ["a", "b"] * (n // 2)})
    write(tmp_path, "t.csv", frame)
    assert load(tmp_path).notes == ()


def test_the_advice_for_another_column_of_sentences_keeps_the_first(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "review: a": [f"this is text {i}" for i in range(60)],
            "title": [f"and a title {i}" for i in range(60)],
            "y": ["a", "b"] * 30,
        }
    )
    write(tmp_path, "t.csv", frame)
    (note,) = load(tmp_path, text=["review: a"]).notes
    assert note == (
        "Column of sentences, left out: `title`. To read them as text, write text: "
        "['review: a', title]."
    )
    assert load(tmp_path, text=["review: a", "title"]).notes == ()


@pytest.mark.parametrize(
    ("cell", "is_sentence"), [("this is text {}", True), ("id{}", False), ("这家酒店很好{}", True)]
)
def test_a_column_of_sentences_is_recognized(tmp_path: Path, cell: str, is_sentence: bool) -> None:
    n = 60
    cells = [cell.format(i) for i in range(n)]
    frame = pd.DataFrame({"t": cells, "n": [i * i % 7 for i in range(n)], "y": ["a", "b"] * 30})
    write(tmp_path, "t.csv", frame)
    notes = load(tmp_path, text=[]).notes
    wanted = "Column of sentences, left out: `t`. To read them as text, write text: t."
    assert (wanted in notes) == is_sentence
    assert any("nearly every row has a different text" in note for note in notes) != is_sentence
    look = first_look("t.csv", "y", Workspace(tmp_path))
    assert look.text == (("t",) if is_sentence else ())
    assert dict(look.reading) == {}
    kinds = {
        one.name: one.kind
        for one in table_column_facts(
            DataSettings(source="t.csv", target="y"), ValidationSettings(), Workspace(tmp_path)
        )
    }
    assert kinds == {"t": "text" if is_sentence else "category", "n": "number", "y": "category"}
    with pytest.raises(NoTargetError) as asked:
        first_look("t.csv", None, Workspace(tmp_path))
    assert {one.name: one.kind for one in asked.value.columns} == kinds


def test_a_table_of_sentences_alone_says_what_to_write(tmp_path: Path) -> None:
    frame = pd.DataFrame({"t": [f"this is text {i}" for i in range(60)], "y": ["a", "b"] * 30})
    write(tmp_path, "t.csv", frame)
    with pytest.raises(DataError, match=r"no column is left .* write text: t\.") as caught:
        load(tmp_path, text=[])
    assert caught.value.setting == "data.source"


def test_a_column_of_text_that_is_missing_or_named_twice_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "t.csv")
    with pytest.raises(DataError, match=r"column 'tt' does not exist in t.csv. Did you mean `t`"):
        load(tmp_path, text=["tt"])
    with pytest.raises(DataError, match=r"column 't' is already listed in data.categorical"):
        load(tmp_path, categorical=["t"])


MANGLED = [
    ('{"t": "a"}\n["b"]\n', r'a JSON mapping per line, such as .*, but line 2 has \'\["b"\]\''),
    ('{"t": "a"\n', r"but line 1 is not JSON \(Expecting ',' delimiter\)"),
    ('{"t": "a", "t": "b"}\n', r"has 't' twice in line 1. Rename one of them"),
    ("\n\n", r"t.jsonl is empty"),
    ("[" * 100_000, r"line 1 is not JSON"),
]


@pytest.mark.parametrize(("content", "match"), MANGLED)
def test_lines_that_are_no_rows_are_refused(tmp_path: Path, content: str, match: str) -> None:
    (tmp_path / "t.jsonl").write_text(content)
    with pytest.raises(DataError, match=match):
        load(tmp_path, "t.jsonl")


def test_json_lines_keep_the_types_of_their_cells(tmp_path: Path) -> None:
    rows = [{"a": i, "b": i / 2, "c": f"{i}", "y": i % 2} for i in range(12)]
    rows[3].pop("a")
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = load(tmp_path, "t.jsonl", text=[])
    kinds = {column.name: column.kind for column in found.columns}
    assert kinds == {"a": "numeric", "b": "numeric", "c": "categorical"}
    assert found.x[3, 0].isnan()
    assert found.x[11, :2].tolist() == [11.0, 5.5]


def test_a_test_file_and_a_validation_file_of_text(tmp_path: Path) -> None:
    for name in ("t.csv", "test.csv", "valid.csv"):
        write(tmp_path, name, FRAME.assign(t=[f"{name} {i}" for i in range(12)]))
    settings = DataSettings(source="t.csv", target="y", text=["t"], test="test.csv")
    validation = ValidationSettings(file="valid.csv")
    found = load_dataset(settings, Workspace(tmp_path), validation)
    assert found.given_test is not None
    assert isinstance(found.x, TextRows)
    assert [*found.x[found.given_test].texts[0]] == [f"test.csv {i}" for i in range(12)]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"text": "a"}, {"a": "feature", "b": "left out: not named", "n": "left out: not named"}),
        (
            {"prompt": "a", "completion": "b"},
            {"a": "prompt", "b": "completion", "n": "left out: not named"},
        ),
    ],
)
def test_the_columns_of_documents_are_described(
    tmp_path: Path, named: dict[str, str], expected: dict[str, str]
) -> None:
    rows = {"a": [f"{i} is a number" for i in range(9)], "b": ["yes", "no", "so"] * 3}
    pd.DataFrame(rows | {"n": range(9)}).to_csv(tmp_path / "t.csv", index=False)
    settings = DataSettings(source="t.csv", task="language_modeling", **named)
    facts = table_column_facts(settings, ValidationSettings(), Workspace(tmp_path))
    assert {one.name: one.use for one in facts} == expected
