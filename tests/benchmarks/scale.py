"""How many workers one driver keeps busy, and what it saturates on.

    OMP_NUM_THREADS=1 python tests/benchmarks/scale.py [--workers 16 200 1000] [--seconds 1 10 60]

A whole search with its SQLite database, event log and printed lines; only the workers are
simulated (`simulated_cluster.py`): they wait instead of training. The study is that of
`driver.py`: 8 parameters, 5 folds, 10 evaluations per trial, each judged. Seconds are those of the
clock, without the time in which another process had the driver's core (`OwnTime`).

- full after: seconds until every worker has a trial. `--before` trials come first and take no
  time, since a driver costs more the longer its study is.
- utilization: the share of the workers' time in which they train, from then to the start of the
  last trial.
- busy: the share of that time in which the driver does not wait; the other columns are where it
  spends it, in milliseconds per trial. Where it is busy all the time, it is saturated.

By default all trials take equally long. With `--spread 0.5` they take between half and one and a
half times as long; with `--prune` the pruner's word is followed. Then `--parallel`, the factor
between the number of workers and `search.parallel`, decides how long they wait for each other.
"""

from __future__ import annotations

import argparse
import io
import itertools
import platform
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))
import psutil
from driver import NAME, STUDY, Split
from rich.console import Console
from simulated_cluster import DriverEnd, OwnTime, SimulatedCluster

from tunecli.database.write import StudyDatabase
from tunecli.report.live.live import LiveView
from tunecli.search.events.event_log import EventLog
from tunecli.search.run import Search
from tunecli.search.study.study_folder import StudyFolder
from tunecli.search.suggest.suggester import Suggester
from tunecli.search.workers.executor import EXECUTORS
from tunecli.study_file.study_file import StudyFile

WATCHED = {
    "workers": (SimulatedCluster, ("submit", "reply", "events", "stop")),
    "messages": (DriverEnd, ("pack", "unpack")),
    "sampler": (Suggester, ("ask", "show")),
    "database": (StudyDatabase, ("start_trial", "add_evaluations", "flush", "finish_trial")),
    "log": (EventLog, ("add",)),
    "screen": (LiveView, ("show",)),
}
"""Parts of the driver's time; `workers` is the simulation, with the time of waiting."""

OWN = [part for part in WATCHED if part != "workers"] + ["the rest"]
HEAD = ("workers", "trial", "trials", "full after", "utilization", "trials/s", "busy", *OWN)


CLOCK = OwnTime()
SPLIT = Split(CLOCK)


@dataclass(frozen=True)
class Case:
    """One search to measure.

    Attributes:
        seconds: how long a whole trial takes, give or take the share `spread` of it.
        parallel: the factor between the number of workers and `search.parallel`.
        n_before: trials that take no time and do not count.
        rounds: trials per worker that count.
        prunes: whether trials end where the pruner says so.
    """

    n_workers: int
    seconds: float
    parallel: float
    n_before: int
    rounds: float
    spread: float
    prunes: bool
    sampler: str

    @property
    def n_counted(self) -> int:
        return round(self.n_workers * self.rounds)

    @property
    def overrides(self) -> list[str]:
        """The settings of the search; a percentile of 100 judges, but stops almost nothing."""
        pruner = "Median" if self.prunes else "{Percentile: {percentile: 100}}"
        return [
            f"search.trials={self.n_before + self.n_counted}",
            f"search.parallel={round(self.n_workers * self.parallel)}",
            f"search.sampler={self.sampler}",
            f"search.pruner={pruner}",
            "search.keep_models=0",
            "validation.racing=off",
        ]

    def length(self, number: int) -> float:
        """Return the seconds of a trial."""
        if number < self.n_before:
            return 0.0
        return self.seconds * (1 + self.spread * Random(number).uniform(-1, 1))


class Window:
    """What happens from when every worker has a trial to the start of the last trial."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._started: list[float] = []
        self._split: Counter[str] = Counter()
        self._cluster: SimulatedCluster | None = None
        self._search: Search | None = None

    def run(self, folder: Path) -> list[str]:
        """Search, and return the cells of the row."""
        case = self._case
        study = StudyFile.from_text(STUDY, str(folder / f"{NAME}.yaml"), case.overrides)
        study_folder = StudyFolder(folder / "runs", study.name)
        view = LiveView(Console(file=io.StringIO(), width=100))
        with study_folder.held(), view, patch.dict(EXECUTORS, local=self._executor):
            self._search = Search(study, study_folder, study.search, case.n_workers)
            for event in self._search.events():
                view.show(event)
        return self._cells()

    def _executor(self, *arguments: Any) -> SimulatedCluster:
        self._cluster = SimulatedCluster(self._case.length, self._submitted, CLOCK, *arguments)
        return self._cluster

    def _submitted(self, number: int) -> None:
        """Note the start of a trial; the last one ends the search."""
        if number < self._case.n_before:
            return
        self._started.append(CLOCK())
        if len(self._started) == self._case.n_workers:
            SPLIT.take()
        if len(self._started) == self._case.n_counted:
            self._split = SPLIT.take()
            assert self._search is not None
            self._search.interrupt()

    def _cells(self) -> list[str]:
        assert self._cluster is not None
        case, started = self._case, self._started
        start, end, n = started[case.n_workers - 1], started[-1], case.n_counted - case.n_workers
        worked = self._cluster.worked(start, end)
        busy = end - start - self._split["workers"]
        return [
            f"{case.n_workers:,}",
            f"{case.seconds:g} s",
            f"{case.n_before:,} + {case.n_counted:,}",
            f"{start - started[0]:.1f} s",
            f"{worked / (end - start) / case.n_workers:.1%}",
            f"{n / (end - start):.1f}",
            f"{busy / (end - start):.0%}",
            *(f"{1000 * self._split[part] / n:.1f}" for part in OWN),
        ]


def machine() -> str:
    """Return the machine, the load and the date."""
    load, day = psutil.getloadavg()[0], datetime.now(UTC).strftime("%-d %B %Y")
    return f"{psutil.cpu_count()} cores, {platform.machine()}, load {load:.1f}, {day}"


def main() -> None:
    """Measure case by case, and print each when it is known."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[16, 200, 1000])
    parser.add_argument("--seconds", type=float, nargs="+", default=[1, 10, 60])
    parser.add_argument("--parallel", type=float, nargs="+", default=[2])
    parser.add_argument("--before", type=int, default=0)
    parser.add_argument("--rounds", type=float, default=3)
    parser.add_argument("--spread", type=float, default=0.0)
    parser.add_argument("--prune", action="store_true")
    parser.add_argument("--sampler", default="auto")
    options = parser.parse_args()
    for part, (owner, names) in WATCHED.items():
        SPLIT.watch(part, owner, names)
    print(f"{machine()}\n\n{line(HEAD)}\n{line(['---'] * len(HEAD))}")
    for chosen in itertools.product(options.workers, options.seconds, options.parallel):
        case = Case(
            *chosen,
            options.before,
            options.rounds,
            options.spread,
            prunes=options.prune,
            sampler=options.sampler,
        )
        with TemporaryDirectory() as folder:
            print(line(Window(case).run(Path(folder))), flush=True)


def line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
