"""How long a search takes to its first trial's end, against a script that only imports torch.

    OMP_NUM_THREADS=1 python tests/benchmarks/start.py [--rounds 5]

Each round runs both, one after the other: a search of one trial of one epoch on digits, and a
script that imports torch and scikit-learn and makes an optimizer, as every script of PyTorch does.
Prints the medians of the seconds of the clock until the trial has ended, of the CPU seconds and
the peak memory of the process that the command started (the driver, without its workers), and
the ratios to the script.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

STUDY = """
data: digits
model: {MLP: {width: {int: [8, 16]}}}
optimizer: AdamW
training: {epochs: 1}
search: {trials: 1, baselines: false}
"""
SCRIPT = """
import sklearn.datasets, torch
sklearn.datasets.load_digits()
torch.optim.AdamW(torch.nn.Linear(64, 10).parameters())
print("trial 0")
"""


@dataclass(frozen=True)
class Start:
    """What one start cost.

    Attributes:
        clock: seconds until the line about the first trial.
        cpu, memory: CPU seconds and MB of the process itself, workers excluded.
    """

    clock: float
    cpu: float
    memory: float


def start(folder: Path, *words: str) -> Start:
    """Run a command until it prints that trial 0 has ended, and to its end."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("trial 0"):
            break
    clock = time.perf_counter() - begun
    process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return Start(clock, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def main() -> None:
    """Measure both in turn, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    ours, theirs = [], []
    with TemporaryDirectory() as folder:
        (Path(folder) / "start.yaml").write_text(STUDY)
        for _ in range(rounds):
            search = ("-m", "tunecli", "search", "start.yaml", "--jobs", "1", "--restart")
            ours.append(start(Path(folder), *search))
            theirs.append(start(Path(folder), "-c", SCRIPT))
    print(f"{'medians of ' + str(rounds):<24}{'search':>9}{'script':>9}{'ratio':>8}")
    for name, unit in (("clock", "s"), ("cpu", "s"), ("memory", "MB")):
        mine, its = (median(getattr(one, name) for one in runs) for runs in (ours, theirs))
        print(f"{name + ', ' + unit:<24}{mine:9.2f}{its:9.2f}{mine / its:8.2f}")


if __name__ == "__main__":
    main()
