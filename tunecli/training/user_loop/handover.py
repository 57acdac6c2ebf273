"""Let the user's training run from one report to the next, and no further."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Any, Literal, NamedTuple

import torch

from tunecli.errors import TrialStopped

Fit = Callable[..., Any]
Message = tuple[Literal["report", "end", "error"], Any]

PATIENCE = 5.0
"""Seconds that a stopped training is given to end."""


class Report(NamedTuple):
    """A report of the user's training, not validated yet.

    Attributes:
        values: should be a mapping of numbers.
        step: the step of the report, unless `values` holds another one.
        predictions: predictions for the validation rows; None if there are none.
    """

    values: Any
    step: int
    predictions: Any = None


class GeneratorFit:
    """A generator `fit(config, fold)`, which continues when its next item is requested.

    An item is a mapping, or a pair of a mapping and predictions.
    """

    def __init__(self, fit: Fit, config: Mapping[str, Any], fold: object) -> None:
        self._reports: Generator[Any, bool | None] = fit(config, fold, *_refusal(fit))
        self._n_reports = 0

    def advance(self, is_best: bool = False) -> Report | None:
        """Run to the next report; return None if the training is over.

        Args:
            is_best: the value of the `yield` that gave the last report.
        """
        try:
            values = self._reports.send(is_best if self._n_reports else None)
        except StopIteration:
            return None
        self._n_reports += 1
        predictions = None
        if isinstance(values, tuple) and len(values) == 2:
            values, predictions = values
        return Report(values, self._n_reports - 1, predictions)

    def close(self) -> bool:
        """End the training; return True, since a generator always ends."""
        with suppress(Exception):  # an error while ending changes nothing
            self._reports.close()
        return True


class ThreadFit:
    """A plain function `fit(config, fold, report)`, in a thread that waits in `report`."""

    def __init__(self, fit: Fit, config: Mapping[str, Any], fold: object) -> None:
        self._turn = Semaphore(0)
        self._messages: SimpleQueue[Message] = SimpleQueue()
        self._stopped = False
        self._is_best = False
        self._n_reports = 0
        self._n_threads = torch.get_num_threads()
        self._thread = Thread(target=self._run, args=(fit, config, fold), daemon=True)

    def advance(self, is_best: bool = False) -> Report | None:
        """Run to the next report; return None if the training is over.

        Args:
            is_best: what the last call of `report` returns.
        """
        self._is_best = is_best
        if self._thread.ident is None:
            self._thread.start()
        elif self._thread.is_alive():
            self._turn.release()
        else:  # it ended before
            return None
        kind, value = self._messages.get()
        if kind == "report":
            report: Report = value
            return report
        self._thread.join()
        if kind == "error":
            raise value
        return None

    def close(self) -> bool:
        """Let `report` raise TrialStopped; return whether the training ended within `PATIENCE`."""
        self._stopped = True
        self._turn.release()
        if self._thread.ident is not None:
            self._thread.join(PATIENCE)
        return not self._thread.is_alive()

    def _run(self, fit: Fit, config: Mapping[str, Any], fold: object) -> None:
        torch.set_num_threads(self._n_threads)  # a new thread starts with its own setting
        try:
            fit(config, fold, self._report)
        except (TrialStopped, GeneratorExit, SystemExit):
            self._messages.put(("end", None))
        except BaseException as error:
            self._messages.put(("error", error))
        else:
            self._messages.put(("end", None))

    def _report(
        self, metrics: Mapping[str, Any], step: int | None = None, predictions: Any = None
    ) -> bool:
        """Hand a report over, and return whether it is the best so far; the user calls this."""
        if self._stopped:  # the training caught TrialStopped before
            raise TrialStopped
        report = Report(metrics, self._n_reports if step is None else step, predictions)
        self._messages.put(("report", report))
        self._n_reports += 1
        self._turn.acquire()
        if self._stopped:
            raise TrialStopped
        return self._is_best


def _refusal(fit: Fit) -> list[Callable[..., None]]:
    """Return the `report` argument for a generator that takes one: it raises when called."""

    def report(*_: Any) -> None:
        raise TypeError("a generator must yield its reports instead of calling report")

    return [report] if len(inspect.signature(fit).parameters) > 2 else []
