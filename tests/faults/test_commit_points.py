"""The driver killed right before and right after each commit of a study, one after another."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.mark.slow
def test_every_commit_is_a_point_to_go_on_from(
    tmp_path: Path, n_faults: Callable[[int], int], figure: Callable[[str], None]
) -> None:
    every = 3 if n_faults(10) < 10 else 1
    script = Path(__file__).with_name("commit_points.py")
    paths = {"PYTHONPATH": ":".join([*map(str, (script.parent, script.parent.parent)), *sys.path])}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(every)],
        env=paths,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert len(told["whole"]["table"]) == 8
    for point in told["points"]:
        assert {**point, "point": None} == {**told["whole"], "point": None}, point["point"]
    n_points = len(told["points"]) - 1
    assert n_points * every > 2 * 16, "before and after each start and end of a trial, at least"
    which = ", which are all" if every == 1 else f", every {every}rd"
    figure(
        f"driver killed before and after each commit of 8 trials: {n_points} points{which}; "
        "every one recovers to the same table"
    )
