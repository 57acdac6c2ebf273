"""What the headers and contents of a folder's pictures say before one of them becomes bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tunecli.data.cache import SMALL, NewArray, kept, key_of
from tunecli.data.class_folders import PictureFile, content_hash
from tunecli.data.decoding import Header, UnreadableError, header, numbers
from tunecli.data.depth import Depth
from tunecli.data.hardware import n_cores
from tunecli.data.picture_sets import VERSIONS
from tunecli.errors import DataError
from tunecli.study_file.counts import count

_WORDS = {"bytes": "8 bits", "whole": "whole numbers of more than 8 bits", "real": "fractions"}


@dataclass(frozen=True)
class Survey:
    """Of all pictures of a source.

    Attributes:
        content: hash of all files.
        is_grey: all pictures; those that cannot be read count as grey.
        depth: the rule for those of more than 8 bits; None if there are none.
        notes: how they were scaled, and what is left out.
    """

    content: str
    is_grey: bool
    depth: Depth | None
    notes: tuple[str, ...]


def surveyed(files: Sequence[PictureFile], cache: Path | None) -> Survey:
    """Look at all files, unless the same ones were looked at before.

    Raises:
        DataError: no one rule can make levels of their numbers.
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
        content_hash(files),
        all(head.is_grey for _, head in known),
        depth,
        (*notes, *_frames(known)),
    )


def _depth(known: Sequence[tuple[PictureFile, Header]]) -> tuple[Depth | None, list[str]]:
    """The rule for a set, by all of its files, and a note on it."""
    firsts: dict[str, str] = {head.kind: file.named for file, head in reversed(known)}
    deep = [(file, head) for file, head in known if head.kind != "bytes"]
    if not deep:
        return None, []
    if {"whole", "real"} <= firsts.keys():
        raise _mixed(firsts, "whole", "real")
    ends = _ends([file for file, _ in deep])
    if ends is None:
        return None, []  # none of them can be read
    depth = Depth.of("real" if "real" in firsts else "whole", *ends)
    if "bytes" in firsts and not depth.has_white:
        raise _mixed(firsts, "bytes", depth.kind)
    is_one, of_all = len(deep) == 1, count(len(known), "picture")
    some = f"{len(deep):,} of {of_all}" if len(deep) < len(known) else f"All {of_all}"
    note = (
        f"{of_all if len(known) == 1 else some} {'is' if is_one else 'are'} stored with more than "
        f"8 bits and {'holds' if is_one else 'hold'} values from {ends[0]:g} to "
        f"{ends[1]:g}: {depth.in_words} become levels from 0 to 255, in new pictures too."
    )
    if "bytes" in firsts:
        note += f" Pictures of 8 bits, such as {firsts['bytes']}, keep their levels."
    return depth, [note]


def _mixed(firsts: Mapping[str, str], one: str, other: str) -> DataError:
    which = f"{firsts[one]} holds {_WORDS[one]} and {firsts[other]} {_WORDS[other]}"
    return DataError(
        f"{which}, which cannot be scaled by one rule. Save all pictures in one format.",
        "data.source",
    )


def _ends(files: Sequence[PictureFile]) -> tuple[float, float] | None:
    """The least and the largest number in these files; None if none can be read."""
    with ThreadPoolExecutor(min(8, n_cores())) as pool:
        found = [ends for ends in pool.map(_ends_of, files) if ends is not None]
    return (min(low for low, _ in found), max(high for _, high in found)) if found else None


def _ends_of(file: PictureFile) -> tuple[float, float] | None:
    try:
        found = numbers(file.path)
    except UnreadableError:
        return None  # said when it is decoded
    return float(found.min()), float(found.max())


def _frames(known: Sequence[tuple[PictureFile, Header]]) -> list[str]:
    some = [file.named for file, head in known if head.has_frames]
    if not some:
        return []
    n = count(len(some), "picture has", "pictures have")
    return [f"{n} several frames or pages, such as {some[0]}: the first one is taken."]
