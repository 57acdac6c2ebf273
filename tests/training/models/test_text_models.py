"""Models of text: padding changes nothing, and each computes what its paper or torch says."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from text_cases import (
    CODES_AND_TEXT,
    EVERY_MODEL,
    NUMBERS_AND_TEXT,
    ONLY_TEXT,
    TOKENS,
    VOCAB_SIZE,
    beside,
    padded,
    text_model,
)
from torch import Tensor, nn
from torch.nn.functional import conv1d, dropout, embedding, embedding_bag
from torch.nn.functional import pad as zeros_around

from tunecli.errors import DataError
from tunecli.study_file.catalogue.names import TEXT_MODELS
from tunecli.study_file.settings.settings import Component
from tunecli.training.models.building import build_model, embeds_categories
from tunecli.training.models.layers.embeddings import Columns

TEXTS = st.lists(st.integers(1, VOCAB_SIZE - 1), max_size=12)
every_model = pytest.mark.parametrize(("name", "arguments"), EVERY_MODEL)


def test_the_cases_are_of_all_models() -> None:
    assert {name for name, _ in EVERY_MODEL} == {*TEXT_MODELS}


@every_model
@settings(max_examples=25, deadline=None)
@given(ids=TEXTS, others=st.lists(TEXTS, max_size=4), length=st.integers(1, 40))
def test_a_text_has_the_same_output_alone_and_beside_longer_ones(
    name: str, arguments: dict[str, Any], ids: list[int], others: list[list[int]], length: int
) -> None:
    model = text_model(name, **arguments).eval()
    with torch.no_grad():
        alone = model(padded([ids]))
        together = model(padded([ids, *others], length))[:1]
    assert alone.isfinite().all()
    torch.testing.assert_close(alone, together, rtol=1e-4, atol=1e-5)


@every_model
def test_every_weight_learns_except_the_vector_of_padding(
    name: str, arguments: dict[str, Any]
) -> None:
    model = text_model(name, **arguments)
    torch.nn.init.normal_(model.get_parameter("embedding.table.weight"))  # no filter is silent
    ids = torch.arange(1, VOCAB_SIZE).reshape(1, -1)
    model(padded([*ids.tolist(), [1, 2]])).square().sum().backward()
    gradients = {n: p.grad for n, p in model.named_parameters()}
    assert all(g is not None and g.abs().sum() > 0 for g in gradients.values())
    table = gradients["embedding.table.weight"]
    assert table is not None
    assert not table[TOKENS.pad].any()


@every_model
@pytest.mark.parametrize("columns", [NUMBERS_AND_TEXT, CODES_AND_TEXT])
def test_other_columns_and_the_text_go_into_one_linear_layer(
    name: str, arguments: dict[str, Any], columns: Columns
) -> None:
    sizes = {"category_embed": 2} if columns.cat_cardinalities else {}
    model = text_model(name, columns, **arguments, **sizes).eval()
    ids = padded([[5, 6, 7], [8]])
    features = torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.0, 3.0]])
    text = model.encoder(*model.embedding(ids))
    others = features
    if sizes:
        codes = features[:, 2].long()
        vectors = dict(model.others.categories.named_parameters())
        others = torch.cat([features[:, :2], next(iter(vectors.values()))[codes]], dim=1)
    expected = torch.cat([text, others], dim=1) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(beside(features, ids)), expected)


def test_ids_beyond_8_million_survive_beside_numbers() -> None:
    largest = 2**24 - 1
    rows = beside(torch.zeros(1, 3), torch.tensor([[largest, 1]]))
    assert rows[:, 3:].long().tolist() == [[largest, 1]]


def test_text_cnn_is_the_one_of_kim_written_out() -> None:
    model = text_model("TextCNN", embed=5, channels=4, kernel_sizes=[2, 3]).eval()
    texts = [[3, 4, 5, 6], [7]]
    parts = []
    for ids in texts:
        x = embedding(torch.tensor(ids), model.embedding.table.weight).T
        maxima = [
            conv1d(zeros_around(x, (k - 1, k - 1)), kernel.weight, kernel.bias).relu().amax(1)
            for k, kernel in zip((2, 3), model.encoder.kernels, strict=True)
        ]
        parts.append(torch.cat(maxima))
    expected = torch.stack(parts) @ model.head.weight.T + model.head.bias
    torch.testing.assert_close(model(padded(texts)), expected)


DROPPING = [name for name in TEXT_MODELS if name != "TransformerEncoder"]
"""Those with `embed_dropout`; a `TransformerEncoder` drops entries through its `dropout`."""


@pytest.mark.parametrize("name", DROPPING)
@settings(max_examples=25, deadline=None)
@given(p=st.sampled_from([0.1, 0.5, 0.9]), seed=st.integers(0, 99))
def test_embed_dropout_zeroes_entries_of_the_tokens_vectors(
    name: str, p: float, seed: int
) -> None:
    model = text_model(name, embed=5, embed_dropout=p)
    ids = padded([list(range(2, VOCAB_SIZE)), [3]])
    vectors = model.embedding.table(ids)
    torch.manual_seed(seed)
    dropped, is_token = model.embedding(ids)
    torch.manual_seed(seed)
    torch.testing.assert_close(dropped, dropout(vectors, p))
    kept = (dropped[is_token] != 0).float().mean().item()
    assert kept == pytest.approx(1 - p, abs=0.2)  # 145 entries: 4.8 standard deviations


@pytest.mark.parametrize("name", DROPPING)
def test_embed_dropout_changes_training_alone(name: str) -> None:
    ids = padded([[3, 4, 5], [6]])
    plain, dropping = (text_model(name, embed=5, dropout=0, embed_dropout=p) for p in (0, 0.5))
    assert not torch.equal(plain(ids), dropping(ids))
    torch.testing.assert_close(plain.eval()(ids), dropping.eval()(ids), rtol=0, atol=0)
    assert plain.state_dict().keys() == dropping.state_dict().keys()


@pytest.mark.parametrize("name", DROPPING)
def test_without_embed_dropout_nothing_is_drawn(name: str) -> None:
    model = text_model(name, embed=5, dropout=0.0)
    before = torch.get_rng_state()
    model(padded([[3, 4, 5], [6]]))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("mode", ["mean", "sum", "max"])
def test_embedding_bag_is_that_of_torch(mode: str) -> None:
    model = text_model("EmbeddingBag", embed=5, mode=mode)
    ids = padded([[3, 4, 3, 6], [7], []])
    bags = embedding_bag(ids, model.embedding.table.weight, mode=mode, padding_idx=TOKENS.pad)
    torch.testing.assert_close(model(ids), bags @ model.head.weight.T + model.head.bias)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_recurrent_models_are_packed_sequences_of_torch(kind: Any, bidirectional: bool) -> None:
    sizes = {"embed": 5, "hidden_size": 3, "num_layers": 2, "bidirectional": bidirectional}
    model = text_model(kind.__name__, **sizes).eval()
    reference = kind(5, 3, num_layers=2, bidirectional=bidirectional, batch_first=True)
    for number, layer in enumerate(model.encoder.layers):
        for direction, suffix in zip(layer, ("", "_reverse"), strict=False):
            for name, value in direction.named_parameters():
                own = name.replace("l0", f"l{number}{suffix}")
                reference.get_parameter(own).data.copy_(value)
    texts = [[3, 4, 5, 6, 7], [8, 9], [10]]
    packed = nn.utils.rnn.pack_padded_sequence(
        model.embedding.table(padded(texts)), torch.tensor([5, 2, 1]), batch_first=True
    )
    states = reference(packed)[1]
    hidden = states[0] if kind is nn.LSTM else states
    last = hidden.reshape(2, -1, 3, 3)[1].transpose(0, 1).flatten(1)  # of the last layer
    encoded = model.encoder(*model.embedding(padded(texts)))
    torch.testing.assert_close(encoded, last)


def test_transformer_encoder_is_that_of_torch_on_tokens_with_their_places() -> None:
    model = text_model("TransformerEncoder", d_model=8, nhead=2, num_layers=2).eval()
    ids = padded([[3, 4, 5], [6]])
    places = torch.tensor(
        [
            [f(p / 10_000 ** (2 * i / 8)) for i in range(4) for f in (torch.sin, torch.cos)]
            for p in torch.arange(3.0)
        ]
    )
    x = model.embedding.table(ids) + places
    layer = nn.TransformerEncoderLayer(8, 2, 256, batch_first=True, norm_first=True)
    reference = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).train()
    for copy, own in zip(reference.layers, model.encoder.layers, strict=True):
        copy.load_state_dict(own.state_dict())
        copy.eval()
    encoded = model.encoder.norm(reference(x, src_key_padding_mask=ids == 0))
    expected = torch.stack([encoded[0].mean(0), encoded[1, 0]])
    torch.testing.assert_close(model.encoder(*model.embedding(ids)), expected)


def test_layers_of_a_transformer_start_with_different_weights() -> None:
    model = text_model("TransformerEncoder", d_model=8, nhead=2, num_layers=2)
    one, other = (layer.linear1.weight for layer in model.encoder.layers)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_categories_are_codes_only_if_they_get_vectors(name: str) -> None:
    assert not embeds_categories(Component(name=name))
    assert embeds_categories(Component(name=name, arguments={"category_embed": 4}))


@pytest.mark.parametrize("name", TEXT_MODELS)
@pytest.mark.parametrize(
    ("shape", "others"), [((13,), "MLP or Linear"), ((1, 8, 8), "CNN or MLP")]
)
def test_models_of_text_refuse_data_without_text(
    name: str, shape: tuple[int, ...], others: str
) -> None:
    expected = rf"{name} takes text, but the data has none\. .* or use {others}\."
    with pytest.raises(DataError, match=expected):
        build_model(Component(name=name), shape, 3)


@pytest.mark.parametrize(
    ("name", "what"),
    [("MLP", "numbers"), ("Linear", "numbers"), ("CNN", "pictures"), ("resnet18", "pictures")],
)
def test_other_models_refuse_text(name: str, what: str) -> None:
    expected = f"{name} takes {what}, but the rows have text. Use `TextCNN`, `EmbeddingBag`, "
    with pytest.raises(DataError, match=expected):
        build_model(Component(name=name), (9,), 3, ONLY_TEXT)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("TextCNN", {"embed": 0}, "embed must be at least 1, but got 0"),
        ("TextCNN", {"kernel_sizes": [3, 0]}, "kernel_sizes must be at least 1, but got 0"),
        ("TextCNN", {"kernel_sizes": []}, r"len\(kernel_sizes\) must be at least 1"),
        ("LSTM", {"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ("TextCNN", {"embed_dropout": 1.0}, "embed_dropout must be at least 0 and below 1"),
        ("GRU", {"hidden_size": 0}, "hidden_size must be at least 1, but got 0"),
        ("TransformerEncoder", {"d_model": 10, "nhead": 4}, "d_model must be a multiple of nhead"),
    ],
)
def test_arguments_out_of_range_are_refused(
    name: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        text_model(name, **arguments)


def test_a_short_batch_of_one_token_is_taken() -> None:
    for name, arguments in EVERY_MODEL:
        outputs: Tensor = text_model(name, **arguments)(torch.tensor([[4], [5]]))
        assert outputs.shape == (2, 3)
