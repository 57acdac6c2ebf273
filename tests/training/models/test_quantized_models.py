"""Frozen weights in 4 and 8 bits, on the CPU: its kernels of bitsandbytes take CUDA's place."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from auto_model_cases import VOCABULARY, columns, some_ids
from torch import Tensor, nn

from tunecli.errors import ArgumentError
from tunecli.study_file.settings.settings import Component
from tunecli.training.models import auto_models
from tunecli.training.models.auto_models import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    TransformersModel,
)
from tunecli.training.models.frozen_weights import (
    changed_weight,
    count_weights,
    load_saved,
    own_state,
    saved_state,
    shared_bytes,
)
from tunecli.training.models.pretrained.quantized_layers import (
    QuantizedLinear,
    QuantizedWeight,
    refuse_without_cuda,
    whole_copy,
)

functional = pytest.importorskip("bitsandbytes.functional")
pytestmark = pytest.mark.usefixtures("without_cuda")
BITS = (4, 8)
LORA = Component(
    name="LoraConfig", arguments={"r": 2, "lora_alpha": 8, "target_modules": "all-linear"}
)


@pytest.fixture
def without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let quantized weights train on the CPU."""
    monkeypatch.setattr(auto_models, "refuse_without_cuda", lambda bits: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Folders of a small BERT and a small GPT-2."""
    from tokenizers import Tokenizer, models
    from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    bert = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=16,
    )
    gpt = GPT2Config(vocab_size=VOCABULARY, n_embd=64, n_layer=2, n_head=2, n_positions=16)
    BertModel(bert).save_pretrained(tmp_path / "bert")
    GPT2LMHeadModel(gpt).save_pretrained(tmp_path / "gpt2")
    for name in ("bert", "gpt2"):
        tokenizer = Tokenizer(models.WordLevel({f"w{n}": n for n in range(VOCABULARY)}))
        tokenizer.save(str(tmp_path / name / "tokenizer.json"))
    return tmp_path


def classifier(folder: Path, bits: int = 4, **arguments: object) -> TransformersModel:
    torch.manual_seed(1)
    given = {"pretrained": str(folder / "bert"), "max_length": 12, "adapter": LORA, **arguments}
    bit = {f"load_in_{bits}bit": True} if bits else {}
    return AutoModelForSequenceClassification((7,), 3, columns(), **given, **bit)  # type: ignore[arg-type]


def language_model(folder: Path, bits: int) -> TransformersModel:
    torch.manual_seed(1)
    bit = {f"load_in_{bits}bit": True}
    return AutoModelForCausalLM(
        (7,), VOCABULARY, columns(), pretrained=str(folder / "gpt2"), adapter=LORA, **bit
    )  # type: ignore[arg-type]


def quantized(model: nn.Module) -> dict[str, QuantizedLinear]:
    return {n: m for n, m in model.named_modules() if isinstance(m, QuantizedLinear)}


def step(model: nn.Module, ids: Tensor) -> None:
    """Make a step of gradient descent on all trainable weights."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    model.train()(ids).square().mean().backward()
    torch.optim.SGD(weights, lr=0.1).step()


@pytest.mark.parametrize("bits", BITS)
def test_a_layer_computes_with_the_rounded_weight_and_passes_gradients(bits: int) -> None:
    weight, x = torch.randn(32, 64), torch.randn(5, 64, requires_grad=True)
    layer = nn.Linear(64, 32)
    made = QuantizedLinear(layer, QuantizedWeight(weight, bits, nn_parameter), False)  # type: ignore[arg-type]
    if bits == 4:
        packed, state = functional.quantize_4bit(weight, blocksize=64, quant_type="nf4")
        rounded = functional.dequantize_4bit(packed, state)
    else:
        scale = weight.half().float().abs().amax(1, keepdim=True)
        rounded = (weight.half().float() * 127 / scale).round() * scale / 127
    assert torch.allclose(made.weight, rounded, atol=1e-5)
    outputs = made(x)
    assert torch.allclose(outputs, nn.functional.linear(x, rounded, layer.bias), atol=2e-3)
    (gradient,) = torch.autograd.grad(outputs.sum(), x)
    assert torch.allclose(gradient, rounded.sum(0).expand(5, -1), atol=1e-4)


def nn_parameter(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)


@pytest.mark.parametrize("bits", BITS)
def test_all_linear_layers_but_the_head_are_quantized(folder: Path, bits: int) -> None:
    model = classifier(folder, bits)
    layers = quantized(model)
    assert len(layers) == 13  # 6 of each layer, and the pooler
    assert not any("classifier" in name for name in layers)
    assert count_weights(model) == count_weights(classifier(folder, bits=0))
    trainable = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert all("lora" in name or "classifier" in name for name in trainable)


@pytest.mark.parametrize("bits", BITS)
def test_folds_share_the_rounded_weights_and_files_have_none(folder: Path, bits: int) -> None:
    one, other = classifier(folder, bits), classifier(folder, bits)
    pairs = zip(quantized(one).values(), quantized(other).values(), strict=True)
    assert all(first.packed is second.packed for first, second in pairs)
    copied = quantized(copy.deepcopy(one))
    assert all(copied[name].packed is layer.packed for name, layer in quantized(one).items())
    saved = saved_state(one)
    assert all(isinstance(value, str) for name, value in saved.items() if "packed" in name)
    assert not any("packed" in name or "scales" in name for name in own_state(one))
    bytes_of = sum(
        weight.nbytes for layer in quantized(one).values() for weight in (layer.packed,)
    )
    assert bytes_of * 8 == bits * sum(layer.n_weights for layer in quantized(one).values())
    assert shared_bytes(one) < 0.6 * shared_bytes(classifier(folder, bits=0))


@pytest.mark.parametrize("bits", BITS)
def test_a_saved_state_is_resumed_and_knows_its_base(folder: Path, bits: int) -> None:
    ids, trained = some_ids(), classifier(folder, bits)
    step(trained, ids)
    saved, resumed = saved_state(trained), classifier(folder, bits)
    load_saved(resumed, saved)
    assert torch.equal(trained.eval()(ids), resumed.eval()(ids))
    other = classifier(folder, 12 - bits)
    assert changed_weight(other, saved) is not None


@pytest.mark.parametrize("make", [classifier, language_model])
@pytest.mark.parametrize("bits", BITS)
def test_a_whole_copy_computes_the_same_without_the_library(
    folder: Path, bits: int, make: object
) -> None:
    ids, model = some_ids(), make(folder, bits)  # type: ignore[operator]
    step(model, ids)
    for layer in quantized(model.eval()).values():
        layer.train(bits == 8)  # in evaluation, 8 bits also round the inputs
    before = model(ids)
    whole = whole_copy(model)
    assert quantized(model)
    assert not quantized(whole)
    assert torch.allclose(whole(ids), before, atol=1e-4)
    assert whole_copy(whole) is whole


@pytest.mark.parametrize("bits", BITS)
def test_a_whole_model_is_that_of_its_stored_configuration(folder: Path, bits: int) -> None:
    ids, model = some_ids(), language_model(folder, bits)
    step(model, ids)
    whole = whole_copy(model).eval()
    assert isinstance(whole, TransformersModel)
    stored = AutoModelForCausalLM(
        (7,),
        VOCABULARY,
        columns(architecture=whole.architecture()),
        adapter=LORA,
        **{f"load_in_{bits}bit": True},  # type: ignore[arg-type]
    )
    stored.load_state_dict(whole.state_dict())
    assert torch.equal(stored.eval()(ids), whole(ids))
    stored.merge_adapter()
    assert torch.allclose(stored(ids), whole(ids), atol=1e-5)


@pytest.mark.parametrize(
    "adapter",
    [
        Component(
            name="LoraConfig", arguments={"r": 2, "use_dora": True, "target_modules": ["query"]}
        ),
        Component(name="IA3Config"),
        Component(name="LNTuningConfig"),
        Component(name="PromptTuningConfig", arguments={"num_virtual_tokens": 2}),
    ],
    ids=lambda adapter: adapter.name,
)
@pytest.mark.parametrize("bits", BITS)
def test_every_adapter_trains_on_rounded_weights(
    folder: Path, bits: int, adapter: Component
) -> None:
    ids, model = some_ids(), classifier(folder, bits, adapter=adapter)
    before = {name: weight.clone() for name, weight in own_state(model).items()}
    step(model, ids)
    assert any(not torch.equal(before[name], now) for name, now in own_state(model).items())


def test_a_module_that_is_trained_whole_is_not_quantized(folder: Path) -> None:
    arguments = {"r": 2, "target_modules": ["query"], "modules_to_save": ["dense"]}
    model = classifier(folder, adapter=Component(name="LoraConfig", arguments=arguments))
    assert {name.rpartition(".")[2] for name in quantized(model)} == {"base_layer", "key", "value"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="they train here")
@pytest.mark.parametrize("bits", BITS)
def test_without_cuda_they_are_refused_at_their_argument(bits: int) -> None:
    with pytest.raises(ArgumentError, match="is for CUDA only, but torch finds none") as caught:
        refuse_without_cuda(bits)  # type: ignore[arg-type]
    assert caught.value.setting == f"load_in_{bits}bit"
