"""The nodes of a cluster: how many workers each can have, and what each has installed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray._private.state import available_resources_per_node  # Ray's API for libraries
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tunecli import __version__
from tunecli.errors import ClusterError
from tunecli.study_file.text.counts import count

_SPARE = 1e-6  # Ray counts fractions of a GPU in units of 1/10,000


@dataclass(frozen=True)
class Need:
    """What one worker occupies of a node, in CPUs and GPUs; fractions share one."""

    cpus: float
    gpus: float

    def __str__(self) -> str:
        gpus = f" and {self.gpus:g} GPU" if self.gpus else ""
        return f"{self.cpus:g} CPU{gpus}"

    def fits(self, resources: Mapping[str, float]) -> int:
        """Return how many workers fit on a node with these resources, all of them free.

        Workers that share a GPU lie on one GPU each, so what is left of it may fit none.
        """
        n_gpus = resources.get("GPU", 0.0)
        if 0 < self.gpus < 1:
            by_gpus: float = _whole(n_gpus) * _whole(1 / self.gpus)
        else:
            by_gpus = n_gpus / self.gpus if self.gpus else math.inf
        return self._fewer(resources, by_gpus)

    def fits_beside(self, free: Mapping[str, float]) -> int:
        """Return the most workers that may fit into what others leave free on a node.

        Ray tells the sum of what is free on the node's GPUs, so it may be fewer.
        """
        return self._fewer(free, free.get("GPU", 0.0) / self.gpus if self.gpus else math.inf)

    def _fewer(self, resources: Mapping[str, float], by_gpus: float) -> int:
        by_cpus = resources.get("CPU", 0.0) / self.cpus if self.cpus else math.inf
        fewer = min(by_cpus, by_gpus)
        return 0 if fewer == math.inf else _whole(fewer)


def _whole(number: float) -> int:
    return math.floor(number + _SPARE)


@dataclass(frozen=True)
class Node:
    """A node that is alive.

    Attributes:
        key: its id in Ray.
        name: its host name, with a part of its id if several nodes have that host name.
        resources: its CPUs, GPUs and others, used or not.
        free: what of them nobody uses, as of a moment ago.
    """

    key: str
    name: str
    resources: Mapping[str, float]
    free: Mapping[str, float]

    def options(self) -> dict[str, Any]:
        """Return the options that make Ray run something on this node and no other."""
        return {"scheduling_strategy": NodeAffinitySchedulingStrategy(self.key, soft=False)}


@dataclass(frozen=True)
class Installed:
    """What a node has: its tunecli, and whether it sees the study's files.

    Attributes:
        version: of tunecli; empty without one.
        sees_runs: whether the folder of all studies is the driver's.
        sees_sources: whether all files that the study file names are there with equal content.
        error: why it cannot be asked; empty if it can.
    """

    version: str
    sees_runs: bool = True
    sees_sources: bool = True
    error: str = ""


def alive() -> dict[str, Node]:
    """Return the nodes that are alive, by id."""
    rows = [row for row in ray.nodes() if row["Alive"]]
    hosts = [row["NodeManagerHostname"] for row in rows]
    free = available_resources_per_node()
    return {
        row["NodeID"]: Node(
            row["NodeID"],
            host if hosts.count(host) == 1 else f"{host}/{row['NodeID'][:6]}",
            row["Resources"],
            free.get(row["NodeID"], {}),
        )
        for row, host in zip(rows, hosts, strict=True)
    }


def need_of(
    n_threads: int, device: str, cpus: float | None, gpus: float | None, nodes: Iterable[Node]
) -> Need:
    """Return what a worker needs: as told, or its threads, and a GPU where nodes have some."""
    has_gpus = any(node.resources.get("GPU") for node in nodes)
    default = float(has_gpus and device in ("auto", "cuda"))
    return Need(float(n_threads) if cpus is None else cpus, default if gpus is None else gpus)


def refuse_too_few(need: Need, nodes: Sequence[Node]) -> None:
    """Refuse a cluster without a node that has room for one worker.

    Raises:
        ClusterError: see above.
    """
    if any(need.fits(node.resources) for node in nodes):
        return
    sizes = {
        f"{node.resources.get('CPU', 0):g} CPU and {node.resources.get('GPU', 0):g} GPU"
        for node in nodes
    }
    have = "; ".join(sorted(sizes)) or "nothing"
    raise ClusterError(
        f"--ray: a worker needs {need}, but no node of the cluster has that much "
        f"({count(len(nodes), 'node')}: {have}). Lower --cpus-per-job or --gpus-per-job, "
        "or add nodes."
    )


def installed_on(node: Node, sees: Callable[[], tuple[bool, bool]]) -> ray.ObjectRef[Any]:
    """Ask a node what it has.

    Args:
        sees: runs on the node, if its tunecli is this one; returns `sees_runs`, `sees_sources`.

    Returns:
        a reference to a version and both answers.
    """
    ours, packed = __version__, ray.cloudpickle.dumps(sees)

    def ask() -> tuple[str, bool, bool]:  # Ray sends its code: the node may have no tunecli
        import pickle
        from importlib.metadata import PackageNotFoundError, version

        try:
            theirs = version("tunecli")
        except PackageNotFoundError:
            return "", False, False
        return (theirs, *pickle.loads(packed)()) if theirs == ours else (theirs, False, False)

    return ray.remote(num_cpus=0, max_retries=0)(ask).options(**node.options()).remote()
