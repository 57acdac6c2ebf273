"""Every row of the table can be made, and its lines printed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["step_rows", "search_rows", "loading_rows"])
def test_each_row_has_a_goal_and_gives_a_line_per_goal(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT)  # as `python -m tests.benchmarks` has it
    module, table, turns = (
        import_module(f"tests.benchmarks.{one}") for one in (name, "table_rows", "taking_turns")
    )
    once = turns.Compared([(turns.Cost(1.0, 1.0, 1.0), turns.Cost(2.0, 2.0, 2.0))])
    rows = module.rows()
    assert rows
    for row in rows:
        assert row.goals
        lines = [*row.measured(once)]
        assert len(lines) == len(row.goals)
        assert {len(cells) for cells in (*lines, row.unmeasured())} == {len(table.HEAD)}
