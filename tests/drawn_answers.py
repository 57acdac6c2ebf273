"""Answers of a sampler that knows nothing."""

from __future__ import annotations

import random

from tunecli.study_file.settings.ranges import Categories, IntRange, Range
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.scalars import Scalar


def drawn(study: StudyFile, seed: int) -> dict[str, Scalar]:
    """The answers of a sampler that knows nothing."""
    draw = random.Random(seed)
    answers: dict[str, Scalar] = {}

    def suggest(name: str, range_: Range) -> Scalar:
        if isinstance(range_, Categories):
            answers[name] = draw.choice(range_.choices)
        elif isinstance(range_, IntRange):
            answers[name] = draw.randrange(range_.low, range_.high + 1, range_.step)
        else:
            n_steps = (range_.high - range_.low) / (range_.step or 1)
            inside = draw.randint(0, round(n_steps)) * (range_.step or 1)
            answers[name] = range_.low + inside if range_.step else range_.high
        return answers[name]

    study.resolve(suggest)
    return answers
