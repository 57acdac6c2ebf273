"""Whether the ensemble of a search is better than its best trial on rows that neither has seen.

    OMP_NUM_THREADS=1 python tests/benchmarks/ensembles.py --data DIR --rows 2000

Each data set is searched once: MLPs with and without embeddings of numbers, three folds. Then the
best trial is refitted, and so is the ensemble that `refit --ensemble` chooses, which may be the
best trial alone. Both are scored on the same other rows of the table. Printed per data set are the
value of the best trial, the cross-validated scores of single trials and of ensembles, each chosen
on some folds and scored on the others, and both test scores. `folds` says whether the folds
distinguish the two, `test` whether the test rows do: by a paired t-test (p < 0.05) of the squared
errors, or of the wrong classes, of the rows.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import ttest_rel

sys.path.insert(0, str(Path(__file__).parents[2]))

import tunecli
from tests.benchmarks.rounds import CLASSES, FEWEST_OF_A_CLASS, TABLES
from tunecli.data.rows.workspace import Workspace
from tunecli.database.records import read_study
from tunecli.model_folder.ensemble.choice import EnsembleChoice
from tunecli.model_folder.refit_ensemble import EnsembleWish, refit_ensemble
from tunecli.model_folder.refit_study import refit_study
from tunecli.model_folder.results import Results
from tunecli.report.analysis.ranking import ranked
from tunecli.search.study.study_folder import StudyFolder

MOST_TEST_ROWS = 5_000

STUDY = """
seed: {seed}
data: {{source: train.csv, test: test.csv, target: {target}, task: {task}}}
validation: {{folds: 3}}
model:
  choice:
    plain:
      MLP:
        width: {{int: [32, 256], log: true}}
        depth: {{int: [1, 3]}}
        dropout: {{float: [0.0, 0.5]}}
    embedded:
      MLP:
        num_embeddings: piecewise_linear
        num_size: 8
        n_bins: {{int: [4, 32], log: true}}
        width: {{int: [32, 256], log: true}}
        dropout: {{float: [0.0, 0.5]}}
optimizer:
  AdamW:
    lr: {{float: [5.0e-4, 1.0e-2], log: true}}
    weight_decay: {{float: [1.0e-4, 0.1], log: true}}
schedule: CosineAnnealingLR
training: {{epochs: {epochs}, batch_size: 32}}
objective: {{{objective}}}
search: {{trials: {trials}, parallel: 4, baselines: false, keep_predictions: 50}}
"""


@dataclass(frozen=True)
class Compared:
    """The best trial and the ensemble of one search.

    Attributes:
        best: value of the best trial in the search.
        losses: loss of each test row, (2, n_test): of the best trial and of the ensemble.
    """

    best: float
    single: Results
    ensemble: Results
    losses: NDArray[np.float64]

    @property
    def choice(self) -> EnsembleChoice:
        """How the ensemble was chosen."""
        assert self.ensemble.ensemble is not None
        return self.ensemble.ensemble

    @property
    def on_test(self) -> str:
        """The verdict of the test rows on the ensemble."""
        if (self.losses[0] == self.losses[1]).all():
            return "equal"
        found = ttest_rel(*self.losses)
        if found.pvalue >= 0.05:
            return f"open, p {found.pvalue:.2f}"
        return f"{'better' if found.statistic > 0 else 'worse'}, p {found.pvalue:.0e}"


def main() -> None:
    given = _arguments()
    head = f"{'data':<10} {'metric':<8} {'best':>9} {'single':>9} {'ensemble':>9} {'folds':<12}"
    print(f"{head} {'single':>9} {'ensemble':>9} {'test':<15} trials", flush=True)
    for name in given.datasets:
        with TemporaryDirectory() as folder:
            print(_row(name, _compared(name, Path(folder), given)), flush=True)


def _row(name: str, found: Compared) -> str:
    choice = found.choice
    numbers = [fmean(choice.of_best), fmean(choice.scores)]
    one, mean = (results.of_test for results in (found.single, found.ensemble))
    assert one is not None
    assert mean is not None
    metric = found.single.metric
    judged = " ".join(f"{value:>9.5g}" for value in (found.best, *numbers))
    tested = f"{one.score:>9.5g} {mean.score:>9.5g}"
    verdict = choice.verdict if choice.verdict in ("better", "worse") else "open"
    verdict = verdict if choice.is_used else "not used"
    used = f"{len(choice.trials) if choice.is_used else 1} of {choice.n_candidates}"
    return f"{name:<10} {metric:<8} {judged} {verdict:<12} {tested} {found.on_test:<15} {used}"


def _compared(name: str, folder: Path, given: argparse.Namespace) -> Compared:
    """Search one table, and refit its best trial and its ensemble."""
    test = _write_tables(name, folder, given)
    file, runs = folder / "study.yaml", folder / "runs"
    file.write_text(_study_file(name, given))
    tunecli.search(file, jobs=1, runs=runs)
    place, workspace = StudyFolder(runs, "study"), Workspace(folder, runs / ".cache")
    record = read_study(place.url, "study")
    best, wish = ranked(record)[0], EnsembleWish(given.picks)
    assert best.value is not None
    with place.held():
        single = refit_study(record, best, place, workspace, path=folder / "single")
        mean = refit_ensemble(record, wish, place, workspace, path=folder / "ensemble")
    losses = [_losses(name, one.path, test) for one in (single, mean)]
    return Compared(best.value, single.results, mean.results, np.array(losses))


def _losses(name: str, model: Path, test: pd.DataFrame) -> NDArray[np.float64]:
    """Return the squared error of each test row, or whether its class is wrong."""
    target = TABLES[name][1]
    truth, predicted = test[target], tunecli.load(model).predict(test.drop(columns=target))
    if name in CLASSES:
        return (truth.astype(str).to_numpy() != predicted.astype(str)).astype(np.float64)
    return np.square(truth.to_numpy(dtype=np.float64) - predicted.astype(np.float64))


def _write_tables(name: str, folder: Path, given: argparse.Namespace) -> pd.DataFrame:
    """Write rows to search on, 70 % of a small table, and test rows; return the latter."""
    file, target = TABLES[name]
    table = pd.read_csv(given.data / file).sample(frac=1, random_state=given.seed)
    if name in CLASSES:  # a class needs rows in each fold
        sizes = table.head(given.rows).groupby(target)[target].size()
        table = table[table[target].isin(sizes[sizes >= FEWEST_OF_A_CLASS].index)]
    n_rows = min(given.rows, int(0.7 * len(table)))
    test = table.iloc[n_rows : n_rows + MOST_TEST_ROWS]
    table.iloc[:n_rows].to_csv(folder / "train.csv", index=False)
    test.to_csv(folder / "test.csv", index=False)
    return pd.read_csv(folder / "test.csv")


def _study_file(name: str, given: argparse.Namespace) -> str:
    is_of_classes = name in CLASSES
    return STUDY.format(
        seed=given.seed,
        target=TABLES[name][1],
        task="classification" if is_of_classes else "regression",
        objective="maximize: accuracy" if is_of_classes else "minimize: rmse",
        epochs=given.epochs,
        trials=given.trials,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("studies/data"))
    parser.add_argument("--datasets", nargs="+", choices=TABLES, default=[*TABLES])
    parser.add_argument("--rows", type=int, default=2_000, help="to search on, at most")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--picks", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0, help="of the samples and the searches")
    return parser.parse_args()


if __name__ == "__main__":
    main()
