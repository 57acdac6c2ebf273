"""Fine-tuning: what is frozen stays to the bit, what learns more slowly does so by its factor."""

from __future__ import annotations

import pytest
import torch
from picture_cases import pictures
from torch import Tensor, nn
from training_cases import CPU, component, trial

from tunecli.errors import TunecliError
from tunecli.training.fold import FoldTraining
from tunecli.training.models.blocks import (
    backbone_blocks,
    backbone_parameters,
    containers,
    head_layers,
    heads,
)
from tunecli.training.models.building import build_model
from tunecli.training.models.fine_tuning import rate_factors, set_training
from tunecli.training.models.torchvision_models import _fresh
from tunecli.training.step.optimizers import build_optimizers
from tunecli.training.step.schedules import Rates
from tunecli.training.step.timetable import Timetable

SMALL = (3, 32, 32)


def _named(name: str, **arguments: object) -> nn.Module:
    return build_model(component(name, **arguments), SMALL, 3)


def _on_paper(name: str) -> nn.Module:
    """A model without numbers in it; those that need some while they are built have them."""
    side = 224 if name == "maxvit_t" else 256 if name != "vit_h_14" else 252
    with torch.device("cpu" if name.startswith("regnet") else "meta"):
        return _fresh(component(name), (1, side, side), 5)


QUICK = ("resnet18", "vgg11_bn", "vit_b_16", "swin_t", "densenet121", "googlenet", "maxvit_t")


def _check_partition(name: str) -> None:
    model = _on_paper(name)
    parts = [
        p for block in backbone_blocks(model) for module in block for p in module.parameters()
    ]
    parts += [p for head in heads(model) for p in head.parameters()]
    parts += [p for c in containers(model) for p in c.parameters(recurse=False)]
    assert len(parts) == len({id(p) for p in parts})
    assert {id(p) for p in parts} == {id(p) for p in model.parameters()}
    assert len(backbone_blocks(model)) >= 5
    outputs = [model.get_submodule(layer) for layer in head_layers(model)]
    assert all(5 in layer.weight.shape[:1] for layer in outputs)
    assert sum(p.numel() for p in backbone_parameters(model)) > 0


@pytest.mark.parametrize("name", QUICK)
def test_blocks_and_heads_are_all_of_a_model(name: str) -> None:
    _check_partition(name)


@pytest.mark.slow
def test_blocks_and_heads_are_all_of_every_model() -> None:
    from torchvision import models

    huge = {"regnet_y_128gf", "regnet_y_32gf", "regnet_x_32gf", "regnet_y_16gf", "regnet_x_16gf"}
    for name in sorted(set(models.list_models(module=models)) - huge - set(QUICK)):
        _check_partition(name)


def test_blocks_of_a_resnet_are_its_stem_and_stages() -> None:
    model = _named("resnet18")
    names = {id(module): name for name, module in model.named_modules()}
    assert [[names[id(m)] for m in block] for block in backbone_blocks(model)] == [
        ["conv1", "bn1"],
        ["layer1"],
        ["layer2"],
        ["layer3"],
        ["layer4"],
    ]


@pytest.mark.parametrize("frozen", [0, 2, "features"])
def test_frozen_weights_and_statistics_stay_and_all_others_move(frozen: object) -> None:
    model = component("shufflenet_v2_x0_5", freeze=frozen)
    training = FoldTraining(trial(model=model, epochs=1), pictures(), CPU)
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    next(training)
    after = training.model.state_dict()
    stays = {0: (), 2: ("conv1.", "stage2."), "features": ("conv1.", "stage", "conv5.")}[frozen]
    for name, value in after.items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(value, before[name]) == name.startswith(stays or ("none",)), name


def test_a_frozen_batch_norm_evaluates_while_the_others_train() -> None:
    model = _named("resnet18", freeze=1)
    set_training(model)
    assert not model.get_submodule("bn1").training
    assert model.get_submodule("layer1.0.bn1").training
    assert model.get_submodule("layer1").training


def test_more_blocks_than_there_are_cannot_be_frozen() -> None:
    with pytest.raises(
        ValueError, match=r"a number of blocks from 0 to 5, but got 6\. resnet18 has 5 blocks"
    ):
        _named("resnet18", freeze=6)


def test_what_is_frozen_needs_no_gradients() -> None:
    model = _named("resnet18", freeze="features")
    assert [name for name, p in model.named_parameters() if p.requires_grad] == [
        "fc.weight",
        "fc.bias",
    ]


def _moved(**arguments: object) -> dict[str, Tensor]:
    """How far plain gradient descent moves each weight in one step."""
    model = component("squeezenet1_1", **arguments)
    config = trial(
        model=model, optimizer=component("SGD", lr=0.01), steps=1, epochs=None, batch_size="full"
    )
    training = FoldTraining(config, pictures(), CPU)
    before = {name: p.detach().clone() for name, p in training.model.named_parameters()}
    next(training)
    return {name: p.detach() - before[name] for name, p in training.model.named_parameters()}


def test_the_backbone_moves_by_its_factor_and_the_head_as_before() -> None:
    plain, slow = _moved(), _moved(backbone_lr=0.125)
    for name, step in plain.items():
        factor = 1.0 if name.startswith("classifier") else 0.125
        torch.testing.assert_close(slow[name], step * factor, atol=2e-7, rtol=1e-3)


@pytest.mark.parametrize("decay", ["all", "weights"])
@pytest.mark.parametrize("optimizer", ["SGD", "AdamW", "Adafactor"])
def test_factors_and_decay_divide_the_weights_without_loss(optimizer: str, decay: str) -> None:
    chosen = component("resnet18", backbone_lr=0.1, freeze=1)
    model = build_model(chosen, SMALL, 3)
    [built] = build_optimizers(component(optimizer), model, decay, rate_factors(chosen, model))
    groups = built.param_groups
    found = [id(p) for group in groups for p in group["params"]]
    assert sorted(found) == sorted(id(p) for p in model.parameters() if p.requires_grad)
    assert len(groups) == (4 if decay == "weights" and optimizer != "SGD" else len(groups))
    assert groups[0]["lr"] == built.defaults["lr"]  # the head's, which is shown
    slow = {id(p) for p in backbone_parameters(model)}
    for group in groups:
        factor = 0.1 if id(group["params"][0]) in slow else 1.0
        assert group["lr"] == pytest.approx(built.defaults["lr"] * factor)
        assert {id(p) in slow for p in group["params"]} == {factor == 0.1}


@pytest.mark.parametrize("schedule", ["OneCycleLR", "CyclicLR", "CosineAnnealingLR", "LinearLR"])
@pytest.mark.parametrize("steps", [None, 40])
def test_schedules_and_warm_up_keep_the_factor(schedule: str, steps: int | None) -> None:
    chosen = component("resnet18", backbone_lr=0.1)
    model = build_model(chosen, SMALL, 3)
    factors = rate_factors(chosen, model)
    optimizers = build_optimizers(component("SGD", lr=0.5), model, "all", factors)
    settings = trial(warmup=0.2, epochs=None if steps else 4, steps=steps).training
    timetable = Timetable.of(settings, 10)
    rates = Rates(component(schedule), optimizers, timetable, "maximize")
    seen = set()
    for step in range(timetable.n_steps):
        if step and step % 10 == 0:
            rates.new_epoch(step)
        rates.before_step(step)
        head, backbone = (group["lr"] for group in optimizers[0].param_groups)
        assert backbone == pytest.approx(0.1 * head)
        seen.add(head)
        rates.after_step()
    assert len(seen) > 3


def test_muon_takes_factors_too() -> None:
    chosen = component("vit_b_16", backbone_lr=0.1)
    with torch.device("meta"):
        model = _fresh(chosen, SMALL, 3)
    optimizers = build_optimizers(component("Muon"), model, "all", rate_factors(chosen, model))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            factor = group["rate_factor"]
            assert group["lr"] == pytest.approx(optimizer.defaults["lr"] * factor)
    assert {group["rate_factor"] for group in optimizers[0].param_groups} == {0.1}


def test_lbfgs_has_one_rate() -> None:
    chosen = component("resnet18", backbone_lr=0.1)
    model = build_model(chosen, SMALL, 3)
    with pytest.raises(TunecliError, match="LBFGS has one learning rate"):
        build_optimizers(component("LBFGS"), model, "all", rate_factors(chosen, model))


@pytest.mark.parametrize("factor", [0, -0.5])
def test_a_factor_of_nothing_is_refused(factor: float) -> None:
    chosen = component("resnet18", backbone_lr=factor)
    with pytest.raises(ValueError, match=r"backbone_lr must be above 0.*freeze: features"):
        rate_factors(chosen, build_model(chosen, SMALL, 3))


def test_layer_decay_lowers_the_rate_with_the_depth() -> None:
    chosen = component("resnet18", layer_decay=0.5)
    model = build_model(chosen, SMALL, 3)
    factors = rate_factors(chosen, model)
    powers = {"layer4": 1, "layer3": 2, "layer2": 3, "layer1": 4, "conv1": 5, "bn1": 5}
    for name, parameter in model.named_parameters():
        first = name.partition(".")[0]
        assert factors.get(parameter, 1.0) == 0.5 ** powers.get(first, 0), name


def test_what_is_outside_of_all_blocks_learns_like_the_first_block() -> None:
    chosen = component("vit_b_16", layer_decay=0.5)
    with torch.device("meta"):
        model = _fresh(chosen, SMALL, 3)
    factors = rate_factors(chosen, model)
    n_blocks = len(backbone_blocks(model))
    outside = [p for c in containers(model) for p in c.parameters(recurse=False)]
    assert len(outside) == 2  # the class token and the positions
    assert {factors[p] for p in outside} == {0.5**n_blocks} == {min(factors.values())}


def test_backbone_lr_and_layer_decay_multiply() -> None:
    chosen = component("resnet18", layer_decay=0.5, backbone_lr=0.1, freeze=2)
    model = build_model(chosen, SMALL, 3)
    both = rate_factors(chosen, model)
    assert both[model.get_submodule("layer4.0.conv1").weight] == pytest.approx(0.05)  # type: ignore[index]
    assert both[model.get_submodule("layer2.0.conv1").weight] == pytest.approx(0.1 / 8)  # type: ignore[index]
    [built] = build_optimizers(component("SGD", lr=1.0), model, "all", both)
    rates = [group["lr"] for group in built.param_groups]
    assert rates == pytest.approx([1.0, 0.0125, 0.025, 0.05])
    trained = sum(len(group["params"]) for group in built.param_groups)
    assert trained == sum(p.requires_grad for p in model.parameters())


def test_a_decay_of_one_changes_no_bit() -> None:
    def losses(**arguments: object) -> list[float]:
        config = trial(model=component("squeezenet1_1", **arguments), epochs=2)
        return [e.train_loss for e in FoldTraining(config, pictures(), CPU)]

    assert losses(layer_decay=1.0) == losses()


def test_each_block_moves_by_its_factor() -> None:
    plain, slow = _moved(), _moved(layer_decay=0.5)
    with torch.device("meta"):
        model = _fresh(component("squeezenet1_1"), SMALL, 3)
    names = {id(p): name for name, p in model.named_parameters()}
    for depth, block in enumerate(reversed(backbone_blocks(model)), 1):
        for name in (names[id(p)] for module in block for p in module.parameters()):
            torch.testing.assert_close(slow[name], plain[name] * 0.5**depth, atol=2e-7, rtol=2e-3)


@pytest.mark.parametrize("decay", [0, -0.5, 1.1])
def test_a_layer_decay_out_of_bounds_is_refused(decay: float) -> None:
    chosen = component("resnet18", layer_decay=decay)
    with pytest.raises(ValueError, match=r"layer_decay must be above 0 and at most 1, but got"):
        rate_factors(chosen, build_model(chosen, SMALL, 3))
