from __future__ import annotations

import torch
from torch import nn

from tunecli.training.step.averaging import average_weights


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def test_average_is_the_recursion_with_a_rising_decay() -> None:
    model = _model()
    average = average_weights(model, 0.5)
    expected: dict[str, torch.Tensor] = {}
    for t in range(20):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        model(torch.randn(8, 3))  # moves the running statistics of the norm
        average.update_parameters(model)
        decay = min(0.5, (1 + t) / (10 + t)) if t else 0.0
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                before = expected.get(name, value)
                expected[name] = decay * before + (1 - decay) * value
    averaged = average.module.state_dict()
    assert set(expected) == set(averaged) - {"1.num_batches_tracked"}
    for name, value in expected.items():
        torch.testing.assert_close(averaged[name], value)
    assert averaged["1.num_batches_tracked"] == 20


def test_the_model_itself_is_left_alone() -> None:
    model = _model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    average = average_weights(model, 0.9)
    for _ in range(3):
        average.update_parameters(model)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
        assert torch.equal(average.module.state_dict()[name], value)
