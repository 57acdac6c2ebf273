from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tunecli.errors import DataError
from tunecli.study_file.settings.settings import CompressionSettings
from tunecli.training.compression.codes import Codes, quantize
from tunecli.training.compression.compressible_layers import make_plain, weight_of, weighted_layers
from tunecli.training.compression.costs import (
    Latency,
    batch_within,
    latency,
    macs,
    share_of_zeros,
)
from tunecli.training.compression.fusing import fuse, norm_pairs
from tunecli.training.compression.packing import Packed, pack, plain_file, unpack
from tunecli.training.compression.pruning import (
    LEAST_SHARE,
    prune,
    prune_channels,
    traced_output_layers,
)
from tunecli.training.compression.recipe import (
    idle_in_words,
    lose_channels,
    thin_out,
    without_idle,
    write_down,
)
from tunecli.training.compression.sharing import k_means, nearest, share_weights, shared_codes
from tunecli.training.models.convolutional import CNN
from tunecli.training.models.dense import MLP, ResNet
from tunecli.training.models.real_mlp import RealMLP
from tunecli.training.models.tabm_model import TabM


def mlp() -> nn.Module:
    torch.manual_seed(0)
    return MLP((20,), 3, width=[64, 32], batch_norm=True)


def cnn() -> nn.Module:
    torch.manual_seed(0)
    return CNN((1, 8, 8), 3, channels=8)


def table_resnet() -> nn.Module:
    torch.manual_seed(0)
    return ResNet((20,), 3, width=16, depth=2)


def tabm() -> nn.Module:
    torch.manual_seed(0)
    return TabM((20,), 3, k=4, d_block=16, n_blocks=2)


def real_mlp() -> nn.Module:
    torch.manual_seed(0)
    return RealMLP((20,), 3, width=16, depth=2)


def resnet18() -> nn.Module:
    from torchvision.models import resnet18 as build

    torch.manual_seed(0)
    return build(num_classes=3)


CASES: list[tuple[Callable[[], nn.Module], tuple[int, ...]]] = [
    (mlp, (20,)),
    (cnn, (1, 8, 8)),
    (table_resnet, (20,)),
]
UNITS_STAY: list[tuple[Callable[[], nn.Module], tuple[int, ...]]] = [
    (tabm, (20,)),
    (real_mlp, (20,)),
]
"""Models without norms that keep all units."""


def used(build: Callable[[], nn.Module], shape: tuple[int, ...]) -> tuple[nn.Module, Tensor]:
    """A model whose batch norms have seen something, and rows for it."""
    model = build()
    x = torch.randn(32, *shape)
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(3 * torch.randn(32, *shape) + 1)
    return model.eval(), x


def one_step(model: nn.Module, x: Tensor) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.1)
    model.train()
    for _ in range(3):
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()
    model.eval()


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize(("build", "shape"), [*CASES, *UNITS_STAY])
def test_pruned_weights_stay_zero_whatever_the_optimizer_does(
    build: Callable[[], nn.Module], shape: tuple[int, ...], scope: str
) -> None:
    model, x = used(build, shape)
    prune(model, 0.8, scope)  # type: ignore[arg-type]
    before = {name: weight_of(layer) == 0 for name, layer in weighted_layers(model).items()}
    one_step(model, x)
    make_plain(model)
    n = sum(mask.numel() for mask in before.values())
    assert sum(int(mask.sum()) for mask in before.values()) == pytest.approx(0.8 * n, rel=0.01)
    for name, layer in weighted_layers(model).items():
        weight = weight_of(layer)
        assert torch.equal(weight == 0, before[name])
        assert not weight[before[name]].signbit().any()
        assert not parametrize.is_parametrized(layer)


def test_pruning_leaves_out_the_smallest_magnitudes_of_all_layers() -> None:
    model = nn.Sequential(nn.Linear(10, 30), nn.Linear(30, 4))
    magnitudes = torch.cat([weight_of(m).detach().abs().flatten() for m in model])
    prune(model, 0.5)
    limit = magnitudes.kthvalue(len(magnitudes) // 2).values
    for layer, plain in zip(model, model, strict=True):
        original = plain.parametrizations.weight.original.detach()
        assert torch.equal(weight_of(layer) != 0, original.abs() > limit)


def test_no_layer_loses_all_its_weights() -> None:
    model = nn.Sequential(nn.Linear(50, 50), nn.Linear(50, 10))
    with torch.no_grad():
        model[1].weight.mul_(1e-6)
    prune(model, 0.95)
    left = int((weight_of(model[1]) != 0).sum())
    assert left == round(LEAST_SHARE * 500)


def test_k_means_agrees_with_scikit_learn() -> None:
    from sklearn.cluster import KMeans

    values = torch.randn(500, generator=torch.Generator().manual_seed(1))
    start = torch.linspace(values.min(), values.max(), 8)[:, None].numpy()
    oracle = KMeans(8, init=start, n_init=1, tol=0, max_iter=100).fit(values[:, None].numpy())
    found = k_means(values, 8)
    assert found.tolist() == pytest.approx(sorted(oracle.cluster_centers_[:, 0]), rel=1e-4)
    distances = (values[:, None] - found).abs()
    assert torch.equal(nearest(found, values), distances.argmin(dim=1))


def test_few_values_are_their_own_clusters() -> None:
    assert k_means(torch.tensor([3.0, 1.0, 3.0]), 16).tolist() == [1.0, 3.0]


def test_a_shared_value_moves_by_the_sum_of_its_weights_gradients() -> None:
    layer = nn.Linear(6, 4, bias=False)
    model = nn.Sequential(layer)
    share_weights(model, 3)
    table = layer.parametrizations.weight.original
    index = layer.parametrizations.weight[0].index
    dense = layer.weight.detach().clone().requires_grad_()
    x = torch.randn(5, 6)
    model(x).square().sum().backward()
    (x @ dense.T).square().sum().backward()
    assert dense.grad is not None
    sums = [float(dense.grad[index == k].sum()) for k in range(len(table))]
    assert table.grad.tolist() == pytest.approx(sums, rel=1e-4)


def test_shared_weights_have_that_many_values_and_keep_their_zeros() -> None:
    model, x = used(mlp, (20,))
    prune(model, 0.6)
    zeros = {name: weight_of(layer) == 0 for name, layer in weighted_layers(model).items()}
    share_weights(model, 8)
    one_step(model, x)
    codes = shared_codes(model)
    make_plain(model)
    for name, layer in weighted_layers(model).items():
        assert len(weight_of(layer).unique()) <= 8
        assert torch.equal(weight_of(layer), codes[name].dense())
        assert (weight_of(layer)[zeros[name]] == 0).all()


@pytest.mark.parametrize(("bits", "levels"), [("int8", 255), ("int4", 15)])
def test_quantization_is_off_by_half_a_step_at_most(bits: str, levels: int) -> None:
    weight = torch.randn(7, 3, 5, 5)
    weight[2] = 0
    codes = quantize(weight, bits)  # type: ignore[arg-type]
    assert len(codes.table) == levels
    assert codes.scale is not None
    steps = codes.scale.reshape(-1, 1, 1, 1)
    assert ((codes.dense() - weight).abs() <= steps / 2 * (1 + 1e-5)).all()
    assert codes.dense()[2].abs().max() == 0
    assert codes.dense().flatten(1).abs().amax(1)[0] == pytest.approx(weight[0].abs().max())


@pytest.mark.parametrize(("build", "shape"), [*CASES, (resnet18, (3, 32, 32))])
def test_folding_norms_in_keeps_the_outputs(
    build: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    model, x = used(build, shape)
    with torch.no_grad():
        before = model(x)
        norms = fuse(model)
        assert torch.allclose(model(x), before, atol=1e-4, rtol=1e-4)
    left = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    if build is not table_resnet:  # whose norms stand in front of their layers
        assert norms
        assert not left


def test_a_norm_is_kept_whose_input_is_used_elsewhere() -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.norm = nn.Linear(4, 4), nn.BatchNorm1d(4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.layer(x)
            return x + self.norm(x)

    assert norm_pairs(Both()) == {}


def test_neighbours_are_found_where_a_model_cannot_be_traced() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU())

        def forward(self, x: Tensor) -> Tensor:
            return self.block(x) if float(x.sum()) > 0 else self.block(-x)

    assert norm_pairs(Odd()) == {"block.1": "block.0"}


RECIPES: dict[str, dict[str, object]] = {
    "nothing": {},
    "prune": {"prune": {"amount": 0.8}},
    "prune and fuse": {"prune": {"amount": 0.8}, "fuse": True},
    "structured": {"structured": {"amount": 0.5}, "fuse": True},
    "share": {"share": {"clusters": 16}},
    "share and fuse": {"share": {"clusters": 16}, "fuse": True},
    "int8": {"quantize": "int8"},
    "int4": {"quantize": "int4", "fuse": True},
    "all": {
        "structured": {"amount": 0.3},
        "prune": {"amount": 0.5, "scope": "layer"},
        "share": {"clusters": 256},
        "fuse": True,
        "quantize": "int4",
    },
}


@pytest.mark.parametrize(("build", "shape"), UNITS_STAY)
def test_units_with_scales_of_their_own_cannot_be_removed(
    build: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    pytest.importorskip("torch_pruning")
    model, x = used(build, shape)
    with pytest.raises(DataError, match=r"structured pruning cannot remove units (that|with)"):
        prune_channels(model, 0.5, x[:2])


@pytest.mark.parametrize(
    ("build", "shape", "recipe"),
    [
        (*case, recipe)
        for case in [*CASES, *UNITS_STAY]
        for recipe in RECIPES
        if case in CASES or "structured" not in RECIPES[recipe]
    ],
)
def test_a_packed_model_gives_the_same_bits_and_is_never_larger(
    build: Callable[[], nn.Module], shape: tuple[int, ...], recipe: str
) -> None:
    settings = CompressionSettings.model_validate(RECIPES[recipe])
    if settings.structured is not None:
        pytest.importorskip("torch_pruning")
    model, x = used(build, shape)
    plain = plain_file(model.state_dict())
    packed = compressed(model, settings, x)
    back = unpack(Packed.from_bytes(packed.to_bytes()), build())
    again = unpack(Packed.from_bytes(packed.to_bytes()), build())
    with torch.no_grad():
        assert torch.equal(back(x), again(x))
        assert torch.allclose(back(x), model(x), atol=1e-5)
    for name, tensor in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor)
    assert len(packed.smallest()) <= len(plain)
    if recipe not in ("nothing", "structured"):
        assert len(packed.to_bytes()) == len(packed.smallest()) < 0.9 * len(plain)


def compressed(model: nn.Module, settings: CompressionSettings, x: Tensor) -> Packed:
    """A model by a recipe, trained for a step where something was lost; changed in place."""
    has_lost = lose_channels(model, settings, x[:2])
    paying, left_out = without_idle(model, settings)
    if thin_out(model, paying) or has_lost:
        one_step(model, x)
    return write_down(model, paying, left_out)


TINY: list[tuple[Callable[[], nn.Module], tuple[int, ...]]] = [
    (lambda: nn.Linear(4, 3), (4,)),
    (lambda: MLP((6,), 2, width=[16], batch_norm=True), (6,)),
    (lambda: MLP((8,), 3, width=[40]), (8,)),
]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize(("build", "shape"), TINY)
def test_what_does_not_pay_is_not_applied(
    build: Callable[[], nn.Module], shape: tuple[int, ...], recipe: str
) -> None:
    wanted = {step: given for step, given in RECIPES[recipe].items() if step != "structured"}
    settings = CompressionSettings.model_validate(wanted)
    model = build().eval()
    before = copy.deepcopy(model.state_dict())
    plain = plain_file(before)
    paying, left_out = without_idle(model, settings)
    thin_out(model, paying)
    packed = write_down(model, paying, left_out)
    assert len(packed.smallest()) <= len(plain)
    asked = [step for step in ("prune", "share", "quantize") if getattr(settings, step)]
    assert set(left_out) <= set(asked)
    if set(left_out) == set(asked) and not settings.fuse:
        found = packed.state_dict()
        assert all(torch.equal(found[name], before[name]) for name in before)
    for step in set(asked) - set(left_out):
        fewer = paying.model_copy(update={step: None})
        again = build().eval()
        again.load_state_dict(before)
        thin_out(again, fewer)
        assert len(write_down(again, fewer).smallest()) > len(packed.smallest())


def test_a_layer_too_small_to_gain_keeps_its_weights() -> None:
    model = nn.Sequential(nn.Linear(6, 3), nn.Linear(3, 30))
    before = torch.linspace(-1, 1, 18).reshape(3, 6)
    with torch.no_grad():
        model[0].weight.copy_(before)
    share_weights(
        model, 16
    )  # 18 weights: their indices and a table of 16 take 73 bytes, they take 72
    assert list(shared_codes(model)) == ["1"]
    assert torch.equal(weight_of(model[0]), before)
    assert len(weight_of(model[1]).unique()) <= 16


def weight_normed() -> nn.Module:
    torch.manual_seed(0)
    norm = nn.utils.parametrizations.weight_norm
    return nn.Sequential(norm(nn.Linear(20, 64)), nn.ReLU(), nn.Linear(64, 3))


@pytest.mark.parametrize("recipe", RECIPES)
def test_parametrizations_of_a_models_own_become_plain_weights(recipe: str) -> None:
    model, x = used(weight_normed, (20,))
    copied = copy.deepcopy(model)
    before = model(x)
    packed = compressed(copied, CompressionSettings.model_validate(RECIPES[recipe]), x)
    back = unpack(Packed.from_bytes(packed.to_bytes()), weight_normed())
    assert torch.equal(back(x), copied(x))
    assert torch.equal(model(x), before)  # of which the other was a copy


def test_a_step_that_is_undone_by_another_is_left_out() -> None:
    model = nn.Linear(100, 100)
    kept, left_out = without_idle(
        model, CompressionSettings.model_validate(RECIPES["int8"] | {"prune": {"amount": 0.05}})
    )
    assert left_out == ("prune",)  # a mask takes an eighth of the bytes
    assert kept == CompressionSettings(quantize="int8")
    assert idle_in_words(left_out) == "prune was skipped: it would not make the file smaller"


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_states_of_recurrent_layers_stay(kind: type[nn.RNNBase]) -> None:
    pytest.importorskip("torch_pruning")
    model = nn.Sequential(kind(4, 8, batch_first=True))
    with pytest.raises(DataError, match="cannot remove states of LSTM or GRU layers"):
        prune_channels(model, 0.5, torch.zeros(2, 3, 4))


def test_channels_leave_in_the_wished_share_and_the_outputs_stay_as_many() -> None:
    pytest.importorskip("torch_pruning")
    model, x = used(cnn, (1, 8, 8))
    before = macs(model, x[:1])
    prune_channels(model, 0.5, x[:2])
    widths = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [4, 8]
    assert model(x).shape == (32, 3)
    assert macs(model, x[:1]) < 0.5 * before


class ConvHead(nn.Module):
    """Classes by a convolution, and a mean over pixels behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(1, 16, 3, padding=1)
        self.middle = nn.Conv2d(16, 16, 3, padding=1)
        self.gate = nn.Conv2d(16, 10, 1)
        self.head = nn.Conv2d(16, 10, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.middle(torch.relu(self.body(x))))
        return (self.head(x) * torch.sigmoid(self.gate(x))).mean((2, 3))


def test_what_makes_the_outputs_keeps_its_channels() -> None:
    pytest.importorskip("torch_pruning")
    model, x = ConvHead(), torch.randn(2, 1, 8, 8)
    for is_trained in (False, True):
        assert set(traced_output_layers(model.requires_grad_(is_trained), x)) == {
            model.head,
            model.gate,
        }
    prune_channels(model, 0.5, x)
    assert model(x).shape == (2, 10)
    widths = [m.out_channels for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [8, 8, 10, 10]


def test_a_model_whose_outputs_are_channels_of_a_hidden_layer_keeps_them() -> None:
    pytest.importorskip("torch_pruning")

    class Bare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.last = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 6, 3)
            self.norm = nn.BatchNorm2d(6)

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(self.last(torch.relu(self.body(x)))).amax((2, 3))

    model, x = Bare(), torch.randn(2, 1, 8, 8)
    prune_channels(model, 0.5, x)
    assert (model.body.out_channels, model.last.out_channels) == (4, 6)


def test_the_damaged_and_the_foreign_are_refused() -> None:
    model, _ = used(mlp, (20,))
    content = pack(model, {}).to_bytes()
    with pytest.raises(DataError, match="not a packed model"):
        Packed.from_bytes(content[:100])
    with pytest.raises(DataError, match="not a packed model"):
        Packed.from_bytes(b"")
    packed = Packed.from_bytes(content)
    cut = Packed(packed.entries, packed.data[:-8], packed.norms)
    with pytest.raises(DataError, match="truncated"):
        cut.state_dict()
    with pytest.raises(DataError, match="another model"):
        unpack(packed, cnn())


def test_a_packed_file_that_would_run_code_is_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    import os
    import pickle

    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    with pytest.raises(DataError, match="not a packed model"):
        Packed.from_bytes(pickle.dumps({"manifest": "{}", "data": Hostile()}))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"table": "range", "n_values": 250_000_000},
        {"n_bits": 3},
        {"shape": [2**40]},
        {"shape": [-1, 4]},
        {"zero": 300, "is_sparse": True},
        {"axis": 2},
        {"dtype": "O"},
        {"more": 1},
    ],
)
def test_a_manifest_that_claims_too_much_is_refused(change: dict[str, object]) -> None:
    model = nn.Linear(40, 40)
    packed = pack(model, {"": quantize(weight_of(model).detach(), "int8")})
    wrong = [dict(vars(entry)) | change for entry in packed.entries]
    hostile = Packed(tuple(SimpleNamespace(**one) for one in wrong), packed.data)  # type: ignore[misc]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tunecli.training.compression.packing.asdict", vars)
        content = hostile.to_bytes()
    with pytest.raises((DataError, TypeError)) as error:
        Packed.from_bytes(content).state_dict()
    assert "\n" not in str(error.value)


def test_codes_multiply_as_a_norm_does() -> None:
    codes = Codes(torch.tensor([[0, 1], [1, 2]]), torch.tensor([-1.5, 0.0, 2.0]))
    scaled = codes.scaled(torch.tensor([2.0, 3.0]))
    assert scaled.dense().tolist() == [[-3.0, 0.0], [0.0, 6.0]]
    assert scaled.zero == 1


def test_costs_of_a_linear_model_are_known() -> None:
    model = nn.Linear(10, 5)
    with torch.no_grad():
        model.weight[:, :4] = 0
    assert macs(model, torch.zeros(1, 10)) == 50
    assert share_of_zeros(model) == pytest.approx(0.4)
    taken = latency(model, torch.zeros(1, 10), n_calls=10)
    assert 0 < taken.low <= taken.median <= taken.high


class Sleeping(nn.Module):
    """Takes a number of seconds per row, and counts its calls."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.n_calls = seconds, 0

    def forward(self, x: Tensor) -> Tensor:
        self.n_calls += 1
        time.sleep(self.seconds * len(x))
        return x


@pytest.mark.parametrize(("seconds", "warm_up", "timed"), [(math.inf, 5, 12), (0.0, 1, 5)])
def test_the_time_for_a_latency_is_limited_but_a_few_calls_are_always_timed(
    seconds: float, warm_up: int, timed: int
) -> None:
    model = Sleeping(1e-3)
    taken = latency(model, torch.zeros(1, 2), n_calls=12, seconds=seconds)
    assert (model.n_calls, taken.n_calls) == (warm_up + timed, timed)
    assert taken.median >= 1e-3


def test_calls_go_on_while_there_is_time() -> None:
    model = Sleeping(0.01)
    taken = latency(model, torch.zeros(1, 2), n_calls=1000, seconds=0.2)
    assert 5 <= taken.n_calls <= 20


@given(seconds=st.floats(1e-3, 1e3), per_row=st.floats(1e-6, 10.0), n_rows=st.integers(1, 10_000))
def test_the_batch_to_time_is_the_largest_halved_one_that_fits(
    seconds: float, per_row: float, n_rows: int
) -> None:
    n = batch_within(seconds, Latency(per_row, per_row, per_row), n_rows)
    sizes = [n_rows // 2**k for k in range(20)]
    assert n in sizes
    assert n == 1 or 6 * n * per_row <= seconds * (1 + 1e-9)
    larger = [size for size in sizes if size > n]
    assert all(6 * size * per_row >= seconds * (1 - 1e-9) for size in larger)
