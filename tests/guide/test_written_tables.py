"""The generated tables of the guide are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from write_tables import GUIDE, SECTIONS, TABLES_OF_GUIDE, versions, written

OF_LIBRARIES = "names of libraries"
"""Made with the versions that it names; another version has other names."""


def sections(text: str) -> dict[str, str]:
    """The generated tables of a text, by name."""
    found = re.findall(r"<!-- table: ([^\n]+) -->\n(.*?)<!-- end -->", text, re.DOTALL)
    return dict(found)


@pytest.mark.parametrize("path", sorted(GUIDE.glob("*.md")), ids=lambda path: path.stem)
def test_no_table_is_stale(path: Path) -> None:
    text = path.read_text()
    now, made_anew = sections(text), sections(written(text))
    if OF_LIBRARIES in now and f"With {versions()}:" not in now[OF_LIBRARIES]:
        del now[OF_LIBRARIES], made_anew[OF_LIBRARIES]
    stale = [name for name, table in now.items() if table != made_anew[name]]
    assert not stale, "run: python tests/guide/write_tables.py"


def test_every_table_is_in_the_guide_once() -> None:
    names = [name for path in GUIDE.glob("*.md") for name in sections(path.read_text())]
    assert sorted(names) == sorted(TABLES_OF_GUIDE)


def test_every_setting_has_a_sentence() -> None:
    for section in SECTIONS:
        for row in TABLES_OF_GUIDE[f"settings of {section}"]().splitlines()[2:]:
            assert not row.endswith("|  |"), row


def test_every_option_has_a_sentence() -> None:
    for row in TABLES_OF_GUIDE["options"]().splitlines()[2:]:
        assert not row.endswith("|  |"), row
