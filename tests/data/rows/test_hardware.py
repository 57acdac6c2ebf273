from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from tunecli.data.rows import hardware


def test_cores_are_those_that_the_process_may_use() -> None:
    assert 1 <= hardware.n_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("text", "limit"), [("1048576\n", 2**20), ("max\n", math.inf)])
def test_a_container_may_have_less_memory_than_its_machine(
    text: str, limit: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "_LIMITS", (tmp_path / "nowhere",))
    whole = hardware.main_memory()
    assert whole == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    (tmp_path / "memory.max").write_text(text)
    monkeypatch.setattr(hardware, "_LIMITS", (tmp_path / "memory.max", tmp_path / "nowhere"))
    assert hardware.main_memory() == min(whole, limit)
