"""Checkpoints of format 3: a hash of all settings of then, and only the best weights of a fold."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_cases import CONFIG, begun, equal

from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.cross_validation import CrossValidation
from tunecli.training.state.checkpoints import CheckpointError, Checkpoints

ADDED_LATER = ("smooth_score",)
"""Settings of the section `training` that versions with format 3 did not have."""


def written_then(config: TrialConfig) -> str:
    """A configuration as the database got it then."""
    settings: dict[str, Any] = json.loads(config.model_dump_json())
    for name in ADDED_LATER:
        del settings["training"][name]
    return json.dumps(settings, separators=(",", ":"))


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def save_as_then(folder: Path, config: TrialConfig, training: CrossValidation) -> None:
    """Write what the former `Checkpoints.save` wrote of a trial without smoothing."""
    folder.mkdir()
    state, files = training.state_dict(), {}
    for number, (fold, loop) in enumerate(zip(state["folds"], training.loops, strict=True)):
        best = loop.best_model().state_dict() if loop.best_outputs is not None else None
        outputs = loop.best_outputs
        del fold["kept"], fold["best"]
        fold["best_weights"] = best
        fold["best_outputs"] = None if outputs is None else torch.from_numpy(outputs)
        path = folder / f"fold-{number}-{len(state['curve'])}.pt"
        torch.save(fold, path)
        files[path.name] = digest(path.read_bytes())
    keys = ("curve", "outcome", "reason", "seconds")
    trial = {key: state[key] for key in keys} | {"best_step": training.best_step}
    hashed = digest(f"{config.numerics} {written_then(config)}".encode())
    index = {"format": 3, "config": hashed, "files": files, "trial": trial}
    content = json.dumps(index).encode()
    (folder / "trial").write_bytes(digest(content).encode() + b"\n" + content)


def from_database(config: TrialConfig) -> TrialConfig:
    return TrialConfig.model_validate_json(written_then(config))


@pytest.mark.parametrize("n_rounds", [0, 1, 3])
def test_a_trial_resumes_bit_for_bit_from_a_checkpoint_of_then(
    tmp_path: Path, n_rounds: int
) -> None:
    whole = begun(n_rounds=0)
    rounds = list(whole)
    save_as_then(tmp_path / "7", CONFIG, begun(n_rounds=n_rounds))
    state = Checkpoints(tmp_path / "7", from_database(CONFIG)).load()
    assert state is not None
    resumed = begun(n_rounds=0)
    resumed.load_state_dict(state)
    assert list(resumed) == rounds[n_rounds:]
    assert resumed.result().predictions == whole.result().predictions
    assert equal(resumed.state_dict()["folds"], whole.state_dict()["folds"])


@pytest.mark.parametrize(
    "changes",
    [{"seed": 1}, {"training": CONFIG.training.model_copy(update={"smooth_score": 3})}],
    ids=["seed", "a setting of today"],
)
def test_a_checkpoint_of_then_of_another_configuration_is_not_loaded(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    save_as_then(tmp_path / "7", CONFIG, begun())
    other = from_database(CONFIG).model_copy(update=changes)
    with pytest.raises(CheckpointError, match="belongs to another trial"):
        Checkpoints(tmp_path / "7", other).load()


def test_a_setting_that_a_checkpoint_lacks_has_its_default(tmp_path: Path) -> None:
    """As in a checkpoint of today, once there are further settings."""
    Checkpoints(tmp_path / "7", from_database(CONFIG)).save(begun().state_dict())
    index = tmp_path / "7" / "trial"
    facts = json.loads(index.read_bytes().partition(b"\n")[2])
    facts["config"] = written_then(CONFIG)
    content = json.dumps(facts).encode()
    index.write_bytes(digest(content).encode() + b"\n" + content)
    assert Checkpoints(tmp_path / "7", CONFIG).load() is not None
    training = CONFIG.training.model_copy(update={"smooth_score": 3})
    other = CONFIG.model_copy(update={"training": training})
    with pytest.raises(CheckpointError, match="belongs to another trial"):
        Checkpoints(tmp_path / "7", other).load()
