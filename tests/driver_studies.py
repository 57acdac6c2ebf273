"""Studies for a driver without workers, and what is compared of their trials."""

from __future__ import annotations

from tunecli.database.trials import Trial
from tunecli.study_file.study_file import StudyFile

BRANCHES = """
data: digits
model: {MLP: {width: {int: [8, 256], log: true}}}
optimizer:
  choice:
    momentum: {SGD: {lr: {float: [1e-4, 1], log: true}, momentum: {float: [0.5, 0.99]}}}
    AdamW: {lr: {float: [1e-4, 1], log: true}}
training:
  epochs: 9
  l1: {float: [1e-8, 1e-4], log: true, or: 0}
"""


def study(text: str, sampler: str, pruner: str, parallel: int = 4, extra: str = "") -> StudyFile:
    search = f"search: {{sampler: {sampler}, pruner: {pruner}, parallel: {parallel}{extra}}}"
    return StudyFile.from_text(text + search, "study.yaml").completed("classification", 1797)


def table(trials: list[Trial]) -> list[tuple[object, ...]]:
    return [(t.number, t.params, t.outcome, t.value, t.values, t.curve) for t in trials]
