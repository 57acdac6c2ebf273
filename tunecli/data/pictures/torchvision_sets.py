"""Load the classification sets of `torchvision.datasets`: read once, and cached as bytes.

A set's own test split is held out for the test, and its own validation split validates. If it has
no test split with labels, its `val` split is the test set.
"""

from __future__ import annotations

import os
import sys
import tarfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np

from tunecli.data.cache.entries import NewArray, kept, key_of
from tunecli.data.pictures import picture_sets
from tunecli.data.pictures.picture_sets import KnownPicture, PictureForm
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.decoding import DEEP, Pixels, only_pictures, pixels
from tunecli.data.rows.workspace import Workspace
from tunecli.errors import DataError
from tunecli.files.file_lock import in_turn
from tunecli.files.own import open_file
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.settings.torchvision_splits import SETS, Part, Splits

_UNREADABLE = (
    *(RuntimeError, OSError, ValueError, EOFError, HTTPException),
    *(tarfile.TarError, zipfile.BadZipFile),
)
"""Exceptions of torchvision if a download or its files are incomplete."""


def load_torchvision(
    settings: DataSettings, _: ValidationSettings, workspace: Workspace
) -> Dataset:
    """Read a set from `data.root`, after a download if it is missing and `download` is true.

    Raises:
        DataError: it is missing, or pictures differ in size and `size` is not set.
    """
    if settings.root is None:
        message = f"{settings.source} needs data.root, the folder where torchvision stores it."
        raise DataError(f"{message} Write root: data, and download: true if it is not there yet.")
    root = workspace.folder / settings.root
    splits = SETS[settings.source]
    _fetch(settings, root)
    asked = settings.model_dump(include={"source", "size", "channels", "test"})
    key = key_of("torchvision", asked, _listing(root, splits), picture_sets.VERSIONS)

    def make(new: NewArray) -> Mapping[str, Any]:
        with warnings.catch_warnings(), only_pictures():
            warnings.simplefilter("ignore")  # torchvision's, on its own files
            return _fill(_opened(settings, root), settings, new, workspace.cache)

    return picture_sets.dataset_from(settings.source, kept(workspace.cache, key, make))


def _listing(root: Path, splits: Splits) -> list[tuple[str, int, int, int]]:
    """Return names, sizes and times of a set's files, which change with the content."""
    paths = [
        path
        for top in sorted(root.glob(splits.files))
        for path in ([top] if top.is_file() else sorted(top.rglob("*")))
    ]
    files = ((path, path.stat()) for path in paths if path.is_file() and path.name[0] != ".")
    return [
        (path.relative_to(root).as_posix(), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
        for path, stat in files
    ]


def _fetch(settings: DataSettings, root: Path) -> None:
    """Download a missing set, once for all processes.

    A marker file shows that a download was completed: an interrupted one is continued.
    """
    splits, mark = SETS[settings.source], root / f".{settings.source}.downloaded"
    is_there = bool(_listing(root, splits))
    if not settings.download:
        if not is_there:
            message = f"there is no {settings.source} in {settings.root!r} (looked for at {root})."
            way = "Write download: true to fetch it (init: --download), or change root."
            raise DataError(f"{message} {way}", "data.root")
        return
    if is_there and (mark.exists() or not os.access(root, os.W_OK)):
        return
    root.mkdir(parents=True, exist_ok=True)
    with in_turn(root / f".{settings.source}.lock"):
        if not (mark.exists() and _listing(root, splits)):
            with redirect_stdout(sys.stderr):  # torchvision prints what it unpacks
                _opened(settings, root, download=True)
            os.close(open_file(mark, os.O_WRONLY))


def _opened(settings: DataSettings, root: Path, download: bool = False) -> dict[Part, Any]:
    """Open torchvision's data sets, by part."""
    from torchvision import datasets

    name, splits = settings.source, SETS[settings.source]
    kind = getattr(datasets, name)
    given = {"download": True} if download and name not in ("FER2013", "ImageNet") else {}
    sets: dict[Part, Any] = {}
    for part, arguments in splits.parts.items():
        if part == "test" and settings.test is not None:
            continue  # a share of the rows is asked for instead
        try:
            sets[part] = kind(str(root), **splits.arguments, **arguments, **given)
        except (*_UNREADABLE, ImportError) as error:
            raise DataError(_explained(error, settings, bool(given)), "data.source") from None
    return sets


def _explained(error: Exception, settings: DataSettings, is_download: bool) -> str:
    """Explain an error in one line and say what to do; torchvision's reasons may take several."""
    reason = " ".join(str(error).split()).rstrip(". ") or type(error).__name__
    if is_download:
        what = f"{settings.source} could not be downloaded to {settings.root!r}: {reason[:300]}"
        way = "put its files there by hand, as torchvision's documentation describes"
        return f"{what}. Try again, or {way}."
    what = f"torchvision cannot read {settings.source} in {settings.root!r}: {reason[:300]}"
    return f"{what}. Remove the files and write download: true, or download them by hand."


def _fill(
    sets: Mapping[Part, Any], settings: DataSettings, new: NewArray, cache: Path | None
) -> Mapping[str, Any]:
    rows = {part: _labels(opened) for part, opened in sets.items()}
    n_rows = sum(map(len, rows.values()))
    present = np.unique(np.concatenate(list(rows.values())))
    names = getattr(sets["train"], "classes", None)
    is_named = names is not None and len(names) > present.max()
    classes = [_class_name(names[i]) if is_named and names else str(i) for i in present.tolist()]
    first = next(_rows(sets["train"], settings, None))
    form = _form(settings, first)
    picture_sets.check_room(n_rows, form, cache)

    def pictures() -> Iterator[KnownPicture]:
        for part, opened in sets.items():
            numbers = np.searchsorted(present, rows[part])
            for i, picture in enumerate(_rows(opened, settings, form)):
                if picture.shape != form.shape:
                    message = f"the pictures of {settings.source} differ in size. Write size: 64."
                    raise DataError(message, "data.size")
                yield KnownPicture(picture, int(numbers[i]), part, f"number {i:,} of {part}")

    return picture_sets.filled(new, n_rows, form, pictures(), classes, [])


def _form(settings: DataSettings, first: Pixels) -> PictureForm:
    channels = settings.channels or first.shape[0]
    if isinstance(settings.size, int):
        return PictureForm((settings.size, settings.size), channels)
    height, width = settings.size or first.shape[1:]
    return PictureForm((height, width), channels)


def _rows(opened: Any, settings: DataSettings, form: PictureForm | None) -> Iterator[Pixels]:
    """Yield a set's pictures, in the given form if there is one."""
    raw = _raw(opened)
    is_as_wanted = raw is not None and (form is None or raw.shape[1:] == form.shape)
    if raw is not None and is_as_wanted:
        yield from raw
        return
    size = None if form is None or settings.size is None else form.size
    for i in range(len(opened)):
        picture = _picture(opened, i, settings)
        is_grey = picture.mode in ("1", "L") if form is None else form.channels == 1
        yield pixels(picture, 1 if is_grey else 3, size)


def _picture(opened: Any, i: int, settings: DataSettings) -> Any:
    """Return a picture as torchvision opens it."""
    try:
        picture = opened[i][0]
        if picture.mode in DEEP:
            raise ValueError("it holds more than 8 bits")
        return picture
    except Exception as error:  # Pillow's, of damaged files, have no common base
        what = f"picture {i:,} of {settings.source} in {settings.root!r} cannot be read"
        reason = " ".join(str(error).split()).rstrip(". ") or type(error).__name__
        message = f"{what}: {reason[:200]}. Remove the files and write download: true."
        raise DataError(message, "data.source") from None


def _raw(opened: Any) -> Any:
    """Return all pictures, (n, channels, height, width) bytes, if the set has them in memory."""
    data = getattr(opened, "data", None)
    array = None if data is None or isinstance(data, list) else np.asarray(data)
    if array is None or array.dtype != np.uint8:
        return None
    if array.ndim == 3:
        return array[:, None]
    return array if array.shape[1] in (1, 3) else np.moveaxis(array, -1, 1)


def _labels(opened: Any) -> Any:
    """Return the class of each row, (n,) int64."""
    for name in ("targets", "labels", "_labels", "y"):
        listed = getattr(opened, name, None)
        if listed is not None and len(listed) == len(opened):
            labels = np.asarray(listed)
            if labels.ndim == 1 and labels.dtype.kind in "iu":
                return labels.astype(np.int64)
    return np.array([int(opened[i][1]) for i in range(len(opened))], dtype=np.int64)


def _class_name(name: Any) -> str:
    """Return a class's name, or the first of several, as ImageNet has them."""
    return str(name[0]) if isinstance(name, tuple) else str(name)
