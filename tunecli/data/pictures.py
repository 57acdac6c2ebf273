"""A folder of class folders as a data set: its pictures are decoded once, and kept as bytes."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunecli.data.cache import NewArray, kept, key_of
from tunecli.data.class_folders import (
    ClassFolders,
    Part,
    PictureFile,
    class_folders,
    own_parts,
)
from tunecli.data.dataset import Dataset
from tunecli.data.decoding import Pixels, UnreadableError, decoded, header
from tunecli.data.depth import Depth
from tunecli.data.hardware import n_cores
from tunecli.data.picture_sets import (
    VERSIONS,
    Described,
    Form,
    cache_for,
    check_room,
    dataset_from,
    filled,
)
from tunecli.data.survey import surveyed
from tunecli.data.workspace import Workspace
from tunecli.errors import DataError
from tunecli.study_file.counts import count
from tunecli.study_file.settings import DataSettings, ValidationSettings
from tunecli.study_file.source_kinds import picture_folder

AT_ONCE = 256
"""Pictures that are decoded before they are written, at most."""
BYTES_AT_ONCE = 2**28
"""That they take, if more than one of them does not take more."""
LISTED = 5
"""Unreadable pictures that are named."""


def load_pictures(
    settings: DataSettings, validation: ValidationSettings, workspace: Workspace
) -> Dataset:
    """Decode all pictures, unless the same ones were before.

    `test/` and `val/` beside `train/` are the test set and the validation rows, unless the study
    file names other ones, or asks for a share or for folds; then `val/` is there to train on.

    Raises:
        DataError: if there is nothing to learn from, or a picture cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd headers of pictures that are fine
        return _load(settings, validation, workspace)


def median_side(settings: DataSettings, workspace: Workspace) -> int:
    """Median of the heights and widths of a folder's pictures, in pixels; 0 without any."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = _found(settings, ValidationSettings(), workspace.folder)
        known = [head for file in found.files if (head := header(file.path)) is not None]
    return round(statistics.median(side for head in known for side in head.size)) if known else 0


def _load(settings: DataSettings, validation: ValidationSettings, workspace: Workspace) -> Dataset:
    found = _found(settings, validation, workspace.folder)
    survey = surveyed(found.files, workspace.cache)
    channels = settings.channels or (1 if survey.is_grey else 3)
    size = _size(settings, found, channels, survey.depth)
    if size is None:
        message = (
            f"none of the {count(len(found.files), 'picture')} of {settings.source} can be read"
        )
        reason = _pixels(found.files[0], channels, None, survey.depth)
        raise DataError(f"{message}: {found.files[0].named} ({reason}), …", "data.source")
    form = Form(size, channels)
    cache = cache_for(len(found.files), form, workspace.cache)
    found = replace(found, notes=(*found.notes, *survey.notes))
    key = key_of("pictures", survey.content, form, settings.skip_unreadable, found.notes, VERSIONS)

    def make(new: NewArray) -> Mapping[str, Any]:
        n_files, pictures = len(found.files), _Reader(found, form, settings, survey.depth)
        check_room(n_files, form, cache)
        return filled(new, n_files, form, pictures, found.classes, pictures.notes, survey.depth)

    return dataset_from(settings.source, kept(cache, key, make))


def _found(settings: DataSettings, validation: ValidationSettings, folder: Path) -> ClassFolders:
    """The pictures of the source, and of the folders that the study file names."""
    source = folder / settings.source
    if not source.is_dir():
        message = f"there is no folder {settings.source!r} (looked for at {source.absolute()})."
        raise DataError(message, "data.source")
    parts = own_parts(source)
    named: dict[Part, str] = {
        part: f"{settings.source.rstrip('/')}/{path.name}/" for part, path in parts.items()
    }
    if "train" not in parts:
        parts["train"], named["train"] = source, f"{settings.source.rstrip('/')}/"
    given: list[tuple[Part, str, str | float | None]] = [
        ("valid", "validation.folder", validation.folder),
        ("test", "data.test", settings.test),
    ]
    notes = []
    for part, setting, asked in given:
        if isinstance(asked, str):
            parts[part] = picture_folder(asked, settings.source, folder)
            named[part] = f"{asked.rstrip('/')}/"
            if not parts[part].is_dir():
                message = f"there is no folder {asked!r} (looked for at {parts[part].absolute()})."
                raise DataError(message, setting)
        elif asked is not None and part in parts:
            notes.append(
                f"{named[part]} is left out, since {setting} asks for {asked:g} of the rows."
            )
            del parts[part], named[part]
    found = class_folders(parts, named)
    return ClassFolders(found.files, found.classes, (*found.notes, *notes))


def _size(
    settings: DataSettings, found: ClassFolders, channels: int, depth: Depth | None
) -> tuple[int, int] | None:
    """As the study file says, else that of the first picture which can be read."""
    if isinstance(settings.size, int):
        return settings.size, settings.size
    if settings.size is not None:
        return settings.size[0], settings.size[1]
    for file in found.files:
        pixels = _pixels(file, channels, None, depth)
        if not isinstance(pixels, str):
            return pixels.shape[1], pixels.shape[2]
    return None


def _pixels(
    file: PictureFile, channels: int, size: tuple[int, int] | None, depth: Depth | None
) -> Pixels | str:
    """A file's pixels, or why it has none."""
    try:
        return decoded(file.path, channels, size, depth)
    except UnreadableError as error:
        return str(error)


class _Reader:
    """Decodes pictures in threads, and gives them in their order.

    Attributes:
        notes: what was left out; complete once all pictures were read.
    """

    def __init__(
        self, found: ClassFolders, form: Form, settings: DataSettings, depth: Depth | None
    ) -> None:
        self.notes = list(found.notes)
        self._found = found
        self._depth = depth
        self._form = form
        self._settings = settings

    def __iter__(self) -> Iterator[Described]:
        numbers = {name: i for i, name in enumerate(self._found.classes)}
        unreadable: list[str] = []
        for file, pixels in self._decoded():
            if isinstance(pixels, str):
                unreadable.append(f"{file.named} ({pixels})")
                continue
            if pixels.shape != self._form.shape:
                raise DataError(self._other_size(file, pixels), "data.size")
            yield Described(pixels, numbers[file.class_name], file.part, file.named)
        if unreadable:
            self._tell(unreadable)

    def _decoded(self) -> Iterator[tuple[PictureFile, Pixels | str]]:
        size = None if self._settings.size is None else self._form.size
        channels, depth = self._form.channels, self._depth
        n_at_once = max(1, min(AT_ONCE, BYTES_AT_ONCE // self._form.n_bytes))
        with ThreadPoolExecutor(min(8, n_cores())) as pool:
            for start in range(0, len(self._found.files), n_at_once):
                files = self._found.files[start : start + n_at_once]
                read = pool.map(lambda file: _pixels(file, channels, size, depth), files)
                yield from zip(files, read, strict=True)

    def _other_size(self, file: PictureFile, pixels: Pixels) -> str:
        (height, width), (_, other, another) = self._form.size, pixels.shape
        first = self._found.files[0].named
        return (
            f"pictures must be of one size, but {first} is {height} pixels high and {width} wide, "
            f"{file.named} {other} and {another}. Write size: 64, or another, to fit all to it."
        )

    def _tell(self, unreadable: Sequence[str]) -> None:
        """Leave them out with a note if that is asked for."""
        n = len(unreadable)
        more = f" and {n - LISTED:,} more" if n > LISTED else ""
        which = f"{', '.join(unreadable[:LISTED])}{more}"
        of_all = f"{n:,} of {count(len(self._found.files), 'picture')} cannot be read"
        if not self._settings.skip_unreadable:
            way = "Repair or remove them, or write skip_unreadable: true to leave them out."
            raise DataError(f"{of_all}: {which}. {way}", "data.source")
        self.notes.append(f"{of_all} and are left out: {which}.")
