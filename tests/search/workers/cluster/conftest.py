"""One cluster of two nodes for each module of tests: starting it takes longest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ray_cluster import RayCluster, two_nodes


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with two_nodes() as cluster:
        yield cluster
