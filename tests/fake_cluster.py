"""A cluster without Ray: its nodes are values, its workers answer what a test says."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from tunecli.search.workers.cluster.cluster import Place
from tunecli.search.workers.cluster.nodes import Installed, Node


def place(key: str, fitting: int = 1, free: int | None = None, error: str = "") -> Place:
    """A node; all of it is free if nothing else is said."""
    node = Node(key, key, {}, {})
    free = fitting if free is None else free
    return Place(node, fitting, free, Installed("1.0", error=error))


@dataclass(eq=False)
class FakeActor:
    """The handle of a worker: what it was asked, and how its next answer is given."""

    node: str
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    is_ended: bool = False
    _answers: list[Future[Any]] = field(default_factory=list)

    @property
    def events(self) -> Any:
        return self._method(self._ask)

    @property
    def call(self) -> Any:
        return self._method(lambda *words: self.calls.append(words))

    def _method(self, do: Callable[..., Any]) -> Any:
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=do))

    def _ask(self) -> Any:
        self._answers.append(Future())
        return SimpleNamespace(future=lambda: self._answers[-1])

    def answer(self, *events: object) -> None:
        self._answers[-1].set_result([*events])

    def fail(self, error: Exception) -> None:
        self._answers[-1].set_exception(error)


class FakeCluster:
    """Nodes, which a test changes, and the workers that were started on them."""

    def __init__(self, *places: Place) -> None:
        self.nodes = {one.node.key: one for one in places}
        self.actors: list[FakeActor] = []

    def first_places(self) -> dict[str, Place]:
        return dict(self.nodes)

    places = first_places

    def why_not(self, place: Place) -> str | None:
        error = place.installed.error
        return f"Node {place.node.name} cannot be used: {error}." if error else None

    def start(self, place: Place) -> FakeActor:
        self.actors.append(FakeActor(place.node.key))
        return self.actors[-1]

    def free(self, key: str, n_workers: int) -> None:
        """Let there be room for so many more workers on a node."""
        self.nodes[key] = replace(self.nodes[key], n_free=n_workers)
