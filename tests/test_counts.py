"""Messages count in one way: `1 row`, `2 rows`."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tunecli.study_file.counts import count

DATA = Path(__file__).parent.parent / "tunecli" / "data"
THINGS = r"rows|columns|cells|pictures|files|groups|classes|values|features|targets|items"


@pytest.mark.parametrize(
    ("n", "words", "said"),
    [
        (0, ("row",), "0 rows"),
        (1, ("row",), "1 row"),
        (2, ("class",), "2 classes"),
        (1200, ("row",), "1,200 rows"),
        (1, ("row is", "rows are"), "1 row is"),
        (3, ("row is", "rows are"), "3 rows are"),
    ],
)
def test_one_is_singular(n: int, words: tuple[str, ...], said: str) -> None:
    assert count(n, *words) == said


def counted_by_hand(source: str) -> Iterator[str]:
    """Numbers in f-strings with a plural behind them, but for bounds, which are not one."""
    for text in ast.walk(ast.parse(source)):
        parts = text.values if isinstance(text, ast.JoinedStr) else []
        for number, behind in pairwise(parts):
            if not isinstance(number, ast.FormattedValue) or not isinstance(behind, ast.Constant):
                continue
            said = ast.unparse(number.value)
            is_number = number.format_spec is not None or re.match(r"(.*\.)?n_|len\(", said)
            if is_number and re.match(rf" ({THINGS})\b", str(behind.value)) and not said.isupper():
                yield f"{said}{behind.value!s}"


def test_no_message_about_data_counts_by_hand() -> None:
    assert [*counted_by_hand('f"{n_rows} rows"')] == ["n_rows rows"]
    found = {path.name: [*counted_by_hand(path.read_text())] for path in DATA.glob("*.py")}
    assert {name: texts for name, texts in found.items() if texts} == {}
