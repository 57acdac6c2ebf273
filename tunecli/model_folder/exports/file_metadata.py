"""What an exported file says of itself, so that it can be served without the model folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from tunecli.data.preprocessing.fitted_text import FittedText
from tunecli.data.preprocessing.preparation import Preprocessing
from tunecli.data.rows.dataset import Column
from tunecli.model_folder.format.model import Model

IN_PT2 = "tunecli.json"
"""Name of the metadata file, one JSON object, inside a pt2 file."""


def file_metadata(model: Model, left_out: str) -> dict[str, str]:
    """Return the metadata of an exported model, one JSON value per key.

    The graph of a file, if it has one, applies the temperature. Whoever uses the file applies the
    threshold to its probabilities: from the threshold on, the positive class is predicted. Labels
    have one threshold each, or 0.5.

    Args:
        left_out: preprocessing that is not in the file, in words; empty for none.
    """
    facts = model.facts
    positive = facts.decision.positive if facts.decision else facts.config.data.positive
    where_it_has_them = {
        "positive": positive,
        "threshold": facts.decision and facts.decision.threshold,
        "temperature": facts.temperature,
        "trials": None if facts.is_of_one_trial else facts.trial_weights,
        "targets": facts.targets or None,
        "thresholds": facts.thresholds or None,
        "tokens": _tokens(model.members[0].preprocessing),
    }
    values: dict[str, object] = {
        "study": facts.study,
        "trial": facts.trial,
        "version": facts.versions.get("tunecli", ""),
        "task": facts.task,
        "target": facts.config.data.target,
        "classes": facts.classes,
        "columns": [_described(column) for column in facts.columns],
        "row_shape": facts.row_shape,
        "row_dtype": facts.row_dtype,
        "left_out": left_out,
    }
    values |= {key: value for key, value in where_it_has_them.items() if value is not None}
    return {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}


def as_json(metadata: dict[str, str]) -> str:
    """Return the metadata as one JSON object."""
    return json.dumps({key: json.loads(text) for key, text in metadata.items()}, indent=1)


def _tokens(fitted: Preprocessing) -> dict[str, int] | None:
    """Return what the file's input is for a model of text: features, then tokens."""
    if not isinstance(fitted, FittedText):
        return None
    form = fitted.tokens
    return {
        "n_features": form.n_features,
        "vocab_size": form.vocab_size,
        "pad": form.pad,
        "max_length": fitted.tokenizer.max_length,
    }


def _described(column: Column) -> dict[str, Any]:
    """Return a column of the file's input: its name, its kind, and what its cells mean."""
    described: dict[str, Any] = {"name": column.name, "kind": column.content}
    if column.categories:
        described["categories"] = column.categories
    if column.unit:
        described["unit"] = column.unit
    if column.date is not None:
        described["date"] = asdict(column.date)
    return described
