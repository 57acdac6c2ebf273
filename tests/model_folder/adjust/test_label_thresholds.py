"""Thresholds of labels: the best ones by a search of all, and kept only if they gain."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tunecli.model_folder.adjust.held_out import HeldOut
from tunecli.model_folder.adjust.label_thresholds import (
    LabelTable,
    best_thresholds,
    label_chooser,
    label_thresholds,
)
from tunecli.study_file.settings.metric_names import label
from tunecli.study_file.settings.settings import Component, Direction, TrialConfig
from tunecli.study_file.study_file import StudyFile
from tunecli.training.outcome.decision import LabelDecision, measure_decided

NAMES = ("a", "b", "c")
METRICS = [
    *(Component(name="f1", arguments={"average": how}) for how in ("micro", "macro", "weighted")),
    Component(name="fbeta", arguments={"beta": 2, "average": "micro"}),
    Component(name="fbeta", arguments={"beta": 0.5, "average": "macro"}),
    Component(name="hamming"),
]


def _planted(
    n: int = 400, shift: float = 0.0, seed: int = 0, *, weighted: bool = False
) -> HeldOut:
    """Calibrated probabilities of three labels, of which `shift` makes some rare."""
    draws = np.random.default_rng(seed)
    outputs = 1.5 * draws.normal(size=(n, 3)) + np.array([0.0, 1.0, 2.0]) * shift
    probabilities = 1 / (1 + np.exp(-outputs))
    y = (draws.random((n, 3)) < probabilities).astype(np.int64)
    weights = draws.random(n) + 0.1 if weighted else None
    rows = np.arange(n)
    return HeldOut(rows, rows % 5, y, probabilities.astype(np.float32), weights)


def _value(rows: HeldOut, metric: Component, thresholds: tuple[float, ...]) -> float:
    return measure_decided(
        [metric],
        "multilabel",
        rows.y,
        rows.probabilities,
        0,
        rows.weights,
        None,
        LabelDecision(thresholds),
    )[label(metric)]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("metric", METRICS, ids=label)
def test_no_other_thresholds_are_better(metric: Component, weighted: bool) -> None:
    rows = _planted(24, shift=-0.5, weighted=weighted)
    sign = -1 if metric.name == "hamming" else 1
    own = sign * _value(rows, metric, best_thresholds(rows, metric))
    tables = [LabelTable.of(rows, number).thresholds for number in range(3)]
    every = itertools.product(*(thresholds[::2] for thresholds in tables))
    assert own >= max(sign * _value(rows, metric, one) for one in every) - 1e-12


def _config(objective: str, metrics: str = "[]") -> TrialConfig:
    study = StudyFile.from_text(
        "data: {source: t.csv, targets: [a, b, c], task: multilabel}\nmodel: Linear\n"
        f"optimizer: AdamW\nobjective: {objective}\nmetrics: {metrics}\n",
        "s.yaml",
    )
    return study.completed("multilabel", 400).resolve(lambda name, range_: None)


def test_rare_labels_get_lower_thresholds() -> None:
    found = label_thresholds(_config("{maximize: f1}"), _planted(2000, -1.0), NAMES, "auto")
    assert found.how == "tuned"
    assert found.in_use == found.values
    assert found.values[2] < 0.4
    assert found.score is not None
    assert found.score.after > found.score.before


def test_thresholds_that_gain_nothing_are_not_used() -> None:
    found = label_thresholds(_config("{minimize: hamming}"), _planted(2000), NAMES, "auto")
    assert found.how == "default"
    assert found.in_use == ()
    assert len(found.values) == 3


@pytest.mark.parametrize(
    ("objective", "metrics", "chosen"),
    [
        ("{maximize: f1}", "[hamming]", "f1"),
        ("{maximize: subset_accuracy}", "[hamming]", "hamming"),
        ("{minimize: log_loss}", "[]", None),
    ],
)
def test_the_first_metric_that_can_choose_does(
    objective: str, metrics: str, chosen: str | None
) -> None:
    config, wanted = _config(objective, metrics), chosen
    chooser = label_chooser(config)
    assert (chooser.name if chooser else None) == wanted
    found = label_thresholds(config, _planted(), NAMES, "auto")
    assert found.metric == (wanted or "")
    if wanted is None:
        assert found.values == ()


def test_none_keeps_one_half() -> None:
    found = label_thresholds(_config("{maximize: f1}"), _planted(2000, -1.0), NAMES, "none")
    assert (found.in_use, found.metric) == ((), "")


def test_parts_of_a_single_fold_have_each_label() -> None:
    rows = _planted(300, -1.0)
    single = HeldOut(rows.rows, np.zeros(300, int), rows.y, rows.probabilities)
    counts = np.array([judged.y.sum(0) for _, judged in single.splits])
    assert len(counts) == 5
    assert np.ptp(counts, axis=0).max() <= 1


def test_directions_are_those_of_the_metrics() -> None:
    chooser = label_chooser(_config("{minimize: hamming}"))
    assert chooser is not None
    wanted: Direction = "minimize"
    assert (chooser.direction, chooser.sign) == (wanted, -1.0)
