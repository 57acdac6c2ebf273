"""A range in words."""

from __future__ import annotations

from tunecli.report.phrases import wording
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range


def range_text(kind: Range, between: str = "to") -> str:
    """Return a range in words: `0.001 to 1, log`."""
    match kind:
        case Categories(choices):
            return ", ".join(wording.scalar(choice) for choice in choices)
        case FloatRange() | IntRange():
            step = f", step {wording.scalar(kind.step)}" if kind.step not in (None, 1) else ""
            log = ", log" if kind.log else ""
            return f"{wording.scalar(kind.low)} {between} {wording.scalar(kind.high)}{log}{step}"
