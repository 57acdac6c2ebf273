"""How often a fault is injected: a tenth of the full figure, or what `FAULTS` says (1 is all).

    FAULTS=1 pytest -m slow tests/faults

An environment variable, since pytest takes options only from the conftest of the folder that it
was started for.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable

import pytest


@pytest.fixture
def n_faults() -> Callable[[int], int]:
    """Of the full number of faults, how many this run injects (at least one)."""
    share = float(os.environ.get("FAULTS", "0.1"))
    return lambda full: max(1, math.ceil(full * share))
