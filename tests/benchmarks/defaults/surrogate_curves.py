"""Learning curves of LCBench by its surrogate: 34 tasks, 52 epochs, 7 searched parameters.

Pfisterer et al. 2022, "YAHPO Gym"; Zimmer et al. 2021, "Auto-PyTorch" (LCBench).
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from optuna.samplers import RandomSampler

from tunecli.database.trials import to_distribution
from tunecli.study_file.settings.ranges import Range
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.study_file import Study, StudyFile

from .simulated_search import Scores

SHARED = Path(__file__).parents[3].parent / "shared" / "data"
FOLDER = Path(os.environ.get("TUNECLI_DATA", SHARED)) / "lcbench_surrogate"

N_EPOCHS = 52
STUDY = f"""
data: digits
model:
  MLP:
    width: {{int: [64, 1024], log: true}}
    depth: {{int: [1, 5]}}
    dropout: {{float: [0, 0.99]}}
optimizer:
  SGD:
    lr: {{float: [1e-4, 0.1], log: true}}
    momentum: {{float: [0.1, 0.99]}}
    weight_decay: {{float: [1e-5, 0.1]}}
training: {{epochs: {N_EPOCHS}, batch_size: {{int: [16, 512], log: true}}}}
objective: {{maximize: balanced_accuracy}}
search: {{baselines: false, keep_models: 0}}
"""
"""LCBench's space as a study file. `data` names no data that is read: no model is trained."""

N_BLIND = 300
"""Configurations drawn blindly per task; their median has regret 1."""

VALID, UNSEEN = 3, 5
"""The surrogate's outputs: balanced accuracy on validation rows, and on unseen rows."""


def tasks() -> list[str]:
    """Return the names of the 34 OpenML tasks."""
    space = json.loads((FOLDER / "config_space.json").read_text())["hyperparameters"]
    return next(one["choices"] for one in space if one["name"] == "OpenML_task_id")


def study(name: str, overrides: list[str]) -> Study:
    """Return the study of LCBench's space with these settings of the search."""
    return StudyFile.from_text(STUDY, f"{name}.yaml", overrides).completed("classification", 1797)


def curves(task: str, config: TrialConfig) -> Scores:
    """Return the balanced accuracy of a configuration on a task after each epoch."""
    sgd, mlp = config.optimizer.arguments, config.model.arguments
    chosen = [
        config.training.batch_size,
        sgd["lr"],
        sgd["momentum"],
        sgd["weight_decay"],
        mlp["depth"],
        mlp["width"],
        mlp["dropout"],
    ]
    outputs = _outputs(task, np.array([chosen], np.float32))[0]
    return Scores(outputs[:, VALID].tolist(), outputs[:, UNSEEN].tolist())


def drawn_blindly(task: str) -> Scores:
    """Return the scores of configurations drawn at random, each at its best epoch."""
    space = study("blind", [])
    drawing = RandomSampler(seed=zlib.crc32(task.encode()))
    found = [_at_best(curves(task, config)) for config in islice(drawn(space, drawing), N_BLIND)]
    return Scores([valid for valid, _ in found], [unseen for _, unseen in found])


def drawn(space: Study, sampler: RandomSampler) -> Iterator[TrialConfig]:
    """Yield configurations of a study's space."""
    while True:
        yield space.resolve(lambda name, range_: _draw(sampler, name, range_))


def _draw(sampler: RandomSampler, name: str, range_: Range) -> Any:
    nothing: Any = None  # a random value depends neither on a study nor on a trial
    return sampler.sample_independent(nothing, nothing, name, to_distribution(range_))


def _at_best(scores: Scores) -> tuple[float, float]:
    best = int(np.argmax(scores.valid))
    return scores.valid[best], scores.unseen[best]


def _outputs(task: str, chosen: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the surrogate's outputs, (n, 52, 6), for n configurations."""
    n = len(chosen)
    inputs = np.empty((n, N_EPOCHS, 8), np.float32)
    inputs[:, :, 0] = np.arange(1, N_EPOCHS + 1)
    inputs[:, :, 1:] = chosen[:, None]
    category = np.full((n * N_EPOCHS, 1), _codes()[task], np.int32)
    [outputs] = _session().run(None, {"x_cat": category, "x_cont": inputs.reshape(-1, 8)})
    made: NDArray[np.float32] = outputs.reshape(n, N_EPOCHS, -1)
    return made


@cache
def _codes() -> dict[str, int]:
    codes = json.loads((FOLDER / "encoding.json").read_text())["OpenML_task_id"]
    return dict(codes)


@cache
def _session() -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(FOLDER / "model.onnx", options)
