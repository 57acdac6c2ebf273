"""The parts of a first study that only text has: fine-tuning, and language models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tunecli.study_file.text.dump import flow

_LARGEST_WHOLE = 2 * 2**30
"""Bytes of weights of a model up to which all of them are trained, not only an adapter.

Training takes about four times as much memory: gradients and AdamW's two averages are as large.
"""
_FEW_BYTES = 200_000
"""Bytes of text that fewer steps read often enough."""
_MANY_BYTES = 5 * 10**6
"""Bytes of text from which learned tokens of several characters are worth their vocabulary."""

ADVICE_TO_FINE_TUNE = (
    "# A pretrained model often needs fewer rows. To search one, too, install",
    "# tunecli[transformers], fetch a model (`hf download distilbert-base-uncased`), and",
    "# run init again with --pretrained NAME, in another folder: `tunecli guide transformers`.",
)
"""The comment in a study of text without a pretrained model."""

TEXT_MODELS = (
    "    EmbeddingBag:                 # the mean of the tokens' vectors",
    "      embed: {int: [32, 256], log: true}",
    "      dropout: {float: [0.0, 0.5]}",
    "    TextCNN:                      # convolutions over 3, 4 and 5 tokens",
    "      embed: {int: [50, 200], step: 50}",
    "      channels: {int: [50, 200], step: 50}",
    "      dropout: {float: [0.1, 0.7]}",
)
"""The models of a first study of text."""


@dataclass(frozen=True)
class FineTuning:
    """A pretrained model that a first study fine-tunes.

    Attributes:
        name: a name of the hub, or a folder.
        n_bytes: size of its weights.
        max_length: tokens after which a text is cut.
        others: further models in the hub's cache.
    """

    name: str
    n_bytes: int
    max_length: int
    others: tuple[str, ...] = ()


def fine_tuning_variants(chosen: FineTuning) -> Iterator[str]:
    """Yield branches of `variant` that train the whole model, if it is small, and an adapter."""
    if chosen.others:
        listed = ", ".join(chosen.others)
        yield f"    # Also in the hub's cache, for pretrained: {listed}"
    if chosen.n_bytes <= _LARGEST_WHOLE:
        yield "    fine_tuning:                  # all weights of a pretrained model"
        yield "      model:"
        yield from _model(chosen)
        yield from _training(lr="[1e-5, 2e-4]", epochs="[2, 4]")
    yield "    adapter:                      # a few weights next to those of each linear layer"
    yield "      model:"
    yield from _model(chosen)
    yield "          adapter:"
    yield "            LoraConfig:"
    yield "              r: {int: [4, 32], log: true}"
    yield "              lora_alpha: {int: [8, 64], log: true}   # a factor: lora_alpha / r"
    yield "              lora_dropout: {float: [0.0, 0.1]}"
    yield "              target_modules: all-linear"
    yield from _training(lr="[1e-4, 3e-3]", epochs="[2, 5]")


def _model(chosen: FineTuning) -> Iterator[str]:
    yield "        AutoModelForSequenceClassification:"
    yield f"          pretrained: {flow(chosen.name)}"
    length = f"          max_length: {chosen.max_length}"
    yield f"{length:<33} # tokens; longer texts are cut"


def _training(lr: str, epochs: str) -> Iterator[str]:
    yield "      optimizer:"
    yield "        AdamW:"
    yield f"          lr: {{float: {lr}, log: true}}"
    yield "          weight_decay: 0.01"
    yield "      schedule: CosineAnnealingLR"
    yield "      training:"
    yield f"        epochs: {{int: {epochs}}}"
    yield "        batch_size: {choice: [16, 32]}"
    yield "        warmup: {float: [0.0, 0.2]}   # share of the steps in which lr rises"
    yield "        clip_norm: 1.0"


def language_study(source: str, n_bytes: int, *, is_one_text: bool) -> Iterator[str]:
    """Yield a study of a language model, from its data on."""
    yield "data:"
    yield f"  source: {flow(source)}"
    yield "  task: language_modeling"
    if n_bytes < _MANY_BYTES:
        yield "  tokenizer: characters           # more text: {BPE: {vocab_size: 4096}}"
    else:
        yield "  tokenizer: {BPE: {vocab_size: 4096}}"
    yield "  block_size: 64                  # tokens that the model sees at once"
    of = "the end of the text" if is_one_text else "documents"
    yield f"  test: 0.1                       # {of}, held out; no trial sees it"
    yield ""
    yield "validation: {holdout: 0.1}"
    yield ""
    yield "model:"
    yield "  TransformerDecoder:"
    yield "    d_model: {choice: [64, 128]}"
    yield "    nhead: 4"
    yield "    num_layers: {int: [2, 4]}"
    yield "    dropout: {float: [0.0, 0.3]}"
    yield ""
    yield "optimizer:"
    yield "  AdamW:"
    yield "    lr: {float: [5e-4, 1e-2], log: true}"
    yield "    weight_decay: {float: [1e-3, 1], log: true}"
    yield ""
    yield "schedule: CosineAnnealingLR"
    yield ""
    yield "training:"
    yield f"  steps: {2000 if n_bytes >= _FEW_BYTES else 500}"
    yield "  batch_size: {choice: [16, 32]}"
    yield "  warmup: 0.05                    # share of the steps in which lr rises"
    yield "  clip_norm: 1.0"
    yield "  early_stopping: {patience: 5}   # evaluations without a better mean over the folds"
    yield ""
    yield "objective: {minimize: perplexity}"
    yield "metrics: [bits_per_byte, token_accuracy]   # also measured and shown"
    yield ""
    yield "search:"
    yield "  trials: 20                      # in total; to continue, raise it and search again"
