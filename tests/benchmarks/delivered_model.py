"""How much the test score of a refit depends on its seed, with and without a held-out tenth.

    OMP_NUM_THREADS=1 nice -n 15 python tests/benchmarks/delivered_model.py --data DIR

For each data set and split seed, three trials with a constant learning rate are searched on three
folds, and the best one is refitted with five seeds, in three ways: on all rows up to the best
evaluation of the search (old); as `refit` does it, with a tenth held out where the best evaluation
is a dip that matters (new); and with a tenth held out always, as for a study that
stops early (stopping). Printed are the mean of the test scores, their standard deviation over
seeds (pooled over the split seeds), and the mean difference from the old way with its standard
error over the splits. `arm` is made like kin8nm of the Delve collection: the distance of a robot
arm's hand from a point, by its eight angles, with noise.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.workspace import Workspace
from tunecli.model_folder.refitting import Refitted, RefitTrial, refit_seeds
from tunecli.model_folder.score_interval import Predicted
from tunecli.report.analysis.best_evaluation import stand_out
from tunecli.report.analysis.standing import REGION
from tunecli.study_file.settings.settings import EarlyStopping, TrialConfig
from tunecli.study_file.study_file import StudyFile
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold_data import folds_of

TABLES = {
    "california": ("california_housing/housing.csv", "median_house_value", "minimize: rmse"),
    "power plant": ("uci_regression/power_plant.csv.gz", "target", "minimize: rmse"),
    "adult": ("adult/train.csv.gz", "income", "maximize: accuracy"),
    "arm": ("", "target", "minimize: rmse"),
}

STUDY = """
data: {{source: table.csv, target: {target}, test: 0.4, split_seed: {split_seed}}}
validation: {{folds: 3}}
model: {{MLP: {{width: 128, depth: 2}}}}
optimizer: {{AdamW: {{lr: {rate}}}}}
training: {{epochs: 30, batch_size: 64}}
objective: {{{metric}}}
"""

RATES = (0.001, 0.004, 0.016)
PATIENCE = 5
N_SEEDS = 5


@dataclass(frozen=True)
class Delivered:
    """The test scores of the seeds in each way of refitting, and whether a tenth was held out."""

    old: list[float]
    new: list[float]
    stopping: list[float]
    holds_out: bool


def trial_of(config: TrialConfig, store: FoldStore) -> tuple[float, RefitTrial]:
    """Search one trial; return its value, smaller is better, and the trial."""
    training = CrossValidation(config, folds_of(store, config), torch.device("cpu"))
    for _ in training:
        pass
    result = training.result()
    assert result.value is not None
    assert result.best_step is not None
    direction = config.objective.direction
    trial = RefitTrial("delivered", 0, config, result.best_step, result.fold_scores)
    negligible = REGION * statistics.stdev(result.fold_scores)
    found = stand_out(training.mean_scores, result.best_step, direction, negligible)
    sign = -1 if direction == "maximize" else 1
    return sign * result.value, replace(trial, stand_out=found)


def test_score(store: FoldStore, config: TrialConfig, refitted: Refitted) -> float:
    """The objective on the test rows."""
    y = store.dataset.y[store.split.test_rows].numpy()
    assert refitted.predictions is not None
    predicted = Predicted(store.dataset.task, y, refitted.predictions, len(store.dataset.classes))
    [score] = predicted.measured([config.objective.metric]).values()
    return score


def delivered(folder: Path, target: str, metric: str, split_seed: int) -> Delivered:
    """Search with one split of the data, then refit the best trial in three ways."""
    workspace, store, found = Workspace(folder), None, []
    for rate in RATES:
        text = STUDY.format(target=target, split_seed=split_seed, rate=rate, metric=metric)
        study = StudyFile.from_text(text, "study.yaml", (), folder)
        if store is None:
            store = FoldStore(study.data, study.validation, workspace)
        dataset = store.dataset
        config = study.completed(dataset.task, len(dataset.y)).resolve(lambda name, range_: 0)
        store = FoldStore(config.data, config.validation, workspace, dataset=dataset)
        found.append(trial_of(config, store))
    trial = min(found, key=lambda entry: entry[0])[1]
    stops = EarlyStopping(patience=PATIENCE)
    settings = trial.config.training.model_copy(update={"early_stopping": stops})
    stopping = trial.config.model_copy(update={"training": settings})
    ways = (replace(trial, stand_out=None), trial, replace(trial, config=stopping))
    scores = (
        [test_score(store, trial.config, one) for one in refit_seeds(way, store, N_SEEDS)]
        for way in ways
    )
    return Delivered(*scores, holds_out=trial.held_out_for is not None)


def robot_arm(n_rows: int) -> pd.DataFrame:
    """Return the eight angles of a plane arm, and the noisy distance of its hand from a point."""
    draws = np.random.default_rng(0)
    angles = draws.uniform(-np.pi / 2, np.pi / 2, (n_rows, 8))
    directions = angles.cumsum(axis=1)
    x, y = np.cos(directions).sum(axis=1) / 8 - 0.1, np.sin(directions).sum(axis=1) / 8 - 0.1
    frame = pd.DataFrame(angles, columns=[f"theta{number}" for number in range(1, 9)])
    return frame.assign(target=np.hypot(x, y) + draws.normal(0, 0.05, n_rows))


def write_sample(source: Path, folder: Path, n_rows: int) -> None:
    """Write a random sample of a table; house values in 100,000 dollars."""
    frame = pd.read_csv(source) if source.is_file() else robot_arm(n_rows)
    sample = frame.sample(n=min(n_rows, len(frame)), random_state=0)
    if "median_house_value" in sample:
        sample["median_house_value"] /= 1e5
    sample.to_csv(folder / "table.csv", index=False)


def lines(name: str, metric: str, runs: list[Delivered]) -> Iterator[str]:
    """Yield the line of a data set for each way."""
    n_held = sum(run.holds_out for run in runs)
    yield f"{name}, {metric}: a tenth held out for {n_held} of {len(runs)} best trials"
    for way in ("old", "new", "stopping"):
        groups = [getattr(run, way) for run in runs]
        mean = statistics.fmean(score for group in groups for score in group)
        spread = sqrt(statistics.fmean(statistics.variance(group) for group in groups))
        ahead = [statistics.fmean(getattr(run, way)) - statistics.fmean(run.old) for run in runs]
        error = statistics.stdev(ahead) / sqrt(len(ahead))
        difference = f"{statistics.fmean(ahead):+.4f} ± {error:.4f}"
        yield f"  {way:<9} mean {mean:.4f} ({difference})  spread over seeds {spread:.4f}"


def main() -> None:
    """Refit, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--datasets", nargs="*", default=list(TABLES), choices=list(TABLES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.datasets:
        source, target, metric = TABLES[name]
        with TemporaryDirectory() as folder:
            write_sample(options.data / source, Path(folder), options.rows)
            runs = [
                delivered(Path(folder), target, metric, split_seed)
                for split_seed in range(options.splits)
            ]
        print(*lines(name, metric, runs), sep="\n", flush=True)


if __name__ == "__main__":
    main()
