"""Dates, times of day and durations: exact, in every spelling, or refused with the row."""

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunecli.data.columns.column_facts import facts_of
from tunecli.data.columns.date_cells import DateCells, feature_name, parts_of, values_of
from tunecli.data.columns.date_texts import FORMS, read_dates
from tunecli.data.columns.dates import dates_as, dates_in
from tunecli.data.rows.dataset import Column, DateForm
from tunecli.errors import DataError

EPOCH = dt.datetime(1970, 1, 1)


def where(row):
    return f"row {row + 1} of t.csv"


def column(*cells, dtype=object):
    return pd.Series(cells, name="d", dtype=dtype)


def found(*cells, asked=None, dtype=object):
    return dates_in(column(*cells, dtype=dtype), asked, where)


def seconds(*moments):
    return [(moment - EPOCH) // dt.timedelta(seconds=1) for moment in moments]


DATE_SPELLINGS = {
    "iso": lambda d: f"{d.year:04d}-{d.month:02d}-{d.day:02d}",
    "slashes": lambda d: f"{d.year:04d}/{d.month}/{d.day}",
    "dots": lambda d: f"{d.day:02d}.{d.month:02d}.{d.year:04d}",
    "by name": lambda d: f"{d.day} {d:%b} {d.year:04d}",
    "american name": lambda d: f"{d:%B} {d.day}, {d.year:04d}",
    "with its weekday": lambda d: f"{d:%a}, {d.day:02d} {d:%b} {d.year:04d}",
}
TIME_SPELLINGS = {
    "24 hours": lambda d: f"{d:%H:%M:%S.%f}",
    "12 hours": lambda d: f"{d:%I:%M:%S.%f} {'AM' if d.hour < 12 else 'PM'}",
}


@settings(deadline=None, max_examples=60)
@given(
    moments=st.lists(st.datetimes(dt.datetime(1, 1, 1)), min_size=1, max_size=8),
    date=st.sampled_from(sorted(DATE_SPELLINGS)),
    time=st.sampled_from(sorted(TIME_SPELLINGS)),
)
def test_every_spelling_of_a_moment_is_that_moment(moments, date, time):
    cells = [f"{DATE_SPELLINGS[date](m)} {TIME_SPELLINGS[time](m)}" for m in moments]
    dates = found(*cells, asked="day-first")
    whole = [(m - EPOCH) // dt.timedelta(microseconds=1) for m in moments]
    assert dates.seconds.tolist() == [w // 10**6 for w in whole]
    assert dates.nanoseconds.tolist() == [w % 10**6 * 1000 for w in whole]


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("Sat Jan  3 10:00:00 2026", dt.datetime(2026, 1, 3, 10)),
        ("10/Oct/2000:13:55:36 -0700", dt.datetime(2000, 10, 10, 20, 55, 36)),
        ("20260131T101500Z", dt.datetime(2026, 1, 31, 10, 15)),
        ("2026-01-01T10:00+01:00[Europe/Berlin]", dt.datetime(2026, 1, 1, 9)),
        ("2026-01-01 24:00", dt.datetime(2026, 1, 2)),
        ("2016-12-31 23:59:60", dt.datetime(2017, 1, 1)),
        ("2026-01", dt.datetime(2026, 1, 1)),
        ("02/2026", dt.datetime(2026, 2, 1)),
        ("Mar 2026", dt.datetime(2026, 3, 1)),
        ("2026-W01", dt.datetime(2025, 12, 29)),
        ("2026-W53-7", dt.datetime(2027, 1, 3)),
        ("2026-Q4", dt.datetime(2026, 10, 1)),
    ],
)
def test_other_spellings_are_read(cell, moment):
    assert found(cell).seconds.tolist() == seconds(moment)


@settings(deadline=None, max_examples=40)
@given(day=st.dates(dt.date(1, 1, 1)), weekday=st.integers(1, 7))
def test_weeks_are_those_of_iso_8601(day, weekday):
    year, week, _ = day.isocalendar()
    if year < 1 or (year, week) >= (9999, 52):
        return
    expected = dt.date.fromisocalendar(year, week, weekday)
    (read_,) = found(f"{year:04d}-W{week:02d}-{weekday}").seconds
    assert read_ == (expected - EPOCH.date()).days * 86_400


@pytest.mark.parametrize(
    "cell", ["2026-02-30", "2026-13-01", "0000-00-00", "2025-W53", "2026-1-32"]
)
def test_a_day_that_does_not_exist_is_refused_with_its_row(cell):
    with pytest.raises(DataError, match=rf"'{cell}' in row 2 of t.csv is not a valid date"):
        found("2026-01-01", cell, "2026-01-03")


def test_years_have_no_range():
    first, last = found("0001-01-01", "9999-12-31 23:59:59.999999999").seconds
    assert [first, last] == seconds(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59))


def test_texts_that_are_no_dates_are_left_to_others():
    assert found("a", "b", "a b c") is None
    assert found("1.2.30", "1.10.0", "2.0.1") is None  # versions
    assert found("1", "2.5", "2026") is None
    assert found("12-34-56", "40-22-11") is None  # sort codes
    assert found(None, None) is None
    assert found(*[f"text {i}" for i in range(12)], "2026-01-01") is None
    assert found("\ud800", "x") is None


def test_a_text_among_dates_is_refused_with_its_row_and_the_line_to_write():
    with pytest.raises(
        DataError, match=r"'unknown' in row 2 of t.csv \(and 1 more\) .*missing: \["
    ):
        found("2026-01-01", "unknown", "2026-01-03", "unknown")


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["2026-01-01", "3 Jan 2026"], "mixes formats: '3 Jan 2026' in row 2"),
        (["01.02.2026", "13/02/2026"], "mixes formats"),
        (["2026-01-01", "2026-01"], "mixes formats"),
        (["2026-01-01 10:00", "2026-01-01 10:00Z"], "mixes times with and without a zone"),
        (["01.02.26", "13.02.26"], "'01.02.26' in row 1 of t.csv has a year of two digits"),
        (["1/5/26", "1/6/26"], "a year of two digits"),
        (["03-Jan-26", "03-Jan-26"], "a year of two digits"),
        (["03.01.", "02.02."], "has no year"),
        (["2026-01-01 10:00 CET", "2026-01-01 10:00 CET"], "has an unknown time zone"),
        (["2026-01-01", "10:30", "2026-01-02"], "'10:30' in row 2"),
        (["13.01.2026", "01.13.2026"], "mixes orders of day and month"),
    ],
)
def test_what_is_not_alike_is_refused(cells, words):
    with pytest.raises(DataError, match=words):
        found(*cells)


# The order of day and month

NUMBERED = st.tuples(st.integers(1, 12), st.integers(1, 28), st.integers(1900, 2100))


@settings(deadline=None, max_examples=40)
@given(cells=st.lists(NUMBERED, min_size=1, max_size=6), sign=st.sampled_from("./-"))
def test_an_order_is_decided_by_any_cell_or_refused(cells, sign):
    texts = [f"{day}{sign}{month}{sign}{year}" for month, day, year in cells]
    if any(day > 12 for _, day, _ in cells) or all(m == d for m, d, _ in cells):
        dates = found(*texts)
        assert dates.seconds.tolist() == seconds(*(dt.datetime(y, m, d) for m, d, y in cells))
        return
    with pytest.raises(DataError, match="Write dates: day-first or dates: month-first"):
        found(*texts)
    for asked, order in (("day-first", (0, 1)), ("month-first", (1, 0))):
        expected = [dt.datetime(cell[2], cell[order[0]], cell[order[1]]) for cell in cells]
        assert found(*texts, asked=asked).seconds.tolist() == seconds(*expected)
        assert found(*texts, asked=asked).form.order == asked


def test_cells_that_contradict_the_setting_are_refused():
    with pytest.raises(DataError, match=r"dates: day-first.*'01/13/2026' in row 2.*month-first"):
        found("01/02/2026", "01/13/2026", asked="day-first")


# Zones


def test_true_instants_order_the_end_of_summer_time():
    dates = found("2026-10-25 02:30+02:00", "2026-10-25 02:10+01:00", "2026-10-25T02:30+01:00")
    assert dates.ranks.tolist() == [0, 1, 2]
    berlin = pd.Series(
        pd.to_datetime(["2026-10-25 00:30", "2026-10-25 01:10"], utc=True).tz_convert(
            ZoneInfo("Europe/Berlin")
        )
    )
    assert dates_in(berlin, None, where).ranks.tolist() == [0, 1]


# Native types

UNITS = st.sampled_from(["s", "ms", "us", "ns"])


@settings(deadline=None, max_examples=50)
@given(moment=st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1)), unit=UNITS)
def test_types_and_texts_give_the_same_times(moment, unit):
    native = pd.Series([moment], name="d").astype(f"datetime64[{unit}]")
    ours = dates_in(native, None, where)
    text = dates_in(native.astype(str).astype(object), None, where)
    assert (ours.seconds, ours.nanoseconds) == (text.seconds, text.nanoseconds)
    assert ours.form == text.form
    objects = dates_in(column(moment), None, where)
    whole = (moment - EPOCH) // dt.timedelta(microseconds=1)
    assert objects.seconds[0] * 10**6 + objects.nanoseconds[0] // 1000 == whole


def test_objects_of_python_are_read():
    assert found(dt.date(2026, 1, 1), None).missing.tolist() == [False, True]
    assert found(dt.time(10, 30)).form.kind == "time of day"
    assert found(dt.timedelta(hours=2), dt.timedelta(days=-1)).seconds.tolist() == [7200, -86400]
    periods = pd.Series(pd.period_range("2026-01", periods=2, freq="M"))
    assert dates_in(periods, None, where).seconds.tolist() == seconds(
        dt.datetime(2026, 1, 1), dt.datetime(2026, 2, 1)
    )


def test_nanoseconds_are_told_apart():
    native = pd.Series(np.array([3, 1, 2], "datetime64[ns]") + np.timedelta64(2**60, "ns"))
    dates = dates_in(native, None, where)
    assert dates.ranks.tolist() == [2, 0, 1]
    assert len(np.unique(dates.elapsed)) < 3, "floats cannot"


# Times of day and durations


def test_a_time_of_day_is_seconds_since_midnight():
    dates = found("00:30", "13:00:01.5", "1:00 PM", None)
    assert dates.form == DateForm("time of day")
    assert dates.elapsed[:3].tolist() == [1800, 46801.5, 46800]
    assert parts_of(dates) == ("elapsed", "hour, sin", "hour, cos")


def test_hours_beyond_a_day_make_durations():
    dates = found("02:00:00", "26:30:00")
    assert dates.form == DateForm("duration")
    assert dates.elapsed.tolist() == [7200, 95400]
    assert parts_of(dates) == ("elapsed",)


@pytest.mark.parametrize("cell", ["1 days 02:00:00", "1 day, 2:00:00", "P1DT2H", "26:00:00"])
def test_durations_are_read(cell):
    assert found(cell).elapsed.tolist() == [93_600]


# Features


def test_what_repeats_becomes_a_circle_where_it_varies():
    days = [f"2026-01-{day:02d}" for day in range(1, 31)]
    assert parts_of(found(*days)) == (
        "elapsed",
        "weekday, sin",
        "weekday, cos",
        "day of year, sin",
        "day of year, cos",
    )
    at_ten = [f"{2000 + year}-01-01 10:00" for year in range(3)]
    assert "hour, sin" not in parts_of(found(*at_ten))
    assert "day of year, sin" not in parts_of(found(*at_ten))


def test_a_cosine_that_is_the_same_in_all_rows_is_none():
    sundays = found("2026-01-06", "2026-01-11", "2026-01-13")  # and Tuesdays
    assert "weekday, sin" in parts_of(sundays)
    assert "weekday, cos" not in parts_of(sundays)


@settings(deadline=None, max_examples=40)
@given(moments=st.lists(st.datetimes(), min_size=1, max_size=5))
def test_a_sine_and_its_cosine_lie_on_the_circle(moments):
    dates = found(*(str(moment) for moment in moments))
    for period in ("hour", "weekday", "day of year"):
        sine, cosine = (values_of(dates, f"{period}, {wave}") for wave in ("sin", "cos"))
        assert np.allclose(sine**2 + cosine**2, 1)
    hours = np.array([m.hour + m.minute / 60 + m.second / 3600 for m in moments])
    assert np.allclose(values_of(dates, "hour, cos"), np.cos(hours / 12 * np.pi))
    weekdays = np.array([m.weekday() for m in moments])
    assert np.allclose(values_of(dates, "weekday, sin"), np.sin(weekdays * 2 * np.pi / 7))


@pytest.mark.parametrize("cells", [["2026-01", "2026-02"], ["2026-01-01", "2025-07-01"]])
def test_months_have_no_weekdays(cells):
    assert parts_of(found(*cells)) == ("elapsed", "day of year, sin", "day of year, cos")


def test_missing_cells_are_missing_in_every_feature():
    dates = found("2026-01-01", None, "2026-02-02")
    for part in parts_of(dates):
        assert np.isnan(values_of(dates, part)).tolist() == [False, True, False]
    assert feature_name("d", "elapsed") == "d"
    assert feature_name("d", "hour, sin") == "d (hour, sin)"


# New rows of a column that is known


def test_new_rows_keep_the_order_of_the_old_ones():
    form = found("13.01.2026").form
    (new,) = dates_as(column("02.03.2026"), form, None, where, "d").seconds
    assert [new] == seconds(dt.datetime(2026, 3, 2))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2026-01-01", "02.03.2026"),  # of an order that nothing decides
        ("13.01.2026", "01/13/2026"),
        ("2026-01-01", "2026-01-01 10:00Z"),
        ("2026-01-01 10:00Z", "2026-01-01 10:00"),
        ("2026-01-01", "10:30"),
        ("10:30", "2026-01-01"),
        ("2026-01-01", "soon"),
        ("2026-01-01", "01.02.26"),
    ],
)
def test_new_rows_of_another_form_are_refused_with_their_row(old, new):
    with pytest.raises(DataError, match=r"column 'd' must hold .* but row 2 of t.csv has"):
        dates_as(column(old, new), found(old).form, None, where, "d")


def test_new_rows_of_another_type_are_refused():
    aware = pd.Series(pd.to_datetime(["2026-01-01"], utc=True))
    with pytest.raises(DataError, match=r"without a zone.*but holds dates with a zone"):
        dates_as(aware, DateForm("date"), None, where, "d")


@pytest.mark.parametrize(
    ("cells", "ends"),
    [
        (["1/13/2026", None, "2/1/2026"], ["2026-01-13", "2026-02-01"]),
        (
            ["2026-01-31 11:30+01:00", "2026-01-31 10:31Z"],
            ["2026-01-31 10:30:00+00:00", "2026-01-31 10:31:00+00:00"],
        ),
        (["5:00 pm", "4:00 am"], ["04:00:00", "17:00:00"]),
        (["P2DT1H", "P1D"], ["1 days 00:00:00", "2 days 01:00:00"]),
    ],
)
def test_the_ends_of_a_column_are_in_one_spelling(cells, ends):
    dates = found(*cells)
    facts = facts_of(DateCells(Column("d"), dates.elapsed, dates=dates), "")
    assert [facts.smallest, facts.largest] == ends


def test_reading_is_each_text_for_itself():
    texts = ["2026-01-31", "hello", "10:30", "13/01/2026", "P1D", "3 Jan 2026"]
    whole = read_dates(texts, "day-first")
    for row, text in enumerate(texts):
        alone = read_dates([text], "day-first")
        assert (alone.form, alone.seconds) == (whole.form[row], whole.seconds[row])
    assert len({FORMS[form].name for form in whole.form if form >= 0}) == 5
