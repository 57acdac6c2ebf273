"""The files that the user's own training keeps: real files only, each with its hash."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from tunecli.errors import DataError, UserCodeError
from tunecli.files.small import read_small
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.training.state.checkpoints import write_whole
from tunecli.training.state.trial_files import KEPT, MODELS_INDEX

FORMAT = 1


def file_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a folder, by its path in it; in the order of the names.

    Raises:
        UserCodeError: it contains a link or something else that is not a file or a folder, which
            cannot be copied safely.
        OSError: a file cannot be read.
    """
    hashes: dict[str, str] = {}
    for at, folders, files in os.walk(folder, onerror=_raise):
        for name in (*folders, *files):
            path = Path(at, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                hashes[path.relative_to(folder).as_posix()] = _sha256(path)
            elif not stat.S_ISDIR(mode):
                raise UserCodeError(
                    f"{path} is not a regular file. fold.keep may contain only files and folders: "
                    "save a copy there instead of a link."
                )
    return dict(sorted(hashes.items()))


def write_kept_index(folder: Path, config: TrialConfig, n_folds: int) -> None:
    """Write which files a trial's training kept, so that later changes are noticed.

    Nothing is written if it kept none.

    Args:
        folder: the folder of the trial's models.

    Raises:
        UserCodeError: a file is a link.
        OSError: the disk is full, or writing is not permitted.
    """
    hashes = file_hashes(folder / KEPT) if (folder / KEPT).is_dir() else {}
    if hashes:
        index = {
            "format": FORMAT,
            "numerics": config.numerics,
            "config": config.model_dump_json(),
            "n_folds": n_folds,
            "files": hashes,
        }
        content = json.dumps(index).encode()
        write_whole(folder / MODELS_INDEX, lambda file: file.write(content))


def kept_folders(folder: Path, config: TrialConfig) -> list[Path]:
    """Return the folder that the training kept for each fold, with all files as it wrote them.

    Args:
        folder: the folder of the trial's models.

    Raises:
        DataError: the files are missing or changed, or belong to another configuration or
            numerics version.
    """
    try:
        return _checked_folders(folder, config)
    except FileNotFoundError:
        raise DataError(f"there are no models in {folder}.") from None
    except Exception as error:  # whatever damaged bytes can cause
        reason = str(error).removesuffix(".")
        raise DataError(f"the models in {folder} cannot be used: {reason}.") from None


def _checked_folders(folder: Path, config: TrialConfig) -> list[Path]:
    index = json.loads(read_small(folder / MODELS_INDEX))
    if index["format"] != FORMAT or TrialConfig.model_validate_json(index["config"]) != config:
        raise ValueError("they belong to another trial or version of tunecli")
    if (version := index["numerics"]) != config.numerics:  # their features differ
        wanted = f"expected version {config.numerics}"
        raise ValueError(f"they come from version {version} of tunecli's arithmetic, {wanted}")
    refuse_changes(folder / KEPT, index["files"])
    folders = [folder / KEPT / str(number) for number in range(index["n_folds"])]
    if lacking := [path.name for path in folders if not path.is_dir()]:
        raise ValueError(f"fold {lacking[0]} saved nothing in fold.keep")
    return folders


def refuse_changes(folder: Path, hashes: Mapping[str, str]) -> None:
    """Refuse a folder whose files are not exactly those of `hashes`.

    Raises:
        ValueError: a file was added, changed or removed.
        UserCodeError: one is a link.
        OSError: one cannot be read.
    """
    present = file_hashes(folder)
    for name in sorted({*present, *hashes}):
        if name not in present:
            raise ValueError(f"{name} is missing")
        if name not in hashes:
            raise ValueError(f"tunecli did not write {name}")
        if present[name] != hashes[name]:
            raise ValueError(f"the checksum of {name} is wrong")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _raise(error: OSError) -> None:
    raise error
