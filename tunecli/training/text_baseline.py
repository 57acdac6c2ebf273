"""An untuned linear model of text, as a baseline: it takes the tf-idf of the words."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from tunecli.data.fold_store import FoldStore
from tunecli.data.preprocessing.feature_form import FeatureForm
from tunecli.data.preprocessing.preparation import prepared_rows
from tunecli.data.rows.features import as_features
from tunecli.data.rows.texts import TextRows
from tunecli.data.text.unspaced_scripts import UNSPACED
from tunecli.study_file.settings.settings import Component

_WORD = rf"[{UNSPACED}]|(?:(?![{UNSPACED}])\w){{2,}}"
"""Scikit-learn's words of two or more letters; of scripts without spaces, each character."""
_SECONDS = 2.5e-7  # per byte of text for its words; measured on one core
_SECONDS_PER_OUTPUT = 4e-7  # per byte of text and output, for the fit


class NoWordsError(Exception):
    """The texts have no words to weigh; the message says why."""


class TextBaseline:
    """Logistic or ridge regression on the tf-idf of a text's words and on the other columns."""

    def estimator(self, store: FoldStore, seed: int) -> Any:
        """See `score_baselines.Guess`."""
        from sklearn.linear_model import LogisticRegression, Ridge

        return LogisticRegression() if store.dataset.are_probabilities else Ridge()

    def n_features(self, store: FoldStore) -> int:
        """Return the number of features of the other columns; those of words are sparse."""
        return len(store.dataset.columns)

    def cells(self, store: FoldStore, fold: int, drawn: Tensor) -> tuple[Any, Any]:
        """Return the features of the training rows at `drawn`, and of the validation rows.

        Raises:
            NoWordsError: no text of the training part has a word.
        """
        from scipy.sparse import hstack

        train, valid = store.split.folds[fold]
        blocks = [_tf_idf(store, train[drawn], valid)]
        if store.dataset.columns:
            blocks.append(_others(store, train[drawn], valid))
        x_train, x_valid = (hstack(part, format="csr") for part in zip(*blocks, strict=True))
        return x_train, x_valid

    def seconds(self, store: FoldStore, n_rows: int) -> tuple[float, float]:
        """See `score_baselines.Guess`; measured on sentences of 10 to 20 words."""
        n_bytes = _rows(store).nbytes / max(1, len(store.dataset.y))
        return 0.0, n_bytes * (_SECONDS + store.dataset.n_functions * _SECONDS_PER_OUTPUT)


def _rows(store: FoldStore) -> TextRows:
    x = store.dataset.x
    assert isinstance(x, TextRows), "the rows have no text"
    return x


def _tf_idf(store: FoldStore, train: Tensor, valid: Tensor) -> tuple[Any, Any]:
    """Return the tf-idf of the words of training and validation rows, fitted on the former."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(token_pattern=_WORD)
    of_train, of_valid = (list(_rows(store)[rows].joined()) for rows in (train, valid))
    try:
        return vectorizer.fit_transform(of_train), vectorizer.transform(of_valid)
    except ValueError:  # an empty vocabulary
        raise NoWordsError("the texts have no words of two or more letters") from None


def _others(store: FoldStore, train: Tensor, valid: Tensor) -> tuple[Any, Any]:
    """Return the other columns of training and validation rows as networks get them, sparse."""
    from scipy.sparse import csr_array

    form = FeatureForm(Component(name="standard"))
    cache = store.workspace.cache
    data = prepared_rows(store.dataset, train, valid, store.settings, form, cache)
    parts = ((data.x_train, len(train)), (data.x_valid, len(valid)))
    blocks = (next(as_features(x).batches(None, [n_rows])) for x, n_rows in parts)
    of_train, of_valid = (csr_array(block.numpy().astype(np.float64)) for block in blocks)
    return of_train, of_valid
