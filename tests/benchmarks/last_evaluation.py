"""Whether a refit should train to the end of its schedule, past the best evaluation of the search.

    OMP_NUM_THREADS=1 nice -n 15 python tests/benchmarks/last_evaluation.py --data DIR

A cosine schedule falls to zero at the last evaluation. For each data set and split seed, three
trials with different learning rates are searched on three folds. Each is then trained on all rows
of the search with four seeds, and scored on the test rows at the best evaluation of the search and
at the last one. Only trials count that `refit` trains to the end: the best evaluation comes before
the last one, both are practically equal in the search, and with classes, the log loss is not worse
there. Printed is how much better the last one is on the test rows, in the objective and, for
classes, in the log loss: means over trials with their standard errors.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from delivered_model import TABLES, write_sample

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.preparation import fit_preprocessing, prepared_by
from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.workspace import Workspace
from tunecli.report.analysis.standing import REGION
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

Pair = tuple[Evaluation, Evaluation]
Measure = Callable[[Evaluation], float]

RATES = (0.001, 0.004, 0.016)
N_SEEDS = 4


@dataclass(frozen=True)
class Trial:
    """The best and the last evaluation of a trial in its search, and on the test rows.

    Attributes:
        in_folds: the two evaluations of each fold.
        on_test: the two evaluations of each seed.
        is_last: whether the best evaluation is the last one.
    """

    in_folds: Sequence[Pair]
    on_test: Sequence[Pair]
    is_last: bool


def score(evaluation: Evaluation) -> float:
    """The objective."""
    return evaluation.score


def log_loss(evaluation: Evaluation) -> float:
    """The log loss with the sign of a score; 0 without classes."""
    return -evaluation.metrics.get("log_loss", 0.0)


def gains(pairs: Sequence[Pair], measure: Measure, sign: int = 1) -> list[float]:
    """How much better each last evaluation is than the best one."""
    return [sign * (measure(last) - measure(best)) for best, last in pairs]


def spread(trial: Trial, measure: Measure) -> float:
    """The standard deviation between folds at the best evaluation."""
    return statistics.stdev(measure(best) for best, _ in trial.in_folds)


def trained_to_the_end(trials: Sequence[Trial], sign: int) -> list[Trial]:
    """The trials of one search that `refit` trains to the end."""
    region = REGION * statistics.median(spread(trial, score) for trial in trials)
    return [
        trial
        for trial in trials
        if not trial.is_last
        and -statistics.fmean(gains(trial.in_folds, score, sign)) <= region
        and -statistics.fmean(gains(trial.in_folds, log_loss)) <= REGION * spread(trial, log_loss)
    ]


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


def trained(config: TrialConfig, store: FoldStore) -> Trial:
    """Search a trial, and train it on all rows."""
    search = CrossValidation(config, folds_of(store, config), torch.device("cpu"))
    for _ in search:
        pass
    best = search.best_step
    assert best is not None
    rows = outer_fold(config, store)
    curves = [curve(config, store, rows, seed) for seed in range(N_SEEDS)]
    return Trial(
        [*zip(search.curve[best], search.curve[-1], strict=True)],
        [(one[best], one[-1]) for one in curves],
        best == len(search.curve) - 1,
    )


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


def lines(name: str, counted: Sequence[Trial], n_all: int, sign: int) -> Iterator[str]:
    """Yield the lines of a data set."""
    yield f"{name}: {len(counted)} of {n_all} trials are trained past their best evaluation"
    of_score = [statistics.fmean(gains(one.on_test, score, sign)) for one in counted]
    of_loss = [statistics.fmean(gains(one.on_test, log_loss)) for one in counted]
    for what, values in ((SOURCES[name][2], of_score), ("minimize: log_loss", of_loss)):
        if len(values) > 1 and any(values):
            error = statistics.stdev(values) / math.sqrt(len(values))
            mean, n_worse = statistics.fmean(values), sum(value < 0 for value in values)
            yield f"  {what}: better by {mean:+.4f} ± {error:.4f}, worse in {n_worse} trials"


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
        counted, n_all = [], 0
        sign = 1 if SOURCES[name][2].startswith("maximize") else -1
        with TemporaryDirectory() as folder:
            if SOURCES[name][0]:
                write_sample(options.data / SOURCES[name][0], Path(folder), options.rows)
            for split_seed in range(options.splits):
                trials = [trained(*trial) for trial in stores(Path(folder), name, split_seed)]
                counted += trained_to_the_end(trials, sign)
                n_all += len(trials)
        print(*lines(name, counted, n_all, sign), sep="\n", flush=True)


if __name__ == "__main__":
    main()
