"""Studies of small models of transformers on a table of sentences, searched and refitted once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pandas as pd
import torch
from auto_model_cases import SMALL
from commands import call_in

WORDS = {"good": ["fine", "great", "schön", "好"], "bad": ["awful", "poor", "schlecht", "坏"]}
FROM_SCRATCH = "config: bert, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, "
FROM_SCRATCH += "intermediate_size: 32"
LORA = "adapter: {LoraConfig: {r: {int: [2, 4]}, target_modules: all-linear}}"
MODELS = {
    "whole": f"{{{FROM_SCRATCH}}}",
    "new_base": f"{{{FROM_SCRATCH}, {LORA}}}",
    "adapter": f"{{pretrained: base, max_length: 16, {LORA}}}",
    "prompt": "{pretrained: base, max_length: 16, "
    "adapter: {PromptTuningConfig: {num_virtual_tokens: 3}}}",
    "pooled": "{pretrained: base, max_length: 16, pooling: mean, freeze: 2}",
    "beside": "{pretrained: base, max_length: 16, pooling: cls}",
    "value": f"{{pretrained: base, max_length: 16, {LORA}}}",
}
_DATA = {
    "beside": "data: {source: reviews.csv, target: mood, text: review}",
    "value": "data: {source: reviews.csv, target: price, text: review, drop: mood}",
}
_TEXT_ALONE = "data: {source: reviews.csv, target: mood, text: review, drop: price}"


def study_text(name: str, trials: int = 2) -> str:
    return f"""{_DATA.get(name, _TEXT_ALONE)}
validation: {{folds: 2}}
model: {{AutoModelForSequenceClassification: {MODELS[name]}}}
optimizer: {{AdamW: {{lr: {{float: [0.003, 0.01], log: true}}}}}}
training: {{epochs: 3}}
search: {{trials: {trials}, baselines: false}}
"""


def reviews(n_rows: int = 120) -> pd.DataFrame:
    """Reviews in which one word gives the mood; some are empty or have characters of no word."""
    draw = np.random.default_rng(0)
    moods = draw.choice(["good", "bad"], n_rows)
    texts = []
    for number, mood in enumerate(moods):
        words = [f"w{i}" for i in draw.integers(0, 30, draw.integers(0, 9))]
        words.insert(draw.integers(0, len(words) + 1), draw.choice(WORDS[mood]))
        texts.append(" ".join(words) + f" no{number} 🙂")
    texts[3] = ""
    return pd.DataFrame({"review": texts, "mood": moods, "price": draw.normal(size=n_rows)})


def write_base(folder: Path) -> None:
    """Write a small BERT with random weights and a tokenizer, as `save_pretrained` writes them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=special)
    made.train_from_iterator([text for text in reviews()["review"] if text], trainer)
    tokens = [(name, made.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", special_tokens=tokens)
    PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]").save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=made.get_vocab_size(), **SMALL["bert"])
    BertModel(config).save_pretrained(folder)


@cache
def studies() -> Path:
    """A folder with the table, the pretrained model and the study files."""
    folder = Path(mkdtemp(prefix="tunecli-transformers-"))
    reviews().to_csv(folder / "reviews.csv", index=False)
    write_base(folder / "base")
    for name in MODELS:
        (folder / f"{name}.yaml").write_text(study_text(name))
    return folder


@cache
def model_of_study(name: str) -> Path:
    """The model folder of a study, searched and refitted in this process."""
    folder = studies()
    call_in(folder, "search", f"{name}.yaml", "--jobs", "1")
    call_in(folder, "refit", name)
    return folder / "runs" / name / "model"
