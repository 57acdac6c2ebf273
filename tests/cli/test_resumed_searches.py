"""A search that is interrupted goes on from its checkpoints to the same table: real processes."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from commands import call_in, command, environment, table, wait_for

STUDY = """
data: digits
validation: {folds: 2}
model: {CNN: {channels: {int: [4, 8]}, depth: 1, dropout: 0.2}}
optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}
schedule: CosineAnnealingLR
training: {epochs: 16, batch_size: 64}
search: {trials: 3, parallel: 2, pruner: none}
"""


def n_told(folder: Path) -> int:
    path = folder / "runs/study/events.jsonl"
    return path.read_text().count("TrialEvaluated") if path.exists() else 0


@pytest.mark.slow
def test_ctrl_c_saves_and_the_next_call_goes_on_from_there(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY)
    call_in(tmp_path, "search", "study.yaml", "--jobs", "2", "--runs", "whole")
    process = subprocess.Popen(
        command("search", "study.yaml", "--jobs", "2"),
        cwd=tmp_path,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: n_told(tmp_path) >= 12)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Interrupted" in told
    assert "run the same command to resume" in told
    assert "Traceback" not in told
    saved = sorted(path.parent.name for path in tmp_path.glob("runs/study/checkpoints/*/trial"))
    assert saved == ["0", "1"]

    call_in(tmp_path, "search", "study.yaml", "--jobs", "1")
    assert table(tmp_path / "runs/study/study.db") == table(tmp_path / "whole/study/study.db")
    assert not list(tmp_path.glob("runs/study/checkpoints/*")), "what has ended needs none"
