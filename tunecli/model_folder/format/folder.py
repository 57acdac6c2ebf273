"""Write a model folder as a whole or not at all, and read it without running anything.

Arrays are safetensors, all else is JSON: no pickle, so no code. A new folder is written next to
the old one and takes its name at the end, by two renames; the old one then gets a number. A writer
that is killed between them leaves the old folder under another name, and the next reader renames
it back.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tunecli.data.cache.entries import content_sha256
from tunecli.data.rows.hardware import main_memory
from tunecli.errors import ModelFolderError, UserCodeError
from tunecli.files.own import NotOwnError, is_folder, refuse_foreign
from tunecli.files.small import read_small
from tunecli.files.whole import set_aside, whole_folder
from tunecli.model_folder.format.manifest import FORMAT, Manifest
from tunecli.model_folder.format.model import Model
from tunecli.training.compression.packing import Packed, plain_file
from tunecli.training.user_loop.kept_files import file_hashes, refuse_changes

FACTS = "model.json"
WEIGHTS = "weights.safetensors"
PREPROCESSING = "preprocessing.safetensors"
TEXTS = ("study.yaml", "metrics.json", "README.md")
"""Files for people and programs, in addition to the model itself."""
_OURS = re.compile(
    r"model\.json|(weights|preprocessing)\.safetensors|weights-\d+\.packed|study-\d+\.yaml"
)
_OF_USER = re.compile(r"own-\d+")
"""Folders with the files that the user's own training saved, one per member."""
LARGEST_FACTS = 64 * 2**20
"""Largest size of `model.json` in bytes, enough for columns with a hundred thousand categories."""


def write_model(folder: Path, model: Model, texts: Mapping[str, str]) -> list[Path]:
    """Write a model folder, and move an existing one aside.

    Args:
        texts: other files by name, for people and programs.

    Returns:
        where the earlier model is now, and before it one that a killed writer left; usually at
        most one folder.

    Raises:
        ModelFolderError: the folder cannot be written, or contains files that tunecli did not
            write; the old folder is unchanged.
    """
    refuse_foreign_model(folder, texts)
    restore_interrupted(folder)
    fitted = nested({i: m.preprocessing.tensors() for i, m in enumerate(model.members)})
    arrays = weight_files(model) | {PREPROCESSING: plain_file(fitted)}
    moved: list[Path] = []

    def keep(old: Path) -> None:
        if any(old.iterdir()):
            moved.append(old.rename(_free_name(folder)))
        else:
            old.rmdir()

    try:
        with whole_folder(folder, keep) as part:
            for name, content in arrays.items():
                (part / name).parent.mkdir(parents=True, exist_ok=True)
                (part / name).write_bytes(content)
            hashes = {name: content_sha256(part / name) for name in arrays}
            for name, text in texts.items():
                (part / name).write_text(text, encoding="utf-8")
            facts = model.facts.model_copy(update={"files": hashes})
            (part / FACTS).write_text(facts.model_dump_json(indent=1), encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise _unwritable(folder, error) from None
    return moved


def _free_name(folder: Path) -> Path:
    """Return the first of `<folder>-1`, `<folder>-2`, … that does not exist."""
    names = (folder.with_name(f"{folder.name}-{number}") for number in itertools.count(1))
    return next(path for path in names if not os.path.lexists(path))


def weight_files(model: Model) -> dict[str, bytes]:
    """Return the files with a model's weights, by name; packed ones only if they are smaller.

    Those of user code are what its training saved.
    """
    if model.facts.config.train is not None:
        return {
            f"{user_folder(number)}/{name}": (network.folder / name).read_bytes()
            for number, network in enumerate(model.user_networks)
            for name in file_hashes(network.folder)
        }
    weights = nested({i: m.network.state_dict() for i, m in enumerate(model.members)})
    plain = {WEIGHTS: plain_file(weights)}
    packed = {
        packed_name(i): member.packed.to_bytes()
        for i, member in enumerate(model.members)
        if member.packed is not None and not member.packed.is_plain
    }
    if len(packed) < len(model.members):
        return plain
    return min(plain, packed, key=lambda files: sum(map(len, files.values())))


def read_folder(folder: Path) -> tuple[Manifest, dict[str, Tensor], dict[str, Tensor]]:
    """Return the content of `model.json`, the weights, and the arrays of the preprocessing.

    Raises:
        ModelFolderError: it is not a model folder, or is damaged, or a newer version wrote it.
    """
    restore_interrupted(folder)
    path = folder / FACTS
    if not path.is_file():
        raise ModelFolderError(
            f"{folder} is not a model folder: {FACTS} is missing. `tunecli refit` makes one."
        )
    try:
        facts = _facts(path)
        weights = {} if facts.config.train is not None else _weights(folder, facts)
        _refuse_other_user_files(folder, facts)
        return facts, weights, _arrays(folder, PREPROCESSING, facts)
    except OSError as error:
        raise ModelFolderError(f"{folder} cannot be read ({error.strerror}).") from None
    except _DamagedError as error:
        raise ModelFolderError(f"{folder} is damaged or not a tunecli model: {error}.") from None


def restore_interrupted(folder: Path) -> None:
    """Rename the old folder back if a writer was killed before its new one had the name."""
    if folder.exists():  # so do `.` and `/`, which have no neighbours
        return
    old = set_aside(folder)
    if is_folder(old) and (old / FACTS).is_file():
        with suppress(OSError):  # another reader was faster, or this folder is read-only
            old.rename(folder)


def refuse_foreign_model(folder: Path, texts: Collection[str] = ()) -> None:
    """Refuse to replace anything but a model folder that tunecli wrote.

    Args:
        texts: names of further files that it may contain.

    Raises:
        ModelFolderError: it is a link, or contains something else.
    """
    try:
        refuse_foreign(folder, "folder")
        names = sorted(path.name for path in folder.iterdir()) if folder.exists() else []
    except NotOwnError as error:
        raise ModelFolderError(
            f"{error}, and tunecli replaces only folders that it wrote. Move it away."
        ) from None
    except OSError as error:
        raise _unwritable(folder, error) from None
    known = {*TEXTS, *texts}
    ours = {*known, *_user_folders_of(folder)}
    foreign = [name for name in names if name not in ours and not _OURS.fullmatch(name)]
    if foreign:
        raise ModelFolderError(
            f"{folder} cannot be replaced: it contains {foreign[0]!r}, which tunecli did not "
            "write. Move that file elsewhere."
        )


def _user_folders_of(folder: Path) -> set[str]:
    """Return the folders of user code in a model folder that contain only what was written."""
    try:
        facts = _facts(folder / FACTS)
        _refuse_other_user_files(folder, facts)
    except (OSError, _DamagedError):
        return set()
    return {name.partition("/")[0] for name in facts.files if "/" in name}


def _unwritable(folder: Path, error: Exception) -> ModelFolderError:
    reason = getattr(error, "strerror", None) or str(error)
    return ModelFolderError(
        f"{folder} cannot be written ({reason}). Free some space or change its permissions."
    )


class _DamagedError(Exception):
    """A damaged folder; the message names the damage in a few words."""


def _facts(path: Path) -> Manifest:
    content = read_small(path, LARGEST_FACTS)
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        if where == "format":
            raise _DamagedError(
                f"its format is {str(first['input'])[:20]!r}, but this version reads {FORMAT}"
            ) from None
        raise _DamagedError(f"{FACTS}: {where or 'it'}: {first['msg'][:200]}") from None


def packed_name(number: int) -> str:
    """Return the file name of one compressed member."""
    return f"weights-{number}.packed"


def user_folder(number: int) -> str:
    """Return the name of the folder of what user code saved for one member."""
    return f"own-{number}"


def _refuse_other_user_files(folder: Path, facts: Manifest) -> None:
    """Refuse folders of user code whose files are not exactly those that were written.

    Raises:
        _DamagedError: one is.
        OSError: one cannot be read.
    """
    present = {path.name for path in folder.iterdir() if _OF_USER.fullmatch(path.name)}
    written = {name.partition("/")[0] for name in facts.files if "/" in name}
    for one in sorted(present | written):
        if not _OF_USER.fullmatch(one):
            raise _DamagedError(f"{FACTS}: it names files in {one[:50]!r}")
        start = f"{one}/"
        hashes = {n.removeprefix(start): h for n, h in facts.files.items() if n.startswith(start)}
        try:
            refuse_foreign(folder / one, "folder")
            refuse_changes(folder / one, hashes)
        except (ValueError, UserCodeError, NotOwnError) as error:
            raise _DamagedError(f"{one}: {str(error).removesuffix('.')}") from None


def _weights(folder: Path, facts: Manifest) -> dict[str, Tensor]:
    """Return the dense weights of all members by name."""
    if packed_name(0) not in facts.files:
        return _arrays(folder, WEIGHTS, facts)
    dense = {}
    for number in range(len(facts.members)):
        content = _checked(folder, packed_name(number), facts).read_bytes()
        try:
            dense[number] = Packed.from_bytes(content).state_dict()
        except Exception as error:  # damaged contents can cause any error
            reason = " ".join(str(error).split())[:200]
            raise _DamagedError(f"{packed_name(number)}: {reason}") from None
    return nested(dense)


def _checked(folder: Path, name: str, facts: Manifest) -> Path:
    """Return the path of a file whose content is unchanged.

    Raises:
        _DamagedError: the file is missing, too large or has changed.
    """
    path = folder / name
    if not path.is_file():
        raise _DamagedError(f"{name} is missing")
    n_bytes = path.stat().st_size
    if n_bytes > main_memory():  # a sparse file needs no disk, but hashing it would take hours
        raise _DamagedError(f"{name} has {n_bytes:,} bytes, which do not fit into memory")
    if content_sha256(path) != facts.files.get(name):
        raise _DamagedError(f"the checksum of {name} is wrong")
    return path


def _arrays(folder: Path, name: str, facts: Manifest) -> dict[str, Tensor]:
    path = _checked(folder, name, facts)
    try:
        return load_file(path)
    except (SafetensorError, ValueError, KeyError) as error:
        raise _DamagedError(f"{name}: {str(error)[:200]}") from None


def nested(parts: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the arrays of several members, by `number/name`."""
    return {f"{i}/{name}": array for i, part in parts.items() for name, array in part.items()}


def of_member(arrays: Mapping[str, Tensor], number: int) -> dict[str, Tensor]:
    """Return the arrays of one member, by name."""
    start = f"{number}/"
    return {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
