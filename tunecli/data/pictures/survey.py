"""Survey the headers and contents of a folder's pictures before any of them becomes bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunecli.data.cache.entries import SMALL, NewArray, kept, key_of
from tunecli.data.pictures.class_folders import PictureFile, folder_hash
from tunecli.data.pictures.picture_sets import VERSIONS
from tunecli.data.rows.decoding import Header, UnreadableError, deep_pixels, header
from tunecli.data.rows.depth import Depth
from tunecli.data.rows.hardware import n_cores
from tunecli.errors import DataError
from tunecli.study_file.text.counts import count

_WORDS = {"bytes": "8 bits", "whole": "whole numbers of more than 8 bits", "real": "fractions"}


@dataclass(frozen=True)
class Survey:
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


def surveyed(files: Sequence[PictureFile], cache: Path | None) -> Survey:
    """Survey all files, or take the survey of the same files from the cache.

    Raises:
        DataError: no single rule can map their numbers to levels.
    """

    def make(_: NewArray) -> Mapping[str, Any]:
        return asdict(_of_files(files))

    is_small = sum(file.identity[0] for file in files) <= SMALL
    listing = [(file.named, file.part, file.identity) for file in files]
    facts = kept(None if is_small else cache, key_of("listing", listing, VERSIONS), make).facts
    depth = None if facts["depth"] is None else Depth(**facts["depth"])
    return Survey(facts["content"], facts["is_grey"], depth, tuple(facts["notes"]))


def _of_files(files: Sequence[PictureFile]) -> Survey:
    with ThreadPoolExecutor(min(8, n_cores())) as pool:
        headers = [*pool.map(lambda file: header(file.path), files)]
    known = [(file, head) for file, head in zip(files, headers, strict=True) if head is not None]
    depth, notes = _depth(known)
    return Survey(
        folder_hash(files),
        all(head.is_grey for _, head in known),
        depth,
        (*notes, *_frames(known)),
    )


def _depth(known: Sequence[tuple[PictureFile, Header]]) -> tuple[Depth | None, list[str]]:
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
    with ThreadPoolExecutor(min(8, n_cores())) as pool:
        known = [ends for ends in pool.map(_ends_of, files) if ends is not None]
    return (min(low for low, _ in known), max(high for _, high in known)) if known else None


def _ends_of(file: PictureFile) -> tuple[float, float] | None:
    try:
        numbers = deep_pixels(file.path)
    except UnreadableError:
        return None  # reported when it is decoded
    return float(numbers.min()), float(numbers.max())


def _frames(known: Sequence[tuple[PictureFile, Header]]) -> list[str]:
    some = [file.named for file, head in known if head.has_frames]
    if not some:
        return []
    n = count(len(some), "picture has", "pictures have")
    return [f"{n} several frames or pages, such as {some[0]}. Only the first is used."]
