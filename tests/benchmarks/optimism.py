"""How often the test score lies in the interval that the report expects it in, on real data.

    OMP_NUM_THREADS=1 python tests/benchmarks/optimism.py --data DIR --runs /tmp/optimism

Each study searches a sample of a data set, with five folds or one holdout, and holds out other
rows for the test; the split seed draws the sample, the test rows and the folds. The best trial is
then trained again, and with folds its fold models are averaged, too: their networks are scored one
by one. Printed is, for each data set and in all, how many test scores lie within their 95 %
interval, and beyond its worse and its better end, how often the report says that the test rows
differ, and how often that the training on all rows went worse. Studies in `--runs` are resumed: a
second call trains only what is missing, and makes the models and the reports again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from commands import call_in
from training_in_process import TrainingExecutor

from tunecli.database.records import read_study
from tunecli.database.urls import sqlite_url
from tunecli.report.analysis.expected_score import noise_of_leaders
from tunecli.report.analysis.ranking import ranked
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.search.workers.executor import EXECUTORS

STUDY = """
data: {{source: {file}, target: {target}, test: {test}, split_seed: {seed}{more}}}
seed: {seed}
objective: {{{objective}}}
validation: {{{validation}}}
model:
  MLP:
    width: {{int: [8, 128], log: true}}
    depth: {{int: [1, 2]}}
    dropout: {{float: [0, 0.5]}}
optimizer:
  AdamW:
    lr: {{float: [1e-3, 3e-2], log: true}}
    weight_decay: {{float: [1e-4, 1], log: true}}
training: {{epochs: {epochs}, batch_size: 64}}
search: {{trials: {trials}, parallel: 1, baselines: false}}
"""

SIDES = ("expected", "worse", "better")
VALIDATIONS = {"folds": "folds: 5", "holdout": "holdout: 0.2"}


@dataclass(frozen=True)
class Source:
    """A data set, what is searched for on it, and further settings of its data."""

    read: Callable[[Path], pd.DataFrame]
    target: str
    objective: str
    more: str = ""


def pictures(folder: Path) -> pd.DataFrame:
    """Fashion-MNIST with the mean of every 2 × 2 pixels as a column."""
    packed = gzip.decompress((folder / "train-images-idx3-ubyte.gz").read_bytes())
    pixels = np.frombuffer(packed, np.uint8, offset=16).reshape(-1, 14, 2, 14, 2)
    labels = gzip.decompress((folder / "train-labels-idx1-ubyte.gz").read_bytes())
    table = pd.DataFrame(pixels.mean(axis=(2, 4)).reshape(-1, 196).round(1)).add_prefix("p")
    return table.assign(target=[f"c{one}" for one in np.frombuffer(labels, np.uint8, offset=8)])


def readmissions(folder: Path) -> pd.DataFrame:
    """Whether a patient comes back, instead of when."""
    stays = pd.read_csv(folder / "diabetic_data.csv.gz", low_memory=False)
    return stays.assign(readmitted=np.where(stays.readmitted == "NO", "stays away", "returns"))


def table(name: str) -> Callable[[Path], pd.DataFrame]:
    return lambda folder: pd.read_csv(folder / name, low_memory=False)


SOURCES = {
    "adult": Source(table("train.csv.gz"), "income", "maximize: roc_auc"),
    "california_housing": Source(table("housing.csv"), "median_house_value", "minimize: rmse"),
    "covertype_93k": Source(table("covertype_93k.csv.gz"), "Cover_Type", "maximize: accuracy"),
    "diabetes130": Source(
        readmissions,
        "readmitted",
        "maximize: balanced_accuracy",
        ", task: classification, drop: [encounter_id, patient_nbr], "
        "categorical: [diag_1, diag_2, diag_3]",
    ),
    "fashion_mnist": Source(pictures, "target", "maximize: accuracy"),
    "uci_regression/concrete": Source(table("concrete.csv"), "target", "minimize: rmse"),
    "uci_regression/wine_red": Source(
        table("wine_red.csv"), "target", "maximize: r2", ", task: regression"
    ),
}


def main() -> None:
    given = _arguments()
    given.runs.mkdir(parents=True, exist_ok=True)
    places: dict[str, Counter[str]] = {}
    own_shares = []
    for seed in range(given.seeds):
        for name in given.datasets:
            for validation in VALIDATIONS:
                study = _searched(name, validation, seed, given)
                if given.search_only:
                    continue
                for model in ("refit", *(["as searched"] if validation == "folds" else [])):
                    figures = _figures(study, model, given.runs)
                    print(f"  {study}, {model}: {figures}", file=sys.stderr, flush=True)
                    own_shares.append(figures["own_share"])
                    for row in (name, f"{validation}, {model}", "all"):
                        places.setdefault(row, Counter()).update(_places(figures))
    print(f"{'data':<28} studies  within  worse  better  rows differ  training worse")
    for row, counts in places.items():
        n = sum(counts[side] for side in SIDES)
        cells = (f"{counts[place]:>6}" for place in (*SIDES, "rows", "training"))
        print(f"{row:<28} {n:>7}  {' '.join(cells)}  ({counts['expected'] / n:.0%} within)")
    known = [share for share in own_shares if math.isfinite(share)]
    print(f"own share of the noise with folds: median {statistics.median(known):.2f}")


def _places(figures: Mapping[str, Any]) -> list[str]:
    """Return where a test score lies, and what the report says makes it worse."""
    side, cause = figures["side"], figures["cause"]
    return [side, cause] if side == "worse" else [side]


def _searched(name: str, validation: str, seed: int, given: argparse.Namespace) -> str:
    """Search one study, and return its name."""
    source, short = SOURCES[name], name.rpartition("/")[2]
    study = f"{short}-{validation}-{seed}"
    file = given.runs / f"{short}-{seed}.csv"
    if not file.exists():
        rows = source.read(given.data.resolve() / name.partition("/")[0])
        rows.sample(min(given.rows, len(rows)), random_state=seed).to_csv(file, index=False)
    facts = {"file": file.name, "target": source.target, "more": source.more, "seed": seed}
    budget = {"epochs": given.epochs, "trials": given.trials, "test": given.test}
    text = STUDY.format(
        objective=source.objective, validation=VALIDATIONS[validation], **facts, **budget
    )
    (given.runs / f"{study}.yaml").write_text(text)
    _tunecli(given.runs, "search", f"{study}.yaml", "--quiet", "--jobs", "1")
    return study


def _figures(study: str, model: str, runs: Path) -> dict[str, Any]:
    """Make a model of the best trial, and return what the report says of its test score."""
    _tunecli(runs, "refit", study, *(["--as-searched"] if model == "as searched" else []))
    report = json.loads(_tunecli(runs, "report", study, "--json"))
    (found,) = (one for one in report["findings"] if one["kind"] == "optimism")
    return {
        **found["figures"],
        "severity": found["severity"],
        "own_share": _own_share(study, runs),
    }


def _own_share(study: str, runs: Path) -> float:
    """Return the share of a score's noise variance that other trials do not share; NaN if unknown.

    With one holdout, the report assumes `OWN_SHARE`.
    """
    record = read_study(sqlite_url(runs / "runs" / study / "study.db"), study)
    test, noise = Evidence.of(record).test, noise_of_leaders(ranked(record))
    if test is None or test.rows is None or noise is None or not test.error:
        return math.nan
    return noise.mean / (test.error**2 * test.rows.test / test.rows.valid)


def _tunecli(folder: Path, *words: str) -> str:
    """Run a command in this process, which loads torch once for all studies."""
    with (
        patch.dict(EXECUTORS, local=TrainingExecutor),
        patch("tunecli.search.workers.local.start_server"),
    ):
        return call_in(folder, *words).stdout


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True, help="folder of the studies")
    parser.add_argument("--datasets", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--rows", type=int, default=2000, help="of each sample")
    parser.add_argument("--test", type=float, default=0.3, help="share of the test rows")
    parser.add_argument("--search-only", action="store_true", help="make no models yet")
    return parser.parse_args()


if __name__ == "__main__":
    main()
