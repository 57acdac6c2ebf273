"""What `--ray` asks for, and the executor that does it; Ray is imported when it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tunecli.data.rows.workspace import Workspace
from tunecli.search.workers.cluster.join import HERE, cluster_joined
from tunecli.search.workers.messages import FirstTask

if TYPE_CHECKING:
    from tunecli.search.workers.cluster.cluster_executor import ClusterExecutor


@dataclass(frozen=True)
class RayOptions:
    """The options of a search on Ray.

    Attributes:
        address: `local` for a Ray of this machine, `auto` or `HOST:PORT`.
        cpus, gpus: what one worker needs; None for its threads, and a GPU where there are some.
    """

    address: str
    cpus: float | None = None
    gpus: float | None = None

    @property
    def is_here(self) -> bool:
        """Whether a Ray of this machine is started for the search."""
        return self.address == HERE


@contextmanager
def ray_executor(
    options: RayOptions, first_task: FirstTask, n_workers: int, workspace: Workspace, lock: Path
) -> Iterator[ClusterExecutor]:
    """Train on a cluster within the block.

    Args:
        n_workers: most workers; fewer if the cluster has no room for them.
        workspace: the driver's places of the study's files.
        lock: the study's lock file; a node that sees its content shares the folder of studies.

    Raises:
        MissingPackageError: Ray is not installed.
        ClusterError: the cluster cannot be reached, or cannot train the study.
    """
    with cluster_joined(options.address):
        from tunecli.search.workers.cluster.cluster import Cluster
        from tunecli.search.workers.cluster.cluster_executor import ClusterExecutor

        cluster = Cluster(options, first_task.study, workspace, lock)
        with closing(ClusterExecutor(first_task, cluster, n_workers)) as executor:
            yield executor
