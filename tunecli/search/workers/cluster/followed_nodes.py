"""The nodes of a cluster as a search follows them: which come and go, and which have room."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator

from tunecli.search.workers.cluster.cluster import PATIENCE, Cluster, Place
from tunecli.study_file.text.counts import count

LOOK = 1.0
"""Seconds between two looks at which nodes there are."""

IN_VAIN = 3
"""Workers that a node may lose until one ends a job, before it is left out.

Counted are those that were idle, and those that failed by themselves.
"""

FULL = 10
"""Looks in a row without room for any worker until that is said."""


class FollowedNodes:
    """The nodes of a cluster, which may have other users."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.places: dict[str, Place] = {}
        self._in_vain: Counter[str] = Counter()
        self._silent: Counter[str] = Counter()  # workers in a row that did not answer
        self._n_full = 0
        self._looked = -math.inf

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next look."""
        return time.monotonic() - self._looked >= LOOK

    @property
    def able(self) -> list[Place]:
        """The nodes that can train the study."""
        places = self.places.values()
        return [place for place in places if self._cluster.why_not(place) is None]

    @property
    def usable(self) -> list[Place]:
        """The nodes that can train the study, and do not lose all their workers."""
        return [place for place in self.able if self._in_vain[place.node.key] <= IN_VAIN]

    @property
    def n_fitting(self) -> int:
        """How many workers fit on all usable nodes if nobody else uses them."""
        return sum(place.n_fitting for place in self.usable)

    def look(self) -> Iterator[str]:
        """Look which nodes there are, and yield which joined or were lost.

        Raises:
            ClusterError: at the first look, no node can train the study.
        """
        is_first, before = self._looked == -math.inf, self.places
        self.places = self._cluster.first_places() if is_first else self._cluster.places()
        self._looked = time.monotonic()
        for key in before.keys() - self.places.keys():
            yield f"Node {before[key].node.name} was lost."
        for key in self.places.keys() - before.keys():
            yield from self._joined(self.places[key], is_first=is_first)

    def _joined(self, place: Place, *, is_first: bool) -> Iterator[str]:
        if why := self._cluster.why_not(place):
            yield f"{why} It trains nothing."
            return
        name, installed = place.node.name, place.installed
        if not is_first:
            yield f"Node {name} joined, with room for {count(place.n_fitting, 'worker')}."
        if not installed.sees_sources:
            yield f"Node {name} does not see the study's files, so it gets copies of them."
        if not installed.sees_runs:
            yield (
                f"Node {name} does not see the folder of --runs, so its workers send their "
                "checkpoints and models to this machine."
            )

    def roomiest(self, here: Counter[str], starting: Counter[str]) -> Place | None:
        """Return the node with most room now; those whose workers did not answer come last.

        Args:
            here: number of the search's workers, by node.
            starting: of these, the number that does not yet use what it needs.
        """

        def room(place: Place) -> int:
            key = place.node.key
            return min(place.n_fitting - here[key], place.n_free - starting[key])

        with_room = [place for place in self.usable if room(place) > 0]
        return max(with_room, key=lambda p: (-self._silent[p.node.key], room(p)), default=None)

    def has_none(self, is_idle: bool) -> bool:
        """Return whether it is time to say that there is room for no worker.

        Args:
            is_idle: whether the search has no worker after this look.
        """
        self._n_full = self._n_full + 1 if is_idle and self.usable else 0
        return self._n_full == FULL

    def lost_in_vain(self, place: Place) -> None:
        """Count a worker that was lost without having done anything."""
        self._in_vain[place.node.key] += 1

    def ended_a_job(self, place: Place) -> None:
        """Forget what was lost on a node: it works."""
        self._in_vain[place.node.key] = 0

    def patience(self, place: Place) -> float:
        """Return how many seconds a worker has to start: more after each that did not."""
        return float(PATIENCE * 2 ** self._silent[place.node.key])

    def answers(self, place: Place, *, does: bool) -> None:
        """Note whether a worker that was started on a node has answered."""
        self._silent[place.node.key] = 0 if does else self._silent[place.node.key] + 1
