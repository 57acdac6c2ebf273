from __future__ import annotations

import subprocess
from pathlib import Path

from commands import command, environment

TINY = "data: iris\nmodel: MLP\noptimizer: SGD\n"


def test_a_worker_that_cannot_start_says_why_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/sklearn.py").write_text("raise ImportError('no wheel for this machine')")
    here = environment()
    here["PYTHONPATH"] = f"{tmp_path / 'broken'}:{here.get('PYTHONPATH', '')}"
    done = subprocess.run(
        command("search", "tiny.yaml", "--quiet"),
        cwd=tmp_path,
        env=here,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "ImportError: no wheel for this machine." in " ".join(done.stderr.split())
    assert len(done.stderr.splitlines()) <= 2
    assert "Traceback" not in done.stderr
