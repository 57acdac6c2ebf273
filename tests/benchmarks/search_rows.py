"""Rows about whole searches: against the script, Ray Tune, and a search without a pruner."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import pandas as pd
import psutil
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import load_digits
from sklearn.preprocessing import OneHotEncoder

from tests.benchmarks.table_rows import Row
from tests.benchmarks.taking_turns import Cost, Way, taking_turns
from tests.benchmarks.the_script import Work, ray_tune, script
from tests.locations import DATA
from tunecli.search.events.events import SearchEnded, TrialFinished, TrialStarted
from tunecli.search.run import Search
from tunecli.search.study.study_folder import StudyFolder
from tunecli.search.workers.cluster.ray_executor import RayOptions
from tunecli.study_file.study_file import StudyFile

N_TRIALS, N_JOBS = 4, 2
N_ON_RAY, N_STARTING = 16, 4
RATES = (5e-4, 7e-4, 1e-3, 2e-3)
ADULT_ROWS = 10_000

SEARCH = """
data: {data}
validation: {{folds: 5}}
model: {{MLP: {{width: {width}, depth: {depth}}}}}
optimizer: {{AdamW: {{lr: {{float: [1e-4, 1e-1], log: true}}}}}}
training: {{epochs: {epochs}, batch_size: {batch_size}}}
search:
  sampler: Random
  pruner: none
  baselines: false
  start_with: [{points}]
"""

REACHING = """
data: digits
model:
  MLP:
    width: {int: [16, 256], log: true}
    depth: {int: [1, 3]}
    dropout: {float: [0, 0.5]}
optimizer:
  AdamW: {lr: {float: [1e-4, 1e-1], log: true}, weight_decay: {float: [1e-4, 1], log: true}}
training: {epochs: 20, batch_size: {choice: [16, 32, 64]}}
search: {trials: 160, baselines: false}
"""


@dataclass(frozen=True)
class Moment:
    """When a trial ended: what the search had cost by then, and the trial's score if complete."""

    cost: Cost
    score: float


def moments(study: StudyFile, n_trials: int, ray: RayOptions | None = None) -> Iterator[Moment]:
    """Search with two workers, and yield each trial's end; start-up does not count."""
    with tempfile.TemporaryDirectory() as runs:
        place = StudyFolder(Path(runs), study.name)
        budget = study.search.model_copy(update={"trials": n_trials})
        search = Search(study, place, budget, n_jobs=N_JOBS, ray=ray)
        begun = Cost(0.0, 0.0)
        with place.held():
            for event in search.events():
                now = Cost(_cpu_of_all(), time.perf_counter())
                if isinstance(event, TrialStarted) and event.number == 0:
                    begun = now
                if isinstance(event, TrialFinished | SearchEnded):
                    cost = Cost(now.cpu - begun.cpu, now.wall - begun.wall)
                    is_complete = isinstance(event, TrialFinished) and event.outcome == "complete"
                    yield Moment(cost, (event.value or 0.0) if is_complete else float("-inf"))


def _cpu_of_all() -> float:
    """Return the CPU seconds of this process and its workers."""
    own = psutil.Process()
    times = [one.cpu_times() for one in (own, *own.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def searched(study: StudyFile) -> Cost:
    """Return the cost of a search of all its trials."""
    return [*moments(study, N_TRIALS)][-1].cost


def on_two_workers(ray: RayOptions | None = None) -> Cost:
    """Return the cost of trials of `studies/digits.yaml` after those in which workers begin."""
    path = Path(__file__).parents[2] / "studies" / "digits.yaml"
    study = StudyFile.from_text(path.read_text(), "digits.yaml", ["search.pruner=none"])
    costs = [moment.cost for moment in moments(study, N_ON_RAY, ray)]
    first, last = costs[N_STARTING - 1], costs[-1]
    return Cost(last.cpu - first.cpu, last.wall - first.wall)


def study(data: str, work: Work) -> StudyFile:
    """Return the study file whose trials are those of the script."""
    points = ", ".join(f"{{optimizer: {{AdamW: {{lr: {rate}}}}}}}" for rate in RATES)
    text = SEARCH.format(
        data=data,
        width=work.hidden[0],
        depth=len(work.hidden),
        epochs=work.epochs,
        batch_size=work.batch_size,
        points=points,
    )
    return StudyFile.from_text(text, "benchmark.yaml")


@cache
def digits() -> Work:
    bunch = load_digits()
    return Work(bunch.data.astype("float32"), bunch.target.astype("int64"), (128,), 32, 20)


@cache
def adult() -> tuple[Work, str]:
    """Return a sample of adult as the script encodes it, and as a file for tunecli."""
    table = pd.read_csv(DATA / "adult" / "train.csv.gz").sample(ADULT_ROWS, random_state=0)
    *_, target = table.columns
    features = table.drop(columns=target)
    one_hot = OneHotEncoder(
        handle_unknown="infrequent_if_exist", min_frequency=10, sparse_output=False
    )
    encode = make_column_transformer(
        (one_hot, make_column_selector(dtype_exclude="number")), remainder="passthrough"
    )
    x = encode.fit_transform(features).astype("float32")
    y = table[target].astype("category").cat.codes.to_numpy().astype("int64")
    path = Path(tempfile.mkdtemp()) / "adult.csv"
    table.to_csv(path, index=False)
    return Work(x, y, (128, 128), 256, 5), f"{{source: {path}, target: {target}, test: 0}}"


def reached(seed: int) -> tuple[Cost, Cost]:
    """Return what it costs by default, and unpruned, to reach the best of 40 unpruned trials."""
    unpruned, by_default = (
        StudyFile.from_text(REACHING, "reaching.yaml", [f"seed={seed}", *more])
        for more in (["search.pruner=none"], [])
    )
    target = max(moments(unpruned, 40), key=lambda moment: moment.score)
    for moment in moments(by_default, 160):
        if moment.score >= target.score:
            return moment.cost, target.cost
    never = float("inf")
    return Cost(never, never), target.cost


DIGITS = "{source: digits, test: 0}"


def rows() -> list[Row]:
    """Return the rows about whole searches."""
    return [
        Row(
            "search of digits, MLP 64-128-10, batches of 32",
            "script with DataLoader",
            {"wall": 1 / 6},
            lambda: taking_turns(partial(searched, study(DIGITS, digits())), of_digits(script)),
        ),
        Row(
            "search of digits, MLP 64-128-10, batches of 32",
            "Ray Tune with OptunaSearch",
            {"wall": 1 / 8},
            lambda: taking_turns(partial(searched, study(DIGITS, digits())), of_digits(ray_tune)),
            needs="ray",
        ),
        Row(
            f"search of {ADULT_ROWS:,} rows of adult, MLP 128-128, batches of 256",
            "script with DataLoader",
            {"wall": 1 / 4},
            lambda: taking_turns(partial(searched, study(adult()[1], adult()[0])), of_adult()),
        ),
        Row(
            f"{N_ON_RAY - N_STARTING} trials of studies/digits.yaml on a Ray of this machine",
            "local workers",
            {"wall": 1.1},
            lambda: taking_turns(partial(on_two_workers, RayOptions("local")), on_two_workers),
            needs="ray",
        ),
        Row(
            "until the best score of 40 unpruned trials of digits",
            "the same search with pruner: none",
            {"wall": 1 / 2.5},
            lambda: reached,
        ),
    ]


def of_digits(alternative: Callable[[Work, Sequence[float]], Cost]) -> Way:
    return partial(alternative, digits(), RATES)


def of_adult() -> Way:
    return partial(script, adult()[0], RATES)
