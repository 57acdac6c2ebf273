"""Print the table of benchmarks: tunecli against named alternatives, in one run.

    OMP_NUM_THREADS=1 python -m tests.benchmarks [--pairs 5] [--only TEXT]

`tests/benchmarks/README.md` explains the rows.
"""

from __future__ import annotations

import argparse
import platform
from datetime import UTC, datetime

import psutil
import torch

from tests.benchmarks import loading_rows, search_rows, step_rows
from tests.benchmarks.table_rows import HEAD, Row, line
from tests.benchmarks.taking_turns import compare


def machine() -> str:
    """Return the machine, the load and the date, which belong to every figure."""
    load = psutil.getloadavg()[0]
    day = datetime.now(UTC).strftime("%-d %B %Y")
    cores = psutil.cpu_count()
    return (
        f"{cores} cores, {platform.machine()}, torch {torch.__version__}, load {load:.1f}, {day}"
    )


def lines(row: Row, n_pairs: int) -> list[list[str]]:
    """Measure a row, after one pair that does not count, and return the cells of its lines."""
    if row.lacks:
        return [row.unmeasured()]
    pair = row.prepare()
    pair(0)
    return [*row.measured(compare(pair, n_pairs))]


def main() -> None:
    """Measure row by row, and print each when it is known."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks")
    parser.add_argument("--pairs", type=int, default=5, help="of runs per row")
    parser.add_argument("--only", default="", help="rows that have this text")
    options = parser.parse_args()
    print(machine(), end="\n\n")
    print(line([*HEAD]))
    print(line(["---"] * len(HEAD)))
    for row in [*step_rows.rows(), *search_rows.rows(), *loading_rows.rows()]:
        if options.only in f"{row.ours} {row.alternative}":
            for cells in lines(row, options.pairs):
                print(line(cells), flush=True)


if __name__ == "__main__":
    main()
