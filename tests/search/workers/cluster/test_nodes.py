"""How many workers a node has room for."""

from __future__ import annotations

import pytest

from tunecli.search.workers.cluster.nodes import Need


@pytest.mark.parametrize(
    ("need", "resources", "n_workers"),
    [
        (Need(1, 0), {"CPU": 4}, 4),
        (Need(3, 0), {"CPU": 8}, 2),
        (Need(1, 0.4), {"CPU": 64, "GPU": 4}, 8),  # two on each GPU, though 4 / 0.4 = 10
        (Need(1, 0.1), {"CPU": 64, "GPU": 1}, 10),
        (Need(1, 0.7), {"CPU": 64, "GPU": 3}, 3),
        (Need(1, 2), {"CPU": 64, "GPU": 5}, 2),
        (Need(8, 0.5), {"CPU": 16, "GPU": 4}, 2),
        (Need(0, 0.5), {"GPU": 2}, 4),
        (Need(1, 0.5), {"CPU": 4}, 0),
        (Need(0, 0), {"CPU": 4}, 0),
    ],
)
def test_workers_that_share_a_gpu_lie_on_one_gpu_each(
    need: Need, resources: dict[str, float], n_workers: int
) -> None:
    assert need.fits(resources) == n_workers


@pytest.mark.parametrize(
    ("need", "free", "n_workers"),
    [
        (Need(1, 0), {}, 0),
        (Need(1, 0), {"CPU": 2.0}, 2),
        (Need(1, 0.5), {"CPU": 8, "GPU": 0.5}, 1),  # another worker has the rest of the GPU
        (Need(1, 1), {"CPU": 8, "GPU": 0.5}, 0),
    ],
)
def test_room_beside_others_counts_parts_of_gpus(
    need: Need, free: dict[str, float], n_workers: int
) -> None:
    assert need.fits_beside(free) == n_workers
