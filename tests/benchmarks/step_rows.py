"""Rows about the training of one trial, and about the start of a search."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import torch

from tests.benchmarks import start
from tests.benchmarks.stacking import Case, bare, cases, searched
from tests.benchmarks.table_rows import Row
from tests.benchmarks.taking_turns import Cost, Pair, taking_turns, timed


def rows() -> list[Row]:
    """Return a row per case of `stacking.py`, and the row of the start."""
    torch.set_num_threads(1)
    trials = [
        Row(f"trial: {case.name}", "bare loop", {"cpu": case.goal}, partial(_trial, case))
        for case in cases()
    ]
    search = "start until the first evaluation"
    return [*trials, Row(search, "a script that imports torch", {"wall": 2.0}, _start)]


def _trial(case: Case) -> Pair:
    return taking_turns(timed(partial(searched, case, stacked=True)), timed(partial(bare, case)))


def _start() -> Pair:
    folder = Path(mkdtemp())
    (folder / "start.yaml").write_text(start.STUDY)
    command = ("-m", "tunecli", "search", "start.yaml", "--jobs", "1", "--restart")
    return taking_turns(
        partial(_started, folder, *command), partial(_started, folder, "-c", start.SCRIPT)
    )


def _started(folder: Path, *words: str) -> Cost:
    begun = start.start(folder, *words)
    return Cost(begun.cpu, begun.clock)
