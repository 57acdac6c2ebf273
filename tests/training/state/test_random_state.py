from __future__ import annotations

import io
import random
from dataclasses import replace

import numpy as np
import pytest
import torch

from tunecli.training.state.random_state import RandomState, RandomStream, fold_seed

CPU = torch.device("cpu")


def _draw() -> list[float]:
    """Two numbers of each generator; the second normal one is cached by numpy and Python."""
    return [
        *torch.rand(2).tolist(),
        *(random.gauss() for _ in range(1)),
        random.random(),
        np.random.normal(),
        np.random.random(),
    ]


def test_seeds_differ_between_studies_and_folds() -> None:
    seeds = {fold_seed(seed, fold) for seed in range(50) for fold in range(50)}
    assert len(seeds) == 2500
    assert fold_seed(3, 1) == fold_seed(3, 1)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_stream_gives_the_same_whatever_happens_outside() -> None:
    alone = RandomStream(7, CPU)
    drawn = []
    for _ in range(3):
        with alone.in_use():
            drawn.append(_draw())
    disturbed = RandomStream(7, CPU)
    for i in range(3):
        _draw()
        torch.manual_seed(i)
        with disturbed.in_use():
            assert _draw() == drawn[i]
    assert drawn[0] != drawn[1] != drawn[2]


def test_the_world_outside_is_not_disturbed() -> None:
    for seed in (torch.manual_seed, random.seed, np.random.seed):
        seed(5)
    undisturbed = [_draw(), _draw()]
    for seed in (torch.manual_seed, random.seed, np.random.seed):
        seed(5)
    seen = [_draw()]
    stream = RandomStream(9, CPU)
    with pytest.raises(IndexError, match="empty"), stream.in_use():
        random.choice([_draw()][1:])
    seen.append(_draw())
    assert seen == undisturbed


def test_state_survives_a_file_without_pickled_code() -> None:
    stream = RandomStream(11, CPU)
    with stream.in_use():
        _draw()
    file = io.BytesIO()
    torch.save(stream.state_dict(), file)
    file.seek(0)
    copy = RandomStream(0, CPU)
    copy.load_state_dict(torch.load(file, weights_only=True))
    with stream.in_use():
        expected = _draw()
    with copy.in_use():
        assert _draw() == expected


def test_fresh_states_are_those_of_the_libraries_own_seeding() -> None:
    before = torch.get_rng_state()
    state = RandomState.seeded(123, CPU)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(state.cpu, torch.Generator().manual_seed(123).get_state())
    assert state.python == random.Random(123).getstate()


def test_the_state_of_an_accelerator_is_left_out_on_the_cpu() -> None:
    """A checkpoint of folds that waited in main memory may be resumed without the accelerator."""
    torch.manual_seed(3)
    state = replace(RandomState.current(CPU), device=torch.zeros(16, dtype=torch.uint8))
    before = _draw()
    state.restore(CPU)
    assert _draw() == before


def test_generators_apart_draw_what_the_global_ones_would() -> None:
    one, other = RandomStream(7, CPU), RandomStream(7, CPU)
    with one.in_use():
        expected = [torch.rand(3), torch.from_numpy(np.random.beta(0.3, 0.3, 3)), torch.rand(3)]
    before = torch.get_rng_state()
    with other.apart() as own:
        drawn = [torch.rand(3, generator=own.draws.of_torch)]
        drawn.append(torch.from_numpy(own.draws.of_numpy.beta(0.3, 0.3, 3)))
        with own.as_global() as draws:  # as a layer draws
            assert draws.of_torch is None
            drawn.append(torch.rand(3))
    assert all(torch.equal(a, b) for a, b in zip(drawn, expected, strict=True))
    assert torch.equal(torch.get_rng_state(), before)
    states = [stream.state_dict() for stream in (one, other)]
    assert torch.equal(states[0]["cpu"], states[1]["cpu"])
    assert states[0]["numpy"] == states[1]["numpy"]
    assert states[0]["python"] == states[1]["python"]
