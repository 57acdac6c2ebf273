"""Load a folder of class folders: its pictures are decoded once, and cached as bytes.

The headers and contents of all pictures are surveyed before any of them becomes bytes.
"""

from __future__ import annotations

import hashlib
import statistics
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from tunecli.data.cache.entries import SMALL, NewArray, content_sha256, kept, key_of
from tunecli.data.pictures import class_folders, picture_sets
from tunecli.data.pictures.class_folders import (
    PICTURES,
    ClassFolders,
    FileKind,
    PartFolder,
    PictureFile,
)
from tunecli.data.pictures.picture_sets import KnownPicture, PictureForm
from tunecli.data.rows import decoding
from tunecli.data.rows.dataset import Dataset
from tunecli.data.rows.decoding import Depth
from tunecli.data.rows.hardware import n_cores
from tunecli.data.rows.workspace import Workspace
from tunecli.errors import DataError
from tunecli.study_file.settings.settings import DataSettings, ValidationSettings
from tunecli.study_file.settings.source_kinds import picture_folder
from tunecli.study_file.settings.torchvision_splits import Part
from tunecli.study_file.text.counts import count

Result = TypeVar("Result")

_WORDS = {"bytes": "8 bits", "whole": "whole numbers of more than 8 bits", "real": "fractions"}

AT_ONCE = 256
"""Largest number of pictures to decode before they are written."""
BYTES_AT_ONCE = 2**28
"""Largest size of pictures, in bytes, to decode before they are written; one picture may
take more."""
LISTED = 5
"""Largest number of unreadable pictures to name in a message."""


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
        listing = list_files(settings, ValidationSettings(), workspace.folder)
        known = [
            head for file in listing.files if (head := decoding.header(file.path)) is not None
        ]
    return round(statistics.median(side for head in known for side in head.size)) if known else 0


def _load(settings: DataSettings, validation: ValidationSettings, workspace: Workspace) -> Dataset:
    listing = list_files(settings, validation, workspace.folder)
    survey = _surveyed(listing.files, workspace.cache)
    channels = settings.channels or (1 if survey.is_grey else 3)
    size = _size(settings, listing, channels, survey.depth)
    if size is None:
        n_pictures = count(len(listing.files), "picture")
        message = f"none of the {n_pictures} of {settings.source} can be read"
        reason = _pixels(listing.files[0], channels, None, survey.depth)
        raise DataError(f"{message}: {listing.files[0].named} ({reason}), …", "data.source")
    form = PictureForm(size, channels)
    cache = picture_sets.cache_for(len(listing.files), form, workspace.cache)
    listing = replace(listing, notes=(*listing.notes, *survey.notes))
    asked = form, settings.skip_unreadable, listing.notes
    key = key_of("pictures", survey.content, *asked, picture_sets.VERSIONS)

    def make(new: NewArray) -> Mapping[str, Any]:
        n_files, classes, notes = len(listing.files), listing.classes, list(listing.notes)
        reader = _Reader(listing, form, settings, survey.depth, notes)
        picture_sets.check_room(n_files, form, cache)
        return picture_sets.filled(new, n_files, form, reader, classes, notes, survey.depth)

    return picture_sets.dataset_from(settings.source, kept(cache, key, make))


def list_files(
    settings: DataSettings,
    validation: ValidationSettings,
    folder: Path,
    kind: FileKind = PICTURES,
) -> ClassFolders:
    """List the files of the source, and of other folders that the study file names."""
    source = folder / settings.source
    if not source.is_dir():
        message = f"folder {settings.source!r} does not exist (looked for at {source.absolute()})."
        raise DataError(message, "data.source")
    name = settings.source.rstrip("/")
    own = class_folders.own_parts(source).items()
    parts = {part: PartFolder(path, f"{name}/{path.name}/") for part, path in own}
    parts.setdefault("train", PartFolder(source, f"{name}/"))
    given: list[tuple[Part, str, str | float | None]] = [
        ("valid", "validation.folder", validation.folder),
        ("test", "data.test", settings.test),
    ]
    notes = []
    for part, setting, asked in given:
        if isinstance(asked, str):
            path = picture_folder(asked, settings.source, folder)
            if not path.is_dir():
                message = f"folder {asked!r} does not exist (looked for at {path.absolute()})."
                raise DataError(message, setting)
            parts[part] = PartFolder(path, f"{asked.rstrip('/')}/")
        elif asked is not None and part in parts:
            left_out = f"{parts.pop(part).named} is left out"
            notes.append(f"{left_out}, because {setting} asks for {asked:g} of the rows.")
    listing = class_folders.class_folders(parts, kind)
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
) -> decoding.Pixels | str:
    """Decode a file's pixels, or return why that fails."""
    try:
        return decoding.decode_picture(file.path, channels, size, depth)
    except decoding.UnreadableError as error:
        return str(error)


@dataclass(frozen=True)
class _Reader:
    """An iterable that decodes pictures in threads, and yields them in order.

    Attributes:
        notes: sentences on what was left out; complete after all pictures were read.
    """

    listing: ClassFolders
    form: PictureForm
    settings: DataSettings
    depth: Depth | None
    notes: list[str]

    def __iter__(self) -> Iterator[KnownPicture]:
        numbers = {name: i for i, name in enumerate(self.listing.classes)}
        unreadable: list[str] = []
        for file, pixels in self._decoded():
            if isinstance(pixels, str):
                unreadable.append(f"{file.named} ({pixels})")
                continue
            if pixels.shape != self.form.shape:
                raise DataError(self._other_size(file, pixels), "data.size")
            yield KnownPicture(pixels, numbers[file.class_name], file.part, file.named)
        if unreadable:
            self._leave_out(unreadable)

    def _decoded(self) -> Iterator[tuple[PictureFile, decoding.Pixels | str]]:
        size = None if self.settings.size is None else self.form.size
        channels, depth = self.form.channels, self.depth
        n_at_once = max(1, min(AT_ONCE, BYTES_AT_ONCE // self.form.n_bytes))
        for start in range(0, len(self.listing.files), n_at_once):
            files = self.listing.files[start : start + n_at_once]
            read = _in_threads(lambda file: _pixels(file, channels, size, depth), files)
            yield from zip(files, read, strict=True)

    def _other_size(self, file: PictureFile, pixels: decoding.Pixels) -> str:
        (height, width), (_, other, another) = self.form.size, pixels.shape
        first = self.listing.files[0].named
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
        of_all = f"{n:,} of {count(len(self.listing.files), 'picture')} cannot be read"
        if not self.settings.skip_unreadable:
            way = "Repair or remove them, or write skip_unreadable: true to leave them out."
            raise DataError(f"{of_all}: {which}. {way}", "data.source")
        self.notes.append(f"{of_all} and are left out: {which}.")


@dataclass(frozen=True)
class _Survey:
    """Facts about all pictures of a source.

    Attributes:
        content: the hash of all files.
        is_grey: whether all pictures are grey; unreadable ones count as grey.
        depth: the rule for pictures of more than 8 bits; None if there are none.
        notes: sentences on how they were scaled, and on what is left out.
    """

    content: str
    is_grey: bool
    depth: Depth | None
    notes: tuple[str, ...]


def _surveyed(files: Sequence[PictureFile], cache: Path | None) -> _Survey:
    """Survey all files, or take the survey of the same files from the cache.

    Raises:
        DataError: no single rule can map their numbers to levels.
    """

    def make(_: NewArray) -> Mapping[str, Any]:
        return asdict(_of_files(files))

    is_small = sum(file.identity[0] for file in files) <= SMALL
    listing = [(file.named, file.part, file.identity) for file in files]
    facts = kept(
        None if is_small else cache, key_of("listing", listing, picture_sets.VERSIONS), make
    ).facts
    depth = None if facts["depth"] is None else Depth(**facts["depth"])
    return _Survey(facts["content"], facts["is_grey"], depth, tuple(facts["notes"]))


def _of_files(files: Sequence[PictureFile]) -> _Survey:
    headers = zip(files, _in_threads(lambda file: decoding.header(file.path), files), strict=True)
    known = [(file, head) for file, head in headers if head is not None]
    depth, notes = _depth(known)
    return _Survey(
        _folder_hash(files),
        all(head.is_grey for _, head in known),
        depth,
        (*notes, *_frames(known)),
    )


def _folder_hash(files: Sequence[PictureFile]) -> str:
    """Return the SHA-256 hash of names, parts and contents, in hexadecimal."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(
            f"{file.part}\0{file.name}\0{_hash(file)}\0".encode(errors="surrogateescape")
        )
    return digest.hexdigest()


def _hash(file: PictureFile) -> str:
    """Return the hash of a file's content; empty if it is unreadable, which decoding reports."""
    try:
        return content_sha256(file.path) if file.path.is_file() else ""
    except OSError:
        return ""


def _depth(known: Sequence[tuple[PictureFile, decoding.Header]]) -> tuple[Depth | None, list[str]]:
    """Return the rule for a set, from all of its files, and a note on it."""
    firsts: dict[str, str] = {head.kind: file.named for file, head in reversed(known)}
    deep = [(file, head) for file, head in known if head.kind != "bytes"]
    if not deep:
        return None, []
    if {"whole", "real"} <= firsts.keys():
        raise _mixed(firsts, "whole", "real")
    ends = _ends([file for file, _ in deep])
    if ends is None:
        return None, []  # all of them are unreadable
    depth = Depth.of("real" if "real" in firsts else "whole", *ends)
    if "bytes" in firsts and not depth.has_white:
        raise _mixed(firsts, "bytes", depth.kind)
    is_one, of_all = len(deep) == 1, count(len(known), "picture")
    some = f"{len(deep):,} of {of_all}" if len(deep) < len(known) else f"All {of_all}"
    note = (
        f"{of_all if len(known) == 1 else some} {'is' if is_one else 'are'} stored with more than "
        f"8 bits and {'holds' if is_one else 'hold'} values from {ends[0]:g} to {ends[1]:g}: "
        f"{depth.in_words} are mapped to levels from 0 to 255, in new pictures too."
    )
    if "bytes" in firsts:
        note += f" Pictures of 8 bits, such as {firsts['bytes']}, keep their levels."
    return depth, [note]


def _mixed(firsts: Mapping[str, str], one: str, other: str) -> DataError:
    which = f"{firsts[one]} holds {_WORDS[one]} and {firsts[other]} holds {_WORDS[other]}"
    return DataError(
        f"{which}, which no single rule can scale. Save all pictures in one format.",
        "data.source",
    )


def _ends(files: Sequence[PictureFile]) -> tuple[float, float] | None:
    """Return the least and the largest number in these files; None if none can be read."""
    known = [ends for ends in _in_threads(_ends_of, files) if ends is not None]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


def _ends_of(file: PictureFile) -> tuple[float, float] | None:
    try:
        numbers = decoding.deep_pixels(file.path)
    except decoding.UnreadableError:
        return None  # reported when it is decoded
    return float(numbers.min()), float(numbers.max())


def _frames(known: Sequence[tuple[PictureFile, decoding.Header]]) -> list[str]:
    some = [file.named for file, head in known if head.has_frames]
    if not some:
        return []
    n = count(len(some), "picture has", "pictures have")
    return [f"{n} several frames or pages, such as {some[0]}. Only the first is used."]


def _in_threads(
    work: Callable[[PictureFile], Result], files: Sequence[PictureFile]
) -> Iterator[Result]:
    with ThreadPoolExecutor(min(8, n_cores())) as pool:
        yield from pool.map(work, files)
