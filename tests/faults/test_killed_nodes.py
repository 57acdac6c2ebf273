"""On a cluster: workers, nodes and drivers are killed at random, and a node joins late."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from commands import wait_for
from ray_cluster import RayCluster, none_left, two_nodes
from searches import Rows, Searches, everything, is_sound

SEED = 20


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with two_nodes() as cluster:
        yield cluster


def lose_a_worker(cluster: RayCluster, chance: random.Random) -> None:
    """Kill an actor or, a third of the time, the process that trains in it."""
    with suppress(psutil.NoSuchProcess, IndexError):
        worker = chance.choice(cluster.workers())
        below = worker.children(recursive=True)
        (below[-1] if below and chance.random() < 1 / 3 else worker).kill()


def lose_a_node(cluster: RayCluster, chance: random.Random) -> None:
    """Kill a node with all that runs on it; another joins later."""
    cluster.lose()
    time.sleep(chance.uniform(0, 1))
    cluster.add()


@pytest.mark.slow
@pytest.mark.parametrize("lose", [lose_a_worker, lose_a_node])
def test_a_lost_worker_or_node_costs_no_trial(
    lose: Callable[[RayCluster, random.Random], None],
    cluster: RayCluster,
    tmp_path: Path,
    n_faults: Callable[[int], int],
    figure: Callable[[str], None],
) -> None:
    chance = random.Random(SEED)
    searches = Searches.prepared(tmp_path)
    n_lost, n_wanted = 0, n_faults(10)
    while n_lost < n_wanted:
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
        with searches.begun("--ray", cluster.address) as process:
            searches.wait_for_trials(process)
            while n_lost < n_wanted and process.poll() is None:
                time.sleep(chance.uniform(0, searches.seconds / 4))
                if process.poll() is None:
                    lose(cluster, chance)
                    n_lost += 1
            assert process.wait(120) == 0
        searches.finish()
        assert none_left(cluster)
    told = [one["text"] for one in searches.events() if one["event"] == "Notice"]
    assert any("was lost" in text or "died" in text for text in told), told
    figure(f"{lose.__name__}: {n_lost} times (seed {SEED}), 0 trials lost or finished twice")


@pytest.mark.slow
def test_nothing_is_lost_whenever_the_driver_on_a_cluster_is_killed(
    cluster: RayCluster,
    tmp_path: Path,
    n_faults: Callable[[int], int],
    figure: Callable[[str], None],
) -> None:
    chance = random.Random(SEED)
    searches = Searches.prepared(tmp_path)
    n_kills = n_faults(10)
    finished: Rows = {}
    for number in range(n_kills):
        with searches.begun("--ray", cluster.address) as process:
            searches.wait_for_trials(process)
            if number % 2 == 0:
                wait_for(lambda old=finished: len(everything(searches.database)) > len(old))
            time.sleep(chance.uniform(0, searches.seconds / 20))
            assert process.poll() is None, "the search ended before the kills did"
            process.kill()
            process.wait()
        assert none_left(cluster)
        assert is_sound(searches.database)
        now = everything(searches.database)
        assert finished.items() <= now.items(), "a finished trial was lost or changed"
        finished = now
    assert finished, "no trial ended between kills"
    with searches.begun("--ray", cluster.address) as process:
        assert process.wait(120) == 0
    searches.finish()
    assert none_left(cluster)
    figure(f"kill -9 of a driver on Ray: {n_kills} times (seed {SEED}), 0 trials lost")


@pytest.mark.slow
def test_a_node_that_joins_late_gets_trials(cluster: RayCluster, tmp_path: Path) -> None:
    searches = Searches.prepared(tmp_path)
    cluster.lose()
    with searches.begun("--ray", cluster.address) as process:
        searches.wait_for_trials(process)
        cluster.add()
        assert process.wait(120) == 0
    told = searches.events()
    assert any("joined, with room for 1 worker" in one.get("text", "") for one in told)
    placed = {one["node"] for one in told if one["event"] == "TrialPlaced"}
    assert placed, "the node that joined got no trial"
    searches.finish()
    assert none_left(cluster)
