"""Small models of every kind of source, trained in this process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import NoReturn

import numpy as np
import pandas as pd
import torch
from PIL import Image

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.workspace import Workspace
from tunecli.data.user_code.import_user_code import permit
from tunecli.model_folder.refitting import Refitted, RefitTrial, refit_seeds
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.study_file import StudyFile

NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self, in_features, out_features, width=8):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(in_features, width), nn.Tanh(), nn.Linear(width, out_features)
        )

    def forward(self, x):
        return self.layers(x)


class Tokens(nn.Module):
    def __init__(self, in_features, num_classes, width=4):
        super().__init__()
        self.embedding = nn.Embedding(12, width)
        self.head = nn.Linear(in_features * width, num_classes)

    def forward(self, x):
        return self.head(self.embedding(x).flatten(1))
"""

OPTIMIZER = "optimizer: {AdamW: {lr: 0.01}}\ntraining: {epochs: 2, batch_size: 16}\n"
TABLE = "data: {source: table.csv, target: y, missing: ['?'], min_frequency: 0.05}\n"

STUDIES = {
    "table": TABLE + "model: {MLP: {width: 16, batch_norm: true}}\n" + OPTIMIZER,
    "embedded": TABLE
    + "model: {MLP: {width: 16, embed: 3, num_embeddings: piecewise_linear, n_bins: 4}}\n"
    + OPTIMIZER,
    "members": TABLE
    + "model: {TabM: {k: 3, d_block: 8, num_embeddings: piecewise_linear, n_bins: 4}}\n"
    + OPTIMIZER,
    "several": "data: {source: table.csv, target: price, task: regression, missing: ['?']}\n"
    "model: {TabM: {k: 3, d_block: 8, n_blocks: 1, arch: mini}}\n" + OPTIMIZER,
    "clipped": TABLE.replace("target: y", "target: y, scale: smooth_clip")
    + "model: {RealMLP: {width: 8, depth: 1, n_frequencies: 4}}\nschedule: CosLogLR\n"
    + OPTIMIZER,
    "quantile": "data: {source: table.csv, target: price, task: regression, missing: ['?'], "
    "scale: quantile, drop: y}\nmodel: {ResNet: {width: 8, depth: 1}}\n" + OPTIMIZER,
    "numbers": "data: {source: table.csv, target: price, task: regression, missing: ['?'], "
    "scale: minmax, drop: [y, kind]}\nmodel: {MLP: {width: 8}}\n" + OPTIMIZER,
    "counts": "data: {source: table.csv, target: n, task: regression, missing: ['?']}\n"
    "model: Linear\nloss: PoissonNLLLoss\n" + OPTIMIZER,
    "arrays": "data: {source: arrays.npz, scale: robust}\nmodel: {MLP: {width: 8}}\n"
    "loss: BCEWithLogitsLoss\n" + OPTIMIZER,
    "digits": "data: digits\nmodel: {CNN: {channels: 4}}\n" + OPTIMIZER,
    "pictures": "data: {source: pictures/, size: 12}\nmodel: {CNN: {channels: 4}}\n" + OPTIMIZER,
    "deep": "data: {source: deep/, scale: none}\nmodel: {CNN: {channels: 4}}\n" + OPTIMIZER,
    "compressed": "data: digits\nmodel: {CNN: {channels: 8}}\n"
    "compression: {structured: {amount: 0.5}, fuse: true, quantize: int8, finetune_epochs: 1}\n"
    + OPTIMIZER,
    "own": TABLE + "model: {'net.py:Net': {width: 5}}\n" + OPTIMIZER,
    "tokens": "data: {source: tokens.npz, scale: none}\nmodel: {'net.py:Tokens': {width: 3}}\n"
    + OPTIMIZER,
    "offset": "data: {source: offset.csv, target: y}\nmodel: {MLP: {width: 8}}\n" + OPTIMIZER,
    "values": "data: {source: table.csv, targets: [price, n], missing: ['?']}\n"
    "model: {MLP: {width: 8}}\nmetrics: [r2]\n" + OPTIMIZER,
    "labels": "data: {source: labels.csv, targets: [wet, cold, dark]}\nmodel: {MLP: {width: 8}}\n"
    "metrics: [hamming, subset_accuracy]\n" + OPTIMIZER,
    "plateau": "data: {source: arrays.npz}\nmodel: Linear\nschedule: ReduceLROnPlateau\n"
    + OPTIMIZER,
}


@dataclass(frozen=True)
class Case:
    """A refitted model, and what it was made from."""

    folder: Path
    workspace: Workspace
    trial: RefitTrial
    store: FoldStore
    refitted: Refitted


@cache
def sources() -> Path:
    """A folder with a table, arrays, pictures and code."""
    folder = Path(mkdtemp(prefix="tunecli-models-"))
    rng = np.random.default_rng(0)
    n = 120
    size = rng.normal(50, 10, n)
    kind = rng.choice(["a", "b", "c", "rare"], n, p=[0.5, 0.3, 0.18, 0.02])
    frame = pd.DataFrame(
        {
            "size": size.round(2),
            "holes": np.where(rng.random(n) < 0.2, np.nan, rng.exponential(2, n).round(3)),
            "kind": np.where(rng.random(n) < 0.1, "?", kind),
            "flag": rng.choice([True, False], n),
            "price": (size * 2 + (kind == "a") * 30 + rng.normal(0, 5, n)).round(2),
            "n": rng.poisson(np.exp(size / 40)),
            "y": np.where(size + rng.normal(0, 5, n) > 50, "large", "small"),
        }
    )
    frame.to_csv(folder / "table.csv", index=False)
    x = rng.normal(size=(n, 5))
    x[:, 3] = 1.0  # which says nothing and stays
    np.savez(folder / "arrays.npz", x=x, y=(x[:, 0] > 0).astype(int))
    tokens = rng.integers(2, 12, (n, 4))
    tokens[:, 0] = 1  # begins each row
    np.savez(folder / "tokens.npz", x=tokens, y=(tokens[:, 1] > 6).astype(int))
    numbered = pd.DataFrame({name: rng.normal(size=n).round(3) for name in ("2", "0", "1")})
    numbered["y"] = 1e9 + 10 * numbered["2"] + rng.normal(0, 0.1, n)
    numbered.to_csv(folder / "offset.csv", index=False)
    (folder / "net.py").write_text(NET)
    for number in range(40):
        name = "dark" if number % 2 else "light"
        path = folder / "pictures" / name / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 120, (14, 16, 3)) + (0 if number % 2 else 130)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        deep = folder / "deep" / name / f"{number}.png"  # 12 of 16 bits
        deep.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[..., 0].astype(np.uint16) * 16 + number % 16).save(deep)
    labels = pd.DataFrame({name: rng.normal(size=n).round(3) for name in ("a", "b", "c")})
    for name, column in (("wet", "a"), ("cold", "b"), ("dark", "a")):
        labels[name] = (labels[column] + rng.normal(0, 0.5, n) > 0.3).astype(int)
    labels.to_csv(folder / "labels.csv", index=False)
    return folder


@cache
def case(name: str) -> Case:
    """The model of one of `STUDIES`, trained with one thread."""
    torch.set_num_threads(1)
    folder = sources()
    allowed = (
        AllowedCode.of(folder, ["net.py"]) if "net.py" in STUDIES[name] else AllowedCode(folder)
    )
    workspace = Workspace(folder, None, allowed)
    permit(allowed)
    study = StudyFile.from_text(STUDIES[name], f"{name}.yaml", (), folder, allowed)
    store = FoldStore(study.data, study.validation, workspace)
    dataset = store.dataset
    completed = study.completed(dataset.task, len(dataset.y), dataset.given)
    config = completed.resolve(_refuse)
    store = FoldStore(config.data, config.validation, workspace, dataset=dataset)
    trial = RefitTrial(name, 3, config, best_step=1, fold_scores=(0.8, 0.9))
    return Case(folder, workspace, trial, store, next(refit_seeds(trial, store)))


def _refuse(name: str, _: object) -> NoReturn:
    raise AssertionError(f"{name} has a range")
