"""The untuned linear model of text, against a pipeline of scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import root_mean_squared_error
from sklearn.preprocessing import StandardScaler

from tunecli.data.fold_store import FoldStore
from tunecli.data.rows.workspace import Workspace
from tunecli.study_file.settings.settings import TrialConfig
from tunecli.study_file.study_file import StudyFile
from tunecli.training.outcome.evaluation import LARGEST_LIMIT, Baseline, BaselineLimit
from tunecli.training.score_baselines import expected_seconds, fit_baseline

WORDS = ["red", "green", "blue", "warm", "cold", "a", "schön", "2026"]


def _table(n_rows: int = 90) -> pd.DataFrame:
    """Texts whose words, beside a number, decide the class and the value."""
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(WORDS, draw.integers(0, 6))) for _ in range(n_rows)]
    price = draw.normal(3.0, 2.0, n_rows)
    value = [3 * t.count("red") - t.count("cold") + p for t, p in zip(texts, price, strict=True)]
    classes = np.where(np.asarray(value) > np.median(value), "high", "low")
    numbered = [f"{text} n{i}" for i, text in enumerate(texts)]
    return pd.DataFrame({"title": numbered, "price": price, "value": value, "level": classes})


def _baseline(
    folder: Path, table: pd.DataFrame, target: str, name: str
) -> tuple[Baseline, FoldStore, TrialConfig]:
    table.to_csv(folder / "t.csv", index=False)
    study = StudyFile.from_text(
        f"data: {{source: t.csv, target: {target}, text: title}}\nvalidation: {{folds: 3}}\n"
        "model: EmbeddingBag\noptimizer: AdamW",
        "s.yaml",
    )
    store = FoldStore(study.data, study.validation, Workspace(folder))
    completed = study.completed(store.dataset.task, len(table))
    config = completed.resolve(lambda name, range_: None)
    return fit_baseline(name, config, store), store, config


@pytest.mark.parametrize("others", [["price"], []])
def test_classes_score_as_with_scikit_learn_alone(tmp_path: Path, others: list[str]) -> None:
    table = _table()
    columns = table[["title", *others, "level"]]
    baseline, store, _ = _baseline(tmp_path, columns, "level", "logistic regression")
    for fold, (train, valid) in enumerate(store.split.folds):
        features = make_column_transformer(
            (TfidfVectorizer(), "title"), (StandardScaler(), others)
        )
        x_train = features.fit_transform(table.iloc[train])
        model = LogisticRegression().fit(x_train, table.level.iloc[train])
        score = model.score(features.transform(table.iloc[valid]), table.level.iloc[valid])
        assert baseline.fold_scores[fold] == pytest.approx(score)
    assert baseline.note == ""


def test_values_score_as_with_scikit_learn_alone(tmp_path: Path) -> None:
    table = _table()
    columns = table[["title", "value"]]
    baseline, store, _ = _baseline(tmp_path, columns, "value", "ridge regression")
    for fold, (train, valid) in enumerate(store.split.folds):
        vectorizer = TfidfVectorizer()
        x_train = vectorizer.fit_transform(table.title.iloc[train])
        model = Ridge().fit(x_train, table.value.iloc[train])
        predicted = model.predict(vectorizer.transform(table.title.iloc[valid]))
        expected = root_mean_squared_error(table.value.iloc[valid], predicted)
        assert baseline.fold_scores[fold] == pytest.approx(expected, rel=1e-5)


def test_trees_take_the_other_columns_alone(tmp_path: Path) -> None:
    table = _table()
    name = "gradient-boosted trees"
    baseline, _, _ = _baseline(tmp_path, table[["title", "price", "level"]], "level", name)
    assert baseline.fold_scores
    baseline, _, _ = _baseline(tmp_path, table[["title", "level"]], "level", name)
    assert (baseline.fold_scores, baseline.note) == ((), "the rows have no columns besides text")


def test_a_character_is_a_word_where_no_spaces_separate_words(tmp_path: Path) -> None:
    levels = _table().level
    likes = {level: "好坏中"[n] for n, level in enumerate(sorted(set(levels)))}
    titles = [f"第{chr(0x4E00 + n)}家酒店很{likes[level]}" for n, level in enumerate(levels)]
    table = pd.DataFrame({"title": titles, "level": levels})
    baseline, _, _ = _baseline(tmp_path, table, "level", "logistic regression")
    assert min(baseline.fold_scores) == 1.0


def test_texts_without_words_have_no_baseline(tmp_path: Path) -> None:
    table = _table()[["title", "level"]].assign(title=["! ?" + "." * i for i in range(90)])
    baseline, _, _ = _baseline(tmp_path, table, "level", "logistic regression")
    assert baseline.note == "the texts have no words of two or more letters"


def test_the_estimate_grows_with_the_texts_and_limits_the_rows(tmp_path: Path) -> None:
    table = _table()[["title", "level"]]
    short = _baseline(tmp_path, table, "level", "logistic regression")[1]
    longer = table.assign(title=table.title + " word" * 200)
    long, config = _baseline(tmp_path, longer, "level", "logistic regression")[1:]
    seconds = [
        expected_seconds("logistic regression", store, LARGEST_LIMIT) for store in (short, long)
    ]
    assert 10 * seconds[0] < seconds[1]
    limited = fit_baseline("logistic regression", config, long, BaselineLimit(seconds[1] / 2))
    assert limited.note == "on 24 rows of 48"
