"""Tables of the terminal fit into 80 columns, whatever the names in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tunecli.report.screen.trial_tables import rival_table

HEADS = ["trial 1234", "commonest class", "logistic regression", "gradient-boosted trees"]


def lines(heads: list[str], rows: list[tuple[str, list[float | None]]]) -> list[str]:
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(rival_table(heads, rows))
    return captured.get().splitlines()


@pytest.mark.parametrize(
    "name", ["f1 (macro)", "f1 of 'a customer of many years who left'", "x" * 90]
)
def test_heads_and_scores_of_rivals_are_whole_beside_a_long_name(name: str) -> None:
    shown = lines(HEADS, [(name, [0.7123, 0.1, float("nan"), None]), ("log_loss", [0.2] * 4)])
    assert max(map(len, shown)) <= 80
    words = [word for line in shown for word in line.split()]
    for word in (*"1234 commonest class logistic regression gradient-boosted trees".split(),):
        assert word in words
    assert {"0.7123", "0.1000", "nan", "–"} <= {*words}


@given(st.text("ab cd'_", min_size=1, max_size=120), st.floats(1e-9, 1e9))
def test_no_score_is_broken(name: str, value: float) -> None:
    shown = lines(HEADS, [(name, [value, value, value, value])])
    assert max(map(len, shown)) <= 80
    last = max((line.split()[-4:] for line in shown[2:]), key=len)
    assert len(set(last)) == 1
