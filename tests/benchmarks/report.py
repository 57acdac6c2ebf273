"""What the report of a study costs as the study grows, against Optuna's reading of the same file.

    OMP_NUM_THREADS=1 python tests/benchmarks/report.py [--sizes 100 1000 3000 10000] [--parts]

Writes studies with 8 parameters and curves of 20 evaluations on 5 folds, through the writer that a
search uses. Prints CPU seconds and peak memory of each whole command, imports included, and its
ratio to a process that does no more than `optuna.load_study(…).trials`, which reads one value per
evaluation, not one per fold. `--parts` prints the CPU seconds of the parts of a report instead.
The aims at 10,000 trials are 5 s and 400 MB for `report`, and 15 s for `--json`.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import optuna
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))

from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from study_makers import CONFIG, SUMMARY, complete

from tunecli.database.records import read_study
from tunecli.database.trials import Trial
from tunecli.database.urls import sqlite_url
from tunecli.database.write import StudyDatabase
from tunecli.report.analysis.importance import importance
from tunecli.report.export.study_export import study_json, to_csv
from tunecli.report.findings.all_findings import all_findings
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.screen.terminal import study_parts
from tunecli.report.studies.listing import list_studies
from tunecli.training.outcome.evaluation import Evaluation

WIDTHS = ", ".join(["{int: [8, 256], log: true}"] * 4)
STUDY = f"""
data: digits
model: {{MLP: {{width: [{WIDTHS}], dropout: {{float: [0, 0.5]}}}}}}
optimizer:
  AdamW: {{lr: {{float: [1e-4, 1], log: true}}, weight_decay: {{float: [0, 1]}}}}
training: {{epochs: 20, clip_norm: {{float: [0.1, 10], log: true}}}}
"""
KINDS: dict[str, BaseDistribution] = {
    **{f"model.MLP.width[{index}]": IntDistribution(8, 256, log=True) for index in range(4)},
    "model.MLP.dropout": FloatDistribution(0, 0.5),
    "optimizer.AdamW.lr": FloatDistribution(1e-4, 1, log=True),
    "optimizer.AdamW.weight_decay": FloatDistribution(0, 1),
    "training.clip_norm": FloatDistribution(0.1, 10, log=True),
}


def value_in(kind: BaseDistribution, draw: random.Random) -> float:
    """A random value of a range."""
    if isinstance(kind, IntDistribution):
        return round(math.exp(draw.uniform(math.log(kind.low), math.log(kind.high))))
    assert isinstance(kind, FloatDistribution)
    if kind.log:
        return min(math.exp(draw.uniform(math.log(kind.low), math.log(kind.high))), kind.high)
    return draw.uniform(kind.low, kind.high)


@contextmanager
def timed(what: str) -> Iterator[None]:
    begun = time.process_time()
    yield
    print(f"{what:<44} {time.process_time() - begun:7.3f} s", flush=True)


def write(url: str, n_trials: int) -> None:
    draw = random.Random(0)
    database = StudyDatabase.create(url, "large", ["maximize"])
    database.set_attributes(
        {
            "format": 1,
            "objective": {"metric": "accuracy", "direction": "maximize"},
            "summary": asdict(SUMMARY),
            "file": "large.yaml",
            "study_file": STUDY,
            "resolved": STUDY,
        }
    )
    for number in range(n_trials):
        params = {name: value_in(kind, draw) for name, kind in KINDS.items()}
        database.start_trial(Trial(number, params=params, distributions=KINDS, config=CONFIG))
        scores = [draw.gauss(0.9, 0.02) for _ in range(5)]
        for step in range(20):
            folds = [
                Evaluation(step, step + 1.0, 1.0, score, {"f1": score}, 0.1) for score in scores
            ]
            database.add_evaluations(number, step, folds)
        database.finish_trial(number, complete(*scores), worker=0)
    database.close()


def parts(url: str, runs: Path) -> None:
    """Print how long each part of a report takes."""
    with timed("list_studies"):
        list_studies(runs)
    with timed("read_study"):
        study = read_study(url, "large")
    with timed("importance"):
        importance(study)
    with timed("what findings are made from"):
        evidence = Evidence.of(study)
    with timed("all_findings"):
        all_findings(evidence)
    with timed("study_parts, importance known"):
        Console(file=open("/dev/null", "w"), width=80).print(*study_parts(study))
    with timed("to_csv"):
        to_csv(study)
    with timed("to_json with all curves"):
        study_json(study)


def cost(*words: str) -> tuple[float, float]:
    """CPU seconds and peak memory in MB of a command."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, *words], stdout=quiet, stderr=quiet)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def commands(url: str, runs: Path) -> None:
    """Print what the commands that read a study cost."""
    loads = f"import optuna; assert optuna.load_study(storage={url!r}, study_name='large').trials"
    theirs, memory = cost("-c", loads)
    print(f"  {'optuna.load_study(…).trials':<32}{theirs:8.1f} s{memory:8.0f} MB", flush=True)
    page, file = str(runs / "page.html"), str(runs / "next.yaml")
    for words in (
        ["report", "large"],
        ["report", "large", "--json"],
        ["report", "large", "--html", page],
        ["next", "large", "--exploit", "--force", "-o", file],
    ):
        ours, memory = cost("-m", "tunecli", *words, "--runs", str(runs))
        name = f"tunecli {' '.join(words[:3])}"
        print(f"  {name:<32}{ours:8.1f} s{memory:8.0f} MB{ours / theirs:8.2f} ×", flush=True)


def main() -> None:
    """Write a study of each size, and measure it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 3000, 10000])
    parser.add_argument("--parts", action="store_true", help="time parts instead of commands")
    options = parser.parse_args()
    for n_trials in options.sizes:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "large" / "study.db"
            path.parent.mkdir()
            url = sqlite_url(path)
            write(url, n_trials)
            print(f"{n_trials:,} trials, {path.stat().st_size / 2**20:.0f} MiB", flush=True)
            (parts if options.parts else commands)(url, Path(folder))


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    main()
