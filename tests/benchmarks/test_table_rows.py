"""Every row of the table can be made, and its lines printed."""

from __future__ import annotations

import pytest

from tests.benchmarks import loading_rows, search_rows, step_rows
from tests.benchmarks.table_rows import HEAD
from tests.benchmarks.taking_turns import Compared, Cost


@pytest.mark.parametrize("module", [step_rows, search_rows, loading_rows])
def test_each_row_has_a_goal_and_gives_a_line_per_goal(module: object) -> None:
    once = Compared([(Cost(1.0, 1.0, 1.0), Cost(2.0, 2.0, 2.0))])
    rows = module.rows()
    assert rows
    for row in rows:
        assert row.goals
        lines = [*row.measured(once)]
        assert len(lines) == len(row.goals)
        assert {len(cells) for cells in (*lines, row.unmeasured())} == {len(HEAD)}
