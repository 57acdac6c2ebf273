"""Checkpoints of a trial under way: one file a fold, and a small one that says which belong.

A save writes the folds under new names, then the small file over the old one, then removes the old
folds. Each write goes to a temporary file, to the disk, and only then to its name. So a process
killed at any instant leaves the previous checkpoint or the new one, never half of one.
"""

from __future__ import annotations

import hashlib
import io
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any

import torch

from tunecli.files.own import make_folder, remove_files
from tunecli.files.small import read_small
from tunecli.files.whole import whole_file
from tunecli.numerics import NUMERICS
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.state.trial_files import CHECKPOINT, INDEX, STATES, state_file

FORMAT = 3
MOST_SHARE = 0.05
"""Of a trial's time that may go into saving."""

LEAST_SECONDS = 10.0
"""Between two saves."""

WRITE_SPEED = 200e6
"""Bytes a second that a save is taken to write until the first one has been timed."""


class CheckpointError(Exception):
    """A checkpoint that is torn, damaged or of another trial; the text says which."""


class Checkpoints:
    """The checkpoint of one trial.

    Args:
        folder: of this trial alone; made by the first save.
        config: of the trial. What was saved under another configuration is not loaded.
        n_bytes: that a save will take, roughly; large ones begin late, to keep to their share.
    """

    def __init__(self, folder: Path, config: TrialConfig, n_bytes: int = 0) -> None:
        self._folder = folder
        self._config = _digest(f"{NUMERICS} {config.model_dump_json()}".encode())
        self._due = time.monotonic() + _pause(n_bytes / WRITE_SPEED)

    @property
    def is_due(self) -> bool:
        """Whether a save is worth it: at most 5 % of the trial's time, and 10 s after the last."""
        return time.monotonic() >= self._due

    def save(self, state: dict[str, Any]) -> None:
        """Save a `CrossValidation.state_dict()`.

        Raises:
            OSError: there is no room, no right to write, or a link in the way; the previous
                checkpoint still stands.
        """
        begin = time.monotonic()
        make_folder(self._folder)
        n_rounds = len(state["curve"])
        files = {}
        for number, fold in enumerate(state["folds"]):
            name = state_file(number, n_rounds)
            files[name] = write_whole(self._folder / name, partial(torch.save, fold))
        rest = {key: value for key, value in state.items() if key != "folds"}
        index = {"format": FORMAT, "config": self._config, "files": files, "trial": rest}
        content = json.dumps(index).encode()
        line = _digest(content).encode() + b"\n"
        write_whole(self._index, lambda file: file.write(line + content))
        for path in self._folder.iterdir():
            if STATES.fullmatch(path.name) and path.name not in files:
                path.unlink()
        now = time.monotonic()
        self._due = now + _pause(now - begin)

    def load(self) -> dict[str, Any] | None:
        """What `save` was given last; None if nothing was saved.

        Raises:
            CheckpointError: it cannot be used; the trial has to start over.
        """
        try:
            digest, _, content = read_small(self._index).partition(b"\n")
            if _digest(content) != digest.decode():
                raise CheckpointError("its checksum is wrong")
            index = json.loads(content)
            if index["format"] != FORMAT or index["config"] != self._config:
                raise CheckpointError("it belongs to another trial or version")
            folds = [self._read_fold(name, digest) for name, digest in index["files"].items()]
            return {"folds": folds, **index["trial"]}
        except FileNotFoundError:
            if self._index.exists():
                raise CheckpointError("a part of it is missing") from None
            return None
        except CheckpointError:
            raise
        except Exception as error:  # whatever damaged bytes can cause
            raise CheckpointError(f"it cannot be read ({type(error).__name__})") from error

    def remove(self) -> None:
        """Forget the trial, which has ended."""
        remove_files(self._folder, CHECKPOINT)

    @property
    def _index(self) -> Path:
        return self._folder / INDEX

    def _read_fold(self, name: str, digest: str) -> Any:
        if Path(name).name != name:
            raise CheckpointError("it names a file outside its folder")
        with (self._folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise CheckpointError("its checksum is wrong")
            file.seek(0)
            return torch.load(file, weights_only=True)


class _Digested(io.RawIOBase):
    """A file that is only written to, whose digest is known without reading it again."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def write(self, content: Any) -> int:
        self._hash.update(content)
        return self._file.write(content)


def write_whole(path: Path, put: Callable[[Any], object]) -> str:
    """Let `put` write a file to `path`, at once and for good, and without a copy in memory.

    Returns:
        its digest.
    """
    with whole_file(path) as part, part.open("wb") as file:
        digested = _Digested(file)
        put(digested)
    return digested.digest


def _pause(seconds: float) -> float:
    """Seconds of training around a save that takes `seconds`."""
    return max(LEAST_SECONDS, seconds / MOST_SHARE)


def _digest(content: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
