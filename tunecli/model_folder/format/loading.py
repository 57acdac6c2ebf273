"""Load a model folder: `tunecli.load`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from tunecli.data.preprocessing.preparation import Preprocessing, restored_preprocessing
from tunecli.data.rows.workspace import Workspace
from tunecli.data.user_code.import_user_code import permit
from tunecli.errors import ModelFolderError, TunecliError, UserCodeError
from tunecli.model_folder.format.consistency import (
    check_arguments,
    check_arrays,
    check_facts,
    check_preprocessing,
    check_shapes,
    no_larger_than,
)
from tunecli.model_folder.format.folder import of_member, read_folder, user_folder
from tunecli.model_folder.format.manifest import Manifest, MemberManifest
from tunecli.model_folder.format.model import Member, Model
from tunecli.study_file.catalogue import component_arguments, names
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.settings.code_names import CodeName, is_code
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.training.compression.compressible_layers import make_plain
from tunecli.training.compression.fusing import remove_norms
from tunecli.training.compression.merging import merge_adapter
from tunecli.training.compression.packing import take_shapes
from tunecli.training.models.building import build_model, names_initial_weights
from tunecli.training.models.layers.embeddings import Columns
from tunecli.training.step.precision import choose_device
from tunecli.training.user_loop.user_network import UserNetwork

_MOST_GROWTH = 400.0
"""Largest factor by which removing channels may have reduced a network's weights: 95 % of each
layer's channels."""


def load(
    path: str | Path, code: Sequence[str] = (), device: str = "auto", folder: Path | None = None
) -> Model:
    """Load a model that `tunecli refit` wrote, without running anything in its folder.

    Args:
        path: the model folder, such as `runs/digits/model`.
        code: your own code that its network is made of, as for `--code`: a file or a package.
        device: auto (CUDA, then MPS, then the CPU), cpu, cuda or mps.
        folder: the folder that names of code and data are relative to; by default the current one.

    Raises:
        TunecliError: the folder is damaged, not from tunecli, or needs code that was not allowed.
    """
    workspace_folder = (folder or Path()).absolute()
    allowed = AllowedCode.of(workspace_folder, code)
    return load_with(Path(path), Workspace(workspace_folder, None, allowed), device)


def load_with(path: Path, workspace: Workspace, device: str = "auto") -> Model:
    """Load a model folder with the code that a workspace allows; see `load`."""
    facts, weights, arrays = read_folder(path)
    for config in facts.configs.values():
        model = config.train or config.model
        if is_code(model.name):
            _refuse_other_code(path, facts, model.name, workspace.code)
            permit(workspace.code)
        else:
            _refuse_unknown(path, model)
    try:
        check_facts(facts)
        check_arrays(weights | arrays)
        members = [
            _member(path, facts, number, of_member(weights, number), of_member(arrays, number))
            for number in range(len(facts.members))
        ]
    except TunecliError:
        raise
    except Exception as error:  # contents that do not fit together can cause any error
        reason = " ".join(str(error).split())[:200]
        raise ModelFolderError(
            f"{path} is damaged: its parts do not fit together ({reason})."
        ) from None
    return Model(facts, members, choose_device(device), workspace)


def _refuse_other_code(path: Path, facts: Manifest, network: str, code: AllowedCode) -> None:
    """Refuse code that is not allowed, or has changed since the network was trained.

    Raises:
        UserCodeError: it is such code.
    """
    name = CodeName.parse(network)
    assert name is not None
    option = name.to_allow
    if code.hash_of(name) is None:
        raise UserCodeError(
            f"the network of {path} is {name.place}:{name.name}, which is user code. Allow it "
            f"with --code {option}, or with load(…, code=[{option!r}])."
        )
    before = facts.code.get(option)
    if before is not None and not code.is_as_before(name, before):
        raise UserCodeError(
            f"{option}, or code that it imports, has changed since the network of {path} was "
            "trained: its weights do not belong to this code. Restore the old code, or train the "
            "model again with `tunecli refit`."
        )


def _refuse_unknown(path: Path, model: Component) -> None:
    """Refuse a model, or arguments, that a study file could not contain."""
    if model.name not in names.names("model"):
        raise ModelFolderError(f"{path} is damaged: model {model.name!r} does not exist.")
    problems = component_arguments.argument_problems("model", model)
    if problems:
        raise ModelFolderError(f"{path} is damaged: model: {problems[0][1]}")


def _member(
    path: Path,
    facts: Manifest,
    number: int,
    weights: dict[str, Tensor],
    tensors: dict[str, Tensor],
) -> Member:
    member = facts.members[number]
    fitted = restored_preprocessing(member.preprocessing, tensors)
    check_preprocessing(fitted, member, facts)
    config = facts.config_of(member)
    if config.train is not None:
        own = UserNetwork(config.train.name, path / user_folder(number), len(facts.classes))
        return Member(member, fitted, own)
    return Member(member, fitted, _network(config, member, fitted, weights))


def _takes_whole_numbers(fitted: Preprocessing) -> bool:
    """Return whether a network gets names: tokens alone, or unscaled integers."""
    return fitted.kind == "integers" or (fitted.tokens is not None and fitted.tokens.are_alone)


def _network(
    config: TrialConfig, member: MemberManifest, fitted: Preprocessing, weights: dict[str, Tensor]
) -> nn.Module:
    """Build a network with the stored weights, without pretrained ones or random draws."""
    model = config.model
    start = names_initial_weights(model.name)
    own = {name: value for name, value in model.arguments.items() if name != start}
    component = model if is_code(model.name) else Component(name=model.name, arguments=own)
    columns = Columns(
        fitted.cardinalities,
        n_bins=member.n_bins,
        tokens=fitted.tokens,
        architecture=member.architecture,
    )
    if sum(member.n_bins) > sum(map(Tensor.numel, weights.values())):
        raise ValueError(f"{sum(member.n_bins):,} bins, but fewer weights")
    channels = config.compression.structured
    growth = min(1 / (1 - channels.amount) ** 2, _MOST_GROWTH) if channels else 1.0
    growth *= 1 + config.compression.merge  # an adapter that is in the other weights
    if not is_code(model.name):
        check_arguments(own, weights, growth)
        check_arguments(json.loads(member.architecture or "{}"), weights, growth)
    with torch.random.fork_rng(devices=[]), no_larger_than(weights, growth):
        network = build_model(component, member.shape, member.n_outputs, columns)
    if not config.compression.is_none:
        make_plain(network)
    if config.compression.merge:
        merge_adapter(network)
    remove_norms(network.eval(), list(member.norms))
    if not config.compression.is_none:
        take_shapes(network, weights)  # compression may have removed channels
    network.load_state_dict(weights)
    if channels:
        check_shapes(network, member, _takes_whole_numbers(fitted))
    return network
