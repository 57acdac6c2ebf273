"""Let the result of a trial stand, whatever happens while its models are saved.

Which trials save models depends on those that ended before, so an outcome must not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tunecli.search.events.events import Notice
from tunecli.search.workers import messages
from tunecli.training.outcome.evaluation import TrialResult
from tunecli.training.outcome.failure_reasons import TIMEOUT


class ConcludedTrials:
    """The trials that have a result, but whose training has not ended yet."""

    def __init__(self) -> None:
        self._results: dict[int, TrialResult] = {}

    def settled(self, events: Iterable[messages.Event]) -> Iterator[messages.Event]:
        """Yield events; a failure after a result is replaced by the result and a notice."""
        for event in events:
            match event:
                case messages.Concluded(number, result):
                    self._results[number] = result
                case messages.Finished() | messages.WorkerDied() if event.number in self._results:
                    yield from self._with_result(event, self._results.pop(event.number))
                case messages.Suspended(
                    number
                ):  # the next search resumes it, and saves its models
                    self._results.pop(number, None)
                    yield event
                case _:
                    yield event

    def _with_result(
        self, event: messages.Finished | messages.WorkerDied, result: TrialResult
    ) -> Iterator[messages.Event]:
        assert event.number is not None
        if cause := _failure(event):
            yield Notice(
                f"Trial {event.number} is complete, but {cause} after its last evaluation, so its "
                "models may not be saved."
            )
        yield messages.Finished(event.number, event.worker, result)


def _failure(event: messages.Finished | messages.WorkerDied) -> str:
    """Return why a training did not end by itself; empty if it did."""
    if isinstance(event, messages.WorkerDied):
        return f"its worker died ({event.cause})"
    if event.result.outcome == "complete":
        return ""
    return event.result.reason.removeprefix(f"{TIMEOUT}: ").removesuffix(".")
