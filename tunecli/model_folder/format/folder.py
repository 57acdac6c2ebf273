"""A model folder on the disk: written whole or not at all, and read without running anything.

Arrays are safetensors, all else is JSON: no pickle, so no code. A new folder is written beside the
old one and takes its name at the end. A writer that is killed between these two renames leaves the
old folder under another name, and the next reader puts it back.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tunecli.data.rows.hardware import main_memory
from tunecli.errors import ModelFolderError
from tunecli.files.own import NotOwnError, is_folder, refuse_foreign
from tunecli.files.small import read_small
from tunecli.files.whole import set_aside, whole_folder
from tunecli.model_folder.format.manifest import FORMAT, Manifest
from tunecli.training.compression.packing import Packed, plain_file

FACTS = "model.json"
WEIGHTS = "weights.safetensors"
PREPROCESSING = "preprocessing.safetensors"
TEXTS = ("study.yaml", "metrics.json", "README.md")
"""For people and programs, beside the model itself."""
_OURS = re.compile(r"model\.json|(weights|preprocessing)\.safetensors|weights-\d+\.packed")
LARGEST_FACTS = 64 * 2**20
"""Bytes of `model.json`: columns with a hundred thousand categories have room."""


def write_folder(
    folder: Path,
    facts: Manifest,
    weights: Mapping[str, bytes],
    preprocessing: Mapping[str, Tensor],
    texts: Mapping[str, str],
) -> None:
    """Write a model folder, in the place of the one that is there.

    Args:
        facts: without `files`, which are added here.
        weights: files by name: one for all members, or a packed one for each.
        texts: other files by name, for people and programs.

    Raises:
        ModelFolderError: there is no room, no right to write, or something there that tunecli did
            not write; the old folder stands.
    """
    refuse_foreign_model(folder, texts)
    restore_interrupted(folder)
    try:
        with whole_folder(folder) as part:
            for name, content in weights.items():
                (part / name).write_bytes(content)
            (part / PREPROCESSING).write_bytes(plain_file(preprocessing))
            hashes = {path.name: _hash(path) for path in part.iterdir()}
            for name, text in texts.items():
                (part / name).write_text(text, encoding="utf-8")
            whole = facts.model_copy(update={"files": hashes})
            (part / FACTS).write_text(whole.model_dump_json(indent=1), encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise _unwritable(folder, error) from None


def read_folder(folder: Path) -> tuple[Manifest, dict[str, Tensor], dict[str, Tensor]]:
    """What the folder says, its weights, and its preprocessing.

    Raises:
        ModelFolderError: it is no model folder, damaged, or of a newer version.
    """
    restore_interrupted(folder)
    path = folder / FACTS
    if not path.is_file():
        raise ModelFolderError(
            f"{folder} is no model folder: it has no {FACTS}. `tunecli refit` makes one."
        )
    try:
        facts = _facts(path)
        return facts, _weights(folder, facts), _arrays(folder, PREPROCESSING, facts)
    except OSError as error:
        raise ModelFolderError(f"{folder} cannot be read ({error.strerror}).") from None
    except _DamagedError as error:
        raise ModelFolderError(f"{folder} is damaged or no model of tunecli: {error}.") from None


def restore_interrupted(folder: Path) -> None:
    """Put the old folder back, if a writer was killed just before its new one had the name."""
    if folder.exists():  # as `.` and `/` do, beside which nothing can be
        return
    old = set_aside(folder)
    if is_folder(old) and (old / FACTS).is_file():
        with suppress(OSError):  # another reader was faster, or nothing may be written here
            old.rename(folder)


def refuse_foreign_model(folder: Path, texts: Collection[str] = ()) -> None:
    """Let only a model folder that tunecli wrote, or none, be replaced by a new one.

    Args:
        texts: names of further files that may be there.

    Raises:
        ModelFolderError: it is a link, or holds something else.
    """
    try:
        refuse_foreign(folder, "folder")
        names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    except NotOwnError as error:
        raise ModelFolderError(f"{error}; only a folder of tunecli's is replaced.") from None
    except OSError as error:
        raise _unwritable(folder, error) from None
    known = {*TEXTS, *texts}
    foreign = [name for name in names if name not in known and not _OURS.fullmatch(name)]
    if foreign:
        raise ModelFolderError(
            f"{folder} is not replaced: tunecli did not write {foreign[0]!r} in it. Move that "
            "somewhere else."
        )


def _unwritable(folder: Path, error: Exception) -> ModelFolderError:
    reason = getattr(error, "strerror", None) or str(error)
    return ModelFolderError(f"{folder} cannot be written ({reason}). Make room or allow it.")


class _DamagedError(Exception):
    """What is wrong with a folder, in a few words."""


def _facts(path: Path) -> Manifest:
    content = read_small(path, LARGEST_FACTS)
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        if where == "format":
            raise _DamagedError(
                f"its format is {str(first['input'])[:20]!r}, and this version reads {FORMAT}"
            ) from None
        raise _DamagedError(f"{FACTS}: {where or 'it'}: {first['msg'][:200]}") from None


def packed_name(number: int) -> str:
    """The file of one compressed member."""
    return f"weights-{number}.packed"


def _weights(folder: Path, facts: Manifest) -> dict[str, Tensor]:
    """Of all members by name, dense."""
    if packed_name(0) not in facts.files:
        return _arrays(folder, WEIGHTS, facts)
    dense = {}
    for number in range(len(facts.members)):
        content = _checked(folder, packed_name(number), facts).read_bytes()
        try:
            dense[number] = Packed.from_bytes(content).state_dict()
        except Exception as error:  # whatever damaged contents can cause
            reason = " ".join(str(error).split())[:200]
            raise _DamagedError(f"{packed_name(number)}: {reason}") from None
    return nested(dense)


def _checked(folder: Path, name: str, facts: Manifest) -> Path:
    """A file of the folder whose content is what was written."""
    path = folder / name
    if not path.is_file():
        raise _DamagedError(f"{name} is missing")
    n_bytes = path.stat().st_size
    if n_bytes > main_memory():  # one with holes costs no disk, and hashing it would take hours
        raise _DamagedError(f"{name} has {n_bytes:,} bytes, which do not fit into memory")
    if _hash(path) != facts.files.get(name):
        raise _DamagedError(f"the checksum of {name} is wrong")
    return path


def _arrays(folder: Path, name: str, facts: Manifest) -> dict[str, Tensor]:
    path = _checked(folder, name, facts)
    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise _DamagedError(f"{name}: {str(error)[:200]}") from None


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def nested(parts: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Arrays of several members, by `number/name`."""
    return {f"{i}/{name}": array for i, part in parts.items() for name, array in part.items()}


def of_member(arrays: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    """The arrays of one member, by name."""
    start = f"{number}/"
    return {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
