"""Load a folder of class folders: its pictures are decoded once, and cached as bytes."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from tunecli.data.cache.entries import NewArray, kept, key_of
from tunecli.data.pictures.class_folders import (
    ClassFolders,
    Part,
    PictureFile,
    class_folders,
    own_parts,
)
from tunecli.data.pictures.picture_sets import (
    VERSIONS,
    KnownPicture,
    PictureForm,
    cache_for,
    check_room,
    dataset_from,
    filled,
)
from tunecli.data.pictures.survey import surveyed
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.decoding import Pixels, UnreadableError, decode_picture, header
from tunecli.data.rows.depth import Depth
from tunecli.data.rows.hardware import n_cores
from tunecli.data.rows.workspace import Workspace
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.settings.source_kinds import picture_folder
from tunecli.study_file.text.counts import count

AT_ONCE = 256
"""Most pictures to decode before they are written."""
BYTES_AT_ONCE = 2**28
"""Most bytes of pictures to decode before they are written; one picture may take more."""
LISTED = 5
"""Most unreadable pictures to name in a message."""


def load_pictures(
    settings: DataSettings, validation: ValidationSettings, workspace: Workspace
) -> Dataset:
    """Decode all pictures, or take the same ones from the cache.

    `test/` and `val/` in the folder of `train/` are the test set and the validation rows, unless
    the study file names other ones, or asks for a share or for folds; then `val/` is for training.

    Raises:
        DataError: there is nothing to learn, or a picture cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of odd headers of pictures that are fine
        return _load(settings, validation, workspace)


def median_side(settings: DataSettings, workspace: Workspace) -> int:
    """Return the median of heights and widths of a folder's pictures in pixels; 0 without any."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        listing = _list_pictures(settings, ValidationSettings(), workspace.folder)
        known = [head for file in listing.files if (head := header(file.path)) is not None]
    return round(statistics.median(side for head in known for side in head.size)) if known else 0


def _load(settings: DataSettings, validation: ValidationSettings, workspace: Workspace) -> Dataset:
    listing = _list_pictures(settings, validation, workspace.folder)
    survey = surveyed(listing.files, workspace.cache)
    channels = settings.channels or (1 if survey.is_grey else 3)
    size = _size(settings, listing, channels, survey.depth)
    if size is None:
        n_pictures = count(len(listing.files), "picture")
        message = f"none of the {n_pictures} of {settings.source} can be read"
        reason = _pixels(listing.files[0], channels, None, survey.depth)
        raise DataError(f"{message}: {listing.files[0].named} ({reason}), …", "data.source")
    form = PictureForm(size, channels)
    cache = cache_for(len(listing.files), form, workspace.cache)
    listing = replace(listing, notes=(*listing.notes, *survey.notes))
    key = key_of(
        "pictures", survey.content, form, settings.skip_unreadable, listing.notes, VERSIONS
    )

    def make(new: NewArray) -> Mapping[str, Any]:
        n_files, pictures = len(listing.files), _Reader(listing, form, settings, survey.depth)
        check_room(n_files, form, cache)
        return filled(new, n_files, form, pictures, listing.classes, pictures.notes, survey.depth)

    return dataset_from(settings.source, kept(cache, key, make))


def _list_pictures(
    settings: DataSettings, validation: ValidationSettings, folder: Path
) -> ClassFolders:
    """List the pictures of the source, and of other folders that the study file names."""
    source = folder / settings.source
    if not source.is_dir():
        message = f"folder {settings.source!r} does not exist (looked for at {source.absolute()})."
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
                message = (
                    f"folder {asked!r} does not exist (looked for at {parts[part].absolute()})."
                )
                raise DataError(message, setting)
        elif asked is not None and part in parts:
            notes.append(
                f"{named[part]} is left out, because {setting} asks for {asked:g} of the rows."
            )
            del parts[part], named[part]
    listing = class_folders(parts, named)
    return ClassFolders(listing.files, listing.classes, (*listing.notes, *notes))


def _size(
    settings: DataSettings, listing: ClassFolders, channels: int, depth: Depth | None
) -> tuple[int, int] | None:
    """Return the study file's size, else that of the first readable picture; None without one."""
    if isinstance(settings.size, int):
        return settings.size, settings.size
    if settings.size is not None:
        return settings.size[0], settings.size[1]
    for file in listing.files:
        pixels = _pixels(file, channels, None, depth)
        if not isinstance(pixels, str):
            return pixels.shape[1], pixels.shape[2]
    return None


def _pixels(
    file: PictureFile, channels: int, size: tuple[int, int] | None, depth: Depth | None
) -> Pixels | str:
    """Decode a file's pixels, or return why that fails."""
    try:
        return decode_picture(file.path, channels, size, depth)
    except UnreadableError as error:
        return str(error)


class _Reader:
    """An iterable that decodes pictures in threads, and yields them in order.

    Attributes:
        notes: sentences on what was left out; complete after all pictures were read.
    """

    def __init__(
        self, listing: ClassFolders, form: PictureForm, settings: DataSettings, depth: Depth | None
    ) -> None:
        self.notes = list(listing.notes)
        self._listing = listing
        self._depth = depth
        self._form = form
        self._settings = settings

    def __iter__(self) -> Iterator[KnownPicture]:
        numbers = {name: i for i, name in enumerate(self._listing.classes)}
        unreadable: list[str] = []
        for file, pixels in self._decoded():
            if isinstance(pixels, str):
                unreadable.append(f"{file.named} ({pixels})")
                continue
            if pixels.shape != self._form.shape:
                raise DataError(self._other_size(file, pixels), "data.size")
            yield KnownPicture(pixels, numbers[file.class_name], file.part, file.named)
        if unreadable:
            self._leave_out(unreadable)

    def _decoded(self) -> Iterator[tuple[PictureFile, Pixels | str]]:
        size = None if self._settings.size is None else self._form.size
        channels, depth = self._form.channels, self._depth
        n_at_once = max(1, min(AT_ONCE, BYTES_AT_ONCE // self._form.n_bytes))
        with ThreadPoolExecutor(min(8, n_cores())) as pool:
            for start in range(0, len(self._listing.files), n_at_once):
                files = self._listing.files[start : start + n_at_once]
                read = pool.map(lambda file: _pixels(file, channels, size, depth), files)
                yield from zip(files, read, strict=True)

    def _other_size(self, file: PictureFile, pixels: Pixels) -> str:
        (height, width), (_, other, another) = self._form.size, pixels.shape
        first = self._listing.files[0].named
        return (
            f"all pictures must have one size, but {first} is {height} pixels high and {width} "
            f"wide, and {file.named} is {other} high and {another} wide. Write size: 64, or "
            "another size, to fit all pictures to it."
        )

    def _leave_out(self, unreadable: Sequence[str]) -> None:
        """Leave out unreadable pictures with a note if the settings allow it; else refuse them."""
        n = len(unreadable)
        more = f" and {n - LISTED:,} more" if n > LISTED else ""
        which = f"{', '.join(unreadable[:LISTED])}{more}"
        of_all = f"{n:,} of {count(len(self._listing.files), 'picture')} cannot be read"
        if not self._settings.skip_unreadable:
            way = "Repair or remove them, or write skip_unreadable: true to leave them out."
            raise DataError(f"{of_all}: {which}. {way}", "data.source")
        self.notes.append(f"{of_all} and are left out: {which}.")
