"""What the driver's side of a cluster does about busy nodes, lost workers and full disks."""

from __future__ import annotations

import errno
from typing import Any, cast

import pytest
from fake_cluster import FakeActor, FakeCluster, place
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError

from tunecli.search.events.events import Notice
from tunecli.search.workers.cluster import followed_nodes
from tunecli.search.workers.cluster.cluster import PATIENCE, Cluster
from tunecli.search.workers.cluster.cluster_executor import ClusterExecutor
from tunecli.search.workers.cluster.followed_nodes import FULL, IN_VAIN
from tunecli.search.workers.messages import (
    BaselineJob,
    DataReady,
    FirstTask,
    Suspended,
    WorkerDied,
)

TASK = FirstTask(cast(Any, None), is_new=False, arguments={})


@pytest.fixture(autouse=True)
def _fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed_nodes, "LOOK", 0.0)
    monkeypatch.setattr(
        "tunecli.search.workers.cluster.cluster_executor._end",
        lambda worker: setattr(worker.actor, "is_ended", True),
    )


def executor_on(cluster: FakeCluster, n_workers: int = 1) -> ClusterExecutor:
    return ClusterExecutor(TASK, cast(Cluster, cluster), n_workers)


def job(number: int) -> BaselineJob:
    return BaselineJob(number, "linear", cast(Any, None))


def ready(executor: ClusterExecutor, *actors: FakeActor) -> None:
    """Let workers answer, and the data be read."""
    for actor in actors:
        actor.answer()
    executor.events(0.0)
    actors[0].answer(DataReady(0, None))
    assert [type(event) for event in executor.events(0.0)] == [DataReady]


def full_disk() -> Exception:
    """What Ray raises if the code of an actor raised."""
    error = OSError(errno.ENOSPC, "No space left on device")
    trace = "\x1b[36mray::HostedWorker.events()\x1b[39m\n  File ...\nOSError: [Errno 28]"
    return cast(Exception, RayTaskError("events", trace, error, ip="::1").as_instanceof_cause())


def notices(events: object) -> list[str]:
    return [event.text for event in cast(list[Any], events) if isinstance(event, Notice)]


def test_a_worker_starts_where_there_is_room_now() -> None:
    cluster = FakeCluster(place("busy", fitting=8, free=0), place("idle"))
    executor = executor_on(cluster, 2)
    assert [actor.node for actor in cluster.actors] == ["idle"]
    cluster.free("busy", 3)
    executor.events(0.0)
    assert [actor.node for actor in cluster.actors] == ["idle", "busy"]


def test_workers_are_spread_and_those_that_start_are_counted() -> None:
    cluster = FakeCluster(place("a", fitting=3, free=2), place("b", fitting=2))
    executor = executor_on(cluster, 9)
    for _ in range(3):
        executor.events(0.0)
    assert sorted(actor.node for actor in cluster.actors) == ["a", "a", "b", "b"]


def test_a_full_cluster_is_said_once_and_waited_for() -> None:
    cluster = FakeCluster(place("a", free=0))
    executor = executor_on(cluster)
    told = [text for _ in range(3 * FULL) for text in notices(executor.events(0.0))]
    assert told == ["The cluster has no room for a worker now. The search waits for it."]
    cluster.free("a", 1)
    executor.events(0.0)
    assert len(cluster.actors) == 1


def test_a_worker_that_does_not_answer_is_started_elsewhere() -> None:
    cluster = FakeCluster(place("a", fitting=4), place("b"))
    executor = executor_on(cluster)
    [silent] = cluster.actors
    executor._workers[0].started -= PATIENCE + 1
    told = notices(executor.events(0.0))
    assert told == [
        "A worker did not start within 60 s on node a. Another is started where there is room."
    ]
    assert silent.is_ended
    assert [actor.node for actor in cluster.actors] == ["a", "b"]
    silent.answer()  # too late
    executor.events(0.0)
    assert not executor.is_up


def test_the_first_worker_that_answers_reads_the_data() -> None:
    cluster = FakeCluster(place("a"), place("b"))
    executor = executor_on(cluster, 2)
    slow, fast = cluster.actors
    fast.answer()
    executor.events(0.0)
    slow.answer()
    executor.events(0.0)
    assert (fast.calls, slow.calls) == ([("begin", TASK)], [("begin", None)])
    fast.fail(ActorDiedError())  # while it reads them
    executor.events(0.0)
    assert slow.calls[-1] == ("begin", TASK)


def test_a_worker_that_fails_is_lost_and_its_node_left_out() -> None:
    cluster = FakeCluster(place("full", fitting=2))
    executor = executor_on(cluster)
    ready(executor, cluster.actors[0])
    cause = "it failed on node full (OSError: [Errno 28] No space left on device)"
    for number in range(IN_VAIN + 1):
        executor.submit(job(-1))
        cluster.actors[-1].fail(full_disk())
        [died] = [e for e in executor.events(0.0) if isinstance(e, WorkerDied)]
        assert (died.number, died.last_words, died.is_lost) == (-1, cause, True)
        assert cluster.actors[number].is_ended
        if number < IN_VAIN:
            cluster.nodes["full"] = place("full", fitting=2)
            executor.events(0.0)
            cluster.actors[-1].answer()
            executor.events(0.0)
    executor.submit(job(-1))
    [given_up] = executor.events(0.0)
    assert given_up == WorkerDied(-1, 0, None, cause)
    assert len(cluster.actors) == IN_VAIN + 1
    cluster.nodes["other"] = place("other")
    executor.events(0.0)
    assert cluster.actors[-1].node == "other"


def test_a_node_that_ends_a_job_is_forgiven_what_it_lost() -> None:
    cluster = FakeCluster(place("a"))
    executor = executor_on(cluster)
    ready(executor, cluster.actors[0])
    for _ in range(3 * IN_VAIN):
        executor.submit(job(-1))
        cluster.actors[-1].answer(Suspended(-1, saved=True))
        executor.events(0.0)
        cluster.actors[-1].fail(ActorDiedError())
        executor.events(0.0)
        executor.events(0.0)
        cluster.actors[-1].answer()
        executor.events(0.0)
    assert len(cluster.actors) == 3 * IN_VAIN + 1


def test_an_eviction_counts_as_an_attempt_that_may_be_retried() -> None:
    cluster = FakeCluster(place("a"))
    executor = executor_on(cluster)
    ready(executor, cluster.actors[0])
    executor.submit(job(-1))
    cluster.actors[0].fail(OutOfMemoryError("Memory on the node was low."))
    [died] = [e for e in executor.events(0.0) if isinstance(e, WorkerDied)]
    assert (died.is_lost, died.is_evicted, died.out_of_memory) == (False, True, True)
    assert died.cause == "Ray ended it because memory ran out on node a"


def test_jobs_wait_while_only_nodes_are_left_that_cannot_train() -> None:
    cluster = FakeCluster(place("a"), place("old", error="it has tunecli 0.1"))
    executor = executor_on(cluster)
    told = notices(executor.events(0.0))
    assert told == ["Node old cannot be used: it has tunecli 0.1. It trains nothing."]
    ready(executor, cluster.actors[0])
    executor.submit(job(-1))
    del cluster.nodes["a"]
    cluster.actors[0].fail(ActorDiedError())
    [lost] = [e for e in executor.events(0.0) if isinstance(e, WorkerDied)]
    executor.submit(job(lost.number or 0))
    assert notices(executor.events(0.0)) in ([], ["Node a was lost."])
    assert not [e for e in executor.events(0.0) if isinstance(e, WorkerDied)]
    cluster.nodes["b"] = place("b")
    executor.events(0.0)
    cluster.actors[-1].answer()
    executor.events(0.0)
    assert cluster.actors[-1].calls[-1][:2] == ("submit", job(-1))
