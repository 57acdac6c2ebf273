"""Nodes that cannot be asked what they have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ray.exceptions import RayTaskError

from tunecli import __version__
from tunecli.data.rows.workspace import Workspace
from tunecli.errors import ClusterError
from tunecli.search.workers.cluster import cluster as module
from tunecli.search.workers.cluster.cluster import TRIES, Cluster
from tunecli.search.workers.cluster.nodes import Node
from tunecli.search.workers.cluster.ray_executor import RayOptions
from tunecli.study_file.study_file import StudyFile

STUDY = "data: iris\nmodel: MLP\noptimizer: AdamW\n"


class Nodes:
    """Two nodes of one CPU each; one of them answers a number of questions with an error."""

    def __init__(self, n_errors: int) -> None:
        self.n_errors = n_errors
        self.n_asked = 0

    def alive(self) -> dict[str, Node]:
        return {key: Node(key, key, {"CPU": 1.0}, {"CPU": 1.0}) for key in ("good", "bad")}

    def ask(self, node: Node, sees: object) -> str:
        self.n_asked += node.key == "bad"
        return node.key

    def get(self, key: str) -> tuple[str, bool, bool]:
        if key == "bad" and self.n_asked <= self.n_errors:
            error = ModuleNotFoundError("No module named 'numpy'")
            raise RayTaskError("ask", "a long\ntraceback", error, ip="::1")
        return __version__, True, True


def cluster_of(nodes: Nodes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(module, "alive", nodes.alive)
    monkeypatch.setattr(module, "installed_on", nodes.ask)
    monkeypatch.setattr("ray.wait", lambda refs, timeout: (refs, []))
    monkeypatch.setattr("ray.get", nodes.get)
    (folder / "lock").write_text("held")
    study = StudyFile.from_text(STUDY, str(folder / "study.yaml"), folder=folder)
    options: Any = RayOptions("auto", cpus=1)
    return Cluster(options, study, Workspace(folder), folder / "lock")


def test_a_node_is_asked_again_if_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = Nodes(n_errors=TRIES - 1)
    cluster = cluster_of(nodes, tmp_path, monkeypatch)
    places = cluster.first_places()
    assert {key: cluster.why_not(place) for key, place in places.items()} == {
        "good": None,
        "bad": None,
    }


def test_a_node_that_cannot_be_asked_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = Nodes(n_errors=1000)
    cluster = cluster_of(nodes, tmp_path, monkeypatch)
    places = cluster.first_places()
    for _ in range(10):
        cluster.places()
    assert nodes.n_asked == TRIES
    why = "Node bad cannot be used: ModuleNotFoundError: No module named 'numpy'."
    assert cluster.why_not(places["bad"]) == why
    monkeypatch.setattr(nodes, "alive", lambda: {"bad": Nodes.alive(nodes)["bad"]})
    monkeypatch.setattr(module, "alive", nodes.alive)
    with pytest.raises(ClusterError, match="Node bad cannot be used"):
        cluster.first_places()
