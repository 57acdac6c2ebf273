"""What the driver costs a trial, split between sampler, database and the rest, against Optuna's.

    OMP_NUM_THREADS=1 python tests/benchmarks/driver.py [--sizes 10 100 1000 5000] [--trials 20]

Trials train nothing: 8 parameters, 10 evaluations on 5 folds, judged by the median pruner, whose
word nobody follows. A study of each size is begun with random trials and goes on with each
sampler; the alternative goes on with a copy of the same database: Optuna's ask, suggest, report,
should_prune and tell on its RDBStorage, which keeps one value an evaluation, not one a fold.
All numbers are CPU time. The aim is at most 12 ms a trial beyond the sampler's own at 5,000.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import optuna
from optuna.storages import BaseStorage, _CachedStorage

from tunecli.database.write import StudyDatabase
from tunecli.search.driver import Driver
from tunecli.search.prune.judge import Judge
from tunecli.search.suggest.suggester import Suggester
from tunecli.search.suggest.visible_trials import VisibleTrials
from tunecli.search.trial_budget import Limits
from tunecli.search.workers.messages import Evaluated, Event, Finished, TrialJob
from tunecli.study_file.study_file import StudyFile
from tunecli.training.outcome.evaluation import Evaluation, TrialResult

NAME, N_EVALUATIONS, N_FOLDS = "driver", 10, 5
WIDTHS = ", ".join(["{int: [8, 256], log: true}"] * 4)
STUDY = f"""
data: digits
model: {{MLP: {{width: [{WIDTHS}], dropout: {{float: [0, 0.5]}}}}}}
optimizer:
  AdamW: {{lr: {{float: [1e-4, 1], log: true}}, weight_decay: {{float: [0, 1]}}}}
training: {{epochs: {N_EVALUATIONS}, clip_norm: {{float: [0.1, 10], log: true}}}}
search: {{baselines: false}}
"""
SAMPLER_METHODS = (
    "infer_relative_search_space",
    "sample_relative",
    "sample_independent",
    "before_trial",
    "after_trial",
)


class Split:
    """Seconds by part; time in a watched method that another calls counts for the inner.

    Args:
        clock: CPU time by default.
    """

    def __init__(self, clock: Callable[[], float] = time.process_time) -> None:
        self.seconds: Counter[str] = Counter()
        self._parts = ["the rest"]
        self._clock = clock
        self._since = clock()

    def watch(self, part: str, owner: type, names: Iterable[str]) -> None:
        """From now on the time in these methods belongs to `part`."""
        for name in names:
            setattr(owner, name, self._timed(part, getattr(owner, name)))

    def _timed(self, part: str, method: Any) -> Any:
        @functools.wraps(method)
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._enter(part)
            try:
                return method(*args, **kwargs)
            finally:
                self._leave()

        return timed

    def _enter(self, part: str) -> None:
        self._charge()
        self._parts.append(part)

    def _leave(self) -> None:
        self._charge()
        self._parts.pop()

    def _charge(self) -> None:
        now = self._clock()
        self.seconds[self._parts[-1]] += now - self._since
        self._since = now

    def take(self) -> Counter[str]:
        """The seconds since this was last asked."""
        self._charge()
        taken, self.seconds = self.seconds, Counter()
        return taken


SPLIT = Split()


def curve(number: int) -> list[float]:
    """A rising curve; what a trial is worth is drawn."""
    draw = Random(number)
    ceiling = draw.gauss(0.9, 0.02)
    return [ceiling * (1 - 0.5**step) + draw.gauss(0, 0.01) for step in range(1, 11)]


class NoOpExecutor:
    """Tells a trial's evaluations one by one and its end, without a worker."""

    n_workers = 4

    def __init__(self) -> None:
        self._events: deque[Event] = deque()

    def submit(self, job: TrialJob) -> None:
        means = curve(job.number)
        for step, mean in enumerate(means):
            told = Evaluation(step, step + 1.0, 1.0, mean, {"f1": mean}, 0.1)
            self._events.append(Evaluated(job.number, (told,) * N_FOLDS))
        best = max(means)
        result = TrialResult("complete", value=best, fold_scores=(best,) * N_FOLDS)
        self._events.append(Finished(job.number, 0, result))

    def reply(self, number: int, go_on: bool) -> None: ...

    def stop(self, number: int, grace: float) -> None: ...

    def kill(self, number: int) -> None: ...

    def events(self, timeout: float) -> Sequence[Event]:
        return [self._events.popleft()] if self._events else []

    def close(self) -> None: ...


def drive(path: Path, sampler: str, n_total: int) -> tuple[float, Counter[str]]:
    """Go on with a study: seconds until its driver can begin, and the split of its trials."""
    SPLIT.take()
    overrides = [f"search.sampler={sampler}"]
    study = StudyFile.from_text(STUDY, NAME + ".yaml", overrides).completed("classification", 1797)
    url = f"sqlite:///{path}"
    database = StudyDatabase.open(url, study.name) or StudyDatabase.create(
        url, study.name, ["maximize"]
    )
    history = database.trials()
    lag = VisibleTrials([(0, study.search.parallel)])
    suggester = Suggester(study, [], history, lag, segment=len(history))
    judge = Judge(study.search.pruner, "maximize", study.name)
    for trial in history:
        judge.restore(trial, range(lag.n_shown(trial.number)))
    limits = Limits(n_total)
    driver = Driver(study, database, NoOpExecutor(), suggester, judge, history, limits)
    begun = sum(SPLIT.take().values())
    assert list(driver.run())
    database.close()
    return begun, SPLIT.take()


def stock(path: Path, sampler: str, n_trials: int) -> Counter[str]:
    """The same trials with Optuna alone, its caches filled before."""
    study = optuna.load_study(
        storage=f"sqlite:///{path}",
        study_name=NAME,
        sampler=getattr(optuna.samplers, f"{sampler}Sampler")(seed=0),
        pruner=optuna.pruners.MedianPruner(),
    )
    one_trial(study)
    SPLIT.take()
    for _ in range(n_trials):
        one_trial(study)
    return SPLIT.take()


def one_trial(study: optuna.Study) -> None:
    trial = study.ask()
    for index in range(4):
        trial.suggest_int(f"model.MLP.width[{index}]", 8, 256, log=True)
    trial.suggest_float("model.MLP.dropout", 0, 0.5)
    trial.suggest_float("optimizer.AdamW.lr", 1e-4, 1, log=True)
    trial.suggest_float("optimizer.AdamW.weight_decay", 0, 1)
    trial.suggest_float("training.clip_norm", 0.1, 10, log=True)
    means = curve(trial.number)
    for step, mean in enumerate(means):
        trial.report(mean, step)
        trial.should_prune()
    study.tell(trial, max(means))


def line(what: str, size: int, split: Counter[str], n_trials: int) -> str:
    parts = [1000 * split[part] / n_trials for part in ("sampler", "database", "the rest")]
    cells = "".join(f"{part:10.1f}" for part in parts)
    return f"{what:<20}{size:>7,}{cells}{parts[1] + parts[2]:18.1f}"


def main() -> None:
    """Measure at each size, one after the other, and print milliseconds a trial."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000, 5000])
    parser.add_argument("--trials", type=int, default=20, help="measured at each size")
    parser.add_argument("--samplers", nargs="+", default=["Random", "TPE"])
    options = parser.parse_args()
    for sampler in options.samplers:
        SPLIT.watch("sampler", getattr(optuna.samplers, f"{sampler}Sampler"), SAMPLER_METHODS)
    writing = ("start_trial", "restart_trial", "add_evaluations", "flush", "finish_trial")
    SPLIT.watch("database", StudyDatabase, writing)
    storage = [name for name in vars(BaseStorage) if not name.startswith("_")]
    SPLIT.watch("database", _CachedStorage, storage)
    print(
        f"{'CPU ms a trial':<20}{'trials':>7}{'sampler':>10}{'database':>10}{'the rest':>10}"
        f"{'beyond the sampler':>18}{'start-up':>12}"
    )
    with TemporaryDirectory() as folder:
        grown, copy = Path(folder) / "grown.db", Path(folder) / "copy.db"
        for size in options.sizes:
            drive(grown, "Random", size)
            for sampler in options.samplers:
                shutil.copy(grown, copy)
                start_up, split = drive(copy, sampler, size + options.trials)
                ours = line(f"tunecli, {sampler}", size, split, options.trials)
                print(f"{ours}{start_up:10.2f} s", flush=True)
                shutil.copy(grown, copy)
                theirs = stock(copy, sampler, options.trials)
                print(line(f"Optuna, {sampler}", size, theirs, options.trials), flush=True)


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sys.exit(main())
