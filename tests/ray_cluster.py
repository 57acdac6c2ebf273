"""A real Ray cluster of several nodes on this machine, for the tests of `--ray`."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tunecli.search.workers.cluster import join

ATTEMPTS = 5
"""Ray gives up a node that takes 15 s to start, as on a busy machine."""

NODE = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 80 * 2**20}


class RayCluster:
    """Nodes with one CPU each; `address` is what `--ray` takes."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from ray.cluster_utils import Cluster
        self._cluster: Any = Cluster()
        self._begin({"temp_dir": str(folder)})
        self.address = str(self._cluster.address)
        self._others: list[Any] = []

    def _begin(self, words: dict[str, str]) -> Any:
        for _ in range(ATTEMPTS):
            with suppress(Exception):  # Ray raises plain ones
                return self._cluster.add_node(**NODE, **words)
            self._cluster.head_node = self._cluster.head_node if not words else None
        raise AssertionError("Ray did not start")

    def add(self) -> None:
        self._others.append(self._begin({}))

    def lose(self) -> None:
        """Kill a node as a power cut would."""
        self._cluster.remove_node(self._others.pop(), allow_graceful=False)

    def workers(self) -> list[psutil.Process]:
        """The actors, by the names that Ray gives their processes."""
        found = []
        for node in (self._cluster.head_node, *self._others):
            for raylet in node.all_processes["raylet"]:
                with suppress(psutil.Error):
                    found += psutil.Process(raylet.process.pid).children()
        return [one for one in found if _is_hosted(one)]

    def processes(self) -> list[psutil.Process]:
        """All processes of workers, their fork servers included."""
        with suppress(psutil.Error):
            return [p for one in self.workers() for p in (one, *one.children(recursive=True))]
        return self.processes()

    def close(self) -> None:
        self._cluster.shutdown()


def _is_hosted(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "HostedWorker" in " ".join(process.cmdline())
    return False


def _read_the_secret_again() -> None:
    """Ray reads the environment when it is imported, as wandb or a study's code may have done."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray._private.authentication_test_utils import reset_auth_token_state
    reset_auth_token_state()


@contextmanager
def two_nodes() -> Iterator[RayCluster]:
    """A cluster of two nodes, with a secret that commands of this process know."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short, for Ray's sockets
    known = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": join._token()}  # Ray reads one
    before = {name: os.environ.get(name) for name in (*known, "RAY_TMPDIR")}
    os.environ.update(known, RAY_TMPDIR=str(folder))
    (folder / "ray").mkdir()
    _read_the_secret_again()
    try:
        cluster = RayCluster(folder / "ray")
        try:
            cluster.add()
            yield cluster
        finally:
            cluster.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def none_left(cluster: RayCluster, seconds: float = 30) -> bool:
    """Whether the workers of a search that has ended are gone soon."""
    end = time.monotonic() + seconds
    while cluster.processes():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
