"""A picture file as bytes of a given size and number of channels.

Decoded by Pillow, as torchvision's own data sets are: `torchvision.io` is deprecated since 0.29.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Pixels = NDArray[np.uint8]
"""(channels, height, width)"""

GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "F")  # Pillow's modes
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, IndexError, OverflowError, TypeError)


class UnreadableError(Exception):
    """Why a file is no picture, in a few words."""


def decoded(path: Path, channels: int, size: tuple[int, int] | None = None) -> Pixels:
    """A file's picture, upright, its transparency left out.

    Args:
        channels: 1 for grey, 3 for colour.
        size: (height, width) to fit it to, see `pixels`; None to leave it as it is.

    Raises:
        UnreadableError: if it cannot be decoded.
    """
    try:
        with Image.open(path) as picture:
            if size is not None:
                picture.draft(None, (2 * size[1], 2 * size[0]))  # large JPEGs in less time
            return pixels(ImageOps.exif_transpose(picture), channels, size)
    except UnidentifiedImageError:
        is_empty = path.stat().st_size == 0
        raise UnreadableError("it is empty" if is_empty else "it is no known format") from None
    except Image.DecompressionBombError:
        raise UnreadableError("it claims to have too many pixels") from None
    except _DAMAGED as error:
        reason = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
        raise UnreadableError(reason.splitlines()[0][:100]) from None


def sides(path: Path) -> tuple[int, int] | None:
    """Height and width that a file's header tells, as it is stored; None if it tells none."""
    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except (Image.DecompressionBombError, *_DAMAGED):
        return None


def pixels(picture: Any, channels: int, size: tuple[int, int] | None = None) -> Pixels:
    """A Pillow picture as an array.

    To fit a size it is scaled until it covers it, and what juts out is cut off on both sides
    alike, so that nothing is distorted (as torchvision's Resize and CenterCrop do together).
    """
    if picture.mode in GREY[4:8]:  # 16 bits, which a plain conversion would cut off
        picture = Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8))
    picture = picture.convert("L" if channels == 1 else "RGB")
    if size is not None and picture.size != size[::-1]:
        picture = ImageOps.fit(picture, size[::-1], Image.Resampling.BILINEAR)
    array = np.asarray(picture).reshape(picture.height, picture.width, channels)
    return np.moveaxis(array, -1, 0)


def is_grey(path: Path) -> bool:
    """Whether a picture has no colours, by its header; true for what cannot be read."""
    try:
        with Image.open(path) as picture:
            return picture.mode in GREY
    except (*_DAMAGED, Image.DecompressionBombError):
        return True
