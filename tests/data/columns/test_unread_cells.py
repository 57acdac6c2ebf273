from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunecli.data.columns.number_forms import PLAIN, NumberForm
from tunecli.data.columns.unread_cells import MISSING_WORDS, refusals, unread


def said(*cells: str | None, form: NumberForm = PLAIN, missing: tuple[str, ...] = ()) -> str:
    found = unread(pd.Series(cells, name="a", dtype="str"), form)
    if found is None:
        return ""
    (refusal,) = refusals([found], form, missing, lambda row: f"row {row + 1}")
    return refusal.message


@pytest.mark.parametrize(
    ("cells", "ways"),
    [
        (["1,5", "2,5", "3"], "Write decimal: ',', or"),
        (["1,234", "7", "2,345"], "Write decimal: ',' or thousands: ',', or"),
        (["1.234,5", "2,0"], "Write decimal: ',' and thousands: '.', or"),
        (["1,234.5", "2.0"], "Write thousands: ',', or"),
        (["1.234.567", "1.234"], "Write decimal: ',' and thousands: '.', or"),
        (["1 234", "5"], "Write thousands: ' ', or"),
        (["1\u202f234", "5"], "Write thousands: ' ', or"),
        (["1'234", "5"], 'Write thousands: "\'", or'),
        (["1_234", "5"], "Write thousands: '_', or"),
        (["12 %", "3 %"], "Write units: ['%'], or"),
        (["$1,200.50", "-$3"], "Write thousands: ',' and units: ['$'], or"),
        (["1.200,00 €", "3,50 €"], "Write decimal: ',' and thousands: '.' and units: ['€'], or"),
        (["5 USD", "7 USD"], "Write units: ['USD'], or"),
        ([f"{i} kg" for i in range(30)], "Write units: ['kg'], or"),
        (["1", "NA", "2", "-"], "Write missing: ['?', 'NA', '-'], or"),
        (["NaN", "NaN", "NaN", "1"], "Write missing: ['?', 'NaN'], or"),
        (["1,5", "2,5", "n/a"], "Write decimal: ',' and missing: ['?', 'n/a'], or"),
        ([*map(str, range(50)), "seven"], "Correct it, or write missing: ['seven'], or"),
        (
            [*map(str, range(9)), "so", "so", "so", "so"],
            "Correct it, or write missing: ['so'], or",
        ),
        (["1,5", "2.5", "3,5", "4.5"], "Write all numbers of the column in one format, or"),
        (["5.00-", "7", "8.5"], "Write all numbers of the column in one format, or"),
        (["(5.00)", "7", "8.5"], "Write all numbers of the column in one format, or"),
    ],
)
def test_numbers_in_another_form_are_refused_with_the_line_to_write(
    cells: list[str], ways: str
) -> None:
    message = said(*cells, missing=("?",))
    assert f". {ways} categorical: [a]." in message
    assert message.startswith("column 'a' has numbers, but also ")


def test_a_fraction_is_no_group_of_thousands() -> None:
    german = NumberForm(",", ".")
    assert np.isnan(german.numbers(["0.123", "01.234", "-0.500"])).all()
    assert german.numbers(["1.234", "0,5", "12.345,6"]).tolist() == [1234, 0.5, 12345.6]
    message = said("0.123", "0.5", "0.25", form=german)
    assert "Write decimal: '.' and thousands: none, or categorical: [a]." in message


def test_a_column_that_may_have_no_holes_is_not_told_to_have_some() -> None:
    found = unread(pd.Series(["1,5", "2,5", "n/a"], name="a", dtype="str"), PLAIN)
    assert found is not None
    (refusal,) = refusals([found], PLAIN, (), str, "leave it out", may_lack=False)
    assert "Write decimal: ',', and remove rows with `n/a`, or leave it out." in refusal.message


@pytest.mark.parametrize(
    "cells",
    [
        ["A1", "12", "B7"],
        ["250.83", "V57", "E8", "401"],
        ["2", "4", "more"],
        ["0", "1", "2", "3+"],
        ["red", "blue", "NA"],
        ["NA", "-", "?"],
        ["01.02.2026", "03.02.2026"],
        ["2026-01-31", "2026-02-01"],
        ["10:30", "11:00"],
        ["1-5", "6-10"],
        ["192.168.0.1", "192.168.0.2"],
        ["1A", "2A", "2B"],
        [f"{i} of the {i * 7} sentences" for i in range(50)],
        ["1", "2", None],
    ],
)
def test_codes_dates_and_words_are_none_of_its_business(cells: list[str]) -> None:
    assert said(*cells) == ""


def test_words_of_all_columns_stand_in_one_line() -> None:
    columns = [pd.Series(["1", word], name=word, dtype="str") for word in ("NA", "-")]
    found = [one for column in columns if (one := unread(column, PLAIN)) is not None]
    for refusal in refusals(found, PLAIN, ["?"], str):
        assert "Write missing: ['?', 'NA', '-']" in refusal.message


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=20),
    st.sampled_from(sorted(MISSING_WORDS)),
    st.integers(1, 200),
)
def test_a_word_for_missing_is_refused_whatever_its_share(
    numbers: list[float], word: str, n: int
) -> None:
    message = said(*map(repr, numbers), *[word] * n)
    assert f"missing: {[word]}" in message


forms = st.builds(
    NumberForm,
    decimal=st.sampled_from(".,"),
    thousands=st.sampled_from([None, ",", ".", " ", "'", "_"]),
    units=st.sampled_from([(), ("%",), ("$", "€")]),
).filter(lambda form: form.decimal != form.thousands)


@settings(max_examples=60, deadline=None)
@given(forms, st.lists(st.decimals(-(10**9), 10**9, places=2), min_size=1, max_size=20))
def test_what_is_written_in_a_form_is_read_in_it(form: NumberForm, numbers: list[object]) -> None:
    texts = []
    for number in numbers:
        whole, _, part = f"{number:,}".partition(".")
        unit = form.units[0] if form.units else ""
        texts.append(f"{whole.replace(',', form.thousands or '')}{form.decimal}{part}{unit}")
    assert form.numbers(texts).tolist() == [float(str(number)) for number in numbers]
    message = said(*texts)
    if message:
        assert "Write" in message
    else:
        assert not np.isnan(PLAIN.numbers(texts)).any()
    assert said(*texts, form=form) == ""


def test_a_column_has_one_unit() -> None:
    form = NumberForm(units=("%", "cm", "m"))
    assert form.numbers(["5 cm", "6cm", "7"])[:2].tolist() == [5, 6]
    is_none = np.isnan(form.numbers(["5 cm", "6 cm", "7 m", "8"]))
    assert is_none.tolist() == [False, False, True, True]
    assert "in one format" in said("5 cm", "6 cm", "7 m", form=form)


@pytest.mark.parametrize("text", ["1.23.456", "1,5", "12.34", "", "$-", "- 5 -", "1e", "٣"])
def test_what_is_no_number_in_a_form_is_none(text: str) -> None:
    assert np.isnan(NumberForm(",", ".").numbers([text.replace(",", ",,")])).all()


@pytest.mark.parametrize("form", [PLAIN, NumberForm(units=("%", "cm", "m"))])
def test_texts_alone_may_have_a_unit_each(form: NumberForm) -> None:
    texts = ["5 cm", "3 m", "7", "-2 %", "4 kg", "m", "1.5e3", "\u22128", "9 cm"]
    alone = [form.numbers([text])[0] for text in texts]
    assert np.array_equal(form.numbers(texts, alone=True), alone, equal_nan=True)
