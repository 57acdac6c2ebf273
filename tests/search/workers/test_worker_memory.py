"""A worker shares torch and the other libraries with the process that it was forked from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from memory import STUDY, megabytes, trained


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells shared from own memory")
def test_a_worker_s_own_memory_is_a_small_part_of_what_it_shows(tmp_path: Path) -> None:
    (tmp_path / "digits.yaml").write_text(STUDY)
    words = [sys.executable, "-m", "tunecli", "search", "digits.yaml", "--jobs", "1"]
    with subprocess.Popen(
        words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as search:
        try:
            (worker,) = trained(psutil.Process(search.pid), 1.0)
            shown, own, _ = megabytes(worker)
        finally:
            search.terminate()
    assert shown > 300  # torch is in it
    assert own < shown / 4
