"""The driver of a search imports no torch: that would cost seconds and 300 MiB beside its workers.

It would do so when it reads the first message of a worker with an object of one of torch's own
classes, such as `torch.__version__`.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from commands import environment

from tunecli import load_study

CODE = """
import torch

class Net(torch.nn.Module):
    def __init__(self, n_outputs, kind="fine", width=8):
        super().__init__()
        self.breaks_in = 20 if kind == "broken" else -1  # batches: none in the check before trials
        self.layers = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(64, width), torch.nn.ReLU(),
            torch.nn.Linear(width, n_outputs),
        )

    def forward(self, x):
        self.breaks_in -= self.training
        if self.breaks_in == 0:
            raise ValueError(torch.__version__, x)
        return self.layers(x)
"""
STUDY = """
data: digits
model: {"net.py:Net": {kind: {choice: [fine, broken]}, width: {int: [4, 16]}}}
optimizer: {SGD: {lr: {float: [1e-6, 1e+30], log: true}}}
training: {epochs: 4}
objective: {maximize: accuracy}
metrics: [log_loss, f1]
compression: {prune: {amount: 0.5}, finetune_epochs: 1, quantize: int8}
search:
  sampler: Random
  pruner: {MedianPruner: {n_startup_trials: 1, n_warmup_steps: 0}}
  start_with:
    - {model: {"net.py:Net": {kind: fine, width: 16}}, optimizer: {SGD: {lr: 0.1}}}
    - {model: {"net.py:Net": {kind: broken}}}
    - {model: {"net.py:Net": {kind: fine}}, optimizer: {SGD: {lr: 1e+30}}}
    - {model: {"net.py:Net": {kind: fine, width: 4}}, optimizer: {SGD: {lr: 1e-6}}}
  trials: 4
  parallel: 2
"""
COMMAND = """
import atexit, sys
atexit.register(lambda: print(*{name.partition(".")[0] for name in sys.modules}))
sys.argv[0] = "tunecli"
from tunecli.__main__ import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_whatever_trials_end_in_the_driver_imports_no_torch(tmp_path: Path, jobs: int) -> None:
    (tmp_path / "net.py").write_text(CODE)
    (tmp_path / "kinds.yaml").write_text(STUDY)
    words = ["search", "kinds.yaml", "--code", "net.py", "--jobs", str(jobs)]
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *words],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.splitlines()[-1].split())
    assert {"tunecli", "optuna"} <= imported
    assert not {"torch", "sklearn", "pandas"} & imported
    study = load_study(tmp_path / "runs" / "kinds")
    assert Counter(study.trials["outcome"]) == dict.fromkeys(
        ("complete", "failed", "diverged", "pruned"), 1
    )
