"""What is frozen is held once: shared by folds and trials, never written, named by digest."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from checkpoint_cases import equal
from hypothesis import given
from hypothesis import strategies as st
from picture_cases import pictures
from pretrained_cases import N_FOLDS, NAME, fine_tuned, fine_tuning, offline, put_weights
from safetensors.torch import save_file
from torch import Tensor, nn
from training_cases import CPU, component

from tunecli.errors import DataError
from tunecli.study_file.settings.settings import CompressionSettings
from tunecli.training.compression.compressible_layers import make_plain
from tunecli.training.fold import FoldTraining, new_model
from tunecli.training.models import torchvision_models
from tunecli.training.models.frozen_weights import (
    FrozenWeight,
    digest_of,
    hold_frozen,
    is_shared,
    load_saved,
    read_once,
    release_frozen,
    saved_state,
    shared_bytes,
)
from tunecli.training.rehearsal import rehearse
from tunecli.training.saved_models import keep_models, load_network, read_models
from tunecli.training.state.checkpoints import CheckpointError, Checkpoints
from tunecli.training.trial_end import compress_folds, conclude


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return offline(tmp_path, monkeypatch)


def shared_of(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: weight for name, weight in model.named_parameters() if is_shared(weight)}


def whole_state(model: nn.Module) -> dict[str, Tensor]:
    """Copies of all tensors, as earlier versions stored them."""
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("ema", [None, 0.9])
def test_all_folds_and_the_next_trial_train_on_the_same_tensors(hub: Path, ema: Any) -> None:
    saved = put_weights(hub)
    first = fine_tuned(fine_tuning(ema=ema), n_rounds=2)
    second = fine_tuned(fine_tuning(seed=1, batch_size=4, ema=ema), n_rounds=2)
    held = shared_of(first.loops[0].model)
    assert held.keys() == {name for name in saved if name.startswith("features.")}
    for training in (*first.loops, *second.loops):
        for model in (training.model, training.best_model()):
            assert all(weight is held[name] for name, weight in shared_of(model).items())
            assert shared_of(model).keys() == held.keys()
    for name, weight in held.items():
        assert torch.equal(weight, saved[name]), name


def test_no_bit_differs_from_a_training_on_own_copies(hub: Path) -> None:
    put_weights(hub, "shufflenet_v2_x0_5")
    config = fine_tuning("shufflenet_v2_x0_5", freeze=3)
    sharing = FoldTraining(config, pictures(), CPU)
    model = FoldTraining(config, pictures(), CPU).model
    release_frozen(model)
    own = FoldTraining(config, pictures(), CPU, model=model)
    own.random = FoldTraining(config, pictures(), CPU).random
    assert shared_of(sharing.model)
    assert not shared_of(own.model)
    assert list(sharing) == list(own)
    assert equal(dict(sharing.model.state_dict()), dict(own.model.state_dict()))


def test_nobody_writes_to_what_is_shared(hub: Path) -> None:
    put_weights(hub)
    training = fine_tuned(fine_tuning(), n_rounds=0)
    held = shared_of(training.loops[0].model)
    versions = {name: weight._version for name, weight in held.items()}
    for _ in training:
        training.load_state_dict(training.state_dict())
    conclude(training)
    assert {name: weight._version for name, weight in held.items()} == versions


def test_compression_writes_to_copies(hub: Path) -> None:
    saved = put_weights(hub)
    config = fine_tuning()
    training = fine_tuned(config)
    recipe = {"prune": {"amount": 0.5}, "share": {"clusters": 4}, "quantize": "int8"}
    settings = CompressionSettings.model_validate(recipe)
    [first, *_] = compress_folds(
        config.model_copy(update={"compression": settings}), training.loops
    )
    weights = dict(first.model.named_parameters())
    for name, weight in shared_of(training.loops[0].model).items():
        assert torch.equal(weight, saved[name])
        if weight.ndim > 1:
            assert not torch.equal(weights[name], weight)


def test_random_frozen_weights_belong_to_their_fold() -> None:
    model = component(NAME, freeze="features")
    training = FoldTraining(fine_tuning().model_copy(update={"model": model}), pictures(), CPU)
    assert training.shared_bytes == 0
    assert shared_of(training.model) == {}


def test_checkpoints_and_memory_count_frozen_weights_once(hub: Path, tmp_path: Path) -> None:
    put_weights(hub)
    config = fine_tuning()
    training = fine_tuned(config)
    head = sum(p.nbytes for p in training.loops[0].model.parameters() if p.requires_grad)
    fold = training.loops[0]
    assert fold.shared_bytes > 10 * head
    assert fold.n_bytes <= 4 * head + 100  # weights, best weights, two moments; step counters
    Checkpoints(tmp_path / "7", config).save(training.state_dict())
    n_bytes = sum(path.stat().st_size for path in (tmp_path / "7").iterdir())
    assert n_bytes <= N_FOLDS * (4 * head + 60_000)
    assert training.checkpoint_bytes == N_FOLDS * 4 * head
    rehearsed = rehearse(config, [fold.fold for fold in training.loops])
    assert rehearsed.error == ""
    assert rehearsed.shared_bytes == fold.shared_bytes
    assert N_FOLDS * rehearsed.fold_bytes + rehearsed.shared_bytes < rehearsed.n_bytes
    assert rehearsed.fold_bytes == fold.n_bytes


@pytest.mark.parametrize("ema", [None, 0.9])
def test_a_trial_resumes_from_either_form_of_checkpoint(
    hub: Path, tmp_path: Path, ema: Any
) -> None:
    put_weights(hub)
    config = fine_tuning(ema=ema)
    whole = fine_tuned(config, n_rounds=2)
    begun = fine_tuned(config)
    state = begun.state_dict()
    older = copy.deepcopy(state)
    for fold, saved in zip(begun.loops, older["folds"], strict=True):
        saved["model"] = whole_state(fold.model)
        saved["best_weights"] = whole_state(fold.best_model())
        if fold._average is not None:
            saved["average"] = whole_state(fold._average)
    for number, form in enumerate((state, older)):
        checkpoints = Checkpoints(tmp_path / str(number), config)
        checkpoints.save(form)
        resumed = fine_tuned(config, n_rounds=0)
        loaded = checkpoints.load()
        assert loaded is not None
        resumed.load_state_dict(loaded)
        next(resumed)
        assert resumed.curve == whole.curve
        assert equal(resumed.state_dict()["folds"], whole.state_dict()["folds"])
        assert resumed.loops[0].shared_bytes == whole.loops[0].shared_bytes


def test_a_checkpoint_with_other_pretrained_weights_is_refused(hub: Path, tmp_path: Path) -> None:
    put_weights(hub)
    config = fine_tuning()
    Checkpoints(tmp_path / "7", config).save(fine_tuned(config).state_dict())
    put_weights(hub, seed=6)
    torchvision_models._held.cache_clear()  # as in a new worker
    fresh = fine_tuned(config, n_rounds=0)
    before = whole_state(fresh.loops[0].model)
    state = Checkpoints(tmp_path / "7", config).load()
    assert state is not None
    with pytest.raises(
        CheckpointError,
        match=r"^its pretrained weights have changed \(features.0.weight differs\)",
    ):
        fresh.load_state_dict(state)
    assert equal(before, whole_state(fresh.loops[0].model))


def test_an_older_checkpoint_keeps_its_own_pretrained_weights(hub: Path) -> None:
    put_weights(hub)
    trained = fine_tuned(fine_tuning()).loops[0].best_model()
    older = whole_state(trained)
    put_weights(hub, seed=6)
    torchvision_models._held.cache_clear()
    model = new_model(fine_tuning(), pictures())
    held = {name: weight.clone() for name, weight in shared_of(model).items()}
    shared = shared_of(model)
    load_saved(model, older)
    assert equal(dict(model.state_dict()), older)
    assert all(torch.equal(weight, held[name]) for name, weight in shared.items())


def test_kept_models_name_frozen_weights(hub: Path, tmp_path: Path) -> None:
    put_weights(hub)
    config = fine_tuning()
    training = fine_tuned(config, n_rounds=2)
    end = conclude(training)
    keep_models(tmp_path / "3", config, end.models())
    head = sum(p.nbytes for p in training.loops[0].model.parameters() if p.requires_grad)
    assert (tmp_path / "3" / "fold-0.pt").stat().st_size < head + 20_000
    for saved, fold in zip(read_models(tmp_path / "3", config), training.loops, strict=True):
        model = load_network(saved, new_model(config, fold.fold))
        assert fold.measured(model)[1] == end.result.fold_scores[fold.fold.number]
        assert len(shared_of(model)) > 10
    put_weights(hub, seed=6)
    torchvision_models._held.cache_clear()
    [saved, *_] = read_models(tmp_path / "3", config)
    with pytest.raises(
        DataError,
        match=r"^its pretrained weights have changed since it was trained "
        r"\(features.0.weight differs\)\. Restore the old ones, or train it again\.$",
    ):
        load_network(saved, new_model(config, pictures()))


def test_kept_models_of_an_earlier_version_load(hub: Path, tmp_path: Path) -> None:
    put_weights(hub)
    config = fine_tuning()
    model = fine_tuned(config).loops[0].best_model()
    keep_models(tmp_path / "3", config, [whole_state(model)])
    [saved] = read_models(tmp_path / "3", config)
    assert equal(whole_state(load_network(saved, new_model(config, pictures()))),
                 whole_state(model))  # fmt: skip


def test_a_file_is_read_once_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({"a": torch.ones(3, 2)}, path)
    first = read_once(path)
    assert read_once(path)["a"] is first["a"]
    save_file({"a": torch.zeros(3, 2), "b": torch.ones(1)}, path)
    assert read_once(path).keys() == {"a", "b"}
    assert torch.equal(first["a"], torch.ones(3, 2))


def tied() -> nn.Sequential:
    model = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5, bias=False), nn.Linear(5, 2))
    model[1].weight = model[0].weight
    for parameter in (*model[0].parameters(), *model[2].parameters()):
        parameter.requires_grad_(False)
    return model


def test_tied_weights_stay_tied_whatever_their_names() -> None:
    model = tied()
    before = whole_state(model)
    source = {"other.name": model[0].weight.detach().clone(), "else": torch.zeros(5, 3)}
    hold_frozen(model, source)
    assert is_shared(model[0].weight)
    assert model[1].weight is model[0].weight
    assert not is_shared(model[2].weight)  # equals nothing in the source
    assert shared_bytes(model) == 5 * 3 * 4
    release_frozen(model)
    assert model[1].weight is model[0].weight
    assert not shared_of(model)
    assert equal(before, whole_state(model))


def test_equal_weights_stay_apart() -> None:
    model = nn.Sequential(*(nn.Linear(2, 3).requires_grad_(False) for _ in range(3)))
    for layer in model:
        nn.init.zeros_(layer.bias)
    hold_frozen(model, whole_state(model))
    assert len(shared_of(model)) == 6
    assert len({id(weight) for weight in model.parameters()}) == 6


def test_what_learns_is_not_shared() -> None:
    model = nn.Linear(3, 2)
    hold_frozen(model, {"weight": model.weight.detach().clone()})
    assert not shared_of(model)


def test_a_plain_model_is_its_own() -> None:
    model = tied()
    hold_frozen(model, {name: value.clone() for name, value in model.state_dict().items()})
    make_plain(model)
    assert not shared_of(model)


def test_the_digest_is_that_of_type_shape_and_content() -> None:
    values = torch.arange(6, dtype=torch.float32)
    text = b"torch.float32 (2, 3) " + values.numpy().tobytes()
    expected = f"sha256:{hashlib.sha256(text).hexdigest()}"
    assert digest_of(values.reshape(2, 3)) == expected
    assert FrozenWeight(values.reshape(2, 3)).digest == expected
    assert digest_of(values.reshape(3, 2)) != expected
    assert digest_of(values.reshape(3, 2).t().contiguous().t()) == digest_of(values.reshape(3, 2))
    assert digest_of(values.bfloat16()) != digest_of(values.half())
    assert digest_of(torch.tensor(3)) != digest_of(torch.tensor([3]))


@given(
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.lists(st.booleans(), min_size=3, max_size=3),
    st.integers(0, 2**32 - 1),
)
def test_any_division_into_frozen_and_known_weights_loads_back(
    is_frozen: list[bool], is_known: list[bool], seed: int
) -> None:
    torch.manual_seed(seed)

    def built(values: list[Tensor]) -> nn.Sequential:
        model = nn.Sequential(*(nn.Linear(3, 3, bias=False) for _ in values))
        for layer, value, frozen in zip(model, values, is_frozen, strict=True):
            layer.weight = nn.Parameter(value.clone(), requires_grad=not frozen)
        hold_frozen(model, source)
        return model

    values = [torch.randn(3, 3) for _ in range(3)]
    source = {
        str(i): v for i, (v, known) in enumerate(zip(values, is_known, strict=True)) if known
    }
    trained = built(values)
    for layer in trained:
        if layer.weight.requires_grad:
            with torch.no_grad():
                layer.weight.add_(1)
    saved = saved_state(trained)
    is_held = [f and k for f, k in zip(is_frozen, is_known, strict=True)]
    assert [isinstance(value, str) for value in saved.values()] == is_held
    held = np.array([is_shared(layer.weight) for layer in trained])
    assert held.tolist() == is_held
    again = built(values)
    load_saved(again, saved)
    assert equal(dict(again.state_dict()), dict(trained.state_dict()))
    if any(is_held):
        values = [value + 1 for value in values]
        source = {name: value + 1 for name, value in source.items()}
        with pytest.raises(DataError, match="pretrained weights have changed"):
            load_saved(built(values), saved)
