"""Whether a refit should train to the end of its schedule, past the best evaluation of the search.

    OMP_NUM_THREADS=1 nice -n 15 python tests/benchmarks/last_evaluation.py --data DIR

A cosine schedule falls to zero at the last evaluation. For each data set and split seed, three
trials with different learning rates are searched on three folds. Each is then trained on all rows
of the search with four seeds, and scored on the test rows at the best evaluation of the search and
at the last one. Only trials count whose best evaluation comes before the last one and beats it by
no more than the noise of the folds. Printed is how much better the last one is on the test rows,
in the objective and, for classes, in the log loss: means over trials with their standard errors.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from delivered_model import TABLES, write_sample

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.preparation import fit_preprocessing, prepared_by
from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.workspace import Workspace
from tunecli.report.analysis.fold_test import variance_factor
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.study_file import StudyFile
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold import FoldTraining
from tunecli.training.fold_data import feature_form, folds_of
from tunecli.training.outcome.evaluation import Evaluation
from tunecli.training.step.batches import batch_sizes
from tunecli.training.step.losses import standardizes_target

CONCRETE = ("uci_regression/concrete.csv", "target", "minimize: rmse")
SOURCES = {"digits": ("", "", "maximize: accuracy"), "concrete": CONCRETE, **TABLES}
EPOCHS = {"adult": 6, "digits": 10, "concrete": 40, "california": 12, "power plant": 12}

STUDY = """
data: {{source: {source}, test: 0.4, split_seed: {split_seed}}}
validation: {{folds: 3}}
model: {{MLP: {{width: 128, depth: 2}}}}
optimizer: {{AdamW: {{lr: {rate}}}}}
schedule: CosineAnnealingLR
training: {{epochs: {epochs}, batch_size: 64}}
objective: {{{objective}}}
metrics: {metrics}
"""

RATES = (0.001, 0.004, 0.016)
N_SEEDS = 4


@dataclass(frozen=True)
class Gain:
    """How much better the last evaluation of a trial is than the best one of its search.

    Attributes:
        in_search: mean over the folds, at most 0.
        noise: its standard error over the folds.
        on_test: in the objective on the test rows, mean over seeds.
        in_log_loss: how much smaller the log loss on the test rows is; NaN without classes.
        is_last: whether the best evaluation is the last one.
    """

    in_search: float
    noise: float
    on_test: float
    in_log_loss: float
    is_last: bool

    @property
    def counts(self) -> bool:
        """Whether the folds leave open which of the two evaluations is better."""
        return not self.is_last and -self.in_search <= self.noise


def stores(folder: Path, name: str, split_seed: int) -> Iterator[tuple[TrialConfig, FoldStore]]:
    """Yield the configuration of each trial, and the data."""
    file, target, objective = SOURCES[name]
    facts = {
        "source": f"table.csv, target: {target}" if file else name,
        "epochs": EPOCHS[name],
        "objective": objective,
        "metrics": ["log_loss"] if "accuracy" in objective else [],
    }
    workspace, dataset = Workspace(folder), None
    for rate in RATES:
        text = STUDY.format(**facts, split_seed=split_seed, rate=rate)
        study = StudyFile.from_text(text, "study.yaml", (), folder)
        if dataset is None:
            dataset = FoldStore(study.data, study.validation, workspace).dataset
        config = study.completed(dataset.task, len(dataset.y)).resolve(lambda name, range_: 0)
        yield config, FoldStore(config.data, config.validation, workspace, dataset=dataset)


def gain(config: TrialConfig, store: FoldStore) -> Gain:
    """Search a trial, train it on all rows, and compare its two evaluations."""
    search = CrossValidation(config, folds_of(store, config), torch.device("cpu"))
    for _ in search:
        pass
    best = search.best_step
    assert best is not None
    sign = 1 if config.objective.direction == "maximize" else -1
    pairs = zip(search.curve[best], search.curve[-1], strict=True)
    in_folds = [sign * (last.score - first.score) for first, last in pairs]
    rows = outer_fold(config, store)
    curves = [curve(config, store, rows, seed) for seed in range(N_SEEDS)]
    return Gain(
        statistics.fmean(in_folds),
        math.sqrt(variance_factor(len(in_folds))) * statistics.stdev(in_folds),
        statistics.fmean(sign * (one[-1].score - one[best].score) for one in curves),
        statistics.fmean(log_loss(one[best]) - log_loss(one[-1]) for one in curves),
        best == len(search.curve) - 1,
    )


def log_loss(evaluation: Evaluation) -> float:
    """The log loss of an evaluation; NaN without classes."""
    return evaluation.metrics.get("log_loss", math.nan)


def outer_fold(config: TrialConfig, store: FoldStore) -> FoldData:
    """All rows of the search for training, with the test rows in place of validation rows."""
    train, test = store.split.search_rows, store.split.test_rows
    dataset, cache = store.dataset, store.workspace.cache
    form = feature_form(config, store.workspace.folder)
    fitted = fit_preprocessing(dataset, train, store.settings, form, cache)
    features = prepared_by(fitted, dataset, train, test, cache)
    return store.fold_data((train, test), features, standardizes_target(config.loss))


def curve(
    config: TrialConfig, store: FoldStore, rows: FoldData, seed: int
) -> Sequence[Evaluation]:
    """Train as `refit` does, and evaluate on the test rows on the way."""
    seeded = config.model_copy(update={"seed": config.seed + seed})
    size = config.training.batch_size
    fewest = min(len(batch_sizes(len(train), size)) for train, _ in store.split.folds)
    return [*FoldTraining(seeded, rows, torch.device("cpu"), fewest)]


def lines(name: str, gains: Sequence[Gain]) -> Iterator[str]:
    """Yield the line of a data set."""
    counted = [one for one in gains if one.counts]
    yield f"{name}: the best evaluation is open for {len(counted)} of {len(gains)} trials"
    for what, values in (
        (SOURCES[name][2], [one.on_test for one in counted]),
        ("log_loss", [one.in_log_loss for one in counted]),
    ):
        if len(values) > 1 and np.isfinite(values).all():
            error = statistics.stdev(values) / math.sqrt(len(values))
            mean = statistics.fmean(values)
            yield f"  {what}: the last one is better by {mean:+.4f}, standard error {error:.4f}"


def main() -> None:
    """Train, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=4000)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--datasets", nargs="*", default=list(SOURCES), choices=list(SOURCES))
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in options.datasets:
        gains = []
        with TemporaryDirectory() as folder:
            if SOURCES[name][0]:
                write_sample(options.data / SOURCES[name][0], Path(folder), options.rows)
            for split_seed in range(options.splits):
                trials = stores(Path(folder), name, split_seed)
                gains += [gain(config, store) for config, store in trials]
        print(*lines(name, gains), sep="\n", flush=True)


if __name__ == "__main__":
    main()
