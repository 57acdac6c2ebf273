"""Describe the text of a study's data, and score guesses of a language model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.prepared_blocks import fit_blocks
from tunecli.data.rows.dataset import Dataset, TokenForm
from tunecli.data.rows.features import Features, as_features
from tunecli.data.rows.summary import BlockSummary, TokenSummary
from tunecli.data.rows.texts import TextRows
from tunecli.data.text.token_blocks import NO_LOSS
from tunecli.data.text.token_features import TokenFeatures
from tunecli.data.text.tokenizers import UNKNOWN
from tunecli.study_file.settings.metric_names import is_for
from tunecli.study_file.settings.settings import Component, TrialConfig
from tunecli.study_file.space.tree import component_data
from tunecli.study_file.text.counts import count
from tunecli.study_file.text.dump import flow
from tunecli.training.fold_data import feature_form, folds_of
from tunecli.training.outcome.evaluation import BASELINES
from tunecli.training.outcome.metrics import measure
from tunecli.training.step.batches import batch_sizes, padding_share
from tunecli.training.token_baselines import counted_sums


def token_summary(config: TrialConfig, store: FoldStore) -> TokenSummary | None:
    """Describe the tokens of the first fold; None for data without text, and language models."""
    if not store.dataset.text_columns or store.dataset.task == "language_modeling":
        return None
    fold = folds_of(store, config)[0]
    train, valid, form = as_features(fold.x_train), as_features(fold.x_valid), fold.tokens
    assert isinstance(train, TokenFeatures)
    assert isinstance(valid, TokenFeatures)
    setting = feature_form(config, store.workspace.folder).tokens
    assert form is not None
    assert setting is not None
    n_whole = train.tokens.n_whole
    return TokenSummary(
        n_columns=len(store.dataset.text_columns),
        vocab_size=form.vocab_size,
        median=int(np.median(n_whole)),
        longest=int(n_whole.max()),
        max_length=setting.max_length,
        cut=float((n_whole > train.tokens.lengths).mean()),
        padding=_padding(train, config),
        unknown=float((valid.tokens.ids == _unknown_of(form)).mean()),
    )


def block_summary(config: TrialConfig, store: FoldStore) -> BlockSummary | None:
    """Describe the blocks of the first fold of a language model; None for other data."""
    if store.dataset.task != "language_modeling":
        return None
    fold = folds_of(store, config)[0]
    train, form = as_features(fold.x_train), fold.tokens
    assert form is not None
    targets = fold.y_valid[fold.y_valid != NO_LOSS]
    return BlockSummary(
        vocab_size=form.vocab_size,
        n_tokens=int((fold.y_train != NO_LOSS).sum()),
        n_blocks=len(train),
        block_size=train.shape[0],
        padding=_padding(train, config),
        unknown=float((targets == _unknown_of(form)).float().mean()) if len(targets) else 0.0,
    )


def token_name(config: TrialConfig, store: FoldStore) -> str:
    """Return what a configuration's tokens depend on: the tokenizer, and the length of a row."""
    setting = feature_form(config, store.workspace.folder).tokens
    assert setting is not None
    tokenizer = setting.tokenizer
    written = flow(component_data(tokenizer))
    own = config.model.arguments.get("pretrained") if setting.pretrained else None
    length = f"max_length {setting.max_length:,}"
    if store.dataset.task == "language_modeling":
        length = f"block_size {config.data.block_size:,}"
    return f"{own or written}, {length}"


def _padding(train: Features, config: TrialConfig) -> float:
    """Return the share of padding in the training batches."""
    if train.lengths is None:
        return 0.0
    sizes = batch_sizes(len(train), config.training.batch_size)
    return padding_share(train.lengths, sizes, shuffle=config.training.shuffle)


def _unknown_of(form: TokenForm) -> int:
    """Return the token of what the vocabulary lacks; -1 if there is none."""
    known = [*form.vocabulary]
    return known.index(UNKNOWN) if UNKNOWN in known else -1


def token_guesses(
    metrics: Sequence[Component], config: TrialConfig, store: FoldStore
) -> Iterator[dict[str, float]]:
    """Yield the metrics of guessing tokens by their frequencies, for each fold."""
    known = [metric for metric in metrics if is_for(metric, "language_modeling")]
    for fold in folds_of(store, config):
        sums = counted_sums(BASELINES["language_modeling"][0], fold)
        yield measure(known, fold.task, np.empty(0), sums, fold.n_classes)


def prompt_notes(config: TrialConfig, store: FoldStore) -> list[str]:
    """Return a note on completions that are predicted without their prompt, as blocks are short.

    A prompt and its completion are in one block if the document has one block with a target, and
    that block begins with the boundary before the document.
    """
    if config.data.prompt is None:
        return []
    dataset, (train, _) = store.dataset, store.split.folds[0]
    form = feature_form(config, store.workspace.folder)
    fitted = fit_blocks(dataset, train, config.data, form, store.workspace.cache)
    blocks = fitted.blocks(_of_text(dataset), train)
    documents, first, n_blocks = np.unique(blocks.rows, return_index=True, return_counts=True)
    begins = blocks.x.numpy()[first, 0] == fitted.boundary
    n_cut = len(documents) - int((begins & (n_blocks == 1)).sum())
    if not n_cut:
        return []
    of_all = f"{n_cut:,} of {count(len(documents), 'training document')}"
    return [
        f"Prompt and completion together have more than {fitted.block_size} tokens in {of_all}. "
        "There, the model predicts the end of the completion without the prompt. Write a larger "
        "data.block_size."
    ]


def _of_text(dataset: Dataset) -> TextRows:
    assert isinstance(dataset.x, TextRows), "prompts are text"
    return dataset.x


def text_bytes(dataset: Dataset) -> int:
    """Return the bytes of the text of a language model; 0 for other data."""
    if dataset.task != "language_modeling" or not isinstance(dataset.x, TextRows):
        return 0
    return sum(len(texts.content) for texts in dataset.x.texts)
