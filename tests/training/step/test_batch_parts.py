"""Batches in parts: the same gradients as whole ones, and smaller parts when memory runs out."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_cases import CPU, classification, component, trial

from tunecli.training.cross_validation import CrossValidation
from tunecli.training.fold import FoldTraining
from tunecli.training.step.batches import Batch, MicroBatches

PLAIN = component("MLP", width=8, depth=2, activation="Tanh")
NORMED = component("MLP", width=8, depth=2, batch_norm=True)


def _trained(micro_batch: int | str | None, **changes: Any) -> FoldTraining:
    config = trial(**{"model": PLAIN, "batch_size": 16, "micro_batch": micro_batch, **changes})
    training = FoldTraining(config, classification(), CPU)
    for _ in training:
        training.keep()
    return training


@pytest.mark.parametrize("size", [1, 3, 5, 16, 100])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"accumulate": 2},
        {"batch_size": "full"},
        {"loss": component("CrossEntropyLoss", weight="balanced")},
        {"optimizer": component("LBFGS", lr=0.01, max_iter=2), "steps": 2, "epochs": None},
        {"clip_norm": 0.1, "l1": 0.01},
    ],
    ids=["plain", "accumulate", "full", "weighted", "LBFGS", "clipped"],
)
def test_a_model_without_batch_norm_learns_the_same(size: int, changes: dict[str, Any]) -> None:
    changes = {"optimizer": component("SGD", lr=0.1), **changes}
    whole, parts = _trained(None, **changes), _trained(size, **changes)
    for name, weight in whole.model.state_dict().items():
        torch.testing.assert_close(parts.model.state_dict()[name], weight, rtol=1e-4, atol=1e-5)


def test_no_part_is_larger_than_asked_but_for_a_row_that_would_be_alone() -> None:
    sizes: list[int] = []
    micro_batches = MicroBatches(5, nn.Linear(1, 1))
    group = [Batch(torch.arange(float(n))[:, None], torch.arange(n)) for n in (16, 11, 5, 3)]
    parts = micro_batches.split(group)
    sizes = [len(part.y) for part in parts]
    assert sizes == [5, 5, 6, 5, 6, 5, 3]
    for index in (0, 1):
        assert torch.equal(
            torch.cat([p[index] for p in parts]), torch.cat([g[index] for g in group])
        )


class _Small(nn.Module):
    """A device with memory for some rows only, whose error is torch's."""

    def __init__(self, most_rows: int, batch_norm: bool) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)
        self.norm = nn.BatchNorm1d(3) if batch_norm else nn.Identity()
        self.dropout = nn.Dropout(0.5)
        self.most_rows = most_rows
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.dropout(self.norm(self.layer(x)))
        if len(x) > self.most_rows:
            raise torch.OutOfMemoryError("out of memory")
        self.seen.append(len(x))
        return outputs


def _gradients(model: _Small, micro_batches: MicroBatches, x: Tensor) -> list[Tensor]:
    def accumulate(parts: Any) -> Tensor:
        for part in parts:
            model(part.x).square().sum().backward()
        return torch.zeros(())

    torch.manual_seed(3)
    micro_batches.run([Batch(x, torch.zeros(len(x)))], accumulate)
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def test_parts_are_halved_until_they_fit_and_stay_so() -> None:
    x = torch.randn(16, 4)
    model = _Small(5, batch_norm=False)
    micro_batches = MicroBatches("auto", model)
    _gradients(model, micro_batches, x)
    assert (model.seen, micro_batches.size) == ([4] * 4, 4)
    _gradients(model, micro_batches, x)
    assert model.seen == [4] * 8
    assert micro_batches.notes == [
        "memory ran out, so batches are now split into parts of 8 rows",
        "memory ran out, so batches are now split into parts of 4 rows",
    ]


@pytest.mark.parametrize("batch_norm", [False, True])
def test_what_ran_out_leaves_nothing_behind(batch_norm: bool) -> None:
    """Gradients, random numbers and statistics are those of parts taken from the start."""
    x = torch.randn(16, 4)
    torch.manual_seed(0)
    model = _Small(4, batch_norm)
    torch.manual_seed(0)
    fresh = _Small(4, batch_norm)
    adapted = _gradients(model, MicroBatches("auto", model), x)
    given = _gradients(fresh, MicroBatches(4, fresh), x)
    assert all(map(torch.equal, adapted, given))
    assert all(map(torch.equal, model.state_dict().values(), fresh.state_dict().values()))


def test_batch_norms_are_told_of_and_keep_two_rows() -> None:
    model = _Small(2, batch_norm=True)
    micro_batches = MicroBatches("auto", model)
    _gradients(model, micro_batches, torch.randn(8, 4))
    assert "batch norms see one part at a time" in micro_batches.notes[-1]
    model.most_rows = 1
    with pytest.raises(torch.OutOfMemoryError):
        _gradients(model, micro_batches, torch.randn(8, 4))


def test_other_errors_and_fixed_sizes_are_not_tried_again() -> None:
    model = _Small(2, batch_norm=False)
    with pytest.raises(torch.OutOfMemoryError):
        _gradients(model, MicroBatches(4, model), torch.randn(8, 4))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        _gradients(model, MicroBatches("auto", model), torch.randn(2, 5))


def test_auto_changes_nothing_while_memory_lasts() -> None:
    whole, auto = _trained(None, model=NORMED), _trained("auto", model=NORMED)
    pairs = zip(whole.model.parameters(), auto.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_resumed_fold_takes_the_parts_it_had() -> None:
    config = trial(model=NORMED, batch_size=16, micro_batch="auto")
    halved, resumed = (FoldTraining(config, classification(), CPU) for _ in range(2))
    next(halved)
    halved.step.micro_batches.size = 4
    next(halved)
    resumed.load_state_dict(copy.deepcopy(halved.state_dict()))
    assert list(resumed) == list(halved)


def test_notes_of_all_folds_are_told_once() -> None:
    config = trial(model=NORMED, batch_size=16, micro_batch="auto")
    training = CrossValidation(config, [classification(0), classification(1)], CPU)
    for fold in training.folds:
        fold.step.micro_batches.notes = ["memory ran out"]
    assert training.take_notes() == ["memory ran out"]
    assert training.take_notes() == []
