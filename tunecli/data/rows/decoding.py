"""Decode picture files to bytes of a given size and number of channels.

One rule per set maps pictures of more than 8 bits to levels from 0 to 255.

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

Pixels = NDArray[np.uint8]
"""(channels, height, width)"""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF", "BMP", "DIB", "TIFF", "PPM")
"""The only formats that are opened, by Pillow's names, whatever a file is called: for others,
such as PostScript, Pillow starts programs."""

_WHOLE = ("I", "I;16", "I;16B", "I;16L")  # Pillow's modes
DEEP = (*_WHOLE, "F")
"""Modes of more than 8 bits."""
GREY = ("1", "L", "LA", "La", *DEEP)
_COLOURS = ("RGB", "RGBA", "RGBX")
_OTHER_BYTE = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}  # big, little


BITS = (8, 10, 12, 14, *range(16, 33))
"""Bit depths of whole numbers; a set has the smallest one that fits its largest value."""

FEWEST_LEVELS = 64
"""If a set's values would fill fewer of the 256 levels, it is scaled from least to largest."""


class UnreadableError(Exception):
    """The reason, in a few words, why a file is not a picture."""


@dataclass(frozen=True)
class Depth:
    """The values of black and white, for all pictures of a set that hold more than 8 bits.

    Attributes:
        kind: whole numbers, or fractions.
        low: the value that becomes level 0.
        high: the end of level 255; whole numbers stay below it.
    """

    kind: Literal["whole", "real"]
    low: float
    high: float

    def __post_init__(self) -> None:
        """Refuse values that are not finite, or in the wrong order."""
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"values from {self.low} to {self.high}")

    @classmethod
    def of(cls, kind: Literal["whole", "real"], least: float, largest: float) -> Depth:
        """Return a set's rule: by its number of bits, from 0 to 1, or from least to largest."""
        white = 1.0
        if kind == "whole" and least >= 0:
            white = float(2 ** next(n for n in BITS if largest < 2**n))
        is_narrow = white != 256 and 0 < largest - least < white * FEWEST_LEVELS / 256
        if least >= 0 and largest <= white and not is_narrow:
            return cls(kind, 0.0, white)
        return cls(kind, least, largest if largest > least else math.nextafter(least, math.inf))

    @property
    def has_white(self) -> bool:
        """Whether 0 is black and a standard number white, as in pictures of 8 bits."""
        is_white = math.log2(self.high).is_integer() if self.kind == "whole" else self.high == 1
        return self.low == 0 and is_white

    @property
    def in_words(self) -> str:
        """The range of values that become levels, in words."""
        if self.kind == "whole" and self.has_white:
            return f"values from 0 to {int(self.high) - 1:,} ({int(math.log2(self.high))} bits)"
        return f"values from {self.low:g} to {self.high:g}"

    def holds(self, numbers: NDArray[Any]) -> bool:
        """Return whether all numbers are between black and white."""
        is_open = self.kind == "whole" and self.has_white
        most = self.high - 1 if is_open else self.high
        return bool(numbers.min() >= self.low and numbers.max() <= most)

    def levels(self, numbers: NDArray[Any]) -> NDArray[np.uint8]:
        """Map numbers of any shape to 256 equally wide levels; of 16 bits, keep the upper 8."""
        scaled = (numbers.astype(np.float64) - self.low) / (self.high - self.low) * 256
        return scaled.clip(0, 255).astype(np.uint8)


OF_16_BITS = Depth("whole", 0.0, 65536.0)
"""The old rule for all pictures, from before each set had its own."""


@dataclass(frozen=True)
class Header:
    """The facts in a picture file's header.

    Attributes:
        size: (height, width), as stored.
        kind: bytes, or whole or real numbers of more than 8 bits.
        has_frames: whether there are several frames, of which only the first is read.
    """

    size: tuple[int, int]
    is_grey: bool
    kind: Literal["bytes", "whole", "real"]
    has_frames: bool


@contextmanager
def only_pictures() -> Iterator[None]:
    """Restrict Pillow to `FORMATS` meanwhile, for code that leaves the choice of format to it."""
    known = Image.ID
    Image.ID = list(_formats())
    try:
        yield
    finally:
        Image.ID = known


def header(path: Path) -> Header | None:
    """Read a file's header; return None if that fails."""
    try:
        with _opened(path) as picture:
            has_frames = getattr(picture, "is_animated", False) and picture.format != "MPO"
            size = picture.height, picture.width
            return Header(size, picture.mode in GREY, _kind(picture), has_frames)
    except Exception:  # see `_reasons`
        return None


def deep_pixels(path: Path) -> NDArray[Any]:
    """Return the numbers of a file of more than 8 bits, upright: (height, width) or (…, 3).

    Raises:
        UnreadableError: it cannot be decoded, or a number is not finite.
    """
    with _reasons(path), _opened(path) as picture:
        return _numbers(path, picture)


def decode_picture(
    path: Path, channels: int, size: tuple[int, int] | None = None, depth: Depth | None = None
) -> Pixels:
    """Decode a file's picture, upright and without its transparency.

    Args:
        channels: 1 for grey, 3 for colour.
        size: (height, width) to fit it to, see `pixels`; None to keep its own.
        depth: how numbers of more than 8 bits become levels; None if 8 bits are expected.

    Raises:
        UnreadableError: it cannot be decoded, or `depth` does not apply to it.
    """
    with _reasons(path), _opened(path) as picture:
        kind = _kind(picture)
        numbers = None if kind == "bytes" else _numbers(path, picture)
        _check_depth(kind, depth)
        if numbers is not None and depth is not None:
            return pixels(_as_bytes(numbers, depth), channels, size)
        if size is not None:
            picture.draft(None, (2 * size[1], 2 * size[0]))  # large JPEGs in less time
        return pixels(ImageOps.exif_transpose(picture), channels, size)


def pixels(picture: Any, channels: int, size: tuple[int, int] | None = None) -> Pixels:
    """Return a Pillow picture of 8 bits as an array.

    To fit a size, the picture is scaled until it covers the size, and cropped equally on both
    sides, so that nothing is distorted (as by torchvision's Resize and CenterCrop together).
    """
    picture = picture.convert("L" if channels == 1 else "RGB")
    if size is not None and picture.size != size[::-1]:
        picture = ImageOps.fit(picture, size[::-1], Image.Resampling.BILINEAR)
    array = np.asarray(picture).reshape(picture.height, picture.width, channels)
    return np.moveaxis(array, -1, 0)


def picture_array(picture: Image.Image) -> NDArray[Any]:
    """Return a Pillow picture as (channels, height, width): bytes, or its numbers unchanged."""
    if picture.mode in DEEP:
        return np.asarray(picture)[np.newaxis]
    return pixels(picture, 1 if picture.mode in GREY else 3)


def _formats() -> tuple[str, ...]:
    """Return those of `FORMATS` that this Pillow can open."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _opened(path: Path) -> Any:
    if not path.is_file():  # a pipe would be waited for
        raise UnreadableError("it is not a file" if path.exists() else "it does not exist")
    return Image.open(path, formats=_formats())


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    """Turn any error into the reason: what Pillow raises for damaged files has no common base."""
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
        raise UnreadableError("its 8 bits have a sign, which Pillow ignores: save it as unsigned")
    is_deep |= _is_pnm_of_16_bits(picture) or max(bits) > 8
    return "whole" if picture.mode in _WHOLE or is_deep else "bytes"


def _is_pnm_of_16_bits(picture: Any) -> bool:
    """Return whether colours go up to 65,535, which Pillow maps to 255 (like any maximum)."""
    return bool(picture.format == "PPM" and picture.tile[0].args == ("RGB", 65535))


def _raw_modes(picture: Any) -> set[str]:
    """Return Pillow's names of the stored pixels; of a 16-bit colour it reads the upper 8 bits."""
    arguments = [tile.args for tile in picture.tile]
    return {str(some[0] if isinstance(some, tuple) else some) for some in arguments}


def _numbers(path: Path, picture: Any) -> NDArray[Any]:
    """Return the numbers of an opened picture of more than 8 bits."""
    raw_modes = _raw_modes(picture)
    if picture.mode not in DEEP:
        return _of_colours(path, picture, raw_modes)
    numbers = np.asarray(ImageOps.exif_transpose(picture))
    if "I;32N" in raw_modes:  # unsigned, which Pillow ignores
        numbers = numbers.view(np.uint32)
    if not np.isfinite(numbers).all():
        raise UnreadableError("it holds numbers that are not finite")
    return numbers


def _of_colours(path: Path, picture: Any, raw_modes: set[str]) -> NDArray[np.uint16]:
    """Return colours of 16 bits: Pillow gives one byte of each, so they are read twice."""
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
    """Return the arguments of Pillow's decoder for the other byte order."""
    if isinstance(arguments, tuple):
        return _of_other_byte(arguments[0]), *arguments[1:]
    return arguments[:-1] + _OTHER_BYTE[arguments[-1]]


def _check_depth(kind: str, depth: Depth | None) -> None:
    """Refuse a kind of numbers that the rule does not cover."""
    if depth is None and kind != "bytes":
        raise UnreadableError("it holds more than 8 bits, but 8 are expected: save it with 8 bits")
    if depth is None or kind == depth.kind or (kind == "bytes" and depth.has_white):
        return
    words = {"bytes": "8 bits", "whole": "whole numbers", "real": "fractions"}
    expected = f"{words[depth.kind]}, {depth.in_words}, are expected"
    raise UnreadableError(f"it holds {words[kind]}, but {expected}")


def _as_bytes(numbers: NDArray[Any], depth: Depth) -> Image.Image:
    if not depth.holds(numbers):
        ends = f"{numbers.min():g} to {numbers.max():g}"
        raise UnreadableError(f"it holds values from {ends}, but {depth.in_words} are expected")
    return Image.fromarray(depth.levels(numbers))
