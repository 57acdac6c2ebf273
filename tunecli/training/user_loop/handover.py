"""Let the user's training run from one report to the next, and no further."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
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
        self._reports: Iterator[Any] = fit(config, fold, *_refusal(fit))
        self._n_reports = 0

    def advance(self) -> Report | None:
        """Run to the next report; return None if the training is over."""
        try:
            values = next(self._reports)
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
            self._reports.close()  # type: ignore[attr-defined]  # it is a generator
        return True


class ThreadFit:
    """A plain function `fit(config, fold, report)`, in a thread that waits in `report`."""

    def __init__(self, fit: Fit, config: Mapping[str, Any], fold: object) -> None:
        self._turn = Semaphore(0)
        self._messages: SimpleQueue[Message] = SimpleQueue()
        self._stopped = False
        self._n_reports = 0
        self._n_threads = torch.get_num_threads()
        self._thread = Thread(target=self._run, args=(fit, config, fold), daemon=True)

    def advance(self) -> Report | None:
        """Run to the next report; return None if the training is over."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._turn.release()
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
    ) -> None:
        """Hand a report over; this is the function that the user calls."""
        if self._stopped:  # the training caught TrialStopped before
            raise TrialStopped
        report = Report(metrics, self._n_reports if step is None else step, predictions)
        self._messages.put(("report", report))
        self._n_reports += 1
        self._turn.acquire()
        if self._stopped:
            raise TrialStopped


def _refusal(fit: Fit) -> list[Callable[..., None]]:
    """Return the `report` argument for a generator that takes one: it raises when called."""

    def report(*_: Any) -> None:
        raise TypeError("a generator must yield its reports instead of calling report")

    return [report] if len(inspect.signature(fit).parameters) > 2 else []
