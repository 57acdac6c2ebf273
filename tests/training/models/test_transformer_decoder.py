import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tunecli.training.models.dense import NO_COLUMNS
from tunecli.training.models.transformer_decoder import TransformerDecoder

V, LENGTH = 11, 8


def decoder(**arguments: int) -> TransformerDecoder:
    torch.manual_seed(0)
    small = {"d_model": 8, "nhead": 2, "num_layers": 2, **arguments}
    return TransformerDecoder((LENGTH,), V, NO_COLUMNS, **small)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, LENGTH - 1), st.integers(0, V - 1), st.booleans())
def test_no_token_changes_the_scores_before_it(place: int, token: int, trains: bool) -> None:
    model = decoder().train(trains)
    x = torch.arange(LENGTH)[None] % V
    other = x.clone()
    other[0, place] = token
    with torch.no_grad():
        one, two = model(x), model(other)
    torch.testing.assert_close(one[:, :place], two[:, :place])
    torch.testing.assert_close(one, model(x))


def test_training_and_evaluation_compute_the_same_without_dropout() -> None:
    model, x = decoder(), torch.randint(V, (3, LENGTH))
    torch.testing.assert_close(model.train()(x), model.eval()(x))


def test_the_weights_are_those_of_gpt_2() -> None:
    model = decoder(d_model=64, nhead=4, num_layers=3)
    d = 64
    per_layer = 12 * d * d + 13 * d  # attention 4 d² + 4 d, inside 8 d² + 5 d, two norms 4 d
    n_weights = sum(weight.numel() for weight in model.parameters())
    assert n_weights == 3 * per_layer + (V + LENGTH) * d + 2 * d
    deviations = {name: weight.std().item() for name, weight in model.named_parameters()}
    layers = [deviations[f"layers.layers.{i}.linear1.weight"] for i in range(3)]
    assert all(0.019 < deviation < 0.021 for deviation in layers)
    assert len({*layers}) == 3
    smaller = deviations["layers.layers.0.linear2.weight"] * math.sqrt(2 * 3)
    assert 0.019 < smaller < 0.021


def test_it_starts_near_a_uniform_guess_and_learns_a_period() -> None:
    model = decoder(d_model=32)
    stream = torch.arange(400) % 5
    x, y = stream[:-1][:392].view(-1, LENGTH), stream[1:][:392].view(-1, LENGTH)
    loss = torch.nn.CrossEntropyLoss()
    start = loss(model(x).flatten(0, 1), y.flatten()).item()
    assert start == pytest.approx(math.log(V), abs=0.05)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        value = loss(model(x).flatten(0, 1), y.flatten())
        value.backward()
        optimizer.step()
    assert value.item() < 0.05


def test_arguments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="d_model must be a multiple of nhead, but got 9 and 2"):
        decoder(d_model=9)
    with pytest.raises(ValueError, match="num_layers"):
        decoder(num_layers=0)
