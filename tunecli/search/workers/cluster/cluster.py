"""The cluster of one search: which nodes it uses, and how the study's files reach them."""

from __future__ import annotations

import os
import secrets
import time
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
from tunecli.search.workers.cluster.nodes import (
    Installed,
    Node,
    alive,
    installed_on,
    need_of,
    refuse_too_few,
)
from tunecli.search.workers.cluster.ray_executor import RayOptions
from tunecli.search.workers.messages import FirstTask
from tunecli.study_file.study_file import StudyFile

PATIENCE = 60.0
"""Seconds that a node has to answer before it is left out."""


@dataclass(frozen=True)
class Place:
    """A node that was asked what it has.

    Attributes:
        n_fitting: how many workers fit on it.
        installed: what it has.
    """

    node: Node
    n_fitting: int
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
        self._asked: dict[str, tuple[Node, ray.ObjectRef[Any] | Installed]] = {}

    def start(self, place: Place, task: FirstTask | None) -> Any:
        """Start a worker on a node, and return its actor."""
        installed = place.installed
        sees = (installed.sees_runs, installed.sees_sources)
        options = place.node.options()
        actor = self._actor.options(num_cpus=self._need.cpus, num_gpus=self._need.gpus, **options)
        # Ray would fetch a plain reference for every worker, not once per node.
        sources = None if installed.sees_sources else partial(ray.get, self._sent_sources)
        return actor.remote(task, self._workspace, self._search, sees, sources, self._current)

    def places(self) -> dict[str, Place]:
        """Return the nodes that are alive and have answered, by id; asks those that are new."""
        nodes = alive()
        self._asked = {key: asked for key, asked in self._asked.items() if key in nodes}
        for key in nodes.keys() - self._asked.keys():
            if self._need.fits(nodes[key].resources):
                self._asked[key] = (nodes[key], self._ask(nodes[key]))
        return {key: place for key in [*self._asked] if (place := self._place(key)) is not None}

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
        version = place.installed.version
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

    def _place(self, key: str) -> Place | None:
        """Return a node that was asked, if it has answered."""
        node, answer = self._asked[key]
        if not isinstance(answer, Installed):
            if not ray.wait([answer], timeout=0)[0]:
                return None
            try:
                answer = Installed(*ray.get(answer))
            except ray.exceptions.RayError:  # ask again, unless the node was lost
                del self._asked[key]
                return None
            self._asked[key] = (node, answer)
        return Place(node, self._need.fits(node.resources), answer)

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
