"""Two rounds, as `tunecli next` advises, against one long round, from a wrong or right space.

    python tests/benchmarks/rounds.py --data DIR --datasets digits concrete --seeds 5 --trials 50

The wrong space is off by a factor of 30 in learning rate, weight decay and width; the right one
has the usual ranges, which a second round can only spoil. One side spends all trials in it. The
other spends half and does what `next` advises: it spends the rest in the second study file, or,
where `next` writes none, in the same study. Both sides share their first half, which is searched
once. Printed are the medians over seeds of the best score and of the training time (a second round
may train longer), and, pair by pair, how often the two rounds were better, or not worse, and how
often `next` wrote a file.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import typer
from scipy.stats import wilcoxon

import tunecli
from tunecli.cli.next_round import next_round

SPACES = {
    "wrong": """
    width: {int: [2, 8], log: true}               # about 30 times too small
    depth: {int: [1, 2]}
    dropout: {float: [0, 0.5]}
optimizer:
  AdamW:
    lr: {float: [3e-6, 1e-3], log: true}           # about 30 times too small
    weight_decay: {float: [3e-1, 30], log: true}   # about 30 times too large
""",
    "right": """
    width: {int: [16, 256], log: true}
    depth: {int: [1, 3]}
    dropout: {float: [0, 0.5]}
optimizer:
  AdamW:
    lr: {float: [1e-4, 3e-2], log: true}
    weight_decay: {float: [1e-5, 1e-1], log: true}
""",
}

TABLES: Mapping[str, tuple[str, str]] = {
    "concrete": ("uci_regression/concrete.csv", "target"),
    "energy": ("uci_regression/energy.csv", "target"),
    "california": ("california_housing/housing.csv", "median_house_value"),
    "adult": ("adult/train.csv.gz", "income"),
    "wine_red": ("uci_regression/wine_red.csv", "target"),
    "covertype": ("covertype_93k/covertype_93k.csv.gz", "Cover_Type"),
}
"""File and target of each table; `digits` comes with tunecli."""

CLASSES = frozenset({"digits", "adult", "covertype"})

FEWEST_OF_A_CLASS = 10
"""Rows of a class in the sample; rarer classes are left out."""


@dataclass(frozen=True)
class Pair:
    """The best score and the seconds of training of each side with one seed.

    Attributes:
        wrote_second: whether `next` wrote a second study file.
    """

    one_round: float
    two_rounds: float
    one_took: float
    two_took: float
    wrote_second: bool


def main() -> None:
    given = _arguments()
    head = f"{'data':<10} {'space':<5} {'seeds':>5}  {'one round':>10}  {'two rounds':>10}"
    print(f"{head}  not worse  better  Wilcoxon p  files  seconds of one, of two")
    for space in given.spaces:
        for name in given.datasets:
            pairs = []
            for seed in range(given.first_seed, given.first_seed + given.seeds):
                pairs.append(_pair(name, space, seed, given))
                print(f"  {name} {space} seed {seed}: {pairs[-1]}", file=sys.stderr, flush=True)
            print(_row(name, space, pairs), flush=True)


def _row(name: str, space: str, pairs: list[Pair]) -> str:
    sign = 1 if name in CLASSES else -1
    gains = [sign * (pair.two_rounds - pair.one_round) for pair in pairs]
    p_value = wilcoxon(gains).pvalue if any(gains) else 1.0
    one, two = (
        statistics.median(side)
        for side in ([p.one_round for p in pairs], [p.two_rounds for p in pairs])
    )
    took = (
        statistics.median(side)
        for side in ([p.one_took for p in pairs], [p.two_took for p in pairs])
    )
    n_even, n_better = sum(gain >= 0 for gain in gains), sum(gain > 0 for gain in gains)
    n_files = sum(pair.wrote_second for pair in pairs)
    row = f"{name:<10} {space:<5} {len(pairs):>5}  {one:>10.5g}  {two:>10.5g}  {n_even:>9}"
    row += f"  {n_better:>6}  {p_value:>10.3f}  {n_files:>5}"
    return f"{row}  {', '.join(f'{s:.0f}' for s in took)}"


def _pair(name: str, space: str, seed: int, given: argparse.Namespace) -> Pair:
    with TemporaryDirectory() as folder:
        runs = Path(folder)
        text = _study_file(_data(name, runs, given), SPACES[space], seed, given)
        (runs / "first.yaml").write_text(text)
        half = given.trials // 2
        first = _searched(runs, "first", half)
        if wrote := _wrote_second(runs):
            second = _searched(runs, "second", given.trials - half)
            if given.keep:
                kept = given.keep / f"{name}-{space}-{seed}.yaml"
                kept.write_text((runs / "second.yaml").read_text())
        long = _searched(runs, "first", given.trials)
        two = pd.concat([first, second]) if wrote else long
        took = float(long.seconds.sum()), float(two.seconds.sum())
        return Pair(_best(name, long), _best(name, two), *took, wrote_second=wrote)


def _best(name: str, trials: pd.DataFrame) -> float:
    values = trials[trials.outcome == "complete"].value
    return float(values.max() if name in CLASSES else values.min())


def _wrote_second(runs: Path) -> bool:
    """Let `next` write the second study file, and return whether it did."""
    try:
        with redirect_stderr(StringIO()):
            next_round("first", runs / "second.yaml", runs=runs / "runs")
    except typer.Exit:  # it advises to resume the first study
        return False
    return True


def _searched(folder: Path, study: str, n_trials: int) -> pd.DataFrame:
    """Return the trials of a study after its search."""
    return tunecli.search(
        folder / f"{study}.yaml", trials=n_trials, jobs=1, runs=folder / "runs"
    ).trials


def _data(name: str, runs: Path, given: argparse.Namespace) -> str:
    """Write a sample of a table, the same in every run, and return the setting `data`."""
    if name not in TABLES:
        return name
    file, target = TABLES[name]
    table = pd.read_csv(given.data / file)
    sample = table.sample(min(given.rows, len(table)), random_state=0)
    if name in CLASSES:  # a class needs rows in each fold
        sample = sample[sample.groupby(target)[target].transform("size") >= FEWEST_OF_A_CLASS]
    sample.to_csv(runs / f"{name}.csv", index=False)
    task = "classification" if name in CLASSES else "regression"
    return f"{{source: {name}.csv, target: {target}, task: {task}}}"


def _study_file(data: str, space: str, seed: int, given: argparse.Namespace) -> str:
    metric = "accuracy" if "classification" in data or data in CLASSES else "rmse"
    return (
        f"seed: {seed}\ndata: {data}\nvalidation: {{folds: 3}}\n"
        f"objective: {{{'maximize' if metric == 'accuracy' else 'minimize'}: {metric}}}\n"
        f"model:\n  MLP:{space}"
        f"training: {{epochs: {given.epochs}, batch_size: 32}}\n"
        f"search: {{trials: {given.trials // 2}, parallel: 4, baselines: false}}\n"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    known = ["digits", *TABLES]
    parser.add_argument("--data", type=Path, default=Path("studies/data"))
    parser.add_argument("--datasets", nargs="+", choices=known, default=[*TABLES])
    parser.add_argument("--spaces", nargs="+", choices=SPACES, default=[*SPACES])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=50, help="of each side")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--rows", type=int, default=500, help="of each table, at most")
    parser.add_argument("--keep", type=Path, help="folder for the study files of second rounds")
    return parser.parse_args()


if __name__ == "__main__":
    main()
