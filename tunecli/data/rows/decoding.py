"""A picture file as bytes of a given size and number of channels.

Decoded by Pillow, as torchvision's own data sets are: `torchvision.io` is deprecated since 0.29.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tunecli.data.rows.depth import Depth

Pixels = NDArray[np.uint8]
"""(channels, height, width)"""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF", "BMP", "DIB", "TIFF", "PPM")
"""All that is opened, by Pillow's names, whatever a file is called: for others, such as
PostScript, Pillow starts programs."""

_WHOLE = ("I", "I;16", "I;16B", "I;16L")  # Pillow's modes
DEEP = (*_WHOLE, "F")
"""Those of more than 8 bits."""
GREY = ("1", "L", "LA", "La", *DEEP)
_COLOURS = ("RGB", "RGBA", "RGBX")
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}  # big, little


class UnreadableError(Exception):
    """Why a file is no picture, in a few words."""


@dataclass(frozen=True)
class Header:
    """What a picture's file says before its pixels.

    Attributes:
        size: (height, width), as it is stored.
        kind: bytes, or numbers of more than 8 bits.
        has_frames: more than one, of which only the first is read.
    """

    size: tuple[int, int]
    is_grey: bool
    kind: Literal["bytes", "whole", "real"]
    has_frames: bool


@contextmanager
def only_pictures() -> Iterator[None]:
    """Let nothing but `FORMATS` be opened meanwhile by code that leaves the choice to Pillow."""
    known = Image.ID
    Image.ID = list(_formats())
    try:
        yield
    finally:
        Image.ID = known


def header(path: Path) -> Header | None:
    """What a file's header says; None if it cannot be read."""
    try:
        with _opened(path) as picture:
            has_frames = getattr(picture, "is_animated", False) and picture.format != "MPO"
            size = picture.height, picture.width
            return Header(size, picture.mode in GREY, _kind(picture), has_frames)
    except Exception:  # see `_reasons`
        return None


def deep_pixels(path: Path) -> NDArray[Any]:
    """What a file of more than 8 bits holds, upright: (height, width) or (height, width, 3).

    Raises:
        UnreadableError: it cannot be decoded, or a number is not finite.
    """
    with _reasons(path), _opened(path) as picture:
        return _numbers(path, picture)


def decode_picture(
    path: Path, channels: int, size: tuple[int, int] | None = None, depth: Depth | None = None
) -> Pixels:
    """A file's picture, upright, its transparency left out.

    Args:
        channels: 1 for grey, 3 for colour.
        size: (height, width) to fit it to, see `pixels`; None to leave it as it is.
        depth: how numbers of more than 8 bits become levels; None where 8 bits are expected.

    Raises:
        UnreadableError: if it cannot be decoded, or `depth` is not for it.
    """
    with _reasons(path), _opened(path) as picture:
        kind = _kind(picture)
        found = None if kind == "bytes" else _numbers(path, picture)
        _check_depth(kind, depth)
        if found is not None and depth is not None:
            return pixels(_as_bytes(found, depth), channels, size)
        if size is not None:
            picture.draft(None, (2 * size[1], 2 * size[0]))  # large JPEGs in less time
        return pixels(ImageOps.exif_transpose(picture), channels, size)


def pixels(picture: Any, channels: int, size: tuple[int, int] | None = None) -> Pixels:
    """A Pillow picture of 8 bits as an array.

    To fit a size it is scaled until it covers it, and what juts out is cut off on both sides
    alike, so that nothing is distorted (as torchvision's Resize and CenterCrop do together).
    """
    picture = picture.convert("L" if channels == 1 else "RGB")
    if size is not None and picture.size != size[::-1]:
        picture = ImageOps.fit(picture, size[::-1], Image.Resampling.BILINEAR)
    array = np.asarray(picture).reshape(picture.height, picture.width, channels)
    return np.moveaxis(array, -1, 0)


def picture_array(picture: Image.Image) -> NDArray[Any]:
    """A Pillow picture as (channels, height, width): bytes, or its numbers as they are."""
    if picture.mode in DEEP:
        return np.asarray(picture)[np.newaxis]
    return pixels(picture, 1 if picture.mode in GREY else 3)


def _formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow can open."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _opened(path: Path) -> Any:
    if not path.is_file():  # a pipe would be waited for
        raise UnreadableError("it is not a file" if path.exists() else "it does not exist")
    return Image.open(path, formats=_formats())


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    """Say why a file cannot be read: what Pillow raises for damaged ones has no common base."""
    try:
        yield
    except UnreadableError:
        raise
    except UnidentifiedImageError:
        is_empty = path.stat().st_size == 0
        raise UnreadableError("it is empty" if is_empty else "its format is unknown") from None
    except Image.DecompressionBombError:
        raise UnreadableError("its header claims too many pixels") from None
    except MemoryError:
        raise UnreadableError("it needs more memory than this machine has") from None
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        raise UnreadableError(reason.splitlines()[0][:100]) from None


def _kind(picture: Any) -> Literal["bytes", "whole", "real"]:
    if picture.mode == "F":
        return "real"
    is_deep = any(raw.endswith((";16B", ";16L", ";16N")) for raw in _raw_modes(picture))
    tags = getattr(picture, "tag_v2", {})  # of TIFF
    bits, sample_format = tags.get(258, (8,)), tags.get(339, (1,))
    if picture.mode == "L" and 2 in sample_format:
        raise UnreadableError("its 8 bits have a sign, which Pillow ignores: save it without")
    is_deep |= _is_pnm_of_16_bits(picture) or max(bits) > 8
    return "whole" if picture.mode in _WHOLE or is_deep else "bytes"


def _is_pnm_of_16_bits(picture: Any) -> bool:
    """Whether its colours reach to 65,535, of which Pillow makes 255 (as of any other maximum)."""
    return bool(picture.format == "PPM" and picture.tile[0].args == ("RGB", 65535))


def _raw_modes(picture: Any) -> set[str]:
    """How Pillow calls the pixels in the file; it reads 16 bits of a colour as the upper 8."""
    arguments = [tile.args for tile in picture.tile]
    return {str(some[0] if isinstance(some, tuple) else some) for some in arguments}


def _numbers(path: Path, picture: Any) -> NDArray[Any]:
    """Of an opened picture of more than 8 bits."""
    raw_modes = _raw_modes(picture)
    if picture.mode not in DEEP:
        return _of_colours(path, picture, raw_modes)
    found = np.asarray(ImageOps.exif_transpose(picture))
    if "I;32N" in raw_modes:  # not signed, which Pillow leaves out
        found = found.view(np.uint32)
    if not np.isfinite(found).all():
        raise UnreadableError("it holds numbers that are not finite")
    return found


def _of_colours(path: Path, picture: Any, raw_modes: set[str]) -> NDArray[np.uint16]:
    """Colours of 16 bits: Pillow gives one byte of each, so they are read twice."""
    if _is_pnm_of_16_bits(picture) and picture.tile[0].codec_name == "ppm":  # not as text
        shape = picture.height, picture.width, 3
        stored = np.fromfile(path, ">u2", math.prod(shape), offset=picture.tile[0].offset)
        return stored.reshape(shape).astype(np.uint16)
    if not all(raw.partition(";16")[0] in _COLOURS and ";" in raw for raw in raw_modes):
        form = ", ".join(sorted(raw_modes))
        raise UnreadableError(
            f"it has 16 bits in a form that Pillow cannot read in full ({form}): save it as "
            "16-bit grey or RGB, or with 8 bits"
        )
    upper: Pixels = np.asarray(ImageOps.exif_transpose(picture))[..., :3]
    with _opened(path) as again:
        again.tile = [tile._replace(args=_of_other_byte(tile.args)) for tile in again.tile]
        lower: Pixels = np.asarray(ImageOps.exif_transpose(again))[..., :3]
    return upper.astype(np.uint16) * np.uint16(256) + lower


def _of_other_byte(arguments: Any) -> Any:
    """The arguments of Pillow's decoder for the other byte order."""
    if isinstance(arguments, tuple):
        return _of_other_byte(arguments[0]), *arguments[1:]
    return arguments[:-1] + _OTHER_BYTE[arguments[-1]]


def _check_depth(kind: str, depth: Depth | None) -> None:
    """Refuse what no rule was made for."""
    if depth is None and kind != "bytes":
        raise UnreadableError("it holds more than 8 bits, but 8 are expected: save it with 8 bits")
    if depth is None or kind == depth.kind or (kind == "bytes" and depth.has_white):
        return
    words = {"bytes": "8 bits", "whole": "whole numbers", "real": "fractions"}
    expected = f"{words[depth.kind]}, {depth.in_words}, are expected"
    raise UnreadableError(f"it holds {words[kind]}, but {expected}")


def _as_bytes(found: NDArray[Any], depth: Depth) -> Image.Image:
    if not depth.holds(found):
        ends = f"{found.min():g} to {found.max():g}"
        raise UnreadableError(f"it holds values from {ends}, but {depth.in_words} are expected")
    return Image.fromarray(depth.levels(found))
