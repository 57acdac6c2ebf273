"""What it costs to find a score when folds join in one after another (`validation.racing`).

    OMP_NUM_THREADS=1 nice -n 15 python tests/benchmarks/racing.py --data DIR

On each of four tables, random configurations are trained on five folds, whole, once. Since a trial
has the same bits in stages, everything that a search with a random sampler would do follows from
their curves: the pruner's verdicts come from tunecli's own judge, and the cost is counted in
epochs of single folds. Each seed draws 40 of the configurations, which are searched without and
with racing in the same order, four at a time. Printed are, over seeds:

- the epochs of all 40 trials with racing, as a share of those without (median);
- the epochs until a search has the best score that both find, alike (median);
- the share of the seeds in which racing loses the best trial;
- how much worse the best score then is, in standard deviations of the scores of the better half of
  the configurations (mean over all seeds).
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import optuna
import pandas as pd
import sklearn.datasets
import torch

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.workspace import Workspace
from tunecli.database.trials import Trial
from tunecli.search.prune.judge import Judge
from tunecli.search.prune.stage_curves import StageCurves
from tunecli.study_file.settings.fold_stages import stages_of
from tunecli.study_file.settings.settings import Component, Direction, TrialConfig
from tunecli.study_file.space.walk import contains
from tunecli.study_file.study_file import StudyFile
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold_data import folds_of

STUDY = """
data: {{source: table.csv, target: target}}
validation: {{folds: 5}}
model: {{MLP: {{width: {{int: [8, 128], log: true}}, dropout: {{float: [0, 0.5]}}}}}}
optimizer:
  AdamW: {{lr: {{float: [1e-4, 1e-1], log: true}}, weight_decay: {{float: [1e-4, 1], log: true}}}}
training: {{epochs: 12}}
objective: {{{objective}}}
"""

TABLES = {
    "breast cancer": "minimize: log_loss",
    "wine": "minimize: log_loss",
    "diabetes": "minimize: rmse",
    "concrete": "minimize: rmse",
}
PRUNERS = {
    "none": None,
    "Median": Component(name="MedianPruner"),
    "Median, warm-up": Component(name="MedianPruner", arguments={"n_warmup_steps": 4}),
    "SuccessiveHalving": Component(name="SuccessiveHalvingPruner"),
    "Hyperband": Component(name="HyperbandPruner"),
}
N_FOLDS, N_TRIALS, N_AT_ONCE = 5, 40, 4


@dataclass(frozen=True)
class Curves:
    """A configuration, and the score of each fold at each evaluation of its whole training."""

    config: TrialConfig
    folds: Sequence[Sequence[float]]

    @property
    def means(self) -> list[float]:
        return [statistics.fmean(scores) for scores in zip(*self.folds, strict=True)]


@dataclass(frozen=True)
class Searched:
    """The cost of each trial in epochs of one fold, and its value if it is complete."""

    costs: Sequence[int]
    values: Sequence[float | None]

    def cost_of(self, value: float) -> int:
        """Return the cost up to the end of the first trial that is at most `value`."""
        ends = (n for n, one in enumerate(self.values, 1) if one is not None and one <= value)
        return sum(self.costs[: next(ends)])

    @property
    def best(self) -> float:
        return min(value for value in self.values if value is not None)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pool", type=int, default=60, help="configurations per table")
    parser.add_argument("--seeds", type=int, default=60)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print("table, pruner: epochs · epochs to the same score · best lost · loss in sd")
    shares: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in PRUNERS}
    for name, objective in TABLES.items():
        pool = trained(table(name, arguments.data), objective, arguments.pool)
        for pruner, component in PRUNERS.items():
            row = compared(pool, component, arguments.seeds)
            shares[pruner].append(row)
            print(f"{name}, {pruner}: {_cells(row)}", flush=True)
    for pruner, rows in shares.items():
        row = tuple(statistics.fmean(column) for column in zip(*rows, strict=True))
        print(f"mean, {pruner}: {_cells(row)}")


def _cells(row: Sequence[float]) -> str:
    return " · ".join(f"{value:.2f}" for value in row)


def table(name: str, data: Path) -> pd.DataFrame:
    """Return a table with a column `target`."""
    if name == "concrete":
        return pd.read_csv(data / "uci_regression/concrete.csv")
    return getattr(sklearn.datasets, f"load_{name.replace(' ', '_')}")(as_frame=True).frame


def trained(rows: pd.DataFrame, objective: str, n: int) -> list[Curves]:
    """Train random configurations, whole."""
    with TemporaryDirectory() as folder:
        rows.to_csv(Path(folder, "table.csv"), index=False)
        study = StudyFile.from_text(STUDY.format(objective=objective), f"{folder}/s.yaml")
        workspace = Workspace(Path(folder), None)
        store = FoldStore(study.shared_data, study.validation, workspace)
        summary = store.dataset
        completed = study.completed(summary.task, len(rows), frozenset(), None)
        draws = Random(0)
        return [
            _trained(completed.resolve(lambda _, range_: drawn(range_, draws)), store)
            for _ in range(n)
        ]


def _trained(config: TrialConfig, store: FoldStore) -> Curves:
    rounds = list(CrossValidation(config, folds_of(store, config), torch.device("cpu")))
    return Curves(config, [[one.score for one in fold] for fold in zip(*rounds, strict=True)])


def drawn(range_: object, draws: Random) -> object:
    """Return a random value of a range."""
    from math import exp, log

    low, high = range_.low, range_.high  # type: ignore[attr-defined]
    is_log = range_.log  # type: ignore[attr-defined]
    value = exp(draws.uniform(log(low), log(high))) if is_log else draws.uniform(low, high)
    is_whole = isinstance(low, int)
    found = min(max(round(value), low), high) if is_whole else min(max(value, low), high)
    assert contains(range_, found)  # type: ignore[arg-type]
    return found


def compared(pool: Sequence[Curves], pruner: Component | None, n_seeds: int) -> tuple[float, ...]:
    """Return the four numbers of a row."""
    good = sorted(min(one.means) for one in pool)[: len(pool) // 2]
    sd = statistics.stdev(good)
    epochs, to_same, losses = [], [], []
    for seed in range(n_seeds):
        some = Random(seed).sample(pool, N_TRIALS)
        plain, racing = (searched(some, pruner, on) for on in ("off", "on"))
        epochs.append(sum(racing.costs) / sum(plain.costs))
        same = max(plain.best, racing.best)
        to_same.append(racing.cost_of(same) / plain.cost_of(same))
        losses.append((racing.best - plain.best) / sd)
    lost = statistics.fmean(loss > 0 for loss in losses)
    return (
        statistics.median(epochs),
        statistics.median(to_same),
        lost,
        statistics.fmean(losses),
    )


def searched(some: Sequence[Curves], pruner: Component | None, racing: str) -> Searched:
    """Search over these configurations in their order."""
    direction: Direction = "minimize"
    judge = Judge(pruner, direction, "racing")
    costs, values = [], []
    for number, one in enumerate(some):
        ways = one.config.validation.model_copy(update={"racing": racing})
        config = one.config.model_copy(update={"validation": ways})
        judge.start(number, config, range(max(number - N_AT_ONCE + 1, 0)))
        trial = Trial(number, {}, {}, config)
        n_done = [0] * N_FOLDS
        stopped = False
        for step, n_joined, ends_stage in _evaluations(config, len(one.means)):
            n_done = [max(n, step + 1) if k < n_joined else n for k, n in enumerate(n_done)]
            if step == 0 and n_joined == stages_of(config, N_FOLDS)[0]:
                curves = StageCurves(config, config)
            scores = [fold[step] for fold in one.folds[:n_joined]]
            for stage, score in curves.add(step, scores, N_FOLDS - n_joined).items():
                judge.add(number, score, stage)
            is_last = step + 1 == len(one.means) and not ends_stage
            stopped = not is_last and judge.stops(
                number, N_FOLDS - n_joined, ends_stage=ends_stage
            )
            if stopped:
                break
        trial.outcome = "pruned" if stopped else "complete"
        judge.finish(trial)
        costs.append(sum(n_done))
        values.append(None if stopped else min(one.means))
    return Searched(costs, values)


def _evaluations(config: TrialConfig, length: int) -> Iterator[tuple[int, int, bool]]:
    """Yield each evaluation of a trial: its step, its folds, and whether more folds join next."""
    for n_joined in stages_of(config, N_FOLDS):
        for step in range(length):
            yield step, n_joined, step + 1 == length and n_joined < N_FOLDS


if __name__ == "__main__":
    main()
