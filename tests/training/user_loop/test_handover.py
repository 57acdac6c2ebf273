"""One thread at a time: a user's training runs from report to report."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tunecli import TrialStopped
from tunecli.training.user_loop import handover
from tunecli.training.user_loop.handover import GeneratorFit, Report, ThreadFit

Reporting = Callable[..., None]


def test_a_function_waits_in_report_until_it_is_asked() -> None:
    done: list[int] = []

    def fit(config: Any, fold: Any, report: Reporting) -> None:
        for step in range(3):
            done.append(step)
            report({"score": step})

    training = ThreadFit(fit, {}, None)
    for step in range(3):
        assert training.advance() == Report({"score": step}, step)
        assert done == [*range(step + 1)]
    assert training.advance() is None
    assert training.close()


def test_steps_may_be_given() -> None:
    training = ThreadFit(lambda config, fold, report: report({}, step=7), {}, None)
    assert training.advance() == Report({}, 7)
    assert training.close()


def test_what_a_training_raises_arrives() -> None:
    def fit(config: Any, fold: Any, report: Reporting) -> None:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        ThreadFit(fit, {}, None).advance()


def test_no_exception_handler_swallows_the_end() -> None:
    seen: list[str] = []

    def fit(config: Any, fold: Any, report: Reporting) -> None:
        try:
            while True:
                try:
                    report({})
                except Exception:
                    seen.append("swallowed")
        except TrialStopped:
            seen.append("stopped")
            raise

    training = ThreadFit(fit, {}, None)
    training.advance()
    assert training.close()
    assert seen == ["stopped"]


def test_a_training_that_does_not_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover, "PATIENCE", 0.05)
    release = threading.Event()

    def fit(config: Any, fold: Any, report: Reporting) -> None:
        try:
            report({})
        finally:
            release.wait()

    training = ThreadFit(fit, {}, None)
    training.advance()
    assert not training.close()
    release.set()
    assert training.close()


def test_a_training_that_never_began_ends_at_once() -> None:
    assert ThreadFit(lambda config, fold, report: None, {}, None).close()


def test_a_generator_runs_from_yield_to_yield() -> None:
    seen: list[str] = []

    def fit(config: Any, fold: Any) -> Iterator[dict[str, int]]:
        try:
            yield {"score": 1}
            yield {"score": 2}
        finally:
            seen.append("closed")

    training = GeneratorFit(fit, {}, None)
    assert training.advance() == Report({"score": 1}, 0)
    assert training.advance() == Report({"score": 2}, 1)
    assert training.close()
    assert seen == ["closed"]
    assert training.advance() is None


def test_a_generator_that_reports_is_refused() -> None:
    def fit(config: Any, fold: Any, report: Reporting) -> Iterator[dict[str, int]]:
        report({"score": 1})
        yield {}

    with pytest.raises(TypeError, match="must yield its reports"):
        GeneratorFit(fit, {}, None).advance()


def test_predictions_come_along() -> None:
    def fit(config: Any, fold: Any, report: Reporting) -> None:
        report({"score": 1}, predictions=[0.5])

    def generate(config: Any, fold: Any) -> Iterator[Any]:
        yield {"score": 1}, [0.5]
        yield {"score": 2}

    for training in (ThreadFit(fit, {}, None), GeneratorFit(generate, {}, None)):
        assert training.advance() == Report({"score": 1}, 0, [0.5])
        training.close()
