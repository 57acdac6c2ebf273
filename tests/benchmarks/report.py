"""How long the report of a large study takes: `python tests/benchmarks/report.py [TRIALS]`.

Writes a study of 3,000 trials with 8 parameters and curves of 20 evaluations on 5 folds, then
reads, exports and renders it. Prints seconds of CPU, so that it can run beside other work; of the
whole command seconds of the clock.
"""

from __future__ import annotations

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

from optuna.distributions import FloatDistribution
from study_makers import CONFIG, SUMMARY, complete, mlp

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
        }
    )
    unit = FloatDistribution(0.0, 1.0)
    for number in range(n_trials):
        params = dict(mlp(10 ** draw.uniform(-4, 0), draw.randint(8, 256)))
        params |= {f"model.MLP.extra_{n}": (draw.random(), unit) for n in range(5)}
        database.start_trial(
            Trial(
                number,
                params={name: value for name, (value, _) in params.items()},
                distributions={name: kind for name, (_, kind) in params.items()},
                config=CONFIG,
            )
        )
        scores = [draw.gauss(0.9, 0.02) for _ in range(5)]
        for step in range(20):
            folds = [
                Evaluation(step, step + 1.0, 1.0, score, {"f1": score}, 0.1) for score in scores
            ]
            database.add_evaluations(number, step, folds)
        database.finish_trial(number, complete(*scores), worker=0)
    database.close()


def command(runs: Path) -> dict[str, float]:
    """Seconds from the start of `tunecli report large` to its first line and to its end."""
    begun = time.perf_counter()
    words = [sys.executable, "-m", "tunecli", "report", "large", "--runs", str(runs)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        first = time.perf_counter() - begun
        process.stdout.read()
    return {
        "tunecli report, to its first line": first,
        "tunecli report, to its end": time.perf_counter() - begun,
    }


def main(n_trials: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "large" / "study.db"
        path.parent.mkdir()
        url = sqlite_url(path)
        with timed(f"write {n_trials} trials"):
            write(url, n_trials)
        print(f"{path.stat().st_size / 2**20:.0f} MiB")
        with timed("list_studies"):
            list_studies(Path(folder))
        with timed("read_study"):
            study = read_study(url, "large")
        with timed("the same through optuna.load_study"):
            assert len(optuna.load_study(storage=url, study_name="large").trials) == n_trials
        with timed("importance"):
            importance(study)
        with timed("what findings are made from"):
            evidence = Evidence.of(study)
        with timed("all_findings"):
            all_findings(evidence)
        with timed("study_parts, importance included"):
            Console(file=open("/dev/null", "w"), width=80).print(*study_parts(study))
        for what, seconds in command(Path(folder)).items():
            print(f"{what:<44} {seconds:7.3f} s of clock", flush=True)
        with timed("to_csv"):
            to_csv(study)
        with timed("to_json with all curves"):
            study_json(study)


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000)
