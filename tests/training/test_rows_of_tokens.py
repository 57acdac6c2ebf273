"""Training on rows of tokens: each validation row gets its own output, and nothing is mixed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from training_cases import trial

from tunecli.data.rows.dataset import FoldData, TokenForm
from tunecli.data.text.token_features import TokenFeatures
from tunecli.data.text.tokens import Tokens
from tunecli.errors import TunecliError
from tunecli.training.fold import FoldTraining

CPU = torch.device("cpu")


class Sums(nn.Module):
    """Two classes: the scaled sum of a row's tokens, and 0; padding adds nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.01))

    def forward(self, x: Tensor) -> Tensor:
        sums = x.float().sum(1, keepdim=True) * self.scale
        return torch.cat([sums, torch.zeros_like(sums)], dim=1)


def fold(n_rows: int = 41) -> FoldData:
    rows = [[1 + (i * 7 + j) % 5 for j in range(1 + (i * 13) % 11)] for i in range(n_rows)]
    features = TokenFeatures(Tokens.of(rows), TokenForm(9, 0))
    y = torch.arange(n_rows) % 2
    return FoldData(
        0,
        "classification",
        features,
        y,
        features,
        y,
        torch.arange(n_rows),
        n_classes=2,
        tokens=features.form,
    )


@pytest.mark.parametrize("batch_size", [3, "full"])
def test_each_row_gets_its_own_output(batch_size: int | str) -> None:
    data = fold()
    config = trial(batch_size=batch_size, epochs=2)
    training = FoldTraining(config, data, CPU, model=Sums())
    next(training)
    training.keep()
    model = training.best_model()
    features = data.x_valid
    assert isinstance(features, TokenFeatures)
    alone = [model(torch.tensor([features.tokens[i].tolist()])).softmax(1)[0] for i in range(41)]
    found = training.best_outputs
    torch.testing.assert_close(torch.from_numpy(found), torch.stack(alone).detach())


@pytest.mark.parametrize("setting", ["mixup", "input_noise"])
def test_tokens_are_not_mixed(setting: str) -> None:
    config = trial(**{setting: 0.1})
    match = rf"training.{setting}: rows of text cannot be mixed or changed. Remove it"
    with pytest.raises(TunecliError, match=match):
        FoldTraining(config, fold(), CPU, model=Sums())
