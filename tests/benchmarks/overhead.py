"""What tunecli costs beyond a bare loop over the same tensors, model, optimizer and folds.

    OMP_NUM_THREADS=1 python tests/benchmarks/overhead.py [--pairs 5] [--trials 4]

Both train the same kind of trial (digits, 5 folds, MLP 64-128-10, batches of 32, 20 epochs, AdamW,
no pruning, no baselines) on one thread: the bare loop in a new process, tunecli in a real search
with one worker, its database and its log. They take turns, so that a busy machine disturbs both
alike. Prints the median ratio of their times, start-up left out, and where the rest goes. The
aim is at most 1.15.
"""

from __future__ import annotations

import argparse
import cProfile
import multiprocessing
import pstats
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median

import torch
from torch import nn

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.rows.dataset import FoldData
from tunecli.search.events.events import SearchEnded, SearchEvent, TrialFinished, TrialStarted
from tunecli.search.run import Search
from tunecli.search.study.study_folder import StudyFolder
from tunecli.study_file.study_file import StudyFile
from tunecli.training.cross_validation import CrossValidation

WIDTH, EPOCHS, BATCH = 128, 20, 32
STUDY = StudyFile.from_text(
    f"""
data: {{source: digits, test: 0}}
model: {{MLP: {{width: {WIDTH}, depth: 1}}}}
optimizer: {{AdamW: {{lr: {{float: [5e-4, 2e-3], log: true}}}}}}
training: {{epochs: {EPOCHS}, batch_size: {BATCH}}}
search: {{sampler: Random, pruner: none, parallel: 1, baselines: false}}
""",
    "overhead.yaml",
).completed("classification", 1797)


def bare(folds: Sequence[FoldData], lr: float) -> float:
    """The loop that one would write by hand; mean over folds of the best accuracy."""
    best = []
    for fold in folds:
        torch.manual_seed(fold.number)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 10))
        optimizer = torch.optim.AdamW(model.parameters(), lr=lr, fused=True)
        loss_of = nn.CrossEntropyLoss()
        accuracies = []
        for _ in range(EPOCHS):
            model.train()
            order = torch.randperm(len(fold.x_train))
            total = torch.zeros(())
            for rows in order.split(BATCH):
                y = fold.y_train.index_select(0, rows)
                loss = loss_of(model(fold.x_train.index_select(0, rows)), y)
                loss.backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                total += loss.detach() * len(rows)
            model.eval()
            with torch.no_grad():
                hits = (model(fold.x_valid).argmax(1) == fold.y_valid).float().mean()
            accuracies.append(hits.item())
            total.item()
        best.append(max(accuracies))
    return sum(best) / len(best)


def bare_seconds(rates: Sequence[float]) -> float:
    """Wall-clock time of one trial a learning rate."""
    torch.set_num_threads(1)
    folds = FoldStore(STUDY.data, STUDY.validation).folds(FeatureForm(STUDY.data.scale), True)
    bare(folds[:1], rates[0])  # torch imports a good deal at the first optimizer
    start = time.perf_counter()
    for rate in rates:
        assert bare(folds, rate) > 0.9, "what does not learn measures nothing"
    return time.perf_counter() - start


def bare_seconds_elsewhere(rates: Sequence[float]) -> float:
    """The same in a new process, as a worker is one: an old one has warm memory and is quicker."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(bare_seconds, rates).result()


def searched(n_trials: int) -> list[tuple[float, SearchEvent]]:
    """A real search with one worker: its events and when they came."""
    with tempfile.TemporaryDirectory() as runs:
        budget = STUDY.search.model_copy(update={"trials": n_trials})
        place = StudyFolder(Path(runs), STUDY.name)
        search = Search(STUDY, place, budget, n_jobs=1)
        with place.held():
            return [(time.perf_counter(), event) for event in search.events()]


def shares(folds: Sequence[FoldData]) -> None:
    """Print the functions of tunecli's training with the most time of their own."""
    config = STUDY.resolve(lambda name, range_: 1e-3)
    profile = cProfile.Profile()
    profile.runcall(list, CrossValidation(config, folds, torch.device("cpu")))
    pstats.Stats(profile).sort_stats("tottime").print_stats("tunecli", 12)


def main() -> None:
    """Measure in pairs and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--trials", type=int, default=4, help="of each search")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folds = FoldStore(STUDY.data, STUDY.validation).folds(FeatureForm(STUDY.data.scale), True)
    ratios = []
    for _ in range(options.pairs):
        start = time.perf_counter()
        events = searched(options.trials)
        begun = next(moment for moment, event in events if isinstance(event, TrialStarted))
        ended = next(moment for moment, event in events if isinstance(event, SearchEnded))
        finished = [event for _, event in events if isinstance(event, TrialFinished)]
        rates = [float(event.params["optimizer.AdamW.lr"] or 0) for event in finished]
        by_hand = bare_seconds_elsewhere(rates)
        ratios.append((ended - begun) / by_hand)
        training = sum(event.seconds for event in finished)
        print(
            f"bare {by_hand:.2f} s, tunecli {ended - begun:.2f} s: {training:.2f} s of it in "
            f"training, {ended - begun - training:.2f} s in driver, database and pipe; "
            f"start-up {begun - start:.2f} s"
        )
    n_trials = options.pairs * options.trials
    print(f"median ratio over {n_trials} trials: {median(ratios):.3f} (aim: at most 1.15)")
    shares(folds)


if __name__ == "__main__":
    main()
