"""What a model needs of the data."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunecli.errors import DataError
from tunecli.study_file.counts import count


@dataclass(frozen=True)
class Needs:
    """What a model needs of the data.

    Attributes:
        pictures: rows must be (channels, height, width); else any row is flattened.
        smallest: fewest pixels of height and width; 0 where only building the model can tell.
        multiple: of which height and width must be multiples.
        square: height and width must be the same.
    """

    pictures: bool
    smallest: int = 0
    multiple: int = 1
    square: bool = False


_OWN = {
    "Linear": Needs(False),
    "MLP": Needs(False),
    "ResNet": Needs(False),
    "CNN": Needs(True, smallest=8),
    # Every stage of it divides its picture into windows of 7 × 7, the last one at 1/32.
    "maxvit_t": Needs(True, multiple=224),
}


def needs(name: str) -> Needs:
    """What the model of that name needs of the data; torchvision's all classify pictures."""
    if name.startswith("vit_"):  # vit_b_16 cuts pictures into patches of 16 × 16
        return Needs(True, multiple=int(name.rpartition("_")[2]), square=True)
    return _OWN.get(name, Needs(pictures=True))


def check_fit(name: str, shape: tuple[int, ...]) -> None:
    """Refuse a model that cannot take rows of `shape`.

    Raises:
        DataError: what it needs, what the data is, what to use.
    """
    wanted = needs(name)
    if not wanted.pictures:
        return
    if len(shape) != 3:
        raise DataError(
            f"{name} takes pictures, but each row of the data has "
            f"{count(math.prod(shape), 'feature')}. Use MLP or Linear."
        )
    height, width = shape[1:]
    if min(height, width) < wanted.smallest:
        raise too_small(name, wanted.smallest, shape)
    if height % wanted.multiple or width % wanted.multiple or (wanted.square and height != width):
        raise _indivisible(name, wanted, shape)


def too_small(name: str, smallest: int, shape: tuple[int, ...]) -> DataError:
    """The sentence for pictures that are too small."""
    return DataError(
        f"{name} takes pictures of at least {smallest} × {smallest} pixels, but "
        f"these have {shape[1]} × {shape[2]}. Use MLP or Linear, or larger pictures."
    )


def _indivisible(name: str, wanted: Needs, shape: tuple[int, ...]) -> DataError:
    what = "square pictures" if wanted.square else "pictures"
    height, width = shape[1:]
    side = math.ceil(max(height, width) / wanted.multiple) * wanted.multiple
    return DataError(
        f"{name} takes {what} whose sides are multiples of {wanted.multiple} pixels, but these "
        f"have {height} × {width}. Write `data: {{size: {side}}}`, or take another model."
    )
