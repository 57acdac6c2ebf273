"""Two rounds with `tunecli next` between them against one long round, from a bad space.

    python tests/benchmarks/rounds.py --data DIR --datasets digits concrete --seeds 5 --trials 50

The space is wrong by a factor of 30 in learning rate, weight decay and width. One side spends all
trials in it; the other spends half, lets `next` write the second study file, and spends the rest
there. Both see the same folds and the same seed. Printed are the medians over seeds of the best
score and of the training time (a second round may train longer), and, pair by pair, how often the
two rounds were better.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scipy.stats import wilcoxon

SPACE = """
seed: {seed}
model:
  MLP:
    width: {{int: [2, 8], log: true}}               # about 30 times too small
    depth: {{int: [1, 2]}}
    dropout: {{float: [0, 0.5]}}
optimizer:
  AdamW:
    lr: {{float: [3e-6, 1e-3], log: true}}           # about 30 times too small
    weight_decay: {{float: [3e-1, 30], log: true}}   # about 30 times too large
training: {{epochs: {epochs}, batch_size: 64}}
search: {{trials: {trials}, parallel: 4, baselines: false}}
"""

DATA = {
    "digits": "data: digits\nvalidation: {{folds: 3}}\n",
    "concrete": (
        "data: {{source: {folder}/uci_regression/concrete.csv, target: target}}\n"
        "validation: {{folds: 3}}\n"
    ),
    "adult": (
        "data: {{source: {folder}/adult/train.csv.gz, test: {folder}/adult/test.csv.gz,"
        " target: income}}\n"
        "validation: {{holdout: 0.2}}\n"
    ),
}


@dataclass(frozen=True)
class Pair:
    """The best score and the seconds of training of each side with one seed."""

    one_round: float
    two_rounds: float
    one_took: float
    two_took: float


def main() -> None:
    given = _arguments()
    head = f"{'data':<10} {'seeds':>5}  {'one round':>10}  {'two rounds':>10}  better  Wilcoxon p"
    print(f"{head}  seconds of one, of two")
    for name in given.datasets:
        pairs = []
        for seed in range(given.first_seed, given.first_seed + given.seeds):
            pairs.append(_pair(name, seed, given))
            print(f"  {name} seed {seed}: {pairs[-1]}", file=sys.stderr, flush=True)
        print(_row(name, pairs, maximize=name != "concrete"), flush=True)


def _row(name: str, pairs: list[Pair], *, maximize: bool) -> str:
    sides = [p.one_round for p in pairs], [p.two_rounds for p in pairs]
    medians = [statistics.median(scores) for scores in sides]
    gains = [(p.two_rounds - p.one_round) * (1 if maximize else -1) for p in pairs]
    better = sum(gain > 0 for gain in gains)
    p_value = wilcoxon(gains).pvalue if any(gains) else 1.0
    scores = f"{medians[0]:>10.4f}  {medians[1]:>10.4f}"
    took = [
        statistics.median(p.one_took for p in pairs),
        statistics.median(p.two_took for p in pairs),
    ]
    row = f"{name:<10} {len(pairs):>5}  {scores}  {better} of {len(pairs)}  {p_value:.3f}"
    return f"{row}       {took[0]:.0f}, {took[1]:.0f}"


def _pair(name: str, seed: int, given: argparse.Namespace) -> Pair:
    with TemporaryDirectory() as folder:
        runs = Path(folder)
        for study, trials in (("long", given.trials), ("first", given.trials // 2)):
            space = SPACE.format(seed=seed, epochs=given.epochs, trials=trials)
            text = DATA[name].format(folder=given.data.resolve()) + space
            (runs / f"{study}.yaml").write_text(text)
            _tunecli(runs, "search", f"{study}.yaml", "--quiet", "--jobs", "1")
        _tunecli(runs, "next", "first", "-o", "second.yaml")
        n_second = given.trials - given.trials // 2
        options = ["--quiet", "--jobs", "1", "--trials", str(n_second)]
        _tunecli(runs, "search", "second.yaml", *options)
        best = max if name != "concrete" else min
        one = _trials(runs, "long")
        two = [*_trials(runs, "first"), *_trials(runs, "second")]
        return Pair(
            *(best(t["value"] for t in side if t["outcome"] == "complete") for side in (one, two)),
            *(sum(t["seconds"] for t in side) for side in (one, two)),
        )


def _trials(runs: Path, study: str) -> list[dict[str, Any]]:
    record = json.loads(_tunecli(runs, "report", study, "--json"))
    found: list[dict[str, Any]] = record["trials"]
    return found


def _tunecli(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "tunecli", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("studies/data"))
    parser.add_argument("--datasets", nargs="+", choices=DATA, default=["digits", "concrete"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=50, help="of each side")
    parser.add_argument("--epochs", type=int, default=8)
    return parser.parse_args()


if __name__ == "__main__":
    main()
