"""A model's calibration and threshold in words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from study_makers import adjustment_of

from tunecli.report.phrases.adjustments import adjustment_lines, how_points_were_measured
from tunecli.training.outcome.adjustment import (
    Adjustment,
    BeforeAfter,
    Calibration,
    Threshold,
    ThresholdWish,
)

F1 = BeforeAfter(0.41, 0.52)
LOW = BeforeAfter(0.41, 0.405)


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (
            Threshold("yes", 0.3, "given", "f1", F1),
            "'yes' if its probability is at least 0.3 (as given): f1 0.4100 → 0.5200, on "
            "out-of-fold predictions",
        ),
        (Threshold("yes", 0.3, "given"), "'yes' if its probability is at least 0.3 (as given)"),
        (Threshold("yes", None, "default"), "none: the more probable class is predicted"),
        (
            Threshold("yes", 0.42, "default", "f1", LOW),
            "none: the more probable class is predicted; 0.42 for 'yes' does not reliably improve "
            "the score (f1 0.4100 → 0.4050, cross-validated)",
        ),
    ],
)
def test_every_way_to_a_threshold_has_its_sentence(threshold: Threshold, expected: str) -> None:
    adjustment = replace(adjustment_of(1), threshold=threshold)
    assert dict(adjustment_lines(adjustment, {}))["threshold"] == expected
    titled = dict(adjustment_lines(adjustment, {"f1": "f1 (macro)"}))["threshold"]
    assert titled == expected.replace("f1 ", "f1 (macro) ")


def test_what_was_not_calibrated_says_why() -> None:
    kept = Calibration(1.02, False, LOW, LOW)
    assert dict(adjustment_lines(Adjustment(1, 10, 5, kept), {}))["calibration"] == (
        "none: temperature 1.02 does not reliably lower log_loss (0.4100 → 0.4050, "
        "cross-validated); calibration error 0.4100"
    )
    lines = dict(adjustment_lines(Adjustment(1, 10, 5), {}))
    assert lines == {"calibration": "none: the loss does not yield probabilities"}
    [(label, text)] = adjustment_lines(Adjustment(1, why_not="there are none"), {})
    assert (label, text) == (
        "note",
        "without calibration and without a tuned threshold: there are none",
    )


def test_a_mean_of_networks_is_told_from_the_single_ones_that_were_judged() -> None:
    single = adjustment_of(1)
    assert "note" not in dict(adjustment_lines(single, {}))
    of_mean = replace(single, is_of_single=True)
    assert "the model predicts their mean" in dict(adjustment_lines(of_mean, {}))["note"]
    assert how_points_were_measured(of_mean).endswith(" by single networks")


@pytest.mark.parametrize(
    ("threshold", "wish"),
    [
        (None, "auto"),
        (Threshold("yes", 0.3, "given", "f1", F1), 0.3),
        (Threshold("yes", 0.3, "given"), 0.3),
        (Threshold("yes", 0.3, "tuned", "f1", F1), "auto"),
        (Threshold("yes", 0.3, "default", "f1", LOW), "auto"),
        (Threshold("yes", None, "default"), "none"),
    ],
)
def test_what_was_asked_of_the_threshold_is_known_again(
    threshold: Threshold | None, wish: ThresholdWish
) -> None:
    assert Adjustment(1, threshold=threshold).wish == wish
