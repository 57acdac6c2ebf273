"""Checkpoints of a running trial: one file per fold, and an index of the files.

A save writes the folds under new names, replaces the index, then removes the old folds. Each file
is written under a temporary name, flushed to the disk, and then renamed. So a process killed at
any instant leaves the previous or the new checkpoint, never a partial one.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from tunecli.files.own import make_folder
from tunecli.files.small import read_small
from tunecli.files.whole import whole_file
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.state.older_checkpoints import FORMAT_3, digest_of_3, upgraded_from_3
from tunecli.training.state.trial_files import INDEX, STATES, state_file

FORMAT = 4
MOST_SHARE = 0.05
"""Largest share of a trial's time that is spent on saving."""

LEAST_SECONDS = 10.0
"""Shortest time between two saves."""

WRITE_SPEED = 200e6
"""Assumed bytes per second of a save, until the first one was timed."""


class CheckpointError(Exception):
    """A checkpoint is incomplete, damaged or of another trial; the text is the reason."""


class Checkpoints:
    """The checkpoint of one trial.

    Args:
        folder: folder of this trial alone; created by the first save.
        config: configuration of the trial; a checkpoint of another configuration is not loaded.
        n_bytes: approximate size of a save; large saves start later, to keep to their share of
            the time.
    """

    def __init__(self, folder: Path, config: TrialConfig, n_bytes: int = 0) -> None:
        self._folder = folder
        self._index = folder / INDEX
        self._config = config
        self._due = time.monotonic() + _pause(n_bytes / WRITE_SPEED)

    @property
    def is_due(self) -> bool:
        """Whether to save now: saves take at most 5 % of the time, and are at least 10 s apart."""
        return time.monotonic() >= self._due

    def save(self, state: dict[str, Any]) -> None:
        """Save a `CrossValidation.state_dict()`.

        Raises:
            OSError: the disk is full, writing is not permitted, or a link is in the way; the
                previous checkpoint is kept.
        """
        begin = time.monotonic()
        make_folder(self._folder)
        n_rounds = sum(map(len, (*state["earlier"], state["curve"])))
        files = {}
        for number, fold in enumerate(state["folds"]):
            name = state_file(number, n_rounds)
            files[name] = write_whole(self._folder / name, partial(torch.save, fold))
        rest = {key: value for key, value in state.items() if key != "folds"}
        index = {
            "format": FORMAT,
            "numerics": self._config.numerics,
            "config": self._config.model_dump_json(),
            "files": files,
            "trial": rest,
        }
        content = json.dumps(index).encode()
        line = _digest(content).encode() + b"\n"
        write_whole(self._index, lambda file: file.write(line + content))
        for path in self._folder.iterdir():
            if STATES.fullmatch(path.name) and path.name not in files:
                path.unlink()
        now = time.monotonic()
        self._due = now + _pause(now - begin)

    def load(self) -> dict[str, Any] | None:
        """Return the last saved state; None if nothing was saved.

        Raises:
            CheckpointError: the checkpoint cannot be used; the trial has to start over.
        """
        try:
            digest, _, content = read_small(self._index).partition(b"\n")
            if _digest(content) != digest.decode():
                raise CheckpointError("its checksum is wrong")
            index = json.loads(content)
            if not self._is_of_this_trial(index):
                raise CheckpointError("it belongs to another trial or version of tunecli")
            folds = [self._read_fold(name, digest) for name, digest in index["files"].items()]
            state = {"folds": folds, **index["trial"]}
            return upgraded_from_3(state) if index["format"] == FORMAT_3 else state
        except FileNotFoundError:
            if self._index.exists():
                raise CheckpointError("a part of it is missing") from None
            return None
        except CheckpointError:
            raise
        except Exception as error:  # whatever damaged bytes can cause
            raise CheckpointError(f"it cannot be read ({type(error).__name__})") from error

    def _is_of_this_trial(self, index: dict[str, Any]) -> bool:
        """Compare configurations; settings that the checkpoint lacks have their defaults."""
        if index["format"] == FORMAT_3:
            return bool(index["config"] == digest_of_3(self._config))
        if (index["format"], index["numerics"]) != (FORMAT, self._config.numerics):
            return False
        saved = TrialConfig.model_validate_json(index["config"])
        return saved.model_dump_json() == self._config.model_dump_json()  # infinity equals itself

    def _read_fold(self, name: str, digest: str) -> Any:
        if Path(name).name != name:
            raise CheckpointError("it names a file outside its folder")
        with (self._folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise CheckpointError("its checksum is wrong")
            file.seek(0)
            return torch.load(file, weights_only=True)


def write_whole(path: Path, put: Callable[[Any], object]) -> str:
    """Let `put` write a file to `path`, completely or not at all, without a copy in memory.

    Returns:
        The digest of the file.
    """
    with whole_file(path) as part:
        with part.open("wb") as file:
            put(file)
        with part.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def _pause(seconds: float) -> float:
    """Return the seconds between two saves, if a save takes `seconds`."""
    return max(LEAST_SECONDS, seconds / MOST_SHARE)


def _digest(content: bytes) -> str:
    """Return the SHA-256 digest in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
