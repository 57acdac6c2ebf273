"""Predictions that a training loop of the user's own reports: whole on the disk, or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tunecli.training.user_loop.user_reports import UserPredictions

LIMITED = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from tunecli.training.user_loop.user_reports import UserPredictions

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    UserPredictions(Path(sys.argv[1])).add(0, np.arange(int(sys.argv[2]), dtype=np.float32))
except OSError as error:
    print(f"refused: {error.strerror}")
"""


def test_the_best_predictions_are_read_again(tmp_path: Path) -> None:
    predictions = UserPredictions(tmp_path / "kept")
    for step in range(3):
        predictions.add(step, np.arange(5) + float(step))
        predictions.best = min(step, 1)
    found = predictions.of_best()
    assert found is not None
    assert found.tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(("n", "limit"), [(500, 1024), (1000, 1000), (1000, 4096), (9000, 4096)])
def test_a_file_that_the_disk_cannot_hold_is_an_error(tmp_path: Path, n: int, limit: int) -> None:
    words = [sys.executable, "-P", "-c", LIMITED, str(tmp_path / "kept"), str(n), str(limit)]
    ended = subprocess.run(words, capture_output=True, text=True, check=True)
    assert ended.stdout == "refused: File too large\n"
    assert not list((tmp_path / "kept").glob("*.npy"))
