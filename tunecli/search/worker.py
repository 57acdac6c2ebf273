"""A worker process: a pure function of its jobs. It opens no database and imports no Optuna."""

from __future__ import annotations

import os
import platform
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait

import numpy
import torch

from tunecli import __version__
from tunecli.data.describe import describe
from tunecli.data.fold_store import FoldStore
from tunecli.data.sources import load
from tunecli.errors import TunecliError
from tunecli.search.messages import Described, Evaluated, Event, Finished, TrialJob
from tunecli.study_file.settings import TrialConfig
from tunecli.study_file.space import first_value
from tunecli.study_file.study_file import StudyFile
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.evaluation import TrialResult
from tunecli.training.losses import standardizes_target
from tunecli.training.precision import choose_device


class Trainer:
    """Trains jobs one after another, keeping the data in memory between them.

    Args:
        say: hands an event to the driver.
        hear: waits for the driver's answer to the newest evaluation; True to go on.
    """

    def __init__(
        self, worker: int, say: Callable[[Event], None], hear: Callable[[], bool]
    ) -> None:
        self._worker = worker
        self._say = say
        self._hear = hear
        self._store: FoldStore | None = None

    def describe(self, study: StudyFile) -> Described:
        """Load the data and say what it is: the driver imports neither numpy nor torch."""
        try:
            torch.set_num_threads(1)
            dataset = load(study.data)
            completed = study.completed(dataset.task, len(dataset.y))
            config = completed.resolve(lambda _, range_: first_value(range_))
            self._store = FoldStore(config.data, config.validation, dataset=dataset)
            summary = describe(config, self._store)
            return Described(self._worker, summary, environment(config))
        except TunecliError as error:
            return Described(self._worker, None, error=error)

    def train(self, job: TrialJob) -> None:
        """Train `job`; whatever happens ends in one `Finished`."""
        try:
            result = self._cross_validate(job)
        except (torch.OutOfMemoryError, MemoryError):
            result = TrialResult("failed", reason="out of memory")
        except Exception as error:
            reason = f"error: {type(error).__name__}: {error}"
            result = TrialResult("failed", reason=reason, traceback=traceback.format_exc())
        self._say(Finished(job.number, self._worker, result))

    def _cross_validate(self, job: TrialJob) -> TrialResult:
        config = job.config
        torch.set_num_threads(config.training.threads)
        if self._store is None:
            self._store = FoldStore(config.data, config.validation)
        folds = self._store.folds(config.data.scale, standardizes_target(config.loss))
        training = CrossValidation(config, folds, choose_device(config.training.device))
        for evaluations in training:
            self._say(Evaluated(job.number, self._worker, tuple(evaluations)))
            if job.asks and not self._hear():
                return training.result("pruned")
        return training.result()


def environment(config: TrialConfig) -> dict[str, str]:
    """What decides the rounding beside the study file: versions, device, CPU."""
    device = choose_device(config.training.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return {
        "tunecli": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "platform": platform.platform(),
        "device": f"{device.type} {name}".strip(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def worker_main(connection: Connection, worker: int, study: StudyFile, describes: bool) -> None:
    """The worker process: describe the data if asked, then train jobs until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    _end_with_the_driver()
    trainer = Trainer(worker, connection.send, lambda: bool(connection.recv().go_on))
    try:
        if describes:
            connection.send(trainer.describe(study))
        _warm_up()
        while True:
            trainer.train(connection.recv())
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the driver has closed or is gone


def _warm_up() -> None:
    """Pay now, while the driver makes the database, what torch imports at the first optimizer."""
    torch.optim.SGD([torch.zeros(1, requires_grad=True)])


def _end_with_the_driver() -> None:
    """End this process as soon as the driver is gone, even in the middle of an epoch."""
    driver = parent_process()
    if driver is None:
        return

    def watch() -> None:
        wait([driver.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
