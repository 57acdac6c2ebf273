"""From a model folder to a model that can be used: `tunecli.load`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from tunecli.data.preprocessing.fitted_preprocessing import Preprocessing, preprocessing_from
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
from tunecli.model_folder.format.folder import of_member, read_folder
from tunecli.model_folder.format.manifest import Manifest, MemberManifest
from tunecli.model_folder.format.model import Member, Model
from tunecli.study_file.catalogue import component_arguments
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.settings.code_names import CodeName, is_code
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.training.compression.compressible_layers import make_plain
from tunecli.training.compression.fusing import remove_norms
from tunecli.training.compression.shapes import take_shapes
from tunecli.training.models import Columns, build_model
from tunecli.training.step.precision import choose_device

_MOST_GROWTH = 400.0
"""How many times as many weights a network may have had whose channels left: 95 % of a layer's."""


def load(
    path: str | Path, code: Sequence[str] = (), device: str = "auto", folder: Path | None = None
) -> Model:
    """A model that `tunecli refit` wrote; nothing in its folder is run.

    Args:
        path: of the model folder, such as `runs/digits/model`.
        code: of your own that its network is made of, as `--code` names it: a file, or a package.
        device: auto (CUDA, then MPS, then the CPU), cpu, cuda or mps.
        folder: to which the names of code and data are relative; by default the current one.

    Raises:
        TunecliError: the folder is damaged, foreign, or needs code that was not allowed.
    """
    workspace_folder = (folder or Path()).absolute()
    allowed = AllowedCode.of(workspace_folder, code)
    return load_with(Path(path), Workspace(workspace_folder, None, allowed), device)


def load_with(path: Path, workspace: Workspace, device: str = "auto") -> Model:
    """`load` with the code that a workspace allows."""
    facts, weights, arrays = read_folder(path)
    model = facts.config.model
    if is_code(model.name):
        _refuse_other_code(path, facts, workspace.code)
        permit(workspace.code)
    else:
        _refuse_unknown(path, model)
    try:
        check_facts(facts)
        check_arrays(weights | arrays)
        members = [
            _member(facts, number, of_member(weights, number), of_member(arrays, number))
            for number in range(len(facts.members))
        ]
    except TunecliError:
        raise
    except Exception as error:  # whatever contents that do not fit can cause
        reason = " ".join(str(error).split())[:200]
        raise ModelFolderError(
            f"{path} is damaged: its parts do not fit together ({reason})."
        ) from None
    return Model(facts, members, choose_device(device), workspace)


def _refuse_other_code(path: Path, facts: Manifest, code: AllowedCode) -> None:
    """Build a network only of code that is allowed, and is what the network was trained with."""
    name = CodeName.parse(facts.config.model.name)
    assert name is not None
    option = name.to_allow
    if code.hash_of(name) is None:
        raise UserCodeError(
            f"the network of {path} is {name.place}:{name.name}, which is code of your own: "
            f"allow it with --code {option}, or load(…, code=[{option!r}])."
        )
    before = facts.code.get(option)
    if before is not None and not code.is_as_before(name, before):
        raise UserCodeError(
            f"{option}, or code that it imports, has changed since the network of {path} was "
            "trained: its weights do not belong to this code. Restore the old code, or train the "
            "model again with `tunecli refit`."
        )


def _refuse_unknown(path: Path, model: Component) -> None:
    """Build nothing that a study file could not name."""
    if model.name not in component_arguments.names("model"):
        raise ModelFolderError(f"{path} is damaged: there is no model {model.name!r}.")
    problems = component_arguments.argument_problems("model", model)
    if problems:
        raise ModelFolderError(f"{path} is damaged: model: {problems[0][1]}")


def _member(
    facts: Manifest, number: int, weights: dict[str, Tensor], arrays: dict[str, Tensor]
) -> Member:
    member = facts.members[number]
    fitted = preprocessing_from(
        member.preprocessing, {name: one.numpy() for name, one in arrays.items()}
    )
    check_preprocessing(fitted, member, facts)
    return Member(member, fitted, _network(facts.config, member, fitted, weights))


def _network(
    config: TrialConfig, member: MemberManifest, fitted: Preprocessing, weights: dict[str, Tensor]
) -> nn.Module:
    """Built with the stored weights; no pretrained ones are fetched, no generator moves."""
    model = config.model
    own = {name: value for name, value in model.arguments.items() if name != "weights"}
    component = model if is_code(model.name) else Component(name=model.name, arguments=own)
    columns = Columns(fitted.cardinalities, n_bins=member.n_bins)
    if sum(member.n_bins) > sum(map(Tensor.numel, weights.values())):
        raise ValueError(f"{sum(member.n_bins):,} bins, and fewer weights")
    channels = config.compression.structured
    growth = min(1 / (1 - channels.amount) ** 2, _MOST_GROWTH) if channels else 1.0
    if not is_code(model.name):
        check_arguments(own, weights, growth)
    with torch.random.fork_rng(devices=[]), no_larger_than(weights, growth):
        network = build_model(component, member.shape, member.n_outputs, columns)
    if not config.compression.is_none:
        make_plain(network)
    remove_norms(network.eval(), list(member.norms))
    if not config.compression.is_none:
        take_shapes(network, weights)  # layers may have lost channels
    network.load_state_dict(weights)
    if channels:
        check_shapes(network, member)
    return network
