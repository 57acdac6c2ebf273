"""Models of transformers: they compute what the library computes, and padding changes nothing."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from auto_model_cases import (
    ADAPTERS,
    PAD,
    SMALL,
    classifier,
    columns,
    language_model,
    mini_lm,
    some_ids,
)
from torch import Tensor
from torch.nn import functional
from training_cases import component

from tunecli.errors import DataError
from tunecli.training.models.auto_models import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    stored_architecture,
)
from tunecli.training.models.blocks import backbone_blocks, backbone_parameters, heads
from tunecli.training.models.building import build_model
from tunecli.training.models.fine_tuning import rate_factors
from tunecli.training.models.frozen_weights import own_state, shared_bytes
from tunecli.training.models.layers.embeddings import Columns

Classifier = AutoModelForSequenceClassification
PREFIXABLE = ("bert", "roberta", "gpt2", "llama")


def with_features(ids: Tensor, n_features: int) -> Tensor:
    if not n_features:
        return ids
    return torch.cat([torch.randn(len(ids), n_features), ids.float()], dim=1)


def fits(config: str, adapter: str) -> bool:
    if adapter == "PrefixTuning":
        return config in PREFIXABLE
    if adapter == "IA3":
        return config in ("bert", "gpt2", "roberta", "llama")
    return adapter != "LNTuning" or config != "modernbert"


CASES = [
    (config, adapter, n_features)
    for config in SMALL
    for adapter in (None, *ADAPTERS)
    for n_features in (0, 3)
    if adapter is None or fits(config, adapter)
]
QUICK = [
    case for case in CASES if case[0] in ("bert", "gpt2") and (case[1] is None or not case[2])
]
SLOW = [pytest.param(*case, marks=pytest.mark.slow) for case in CASES if case not in QUICK]


@pytest.mark.parametrize(("config", "adapter", "n_features"), [*QUICK, *SLOW])
def test_a_classifier_of_each_kind(config: str, adapter: str | None, n_features: int) -> None:
    """Padding changes no output; the same seed gives the same weights; a stored model is equal."""
    arguments: dict[str, Any] = {"adapter": ADAPTERS.get(adapter or "")}
    model = classifier(config, n_features, **arguments).eval()
    again = classifier(config, n_features, **arguments)
    assert all(map(torch.equal, model.state_dict().values(), again.state_dict().values()))
    x = with_features(some_ids(), n_features)
    outputs = model(x)
    assert outputs.shape == (4, 3)
    single = [x[:1, : n_features + 3], x[1:2, :n_features], x[2:3], x[3:]]
    torch.testing.assert_close(torch.cat([model(row) for row in single]), outputs)
    trained = [p for p in model.train().parameters() if p.requires_grad]
    model(x).square().sum().backward()
    assert all(parameter.grad is not None for parameter in trained)
    assert (len(trained) < len([*model.parameters()])) == (adapter is not None)
    stored = classifier(config, n_features, stored_architecture(model), **arguments)
    stored.load_state_dict(model.state_dict())
    assert torch.equal(stored.eval()(x), model.eval()(x))
    assert torch.equal(copy.deepcopy(model)(x), model(x))


@pytest.mark.parametrize("config", ["bert", "gpt2", "roberta"])
def test_the_head_is_that_of_transformers(config: str) -> None:
    model = classifier(config).eval()
    ids = some_ids()
    ids = ids[[0, 2, 3]]  # transformers has no empty texts
    expected = model.library_network()(input_ids=ids, attention_mask=(ids != PAD).long()).logits
    torch.testing.assert_close(model(ids), expected)


@pytest.mark.parametrize("how", ["mean", "cls", "last"])
def test_a_pooled_vector_follows_its_definition(how: Any) -> None:
    model = classifier("bert", n_features=2, pooling=how).eval()
    x = with_features(some_ids(), 2)
    ids = x[:, 2:].long()
    mask = (ids != PAD).long()
    mask[:, 0] = 1
    hidden = model.library_network()(input_ids=ids, attention_mask=mask).last_hidden_state
    lengths = [3, 1, 7, 7]
    vectors = {
        "mean": [hidden[i, :n].mean(0) for i, n in enumerate(lengths)],
        "cls": [*hidden[:, 0]],
        "last": [hidden[i, n - 1] for i, n in enumerate(lengths)],
    }[how]
    assert model.head is not None
    rows = torch.cat([torch.stack(vectors), x[:, :2]], dim=1)
    expected = functional.linear(rows, model.head.linear.weight, model.head.linear.bias)
    torch.testing.assert_close(model(x), expected)


def test_a_padding_id_inside_a_text_is_a_token() -> None:
    model = classifier("gpt2").eval()
    inside = torch.tensor([[5, PAD, 7]])
    mask = torch.ones_like(inside)
    expected = model.library_network()(input_ids=inside, attention_mask=mask).logits
    torch.testing.assert_close(model(inside), expected)
    assert not torch.allclose(model(torch.tensor([[5, 7, PAD]])), expected)


def test_lora_adds_the_product_of_two_small_matrices() -> None:
    adapter = component("LoraConfig", r=4, lora_alpha=12, target_modules=["query"])
    model, ids = classifier(adapter=adapter).eval(), some_ids()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    plain = classifier().eval()
    plain.load_state_dict(_merged(model, 12 / 4))
    torch.testing.assert_close(model(ids), plain(ids))


def _merged(model: Classifier, scale: float) -> dict[str, Tensor]:
    """The weights of the plain model: W + scale · B A (Hu et al. 2021, section 4.1)."""
    state = model.state_dict()
    merged = {}
    for name, weight in state.items():
        if "lora_" in name or ".original_module." in name:
            continue
        start, _, end = name.rpartition(".base_layer")
        value = weight
        if start and end == ".weight":
            a, b = (state[f"{start}.lora_{part}.default.weight"] for part in "AB")
            value = weight + scale * b @ a
        plain = name.replace("base_model.model.", "").replace(".base_layer", "")
        merged[plain.replace(".modules_to_save.default", "")] = value
    return merged


@pytest.mark.parametrize("config", ["bert", "gpt2", "distilbert"])
def test_blocks_and_heads_are_all_of_a_model(config: str) -> None:
    model = classifier(config)
    blocks = [
        p for block in backbone_blocks(model) for module in block for p in module.parameters()
    ]
    parts = [*blocks, *(p for head in heads(model) for p in head.parameters())]
    assert {id(p) for p in parts} == {id(p) for p in model.parameters()}
    assert len(parts) == len({id(p) for p in parts})
    assert len(backbone_blocks(model)) == 3  # embeddings, and two layers


def test_frozen_layers_get_no_gradient() -> None:
    model = classifier("bert", freeze=2)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {
        name
        for name, _ in model.named_parameters()
        if "embeddings" in name or "encoder.layer.0" in name
    }
    only_head = classifier("bert", freeze="features", pooling="mean")
    trained = {name for name, p in only_head.named_parameters() if p.requires_grad}
    assert trained == {"head.linear.weight", "head.linear.bias"}


def test_layers_learn_more_slowly_the_farther_they_are_from_the_head() -> None:
    model = classifier("bert")
    setting = component("AutoModelForSequenceClassification", backbone_lr=0.5, layer_decay=0.8)
    factors = rate_factors(setting, model)
    named = {name: factors[p] for name, p in model.named_parameters() if p in factors}
    assert {id(p) for p in factors} == {id(p) for p in backbone_parameters(model)}
    for name, factor in named.items():
        depth = 3 if "embeddings" in name else 2 if "layer.0" in name else 1
        assert factor == pytest.approx(0.5 * 0.8**depth), name


def test_recomputed_activations_give_the_same_gradients() -> None:
    gradients = []
    for recompute in (False, True):
        model = classifier("bert", checkpoint_activations=recompute).train()
        torch.manual_seed(1)  # dropout
        model(some_ids()).square().sum().backward()
        gradients.append([p.grad for p in model.parameters()])
    assert all(map(torch.equal, *gradients))


def test_dropouts_are_replaced() -> None:
    model = classifier("bert", dropout=0.3, attention_dropout=0.2)
    config = model.library_network().config
    assert config.hidden_dropout_prob == 0.3
    assert config.attention_probs_dropout_prob == 0.2
    own = classifier("gpt2", dropout=0.3, resid_pdrop=0.05).library_network().config
    assert (own.embd_pdrop, own.resid_pdrop, own.attn_pdrop) == (0.3, 0.05, 0.1)


@pytest.mark.parametrize("config", ["gpt2", "llama", "bert", "roberta"])
def test_a_language_model_sees_only_what_is_before(config: str) -> None:
    model, ids = language_model(config).eval(), torch.randint(2, 90, (3, 7))
    outputs = model(ids)
    assert outputs.shape == (3, 7, 90)
    torch.testing.assert_close(model(ids[:, :4]), outputs[:, :4])
    expected = model.library_network()(input_ids=ids).logits
    torch.testing.assert_close(outputs, expected)


@pytest.mark.parametrize(
    ("config", "arguments"),
    [
        ("xlm", {"emb_dim": 16, "n_layers": 1, "n_heads": 2}),
        ("xlnet", {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 32}),
    ],
)
def test_an_encoder_that_cannot_be_causal_is_refused(
    config: str, arguments: dict[str, int]
) -> None:
    with pytest.raises(ValueError, match=f"{config} sees the tokens that it must predict. Use a"):
        AutoModelForCausalLM((7,), 90, columns(), config=config, **arguments)


@pytest.mark.parametrize("adapter", ["LoRA", "PromptTuning", "PrefixTuning"])
def test_a_language_model_has_one_output_per_token_with_an_adapter(adapter: str) -> None:
    model, ids = language_model(adapter=ADAPTERS[adapter]).eval(), torch.randint(2, 90, (3, 7))
    assert model(ids).shape == (3, 7, 90)
    torch.testing.assert_close(model(ids[:, :4]), model(ids)[:, :4])


def test_a_pretrained_model_computes_what_transformers_computes() -> None:
    from transformers import AutoModel

    torch.manual_seed(0)
    model = Classifier(
        (9,), 2, columns(vocabulary=30522), pretrained=str(mini_lm()), pooling="cls"
    )
    reference = AutoModel.from_pretrained(mini_lm(), local_files_only=True)
    ids = torch.tensor([[101, 2023, 2003, 102], [101, 102, 0, 0]])
    mask = (ids != 0).long()
    hidden = reference.eval()(input_ids=ids, attention_mask=mask).last_hidden_state
    assert model.head is not None
    expected = model.head.linear(hidden[:, 0])
    torch.testing.assert_close(model.eval()(ids), expected)


def test_the_frozen_base_of_an_adapter_is_shared_and_the_head_is_drawn() -> None:
    def make(seed: int) -> Classifier:
        torch.manual_seed(seed)
        adapter = component("LoraConfig", r=8, target_modules=["query", "value"])
        tokens = columns(vocabulary=30522)
        return Classifier((9,), 6, tokens, pretrained=str(mini_lm()), adapter=adapter)

    one, same, other = make(0), make(0), make(1)
    base = 4 * 22_713_216  # MiniLM with its pooler, float32
    assert shared_bytes(one) == base
    assert sum(weight.nbytes for weight in own_state(one).values()) < 400_000
    drawn = [name for name in own_state(one) if "lora_A" in name or "classifier.modules" in name]
    states = [model.state_dict() for model in (one, same, other)]
    for name in drawn:
        assert torch.equal(states[0][name], states[1][name])
        assert not name.endswith("weight") or not torch.equal(states[0][name], states[2][name])


@pytest.mark.parametrize(
    ("config", "arguments", "message"),
    [
        ("bert", {"max_position_embeddings": 4}, r"data.max_length must be at most 4, .* got 7"),
        (
            "roberta",
            {"max_position_embeddings": 7},
            r"at most 6, since this model has 6 positions",
        ),
        (
            "bert",
            {"max_position_embeddings": 10, "adapter": ADAPTERS["PromptTuning"]},
            r"at most 6, since this model has 10 positions, 4 of them for virtual tokens",
        ),
        (
            "bert",
            {"adapter": component("LoraConfig", target_modules=["q_proj"])},
            r"LoraConfig.target_modules: this model has no layer .* `query`, `key`, `value`",
        ),
        (
            "distilbert",
            {"adapter": ADAPTERS["PrefixTuning"]},
            r"distilbert cannot take a prefix of .* Use PromptTuningConfig or LoraConfig",
        ),
        (
            "bert",
            {"adapter": ADAPTERS["PrefixTuning"], "checkpoint_activations": True},
            r"ignores the prefix. Remove the adapter or checkpoint_activations",
        ),
        ("bert", {"dropout": 1.0}, r"dropout must be at least 0 and below 1, but got 1.0"),
        ("bert", {"hidden_size": 15}, r"not a multiple of the number of attention"),
    ],
)
def test_what_does_not_fit_is_refused(
    config: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        classifier(config, **arguments)


def test_a_model_for_text_is_refused_for_other_data() -> None:
    setting = component("AutoModelForSequenceClassification", config="bert")
    with pytest.raises(DataError, match=r"takes text, but the data has none"):
        build_model(setting, (7,), 3, Columns())


def test_a_folder_that_vanished_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the folder .* does not exist"):
        Classifier((7,), 3, columns(), pretrained=str(tmp_path / "gone"))
