from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from checkpoint_cases import CONFIG, begun, equal
from training_cases import component, trial

from tunecli.training.state.checkpoints import (
    MOST_SHARE,
    WRITE_SPEED,
    CheckpointError,
    Checkpoints,
)


def test_a_trial_goes_on_from_its_checkpoint_bit_for_bit(tmp_path: Path) -> None:
    whole = begun(n_rounds=0)
    rounds = list(whole)
    Checkpoints(tmp_path / "7", CONFIG).save(begun().state_dict())
    state = Checkpoints(tmp_path / "7", CONFIG).load()
    assert state is not None
    resumed = begun(n_rounds=0)
    resumed.load_state_dict(state)
    assert list(resumed) == rounds[3:]
    assert resumed.curve == whole.curve
    assert resumed.result().predictions == whole.result().predictions
    assert equal(resumed.state_dict()["folds"], whole.state_dict()["folds"])


def test_there_is_one_file_a_fold_and_a_small_one_and_no_old_ones(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "7", CONFIG)
    training = begun()
    checkpoints.save(training.state_dict())
    next(training)
    checkpoints.save(training.state_dict())
    names = sorted(path.name for path in (tmp_path / "7").iterdir())
    assert names == ["fold-0-4.pt", "fold-1-4.pt", "trial"]
    assert (tmp_path / "7" / "trial").stat().st_size < 5_000


def test_nothing_saved_is_no_error(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "7", CONFIG).load() is None


def test_another_trials_checkpoint_is_not_loaded(tmp_path: Path) -> None:
    Checkpoints(tmp_path / "7", CONFIG).save(begun().state_dict())
    other = CONFIG.model_copy(update={"seed": 1})
    with pytest.raises(CheckpointError, match="belongs to another trial"):
        Checkpoints(tmp_path / "7", other).load()


def test_arguments_that_json_does_not_have_are_no_other_configuration(tmp_path: Path) -> None:
    odd = component("SGD", lr=0.1, odd=[float("inf"), (1, 2)])
    config = CONFIG.model_copy(update={"optimizer": odd})
    Checkpoints(tmp_path / "7", config).save(begun().state_dict())
    assert Checkpoints(tmp_path / "7", config).load() is not None


def damaged(content: bytes, random_: random.Random) -> bytes:
    if random_.random() < 0.5:
        return content[: random_.randrange(len(content))]
    position = random_.randrange(len(content))
    flipped = content[position] ^ (1 << random_.randrange(8))
    return content[:position] + bytes([flipped]) + content[position + 1 :]


def test_whatever_is_damaged_is_noticed(tmp_path: Path) -> None:
    Checkpoints(tmp_path / "7", CONFIG).save(begun().state_dict())
    for seed in range(60):
        random_ = random.Random(seed)
        path = random_.choice(sorted((tmp_path / "7").iterdir()))
        content = path.read_bytes()
        path.write_bytes(damaged(content, random_))
        with pytest.raises(CheckpointError, match=r"checksum|cannot be read"):
            Checkpoints(tmp_path / "7", CONFIG).load()
        path.write_bytes(content)


def test_a_missing_part_is_noticed(tmp_path: Path) -> None:
    Checkpoints(tmp_path / "7", CONFIG).save(begun().state_dict())
    (tmp_path / "7" / "fold-1-3.pt").unlink()
    with pytest.raises(CheckpointError, match="a part of it is missing"):
        Checkpoints(tmp_path / "7", CONFIG).load()


def test_a_hostile_index_reads_nothing_outside_its_folder(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "7", CONFIG)
    checkpoints.save(begun().state_dict())
    index = tmp_path / "7" / "trial"
    content = index.read_text().partition("\n")[2].replace("fold-0-3.pt", "../fold-0-3.pt")
    index.write_text(f"{hashlib.sha256(content.encode()).hexdigest()}\n{content}")
    with pytest.raises(CheckpointError, match="outside its folder"):
        checkpoints.load()


def test_a_hostile_checkpoint_runs_no_code(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "7", CONFIG)
    checkpoints.save(begun().state_dict())
    canary = tmp_path / "canary"
    fold = tmp_path / "7" / "fold-0-3.pt"
    index = tmp_path / "7" / "trial"
    before = hashlib.sha256(fold.read_bytes()).hexdigest()
    torch.save({"model": Hostile(canary)}, fold)
    after = hashlib.sha256(fold.read_bytes()).hexdigest()
    content = index.read_text().partition("\n")[2].replace(before, after)
    index.write_text(f"{hashlib.sha256(content.encode()).hexdigest()}\n{content}")
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoints.load()
    assert not canary.exists()
    torch.load(fold, weights_only=False)
    assert canary.exists(), "the canary sings where a pickle is read"


def test_no_link_is_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "mine").write_text("mine")
    (tmp_path / "7").symlink_to(victim)
    with pytest.raises(OSError, match="7 is a symbolic link to"):
        Checkpoints(tmp_path / "7", CONFIG).save(begun().state_dict())
    (tmp_path / "8").mkdir()
    for name in ("trial", "fold-0-3.pt", "fold-0-3.pt.tmp", "notes"):
        (tmp_path / "8" / name).symlink_to(victim / "mine")
    checkpoints = Checkpoints(tmp_path / "8", CONFIG)
    checkpoints.save(begun().state_dict())
    assert checkpoints.load() is not None
    assert (tmp_path / "8" / "notes").is_symlink()
    assert [path.name for path in victim.iterdir()] == ["mine"]
    assert (victim / "mine").read_text() == "mine"


class Hostile:
    """Writes a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self._canary, "sung")


def test_the_first_save_of_a_large_model_keeps_to_its_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("tunecli.training.state.checkpoints.time.monotonic", lambda: now)
    small, large = (Checkpoints(tmp_path, CONFIG, n) for n in (10**6, 5 * 10**9))
    now += 11
    assert small.is_due
    assert not large.is_due
    now += 5 * 10**9 / WRITE_SPEED / MOST_SHARE  # 25 s to write, so 500 s to train
    assert large.is_due


def test_what_a_checkpoint_will_take_is_about_what_it_takes(tmp_path: Path) -> None:
    training = begun(
        trial(optimizer=component("AdamW", lr=0.01), model=component("MLP", width=512))
    )
    Checkpoints(tmp_path, CONFIG).save(training.state_dict())
    taken = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert taken / 1.5 < training.checkpoint_bytes < taken * 1.5
