"""Rows about reading and preparing data, by whole processes."""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from tests.benchmarks import loading
from tests.benchmarks.loading import Case, Data
from tests.benchmarks.table_rows import Row
from tests.benchmarks.taking_turns import Cost, Pair, Way, taking_turns


def rows() -> list[Row]:
    """Return two rows per case of `loading.py`: the first `check`, and one with its cache."""
    found = []
    for name, case in loading.cases(1.0).items():
        if name != "nothing":
            first, second = partial(_pair, case, Data.first), partial(_pair, case, Data.second)
            title = f"check of {case.title}"
            found.append(Row(f"first {title}", case.reader, {"cpu": 2.0, "memory": 2.0}, first))
            found.append(Row(f"second {title}", case.reader, {"cpu": 0.3}, second))
    return found


def _pair(case: Case, check: Callable[[Data], loading.Cost]) -> Pair:
    """Return pairs of a check and the script; the one that does not count fills the cache."""
    folder = Path(mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    data = Data.of(case, folder)
    return taking_turns(_way(partial(check, data)), _way(data.theirs))


def _way(run: Callable[[], loading.Cost]) -> Way:
    return lambda: Cost(**asdict(run()))
