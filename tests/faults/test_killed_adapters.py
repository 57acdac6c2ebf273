"""`kill -9` of a study of an adapter at random instants: what is frozen is found again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import run_in
from searches import Rows, Searches, everything, is_sound, seconds_until, session
from tokenizers import Tokenizer, models, pre_tokenizers

SEED = 4
N_TRIALS = 4
IN_STARTUP = 0.2  # share of the kills
LONGEST = 2.0  # seconds of training before a kill
STUDY = f"""
data: {{source: texts.csv, target: mood, text: text, test: 0}}
validation: {{folds: 2}}
model:
  AutoModelForSequenceClassification:
    pretrained: tiny
    max_length: 12
    adapter:
      LoraConfig:
        r: {{int: [2, 8]}}
        lora_alpha: 8
        lora_dropout: 0.1
        target_modules: [query, value]
optimizer: {{AdamW: {{lr: {{float: [1e-3, 1e-1], log: true}}}}}}
training: {{epochs: 12, batch_size: 8}}
search:
  {{trials: {N_TRIALS}, sampler: TPE, parallel: 2, pruner: none, attempts: 20, baselines: false}}
"""
WORDS = "the film was is very good bad fine awful dull long short and not".split()


def write_adapter_study(folder: Path) -> None:
    """Write a study of LoRA on a small BERT, and that model with its tokenizer."""
    import torch
    from transformers import BertConfig, BertModel

    (folder / "study.yaml").write_text(STUDY)
    draw = np.random.default_rng(0)
    rows = [(" ".join(draw.choice(WORDS, 9)), draw.choice(["p", "q"])) for _ in range(48)]
    table = ["text,mood", *(",".join(row) for row in rows)]
    (folder / "texts.csv").write_text("\n".join(table) + "\n")
    tiny = folder / "tiny"
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", *WORDS])}
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=16,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertModel(config).save_pretrained(tiny)
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(tiny / "tokenizer.json"))


@pytest.mark.slow
def test_a_study_of_an_adapter_is_the_same_whenever_it_is_killed(
    tmp_path: Path, n_faults: Callable[[int], int], figure: Callable[[str], None]
) -> None:
    chance = random.Random(SEED)
    searches = [Searches.prepared(tmp_path / "0", write_adapter_study)]
    n_kills, finished = n_faults(20), Rows()
    for _ in range(n_kills):
        if len(finished) == N_TRIALS:
            searches.append(Searches.prepared(tmp_path / str(len(searches)), write_adapter_study))
        _kill(searches[-1], chance)
        now = everything(searches[-1].database)
        table = searches[-1].table
        assert now == {number: table[number] for number in now}, "a finished trial differs"
        finished = now
    for each in searches:
        each.finish()
    figure(
        f"kill -9 of a study of LoRA: {n_kills} times (seed {SEED}) in {len(searches)} studies, "
        "0 trials lost, changed or left running"
    )


def _kill(searches: Searches, chance: random.Random) -> None:
    """Begin a search and kill it, unless it ends before."""
    with searches.begun() as process:
        if chance.random() < IN_STARTUP:
            time.sleep(chance.uniform(0, searches.startup))
        else:
            searches.wait_for_trials(process)
            time.sleep(chance.uniform(0, LONGEST))
        process.kill()
        process.wait()
        seconds_until(lambda: not session(process.pid), process.pid)
    assert is_sound(searches.database)


@pytest.mark.slow
def test_one_worker_gives_the_table_of_two(tmp_path: Path) -> None:
    searches = Searches.prepared(tmp_path, write_adapter_study)
    run_in(tmp_path, "search", "study.yaml", "--jobs", "1")
    assert everything(searches.database) == searches.table
