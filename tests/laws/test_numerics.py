"""A study of another version of the arithmetic says so, whatever its database holds."""

from __future__ import annotations

from typing import Any

import pytest

from tunecli.numerics import (
    NUMERICS,
    OLDEST_IN_USE,
    other_numerics,
    version_in_use,
    version_of,
)


@pytest.mark.parametrize(
    ("environment", "version"),
    [({}, 1), ({"numerics": "2"}, 2), ({"numerics": 2}, 2), ({"numerics": "x"}, 0)],
)
def test_the_version_of_a_study(environment: dict[str, Any], version: int) -> None:
    assert version_of(environment) == version


def test_a_study_keeps_its_version_if_there_still_is_one() -> None:
    versions = range(NUMERICS + 3)
    used = [version_in_use(version) for version in versions]
    assert used == [2, 2, 2, 3, 3, 3]
    assert [not other_numerics(one) for one in versions] == [a == b for a, b in enumerate(used)]


def test_what_differs_is_told() -> None:
    assert not other_numerics(NUMERICS)
    assert not other_numerics(OLDEST_IN_USE)
    assert "denormal" not in other_numerics(1)
    told = "version 1 of tunecli's arithmetic, but this tunecli uses version 2: targets are"
    assert told in other_numerics(1)
    assert "cannot list the differences" in other_numerics(NUMERICS + 1)
