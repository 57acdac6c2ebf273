"""The cluster of one search: which nodes it uses, and how the study's files reach them."""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import ray

from tunecli import __version__
from tunecli.data.rows.workspace import Workspace
from tunecli.errors import ClusterError
from tunecli.files.small import read_small
from tunecli.search.workers.cluster import files
from tunecli.search.workers.cluster.hosted_worker import ACTOR, HostedWorker
from tunecli.search.workers.cluster.lost_workers import last_line
from tunecli.search.workers.cluster.nodes import (
    Installed,
    Node,
    alive,
    installed_on,
    need_of,
    refuse_too_few,
)
from tunecli.search.workers.cluster.ray_executor import RayOptions
from tunecli.study_file.study_file import StudyFile

PATIENCE = 60.0
"""Seconds that a node has to answer before it is left out."""

TRIES = 3
"""Times that a node is asked what it has, if asking fails."""


@dataclass(frozen=True)
class Place:
    """A node that was asked what it has.

    Attributes:
        n_fitting: how many workers fit on it if nobody else uses it.
        n_free: how many more fit beside what is there now.
        installed: what it has.
    """

    node: Node
    n_fitting: int
    n_free: int
    installed: Installed


class Cluster:
    """A cluster that this process has joined, for one study.

    Args:
        options: the address, and what one worker needs.
        workspace: the driver's places of the study's files.
        lock: the study's lock file; a node that sees its content shares the folder of studies.

    Raises:
        ClusterError: no node has room for a worker.
    """

    def __init__(
        self, options: RayOptions, study: StudyFile, workspace: Workspace, lock: Path
    ) -> None:
        nodes, training = [*alive().values()], study.training
        self._need = need_of(training.threads, training.device, options.cpus, options.gpus, nodes)
        refuse_too_few(self._need, nodes)
        self._is_here = options.is_here
        self._study = study
        self._workspace = workspace
        self._lock = lock.absolute()
        self._search = secrets.token_hex(4)
        self._current = Path.cwd()
        self._actor = ray.remote(**ACTOR)(HostedWorker)
        self._asked: dict[str, ray.ObjectRef[Any] | Installed] = {}
        self._failures: Counter[str] = Counter()  # of asking, by node

    def start(self, place: Place) -> Any:
        """Start a worker on a node, and return its actor."""
        installed = place.installed
        sees = (installed.sees_runs, installed.sees_sources)
        options = place.node.options()
        actor = self._actor.options(num_cpus=self._need.cpus, num_gpus=self._need.gpus, **options)
        # Ray would fetch a plain reference for every worker, not once per node.
        sources = None if installed.sees_sources else partial(ray.get, self._sent_sources)
        hides_gpus = not self._need.gpus
        workspace, search = self._workspace, self._search
        return actor.remote(workspace, search, sees, sources, self._current, hides_gpus)

    def places(self) -> dict[str, Place]:
        """Return the nodes that are alive and have answered, by id; asks those that are new."""
        nodes = alive()
        self._asked = {key: asked for key, asked in self._asked.items() if key in nodes}
        for key in nodes.keys() - self._asked.keys():
            if self._need.fits(nodes[key].resources):
                self._asked[key] = self._ask(nodes[key])
        places = {key: self._place(nodes[key]) for key in self._asked}
        return {key: place for key, place in places.items() if place is not None}

    def first_places(self) -> dict[str, Place]:
        """Return the nodes once all have answered.

        Raises:
            ClusterError: no node can train the study.
        """
        until = time.monotonic() + PATIENCE
        places = self.places()
        while len(places) < max(len(self._asked), 1) and time.monotonic() < until:
            time.sleep(0.05)
            places = self.places()
        usable = [place for place in places.values() if self.why_not(place) is None]
        if not usable:
            whys = {self.why_not(place) for place in places.values()}
            why = " ".join(sorted(filter(None, whys))) or "No node of the cluster answers."
            raise ClusterError(f"--ray: {why}")
        return places

    def why_not(self, place: Place) -> str | None:
        """Return why a node cannot train the study; None if it can."""
        version, error = place.installed.version, place.installed.error
        if error:
            return f"Node {place.node.name} cannot be used: {error}."
        if version == __version__:
            return None
        has = f"tunecli {version}" if version else "no tunecli in its Python"
        return (
            f"Node {place.node.name} has {has}, but this machine has {__version__}. "
            f"Install tunecli {__version__} on all nodes."
        )

    def _ask(self, node: Node) -> ray.ObjectRef[Any] | Installed:
        if self._is_here:
            return Installed(__version__)
        return installed_on(node, partial(_sees, self._lock, self._holder, self._sources))

    def _place(self, node: Node) -> Place | None:
        """Return a node that was asked, if it has answered or cannot."""
        answer = self._asked[node.key]
        if not isinstance(answer, Installed):
            if not ray.wait([answer], timeout=0)[0]:
                return None
            answer = self._asked[node.key] = self._answered(node, answer)
        if not isinstance(answer, Installed):
            return None
        fits, free = self._need.fits(node.resources), self._need.fits_beside(node.free)
        return Place(node, fits, free, answer)

    def _answered(self, node: Node, answer: ray.ObjectRef[Any]) -> ray.ObjectRef[Any] | Installed:
        """Return what a node has; if it failed, ask it again a few times."""
        try:
            return Installed(*ray.get(answer))
        except ray.exceptions.RayError as error:
            self._failures[node.key] += 1
            if self._failures[node.key] < TRIES:
                return self._ask(node)
            return Installed("", error=last_line(error))

    @cached_property
    def _holder(self) -> bytes:
        """What the study's lock file says: who holds it, since when."""
        return read_small(self._lock)

    @cached_property
    def _sources(self) -> files.Sources:
        return files.sources_of(self._study, self._workspace.code, self._workspace.folder)

    @cached_property
    def _sent_sources(self) -> ray.ObjectRef[Any]:
        """The study's sources in Ray's object store, from where each node fetches them once."""
        return ray.put(files.sources_to_send(self._sources))


def _sees(lock: Path, holder: bytes, sources: files.Sources) -> tuple[bool, bool]:
    """Return whether this machine sees the driver's folder of studies, and a study's sources."""
    try:
        sees_runs = os.access(lock.parent, os.W_OK) and read_small(lock) == holder
    except OSError:
        sees_runs = False
    return sees_runs, files.sees_sources(sources)
