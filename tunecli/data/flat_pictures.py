"""Pictures that show nothing: of one colour, or all the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunecli.errors import DataError
from tunecli.study_file.counts import count


class FlatPictures:
    """Looks at pictures one by one.

    Attributes:
        n_flat: pictures of one colour so far.
    """

    def __init__(self) -> None:
        self.n_flat = 0
        self._n = 0
        self._n_black = 0
        self._first = ""

    def look_at(self, pixels: NDArray[Any], name: str) -> None:
        """Look at a picture, (channels, height, width); messages call it `name`."""
        self._n += 1
        if bool((pixels == pixels[:, :1, :1]).all()):
            self.n_flat += 1
            self._n_black += not np.any(pixels)
            self._first = self._first or name

    def check(self, n_different: int) -> None:
        """Refuse pictures of which all are the same.

        Raises:
            DataError: there is nothing to learn from.
        """
        if self._n > 1 and n_different == 1:
            how = " and black" if self._n_black else " and of one colour" if self.n_flat else ""
            message = f"all {count(self._n, 'picture')} are the same{how}: there is nothing to"
            raise DataError(f"{message} learn from. Look at the files.", "data.source")

    @property
    def notes(self) -> list[str]:
        """How many pictures are of one colour; nothing if none is."""
        if not self.n_flat:
            return []
        n = f"{self.n_flat:,} of {count(self._n, 'picture')}"
        black = f", {self._n_black:,} of them black" if self._n_black else ""
        verb = "is" if self.n_flat == 1 else "are"
        return [f"{n} {verb} of one colour{black}, such as {self._first}."]


def flat_pictures(x: NDArray[Any], n_different: int) -> FlatPictures:
    """Look at pictures that are in memory, (n, channels, height, width).

    Raises:
        DataError: all of them are the same.
    """
    found = FlatPictures()
    for row, pixels in enumerate(x):
        found.look_at(pixels, f"row {row}")
    found.check(n_different)
    return found
