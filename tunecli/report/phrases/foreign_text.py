"""How text that others wrote is shown safely: on a terminal, in a page, in a spreadsheet.

Text from a study file, a database or an exception passes `plain` before it is shown: it may
contain control characters that move the cursor, or colour or rename the terminal.
"""

from __future__ import annotations

from typing import Any


def plain(text: str) -> str:
    r"""Return text as one line with every invisible character escaped, such as `\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def plain_lines(text: str) -> str:
    """Return a text of several lines with every line made `plain`; tabs become spaces."""
    return "\n".join(plain(line) for line in text.expandtabs(4).split("\n"))


_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a cell begins that a spreadsheet evaluates; the last four are wide forms of the others."""


def cell(value: Any) -> Any:
    """Return a value for a CSV file, so that no spreadsheet evaluates foreign text.

    Text that begins like a formula gets a quote in front, as OWASP recommends; text that is a
    number stays unchanged.
    """
    if not isinstance(value, str):
        return value
    text = plain(value)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def shortened(text: str, width: int) -> str:
    """Return at most `width` characters of a text, the last an ellipsis if some are missing."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + "…"
