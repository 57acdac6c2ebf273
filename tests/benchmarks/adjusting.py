"""How often a temperature and a threshold are kept, and what that gains, by the level of the test.

    OMP_NUM_THREADS=1 python tests/benchmarks/adjusting.py --repeats 200

Each study has out-of-fold predictions of five folds, drawn from a known law: the logit of a row's
true probability is normal, and the predicted logit is `slope` times it, a little different in
each fold. Temperature and threshold are fitted and tested as `refit` does. What they truly gain
is computed for the law, not for the rows. Printed is, for each law and number of rows, how often
the fit is a true gain at all; then for each level how often it is kept, and the mean true gain
over all studies. `always` keeps every fit.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import ttest_1samp

sys.path.insert(0, str(Path(__file__).parents[1]))

from tunecli.model_folder.adjust.calibrate import (
    FEWEST,
    fitted_temperature,
    log_loss,
    n_uncommon,
)
from tunecli.model_folder.adjust.choose_threshold import (
    ChoosingMetric,
    ThresholdTable,
    values_at,
)
from tunecli.model_folder.adjust.held_out import HeldOut
from tunecli.study_file.settings.settings import Component
from tunecli.training.outcome.decision import Decision

LEVELS = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
N_FOLDS = 5
POPULATION = 4000

Floats = NDArray[np.float64]
Fit = tuple[Floats, float]
"""The gain on each fold of a fit to the others, and the true gain of the fit to all rows."""


@dataclass(frozen=True)
class Law:
    """How rows and predictions are drawn.

    Attributes:
        shift: mean of the true logits: 0 for classes of equal size.
        slope: predicted logits by true ones; 1 for calibrated probabilities.
        metric: the metric that chooses a threshold; empty to fit a temperature.
        wobble: standard deviation of the logarithm of `slope`, and of a shift, between folds.
    """

    shift: float = 0.0
    slope: float = 1.0
    metric: str = ""
    average: str = ""
    wobble: float = 0.1

    @property
    def chooser(self) -> ChoosingMetric:
        """The metric with its arguments."""
        arguments = {"average": self.average} if self.average else {}
        return ChoosingMetric(Component(name=self.metric, arguments=arguments), "maximize")

    def logits(self, rng: np.random.Generator, n: int) -> Floats:
        """Draw true logits."""
        return self.shift + 2 * rng.normal(size=n)

    def drawn(self, rng: np.random.Generator, n: int) -> HeldOut:
        """Draw the out-of-fold predictions of a study."""
        logits, folds = self.logits(rng, n), np.arange(n) % N_FOLDS
        slopes = self.slope * np.exp(self.wobble * rng.normal(size=N_FOLDS))
        shifts = self.wobble * rng.normal(size=N_FOLDS)
        predicted = slopes[folds] * logits + shifts[folds]
        y = (rng.random(n) < expit(logits)).astype(np.int64)
        return HeldOut(np.arange(n), folds, y, _both(expit(predicted)))

    def population(self) -> HeldOut:
        """Return rows of either class, weighted by their true probability: no chance is left."""
        logits = self.logits(np.random.default_rng(0), POPULATION)
        p, rows = expit(logits), np.arange(POPULATION)
        predicted = _both(expit(self.slope * logits))
        classes = np.repeat([1, 0], POPULATION)
        return HeldOut(
            np.tile(rows, 2), classes, classes, np.tile(predicted, (2, 1)), np.hstack([p, 1 - p])
        )


def _both(positive: Floats) -> NDArray[np.float32]:
    return np.stack([1 - positive, positive], axis=1).astype(np.float32)


LAWS = {
    "temperature: calibrated": Law(),
    "temperature: calibrated, 5 % positive": Law(shift=-4.6),
    "temperature: slope 0.8": Law(slope=0.8),
    "temperature: slope 1.25": Law(slope=1.25),
    "temperature: slope 2": Law(slope=2.0),
    "temperature: slope 1.25, 5 % positive": Law(shift=-4.6, slope=1.25),
    "accuracy: half is best": Law(metric="accuracy"),
    "accuracy: half is best, 5 % positive": Law(shift=-4.6, metric="accuracy"),
    "balanced accuracy: half is best": Law(metric="balanced_accuracy"),
    "balanced accuracy, 20 % positive": Law(shift=-2.2, metric="balanced_accuracy"),
    "f1, 20 % positive": Law(shift=-2.2, metric="f1", average="binary"),
    "f1, 5 % positive": Law(shift=-4.6, metric="f1", average="binary"),
    "mcc, 20 % positive": Law(shift=-2.2, metric="mcc"),
}


def temperature_fit(rows: HeldOut, population: HeldOut, law: Law) -> Fit:
    """Fit a temperature as `calibration` does; gains are in log loss."""
    if n_uncommon(rows) < FEWEST:
        return np.zeros(N_FOLDS), 0.0
    after = [judged.tempered(fitted_temperature(fitted)) for fitted, judged in rows.splits]
    pairs = zip(rows.splits, after, strict=True)
    gains = [log_loss(judged) - log_loss(tempered) for (_, judged), tempered in pairs]
    kept = population.tempered(fitted_temperature(rows))
    return np.array(gains), log_loss(population) - log_loss(kept)


def threshold_fit(rows: HeldOut, population: HeldOut, law: Law) -> Fit:
    """Choose a threshold as `adjusted_to` does; gains are in the metric."""
    chooser, judged = law.chooser, [part for _, part in rows.splits]
    chosen = [ThresholdTable.of(fitted, 1).best(chooser) for fitted, _ in rows.splits]
    decisions = [Decision(1, one) for one in chosen]
    before = values_at(judged, chooser, 1, [None] * len(judged))
    gains = np.subtract(values_at(judged, chooser, 1, decisions), before)
    truth, best = ThresholdTable.of(population, 1), ThresholdTable.of(rows, 1).best(chooser)
    return gains, truth.value(chooser.metric, best) - truth.value(chooser.metric, 0.5)


def fits(law: Law, n: int, n_repeats: int) -> Iterator[tuple[float, float]]:
    """Yield the p-value of each study's test, and its true gain if the fit is kept."""
    fit: Callable[[HeldOut, HeldOut, Law], Fit]
    fit = threshold_fit if law.metric else temperature_fit
    population, rng = law.population(), np.random.default_rng(n)
    for _ in range(n_repeats):
        gains, truth = fit(law.drawn(rng, n), population, law)
        yield p_value(gains), truth


def p_value(gains: Floats) -> float:
    """Return the p-value of `is_reliable`; equal gains leave no doubt."""
    if math.isclose(gains.std(), 0.0, abs_tol=1e-15):
        return 0.0 if gains.mean() > 0 else 1.0
    return float(ttest_1samp(gains, 0.0, alternative="greater").pvalue)


def main() -> None:
    given = _arguments()
    levels = "  ".join(f"{level:>12g}" for level in LEVELS[:-1])
    print(f"{'law':<40} {'rows':>5} {'true':>5}  {levels}  {'always':>12}")
    for name, law in LAWS.items():
        for n in given.rows:
            found = np.array([*fits(law, n, given.repeats)])
            p, gains = found.T
            cells = []
            for level in LEVELS:
                is_kept = (p < level) | (level == 1)
                cells.append(f"{is_kept.mean():>4.0%} {(gains * is_kept).mean():+.4f}")
            is_gain = (gains > 0).mean()
            print(f"{name:<40} {n:>5} {is_gain:>5.0%}  {'  '.join(cells)}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--rows", type=int, nargs="+", default=[100, 400, 1600])
    return parser.parse_args()


if __name__ == "__main__":
    main()
