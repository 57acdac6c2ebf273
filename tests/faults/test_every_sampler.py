"""At once, in two halves or one by one: the same table, for every sampler and pruner offered.

Trials are formulas (`tests/in_process.py`): some fail, run out of memory, diverge or are pruned.
One by one runs in a process of its own, in which Python hashes texts otherwise.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import optuna
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # where this file is run for itself

from commands import call_in, table
from in_process import drive

from tunecli.database.trials import Trial
from tunecli.search.resume import Edits
from tunecli.study_file.catalogue.names import names
from tunecli.study_file.study_file import StudyFile

optuna.logging.set_verbosity(optuna.logging.WARNING)

FLAT = """
data: digits
model: {MLP: {width: {int: [8, 256], log: true}}}
optimizer: {AdamW: {lr: {float: [1e-4, 100], log: true}, weight_decay: {float: [0, 1]}}}
training: {epochs: 9}
"""
BRANCHES = """
data: digits
model: {MLP: {width: {int: [8, 256], log: true}}}
optimizer:
  choice:
    momentum: {SGD: {lr: {float: [1e-4, 100], log: true}, momentum: {float: [0.5, 0.99]}}}
    AdamW: {lr: {float: [1e-4, 100], log: true}}
training:
  epochs: 9
  l1: {float: [1e-8, 1e-4], log: true, or: 0}
"""
FINITE = """
data: digits
model: {MLP: {width: {int: [16, 64], step: 8}}}
optimizer: {AdamW: {lr: {float: [0.1, 6.1], step: 0.4}}}
training: {epochs: 9}
"""
FINITE_BRANCHES = """
data: digits
model: {MLP: {width: {int: [16, 64], step: 8}}}
optimizer:
  choice: [{SGD: {lr: {choice: [0.01, 10]}}}, {AdamW: {lr: {float: [0.1, 0.9], step: 0.1}}}]
training: {epochs: 9}
"""
SPACES = {
    "flat": FLAT,
    "branches": BRANCHES,
    "finite": FINITE,
    "finite branches": FINITE_BRANCHES,
}
# Arguments with which a sampler models, and a pruner prunes, within a few trials.
EAGER = {
    "TPESampler": ["{TPE: {n_startup_trials: 4}}", "{TPE: {multivariate: false}}"],
    "GPSampler": ["{GP: {n_startup_trials: 4}}"],
    "CmaEsSampler": [
        "{CmaEs: {popsize: 4}}",
        "{CmaEs: {popsize: 4, with_margin: true}}",
        "{CmaEs: {popsize: 4, use_separable_cma: true}}",
    ],
    "NSGAIISampler": ["{NSGAII: {population_size: 4}}"],
    "NSGAIIISampler": ["{NSGAIII: {population_size: 4}}"],
    "QMCSampler": ["QMC", "{QMC: {qmc_type: halton, scramble: true}}"],
    "MedianPruner": ["{Median: {n_startup_trials: 2}}"],
    "PercentilePruner": ["{Percentile: {percentile: 40, n_startup_trials: 2}}"],
    "SuccessiveHalvingPruner": ["{SuccessiveHalving: {reduction_factor: 2}}"],
    "HyperbandPruner": ["{Hyperband: {reduction_factor: 2}}"],
    "PatientPruner": ["{Patient: {patience: 1, wrapped_pruner: Median}}"],
    "ThresholdPruner": ["{Threshold: {lower: 0.1}}"],
}
MEDIAN, TPE, CMA_ES = EAGER["MedianPruner"][0], EAGER["TPESampler"][0], EAGER["CmaEsSampler"][0]
HYPERBAND = EAGER["HyperbandPruner"][0]
N_STARTS = 12

Row = tuple[object, ...]


def spaces_of(sampler: str) -> Sequence[str]:
    if sampler == "GridSampler":
        return ["finite"]
    return (
        ["finite", "finite branches"] if sampler == "BruteForceSampler" else ["flat", "branches"]
    )


SAMPLED = [
    (space, written, MEDIAN)
    for sampler in names("sampler")
    for written in EAGER.get(sampler, [sampler])
    for space in spaces_of(sampler)
]
PRUNED = [("branches", TPE, written) for pruner in names("pruner") for written in EAGER[pruner]]
CORE = [
    *((spaces_of(s)[-1], EAGER.get(s, [s])[0], MEDIAN) for s in names("sampler")),
    *PRUNED,
    ("flat", CMA_ES, HYPERBAND),
    ("branches", EAGER["CmaEsSampler"][1], MEDIAN),
]
"""Each sampler on its hardest space, each pruner; the rest runs with FAULTS=1."""
CASES = list(dict.fromkeys([*SAMPLED, *PRUNED, ("flat", CMA_ES, HYPERBAND)]))


def study(text: str, sampler: str, pruner: str, parallel: int = 4) -> StudyFile:
    search = f"search: {{sampler: {sampler}, pruner: {pruner}, parallel: {parallel}}}"
    return StudyFile.from_text(text + search, "study.yaml").completed("classification", 1797)


def rows(trials: Sequence[Trial]) -> list[Row]:
    return [
        (t.number, repr(t.params), t.outcome, t.reason, repr(t.value), repr(t.curve))
        for t in trials
    ]


def length(sampler: str) -> int:
    """GP takes long for each trial."""
    return 14 if "GP" in sampler else 24


def totals(n_starts: int, n_trials: int, first: int = 0) -> list[int]:
    """How many trials each of so many starts goes on to."""
    return [first + round((n_trials - first) * n / n_starts) for n in range(1, n_starts + 1)]


def one_by_one(folder: Path, space: str, sampler: str, pruner: str) -> list[Row]:
    """The table of many starts, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, str(folder / "many.db"), space, sampler, pruner],
        env=os.environ | {"PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(row) for row in json.loads(done.stdout)]


def main(path: str, space: str, sampler: str, pruner: str) -> None:
    for seed, n_total in enumerate(totals(N_STARTS, length(sampler))):
        trials = drive(
            study(SPACES[space], sampler, pruner), f"sqlite:///{path}", n_total, 3, seed
        )
    print(json.dumps(rows(trials)))


@pytest.mark.slow
@pytest.mark.parametrize(("space", "sampler", "pruner"), CASES)
def test_at_once_in_halves_and_one_by_one(
    space: str,
    sampler: str,
    pruner: str,
    tmp_path: Path,
    n_faults: Callable[[int], int],
    figure: Callable[[str], None],
) -> None:
    if (space, sampler, pruner) not in CORE and n_faults(100) < 100:
        pytest.skip("runs with FAULTS=1")
    n_trials = length(sampler)
    file = study(SPACES[space], sampler, pruner)
    whole = drive(file, f"sqlite:///{tmp_path}/whole.db", n_trials)
    assert len(whole) == n_trials
    outcomes = {trial.outcome for trial in whole}
    assert len(outcomes) > 2, "too little happens"
    for seed, n_total in enumerate(totals(2, n_trials)):
        halves = drive(file, f"sqlite:///{tmp_path}/halves.db", n_total, 4, seed)
    assert rows(halves) == rows(whole)
    assert one_by_one(tmp_path, space, sampler, pruner) == rows(whole)
    figure(
        f"{sampler} + {pruner}, {space}: {n_trials} trials at once, in 2 and in {N_STARTS} starts "
        f"alike; outcomes {', '.join(sorted(filter(None, outcomes)))}"
    )


def wider(text: str) -> str:
    return text.replace("[1e-4, 100]", "[1e-6, 10]").replace("[16, 64]", "[8, 96]")


@pytest.mark.slow
@pytest.mark.parametrize(("space", "sampler", "pruner"), SAMPLED)
def test_other_ranges_and_a_raised_parallel_mid_way(
    space: str, sampler: str, pruner: str, tmp_path: Path, n_faults: Callable[[int], int]
) -> None:
    if (space, sampler, pruner) not in CORE and n_faults(100) < 100:
        pytest.skip("runs with FAULTS=1")
    n_trials = length(sampler)
    before, n_before = tmp_path / "before.db", 9
    drive(study(SPACES[space], sampler, pruner), f"sqlite:///{before}", n_before, 4)
    file = study(wider(SPACES[space]), sampler, pruner, parallel=6)
    edits = Edits([(0, 4), (n_before, 6)], n_before, ())
    tables = []
    for n_starts in (1, 2, 5):
        path = tmp_path / f"{n_starts}.db"
        shutil.copy(before, path)
        for seed, n_total in enumerate(totals(n_starts, n_trials, n_before)):
            trials = drive(file, f"sqlite:///{path}", n_total, 3, seed, edits=edits)
        tables.append(rows(trials))
    assert tables[0] == tables[1]
    assert tables[0] == tables[2]
    assert len(tables[0]) == n_trials


BY_WORKERS = [
    ("{TPE: {n_startup_trials: 3}}", MEDIAN),
    (CMA_ES, HYPERBAND),
]
TRAINED = """
data: iris
validation: {folds: 2}
model: {MLP: {width: {int: [4, 64], log: true}, depth: 1}}
optimizer: {AdamW: {lr: {float: [1e-4, 1], log: true}, weight_decay: {float: [0, 1]}}}
training: {epochs: 9}
"""


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "pruner"), BY_WORKERS)
def test_with_workers_too(
    sampler: str,
    pruner: str,
    tmp_path: Path,
    n_faults: Callable[[int], int],
    figure: Callable[[str], None],
) -> None:
    search = f"search: {{trials: 12, parallel: 3, sampler: {sampler}, pruner: {pruner}}}\n"
    (tmp_path / "study.yaml").write_text(TRAINED + search)
    n_starts = max(4, n_faults(12))
    for starts in (1, 2, n_starts):
        for n_total in totals(starts, 12):
            words = ("--trials", str(n_total), "--jobs", "2", "--runs", f"in {starts}")
            call_in(tmp_path, "search", "study.yaml", *words)
    one, *others = (table(tmp_path / f"in {starts}/study/study.db") for starts in (1, 2, n_starts))
    assert len({row[0] for row in one}) == 12
    assert others == [one, one]
    figure(f"{sampler} + {pruner}, real processes: 12 trials in 1, 2 and {n_starts} starts alike")


if __name__ == "__main__":
    main(*sys.argv[1:])
