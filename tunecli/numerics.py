"""The version of the arithmetic that decides a score beside the study file.

It is stored with a study, and compared when the study is resumed: a higher version gives other
bits for the same study file.
"""

from __future__ import annotations

NUMERICS = 2

CHANGES = {
    2: "targets are standardized in 64 bits, pictures under `scale: none` range from 0 to 1, and "
    "arrays keep all their columns, and their whole numbers for models of your own",
}
"""What each version does differently from the one before; studies without a version have 1."""


def changes_since(version: int) -> str:
    """Return what differs from a version, or what is known of it."""
    known = [text for number, text in CHANGES.items() if number > version]
    return "; ".join(known) or "this tunecli is older and does not know what differs"
