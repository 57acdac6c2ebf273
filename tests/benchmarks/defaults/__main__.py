"""Compare ways to search on 34 surrogate tasks; the defaults of tunecli follow this table.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.defaults [--seeds 5] [--trainings 100] \\
        [--first 7] [--short] [--runs defaults.jsonl]

Each search is written to the file of runs, and a later call adds only those that it lacks.
`tests/benchmarks/README.md` explains the table.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import optuna

from .regret_table import BUDGETS, Found, Row, Scale, rows
from .simulated_search import Ended, simulate
from .surrogate_curves import N_EPOCHS, curves, drawn_blindly, study, tasks
from .ways import REFERENCE, WAYS, Way


def best_by(ended: Sequence[Ended], n_epochs: int) -> Ended | None:
    """Return the best complete trial that had ended after so many epochs of training."""
    complete = [one for one in ended if one.outcome == "complete" and one.epochs <= n_epochs]
    return max(complete, key=lambda one: one.value, default=None)


def search(way: Way, task: str, seed: int, n_trainings: int) -> Found:
    """Search one task in one way. Each task and repeat has its own seed, shared by the ways."""
    own_seed = zlib.crc32(f"{task}:{seed}".encode())
    begun = time.process_time()
    ended = simulate(
        study("defaults", way.overrides(own_seed)),
        lambda config: curves(task, config),
        n_trainings * N_EPOCHS,
    )
    best = {n: best_by(ended, n * N_EPOCHS) for n in BUDGETS if n <= n_trainings}
    return Found(
        way.name,
        task,
        seed,
        {n: one and round(one.value, 5) for n, one in best.items()},
        {n: one and round(one.unseen, 5) for n, one in best.items()},
        round(time.process_time() - begun, 2),
    )


def read(path: Path) -> list[Found]:
    """Return the searches of earlier calls."""
    lines = map(json.loads, path.read_text().splitlines() if path.exists() else [])
    return [_found(line) for line in lines]


def _found(line: dict[str, object]) -> Found:
    """Return a search as it was written; JSON has turned the budgets into text."""
    found = Found(**line)  # type: ignore[arg-type]
    by_budget = ({int(n): one for n, one in of.items()} for of in (found.scores, found.unseen))
    return Found(found.way, found.task, found.seed, *by_budget, found.cpu)


def missing(
    known: Sequence[Found], ways: Sequence[Way], n_seeds: int, n_trainings: int
) -> Iterator[tuple[Way, str, int]]:
    """Yield the searches that are still to be made, all ways of one seed before the next."""
    done = {(one.way, *one.place) for one in known if n_trainings <= max(one.scores)}
    for seed in range(n_seeds):
        for way in ways:
            yield from ((way, t, seed) for t in tasks() if (way.name, t, seed) not in done)


def scales(found: Sequence[Found]) -> tuple[dict[str, Scale], dict[str, Scale]]:
    """Return the scales of the tasks, by the search's own rows and on unseen ones."""
    valid, unseen = {}, {}
    for task in {one.task for one in found}:
        drawn = drawn_blindly(task)
        of_task = [one for one in found if one.task == task]
        valid[task] = Scale.of(drawn.valid, [one.scores for one in of_task])
        unseen[task] = Scale.of(drawn.unseen, [one.unseen for one in of_task])
    return valid, unseen


Column = tuple[str, int]
"""What a cell shows, and after which budget."""

ALL: Sequence[Column] = tuple(
    (what, n) for what in ("regret", "unseen", "rank", "wins") for n in BUDGETS
)
SHORT: Sequence[Column] = (
    *(("regret", n) for n in (10, 20, 40)),
    ("unseen", 40),
    *(("wins", n) for n in (10, 20, 40)),
)


def cell(row: Row, column: Column) -> str:
    """Return a cell; empty where a search did not have the budget."""
    what, n = column
    if n not in row.regret:
        return ""
    if what == "wins":
        return f"{row.better.get(n, 0)} : {row.worse.get(n, 0)}"
    if what == "rank":
        return f"{row.rank[n]:.1f}" if n in row.rank else ""
    return f"{getattr(row, what)[n]:.3f}"


def line(cells: Sequence[str]) -> str:
    """Return a row of the table in Markdown."""
    return f"| {' | '.join(cells)} |"


def show(found: Sequence[Found], columns: Sequence[Column] = ALL) -> None:
    """Print the table of all ways that were searched on every task."""
    n_tasks = len(tasks())
    ways = [way.name for way in WAYS]
    whole = [way for way in ways if sum(one.way == way for one in found) >= n_tasks]
    shown = sorted((one for one in found if one.way in whole), key=lambda one: ways.index(one.way))
    print(line(["way", "searches", *(f"{what} {n}" for what, n in columns)]))
    print(line(["---"] * (len(columns) + 2)))
    for row in rows(shown, *scales(shown), REFERENCE.name) if shown else []:
        print(line([row.way, str(row.n_places), *(cell(row, one) for one in columns)]))


def main() -> None:
    """Make the searches that the file lacks, then print the table of all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.defaults")
    parser.add_argument("--seeds", type=int, default=5, help="repeats per task and way")
    parser.add_argument("--trainings", type=int, default=100, help="budget of a search")
    parser.add_argument("--first", type=int, default=len(WAYS), help="only the first ways")
    parser.add_argument("--runs", type=Path, default=Path("defaults.jsonl"))
    parser.add_argument("--short", action="store_true", help="the columns of the guide")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    known = read(options.runs)
    ways = WAYS[: options.first]
    with options.runs.open("a") as file:
        for way, task, seed in missing(known, ways, options.seeds, options.trainings):
            known.append(search(way, task, seed, options.trainings))
            file.write(json.dumps(asdict(known[-1])) + "\n")
            file.flush()
            print(f"{way.name}, task {task}, seed {seed}", file=sys.stderr)
    show(known, SHORT if options.short else ALL)


if __name__ == "__main__":
    main()
