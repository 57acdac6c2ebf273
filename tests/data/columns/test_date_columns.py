"""A column of dates from the file to the model: read one way, known again in new rows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from commands import call_in

from tunecli import load
from tunecli.data.cache.cached_datasets import dataset_of
from tunecli.data.new_rows import RowKind, rows_of
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.workspace import Workspace
from tunecli.data.sources import load_dataset as load_data
from tunecli.data.tables.table_rows import table_blocks
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings

N = 40
MOMENTS = [dt.datetime(2026, 1, 5, 6) + i * dt.timedelta(hours=31) for i in range(N)]
SPELLINGS = {
    "iso": [str(m) for m in MOMENTS],
    "T": [m.isoformat() for m in MOMENTS],
    "dots": [f"{m:%d.%m.%Y %H:%M}" for m in MOMENTS],
    "american": [f"{m:%m/%d/%Y %I:%M %p}" for m in MOMENTS],
    "by name": [f"{m:%d %b %Y %H:%M}" for m in MOMENTS],
}
PARTS = ("", " (hour, sin)", " (hour, cos)", " (weekday, sin)", " (weekday, cos)")
PARTS += (" (day of year, sin)", " (day of year, cos)")


def frame(cells) -> pd.DataFrame:
    return pd.DataFrame({"d": cells, "y": [i % 7 + 0.5 * (i % 3) for i in range(len(cells))]})


def read(folder: Path, source: str, **settings: object) -> Dataset:
    given = {"source": source, "target": "y", "task": "regression", **settings}
    return load_data(DataSettings.model_validate(given), Workspace(folder))


def csv(folder: Path, cells, **settings: object) -> Dataset:
    frame(cells).to_csv(folder / "t.csv", index=False)
    return read(folder, "t.csv", **settings)


def parquet(folder: Path, cells: pa.Array, **settings: object) -> Dataset:
    n = len(cells)
    y = pa.array([float(i % 7) for i in range(n)])
    pq.write_table(pa.table({"d": cells, "y": y}), folder / "t.parquet")
    return read(folder, "t.parquet", **settings)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return csv(tmp_path_factory.mktemp("iso"), SPELLINGS["iso"])


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_texts_give_one_data_set_however_they_are_written(
    tmp_path: Path, spelling: str, expected: Dataset
) -> None:
    found = csv(tmp_path, SPELLINGS[spelling])
    assert [column.name for column in found.columns] == [f"d{part}" for part in PARTS]
    assert found.fingerprint == expected.fingerprint
    assert found.x.dtype == torch.float64


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", "+05:30"])
def test_timestamps_of_parquet_are_their_instants(
    tmp_path: Path, unit: str, zone: str | None, expected: Dataset
) -> None:
    found = parquet(tmp_path, pa.array(MOMENTS, pa.timestamp(unit, zone)))
    assert torch.equal(found.x, expected.x)


def test_days_of_parquet_are_dates(tmp_path: Path) -> None:
    days = [moment.date() for moment in MOMENTS]
    found = parquet(tmp_path, pa.array(days, pa.date32()))
    assert torch.equal(found.x, csv(tmp_path, [str(day) for day in days]).x)
    assert torch.equal(found.x, parquet(tmp_path, pa.array(days, pa.date64())).x)


@pytest.mark.parametrize("kind", [pa.time32("s"), pa.time64("us"), pa.time64("ns")])
def test_times_of_day_of_parquet_are_seconds_since_midnight(tmp_path: Path, kind: object) -> None:
    times = [moment.time() for moment in MOMENTS]
    found = parquet(tmp_path, pa.array(times, kind))
    assert [column.name for column in found.columns] == ["d", "d (hour, sin)", "d (hour, cos)"]
    assert found.x[:, 0].tolist() == [moment.hour * 3600 for moment in MOMENTS]
    assert torch.equal(found.x, csv(tmp_path, [f"{time:%H:%M}" for time in times]).x)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_durations_of_parquet_are_numbers(tmp_path: Path, unit: str) -> None:
    spans = [dt.timedelta(hours=5 * i - 20) for i in range(N)]
    found = parquet(tmp_path, pa.array(spans, pa.duration(unit)))
    assert [column.name for column in found.columns] == ["d"]
    assert found.x[:, 0].tolist() == [span.total_seconds() for span in spans]
    assert torch.equal(found.x, csv(tmp_path, [str(pd.Timedelta(span)) for span in spans]).x)


def test_years_beyond_any_timestamp_keep_their_order(tmp_path: Path) -> None:
    cells = ["9999-12-31", "0001-01-01", *SPELLINGS["iso"]]
    assert csv(tmp_path, cells).x[:2, 0].tolist() == [253402214400, -62135596800]
    frame(cells).assign(a=range(len(cells))).to_csv(tmp_path / "t.csv", index=False)
    times = read(tmp_path, "t.csv", time="d").times
    assert times is not None
    assert times[1] < times[2:].min()
    assert times[2:].max() < times[0]


def test_settings_name_the_column_and_all_its_parts(tmp_path: Path) -> None:
    table = frame(SPELLINGS["iso"]).assign(a=np.arange(N) ** 2)
    table.to_csv(tmp_path / "t.csv", index=False)
    assert [c.name for c in read(tmp_path, "t.csv", drop=["d"]).columns] == ["a"]
    assert [c.name for c in read(tmp_path, "t.csv", numeric=["d"]).columns] == ["d", "a"]
    (only, _) = read(tmp_path, "t.csv", categorical=["d"]).columns
    assert only.kind == "categorical"
    assert len(only.categories) == N


def test_a_column_of_one_date_is_left_out_whole(tmp_path: Path) -> None:
    frame(["2026-01-01"] * N).assign(a=range(N)).to_csv(tmp_path / "t.csv", index=False)
    found = read(tmp_path, "t.csv")
    assert [column.name for column in found.columns] == ["a"]
    assert "constant" in found.notes[0]


def test_a_column_named_as_a_part_is_refused(tmp_path: Path) -> None:
    table = frame(SPELLINGS["iso"]).assign(**{"d (hour, sin)": np.arange(N) % 3})
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=r"'d \(hour, sin\)' has the same name as a feature made"):
        read(tmp_path, "t.csv")


@pytest.mark.parametrize(
    ("setting", "cells"),
    [("data.dates", ["03.01.2026", "02.02.2026", "01.03.2026"]), ("data.source", ["1/5/26"] * 3)],
)
@pytest.mark.parametrize("is_time", [True, False])
def test_ambiguous_dates_are_refused(
    tmp_path: Path, setting: str, cells: list[str], is_time: bool
) -> None:
    frame(cells).assign(a=range(3)).to_csv(tmp_path / "t.csv", index=False)
    settings = {"time": "d"} if is_time else {}
    with pytest.raises(DataError, match=r"column 'd' .*in row 1 of t.csv") as caught:
        read(tmp_path, "t.csv", **settings)
    wanted = setting.replace("source", "time") if is_time else setting
    assert caught.value.setting == wanted


def test_the_setting_decides_an_open_order(tmp_path: Path) -> None:
    cells = ["03.01.2026", "02.02.2026", "01.03.2026"]
    month = csv(tmp_path, cells, dates="month-first").x[:, 0]
    assert (month.diff() > 0).tolist() == [False, False]
    assert (csv(tmp_path, cells, dates="day-first").x[:, 0].diff() > 0).all()


# Order in time


def test_nanoseconds_in_whole_numbers_keep_their_order(tmp_path: Path) -> None:
    start = 2**60
    cells = [start + i for i in (3, 1, 2, 0)]
    frame(cells).assign(a=range(4)).to_csv(tmp_path / "t.csv", index=False)
    times = read(tmp_path, "t.csv", time="d").times
    assert times is not None
    assert times.argsort().tolist() == [3, 1, 2, 0]


def test_times_that_floats_tell_apart_are_as_they_were(tmp_path: Path) -> None:
    frame(SPELLINGS["iso"]).assign(a=range(N)).to_csv(tmp_path / "t.csv", index=False)
    times = read(tmp_path, "t.csv", time="d").times
    assert times is not None
    epoch = dt.datetime(1970, 1, 1)
    assert times.tolist() == [(moment - epoch).total_seconds() for moment in MOMENTS]


def test_a_time_of_day_is_the_same_data_in_any_zone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for zone in ("UTC", "Pacific/Kiritimati"):
        monkeypatch.setenv("TZ", zone)
        cells = [f"{moment:%H:%M}" for moment in MOMENTS]
        frame(cells).assign(a=range(N)).to_csv(tmp_path / "t.csv", index=False)
        found.append(read(tmp_path, "t.csv", time="d").fingerprint)
    assert found[0] == found[1]


# New rows


def kind_of(dataset: Dataset, **data: object) -> RowKind:
    settings = DataSettings.model_validate({"source": "t.csv", **data})
    return RowKind(dataset.columns, dataset.shape, "float64", settings)


@pytest.mark.parametrize(
    "cells",
    [
        SPELLINGS["iso"],
        SPELLINGS["by name"],
        MOMENTS,
        pd.Series(MOMENTS).astype("datetime64[s]"),
        pd.Series(MOMENTS).astype(pd.ArrowDtype(pa.timestamp("us"))),
        pd.Series(SPELLINGS["iso"], dtype="category"),
    ],
    ids=["iso", "by name", "python", "numpy", "arrow", "category"],
)
def test_a_frame_of_any_type_gives_the_same_cells(expected: Dataset, cells: object) -> None:
    given = pd.DataFrame({"other": range(N), "d": cells})
    assert torch.equal(rows_of(given, kind_of(expected)), expected.x)


@pytest.mark.parametrize("n_rows", [1, 7, 100])
def test_blocks_of_a_file_are_read_alike(tmp_path: Path, n_rows: int) -> None:
    """The order that one row decides holds for rows that alone would leave it open."""
    cells = ["03.01.2026", "", "02.02.2026", "13.01.2026", "01.03.2026"]
    whole = csv(tmp_path, cells)
    found = list(
        table_blocks(tmp_path / "t.csv", whole.columns, DataSettings(source="t.csv"), n_rows)
    )
    assert np.array_equal(np.concatenate(found), whole.x.numpy(), equal_nan=True)


def test_missing_dates_are_marked_once(tmp_path: Path) -> None:
    cells = ["", *SPELLINGS["iso"][1:]]
    found = csv(tmp_path, cells)
    assert found.x[0].isnan().all()
    text = (
        "data: {source: t.csv, target: y, task: regression, test: 0}\n"
        "model: {Linear: {}}\noptimizer: {SGD: {lr: {float: [1e-3, 1e-1]}}}\n"
        "validation: {folds: 2}\ntraining: {epochs: 1}\nsearch: {trials: 1, baselines: false}\n"
    )
    (tmp_path / "s.yaml").write_text(text)
    told = call_in(tmp_path, "check", "s.yaml").stdout
    assert "1 date), 8 features, 1 missing value" in " ".join(told.split())


def test_an_array_is_refused_where_a_date_is_wanted(expected: Dataset) -> None:
    with pytest.raises(DataError, match=r"has no column names\. Pass a DataFrame"):
        rows_of(np.zeros((3, expected.shape[0])), kind_of(expected))


def test_a_frame_without_the_column_is_told_its_name(expected: Dataset) -> None:
    with pytest.raises(DataError, match=r"lacks the column `d`\."):
        rows_of(pd.DataFrame({"e": [1]}), kind_of(expected))


def test_numbers_in_the_place_of_dates_are_refused(expected: Dataset) -> None:
    with pytest.raises(DataError, match=r"'d' must hold dates.*row 1 of the table has '5'"):
        rows_of(pd.DataFrame({"d": [5]}), kind_of(expected))


def test_a_cached_data_set_keeps_what_its_columns_are(expected: Dataset) -> None:
    from dataclasses import asdict

    from tunecli.data.cache.entries import CacheEntry

    facts = {
        "task": expected.task,
        "classes": [],
        "columns": [asdict(column) for column in expected.columns],
        "target": "",
        "notes": [],
        "fingerprint": "",
    }
    again = dataset_of("t", CacheEntry({"x": expected.x.numpy(), "y": expected.y.numpy()}, facts))
    assert again.columns == expected.columns


# A whole study

STUDY = """
data: {source: t.csv, target: y, task: regression, test: 0.2}
model: {MLP: {width: 4, depth: 1}}
optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}
validation: {folds: 2}
training: {epochs: 2}
search: {trials: 1, baselines: false}
"""


def test_a_model_takes_dates_as_a_table_has_them(tmp_path: Path) -> None:
    frame(SPELLINGS["dots"]).to_csv(tmp_path / "t.csv", index=False)
    (tmp_path / "s.yaml").write_text(STUDY)
    call_in(tmp_path, "search", "s.yaml", "--jobs", "1", "--quiet")
    call_in(tmp_path, "refit", "s")
    model = load(tmp_path / "runs" / "s" / "model")
    told = model.predict(frame(SPELLINGS["dots"]))
    assert np.array_equal(model.predict(frame(SPELLINGS["iso"])), told)
    later = frame(SPELLINGS["dots"][1:] + SPELLINGS["dots"][:1])
    assert not np.allclose(model.predict(later), told), "the date is looked at"
    ambiguous = pd.DataFrame({"d": ["02.03.2026"]})
    iso = pd.DataFrame({"d": ["2026-03-02"]})
    assert np.array_equal(model.predict(ambiguous), model.predict(iso))
    call_in(tmp_path, "export", "s", "--to", "onnx", "-o", "m.onnx")
    assert (tmp_path / "m.onnx").is_file()
    assert "Columns: `d`." in (tmp_path / "runs" / "s" / "model" / "README.md").read_text()


# As the target

DATE_TARGETS = {
    "csv": lambda folder, dates: csv_of(folder, dates.astype(str)),
    "parquet": lambda folder, dates: parquet_of(folder, dates),
    "text in parquet": lambda folder, dates: parquet_of(folder, dates.astype(str)),
    "date32": lambda folder, dates: parquet_of(folder, dates.dt.date),
}


def csv_of(folder: Path, cells: pd.Series) -> str:
    pd.DataFrame({"x": range(len(cells)), "y": cells}).to_csv(folder / "y.csv", index=False)
    return "y.csv"


def parquet_of(folder: Path, cells: pd.Series) -> str:
    pd.DataFrame({"x": range(len(cells)), "y": cells}).to_parquet(folder / "y.parquet")
    return "y.parquet"


@pytest.mark.parametrize("kind", DATE_TARGETS)
@pytest.mark.parametrize("n_days", [3, N])
def test_a_target_of_dates_is_one_thing_in_every_file(
    tmp_path: Path, kind: str, n_days: int
) -> None:
    days = pd.Series(pd.date_range("2026-01-05", periods=n_days).repeat(12))
    source = DATE_TARGETS[kind](tmp_path, days)
    with pytest.raises(DataError, match=r"has dates, such as '2026-01-05.*Write task: regression"):
        read(tmp_path, source, task=None)
    values = read(tmp_path, source, task="regression")
    assert values.target == "y, dates in seconds (set by task)"
    assert values.y.tolist() == days.to_numpy().astype("datetime64[s]").astype(int).tolist()
    classes = read(tmp_path, source, task="classification")
    assert list(classes.classes) == sorted(set(days.dt.date.astype(str)))


def test_classes_that_look_like_dates_are_told_the_way_out(tmp_path: Path) -> None:
    source = csv_of(tmp_path, pd.Series(["03.01.2026", "05.02.2026"] * 12))
    with pytest.raises(DataError, match=r"is ambiguous.* For classes, write task: classification"):
        read(tmp_path, source, task=None)
    assert read(tmp_path, source, task="classification").classes == ("03.01.2026", "05.02.2026")
