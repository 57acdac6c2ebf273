"""Checkpoints of a trial under way: one file a fold, and a small one that says which belong.

A save writes the folds under new names, then the small file over the old one, then removes the old
folds. Each write goes to a temporary file, to the disk, and only then to its name. So a process
killed at any instant leaves the previous checkpoint or the new one, never half of one.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from tunecli.study_file.settings import TrialConfig

FORMAT = 2
MOST_SHARE = 0.05
"""Of a trial's time that may go into saving."""

LEAST_SECONDS = 10.0
"""Between two saves."""


class CheckpointError(Exception):
    """A checkpoint that is torn, damaged or of another trial; the text says which."""


class Checkpoints:
    """The checkpoint of one trial.

    Args:
        folder: of this trial alone; made by the first save.
        config: of the trial. What was saved under another configuration is not loaded.
    """

    def __init__(self, folder: Path, config: TrialConfig) -> None:
        self._folder = folder
        self._config = _digest(config.model_dump_json().encode())
        self._due = time.monotonic() + LEAST_SECONDS

    @property
    def is_due(self) -> bool:
        """Whether a save is worth it: at most 5 % of the trial's time, and 10 s after the last."""
        return time.monotonic() >= self._due

    def save(self, state: dict[str, Any]) -> None:
        """Save a `CrossValidation.state_dict()`.

        Raises:
            OSError: there is no room, or no right to write; the previous checkpoint still stands.
        """
        begin = time.monotonic()
        self._folder.mkdir(parents=True, exist_ok=True)
        n_rounds = len(state["curve"])
        files = {}
        for number, fold in enumerate(state["folds"]):
            name = f"fold-{number}-{n_rounds}.pt"
            files[name] = _write(self._folder / name, _as_bytes(fold))
        rest = {key: value for key, value in state.items() if key != "folds"}
        index = {"format": FORMAT, "config": self._config, "files": files, "trial": rest}
        content = json.dumps(index).encode()
        _write(self._index, _digest(content).encode() + b"\n" + content)
        for path in self._folder.iterdir():
            is_ours = path.is_file()  # folders are of a training of the user's own
            if is_ours and path.name not in files and path != self._index:
                path.unlink()
        now = time.monotonic()
        self._due = now + max(LEAST_SECONDS, (now - begin) / MOST_SHARE)

    def load(self) -> dict[str, Any] | None:
        """What `save` was given last; None if nothing was saved.

        Raises:
            CheckpointError: it cannot be used; the trial has to start over.
        """
        try:
            digest, _, content = self._index.read_bytes().partition(b"\n")
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
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _index(self) -> Path:
        return self._folder / "trial"

    def _read_fold(self, name: str, digest: str) -> Any:
        if Path(name).name != name:
            raise CheckpointError("it names a file outside its folder")
        content = (self._folder / name).read_bytes()
        if _digest(content) != digest:
            raise CheckpointError("its checksum is wrong")
        return torch.load(io.BytesIO(content), weights_only=True)


def _as_bytes(state: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def _write(path: Path, content: bytes) -> str:
    """Put `content` at `path` at once and for good.

    Returns:
        its digest.
    """
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_folder(path.parent)
    return _digest(content)


def _digest(content: bytes) -> str:
    """SHA-256, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make a rename last; some file systems cannot, and need not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
