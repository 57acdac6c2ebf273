"""The topics of the guide, and the text of each."""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType

from tunecli.errors import TopicNotFoundError
from tunecli.study_file.text.suggestions import did_you_mean, listed

TOPICS = MappingProxyType(
    {
        "study-file": "How to write a study file: ranges, choices, variants, objectives, limits.",
        "data": "Which data tunecli reads: tables, dates, arrays, pictures, splits.",
        "models": "Models, losses, optimizers and schedules, and what is filled in for you.",
        "text": "Classify text and predict numbers from it: tokens, models, word vectors.",
        "transformers": "Fine-tune pretrained transformers, whole or with an adapter.",
        "language": "Language models: documents, blocks, metrics, continuations.",
        "compression": "Make models smaller or faster, and search for the best compression.",
        "own-code": "Use your own model, loss, metric, data or training loop.",
        "report": "Read a report: findings, the page, Python, the next round, trackers.",
        "winner": "Refit the best trial, predict with it, export it, serve it.",
        "clusters": "Search on the nodes of a Ray cluster: files, lost nodes, security.",
        "guarantees": "What you can rely on: exactness, honest scores, outcomes, edits, files.",
        "settings": "Tables of all settings with defaults, and of all names to select from.",
        "options": "Tables of all commands and options, and exit codes.",
        "recipes": "I want to …: commands for common tasks, and the study files to start from.",
    }
)
"""One sentence per topic, in the order in which the guide lists them."""

_MARKER = re.compile(r"^<!--.*-->\n\n?", re.MULTILINE)


def topic_text(topic: str) -> str:
    """Return the Markdown text of a topic.

    Raises:
        TopicNotFoundError: the guide has no such topic.
    """
    if topic not in TOPICS:
        known = f" Topics are {listed(TOPICS)}."
        raise TopicNotFoundError(
            f"{topic[:60]!r} is not a topic of the guide.{did_you_mean(topic, TOPICS) or known}"
        )
    text = Path(__file__).with_name(f"{topic}.md").read_text(encoding="utf-8")
    return _MARKER.sub("", text)
