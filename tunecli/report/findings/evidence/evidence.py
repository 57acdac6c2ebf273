"""What findings are made from: a study's records, its curves, its baselines and test score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import NormalDist
from typing import Any
from zlib import crc32

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from tunecli.database.attributes import StoredLook
from tunecli.database.curves import Curve
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.errors import StudyFileError
from tunecli.report.analysis.expected_score import (
    LEVEL,
    ExpectedScore,
    RowCounts,
    expected_score,
)
from tunecli.report.analysis.guessing import is_guessing_beaten
from tunecli.report.analysis.ranking import n_valid_per_train, ranked
from tunecli.report.analysis.standings import Standings, standings_of
from tunecli.report.findings.evidence.positions import Numeric, has_position, positions
from tunecli.study_file.settings.ranges import GATE, Categories, Range
from tunecli.study_file.space.walk import contains
from tunecli.study_file.text.document import Document
from tunecli.study_file.text.scalars import Scalar
from tunecli.training.outcome.evaluation import Baseline
from tunecli.training.outcome.fold_gains import FoldGains

FEWEST_GOOD = 5
_QUANTILE = NormalDist().inv_cdf((1 + LEVEL) / 2)
_GOOD_SHARE = 0.1
_FEWEST_CURVES = 10

Columns = NDArray[np.float64]

INDEPENDENT_SAMPLERS = frozenset({"RandomSampler", "QMCSampler"})
"""Their trials do not depend on each other's results."""

__all__ = ["Baseline", "Evidence", "TestScore"]


@dataclass(frozen=True)
class TestScore:
    """What the refitted best trial reaches on the test rows.

    Attributes:
        score: value of the objective's metric.
        low, high: its 95 % interval.
        n_networks: number of networks whose mean was scored.
        single: mean score of these networks one by one; None if there is one.
        of_folds: mean score of the search's fold models on the test rows; None if unknown.
        rows: how many rows this score and that of the search rest on; None if it is not stored.
    """

    score: float
    low: float
    high: float
    n_networks: int = 1
    single: float | None = None
    rows: RowCounts | None = None
    of_folds: float | None = None

    @property
    def compared(self) -> float:
        """The score to compare with that of the search: of single networks."""
        return self.score if self.single is None else self.single

    @property
    def error(self) -> float:
        """Standard error of the score, from the width of the interval."""
        return (self.high - self.low) / (2 * _QUANTILE)


@dataclass(frozen=True)
class Evidence:
    """A study with everything that findings rest on; nothing more is read from the database.

    Attributes:
        curves: curves by `trial_id`; means over folds are enough.
        baselines: untuned models on the same folds that have scores.
        test: score of the best trial on the test rows, once it is known.
        best_metrics: the best trial's other metrics at its best evaluation, one value per fold.
    """

    study: StudyRecord
    curves: Mapping[int, Curve] = field(default_factory=dict)
    baselines: tuple[Baseline, ...] = ()
    test: TestScore | None = None
    best_metrics: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, study: StudyRecord, curves: Mapping[int, Curve] | None = None) -> Evidence:
        """Read what belongs to a study.

        Args:
            curves: curves that were read already; by default mean curves are read as needed.

        Raises:
            DatabaseError: the database is damaged or locked.
        """
        scored = tuple(baseline for baseline in study.baselines if baseline.fold_scores)
        means = study.mean_curves(_leaders(study)) if curves is None else curves
        return cls(study, means, scored, test_score(study), fold_metrics(study))

    @cached_property
    def ranked(self) -> list[TrialRecord]:
        """The complete trials with a finite value, best first."""
        return ranked(self.study)

    def ended(self, *outcomes: str) -> list[TrialRecord]:
        """Return the trials with one of these outcomes, or all that have one."""
        return [
            trial
            for trial in self.study.trials
            if trial.outcome and (not outcomes or trial.outcome in outcomes)
        ]

    @cached_property
    def good(self) -> list[TrialRecord]:
        """The best tenth of the complete trials, at least five; best first."""
        return best_tenth(self.ranked)

    @cached_property
    def standings(self) -> Standings:
        """How the complete trials compare with the best one."""
        return standings_of(self.study)

    @cached_property
    def equal(self) -> list[TrialRecord]:
        """The best trial and those that are practically equal to it, best first."""
        return [*self.ranked[:1], *self.standings.having("practically equal")]

    @cached_property
    def is_guessing_beaten(self) -> bool:
        """Whether the best trial is reliably better than guessing; True if that is unknown."""
        return is_guessing_beaten(self.study)

    @cached_property
    def ranges(self) -> dict[str, Range]:
        """The current range of each parameter: that of the newest trial that has it."""
        return {name: kind for trial in self.study.trials for name, kind in trial.ranges.items()}

    @cached_property
    def numeric(self) -> dict[str, Numeric]:
        """The parameters that are numbers."""
        return {n: kind for n, kind in self.ranges.items() if not isinstance(kind, Categories)}

    @property
    def sign(self) -> int:
        """1 where larger values are better, -1 where smaller ones are."""
        return 1 if self.study.direction == "maximize" else -1

    def places(self, name: str) -> Mapping[int, float]:
        """Return the positions in its current range of a parameter's numbers, by `trial_id`."""
        if name not in self._places:
            kind = self.numeric[name]
            trials = [t for t in self.study.trials if has_position(kind, t.params.get(name))]
            ids = (trial.trial_id for trial in trials)
            self._places[name] = dict(zip(ids, positions(kind, trials, name), strict=True))
        return self._places[name]

    @cached_property
    def designs(self) -> dict[tuple[str, tuple[int, ...]], tuple[Columns, Columns]]:
        """Columns that `effects.py` has computed, and an orthonormal basis of their space.

        By parameter and `trial_id` of the trials.
        """
        return {}

    @cached_property
    def _places(self) -> dict[str, Mapping[int, float]]:
        return {}

    def goodness(self, trial: TrialRecord) -> float:
        """Return the value of a trial, with its sign changed so that larger is better.

        That of a trial that was pruned before all folds had joined is what the mean over all folds
        is expected to be.
        """
        assert trial.value is not None
        if trial.outcome != "pruned":
            return self.sign * trial.value
        return self.sign * (trial.value + self._gains.mean(len(trial.fold_scores)))

    @cached_property
    def _gains(self) -> FoldGains:
        gains = FoldGains()
        for trial in self.ranked:
            gains.add(trial.fold_scores)
        return gains

    def all_goodness(self, trials: Sequence[TrialRecord]) -> NDArray[np.float64]:
        """Return (n,) the `goodness` of trials."""
        return np.array([self.goodness(trial) for trial in trials], float)

    def positions_of(self, name: str, trials: Sequence[TrialRecord]) -> list[float]:
        """Return the position of a parameter's number in each of some trials that have it."""
        places = self.places(name)
        return [places[trial.trial_id] for trial in trials]

    @cached_property
    def expected(self) -> ExpectedScore | None:
        """The score to expect on the test rows; None if nothing shows how noisy scores are."""
        if self.test is None:
            return expected_score(self.study)
        return expected_score(self.study, self.test.error, self.test.rows)

    def having(self, name: str) -> list[TrialRecord]:
        """Return the ranked trials that have a parameter within its current range; best first."""
        if name not in self._having:
            self._having[name] = [trial for trial in self.ranked if self._has(trial, name)]
        return [*self._having[name]]

    @cached_property
    def _having(self) -> dict[str, list[TrialRecord]]:
        return {}

    def judged(self, name: str) -> list[TrialRecord]:
        """Return the trials of `having` and the pruned ones, which count with their last mean."""
        pruned = [
            trial
            for trial in self.ended("pruned")
            if trial.value is not None and math.isfinite(trial.value) and self._has(trial, name)
        ]
        return sorted([*self.having(name), *pruned], key=self.goodness, reverse=True)

    def _has(self, trial: TrialRecord, name: str) -> bool:
        return name in trial.params and contains(self.ranges[name], trial.params[name])

    def branch_of(self, name: str) -> dict[str, Scalar]:
        """Return the options of the best trial that has a parameter, where other trials differ.

        These are the options of choices on which other parameters depend, such as the model.
        """
        trials = self.having(name)
        best = trials[0].params if trials else {}
        return {
            choice: best[choice]
            for choice, kind in self.ranges.items()
            if choice in best and isinstance(kind, Categories) and not choice.endswith(GATE)
            if self.is_parent(choice) and not all(takes(t, choice, best[choice]) for t in trials)
        }

    def is_in_branch(self, name: str, trials: Sequence[TrialRecord]) -> NDArray[np.bool_]:
        """Return (n,) whether each trial is in the branch of a parameter; see `branch_of`."""
        branch = self.branch_of(name).items()
        return np.array([all(takes(t, *option) for option in branch) for t in trials], bool)

    def in_branch(self, name: str) -> list[TrialRecord]:
        """Return the trials of `having` that are in the parameter's branch; best first."""
        if name not in self._in_branch:
            trials = self.having(name)
            is_in = self.is_in_branch(name, trials)
            self._in_branch[name] = [t for t, one in zip(trials, is_in, strict=True) if one]
        return [*self._in_branch[name]]

    @cached_property
    def _in_branch(self) -> dict[str, list[TrialRecord]]:
        return {}

    def is_parent(self, name: str) -> bool:
        """Return whether other parameters exist only for some values of this one."""
        inside = name.removesuffix(".or")
        return any(
            other != name and (other.startswith(f"{inside}.") or other == inside)
            for other in self.ranges
        )

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """The resolved study file; empty for a study of another program."""
        try:
            data = Document.parse(self.study.resolved, self.study.name).data
        except StudyFileError:
            return {}
        return data if isinstance(data, dict) else {}

    def setting(self, path: str) -> Any:
        """Return the value at a path of the resolved study file; None if it is missing."""
        value: Any = self.settings
        for step in path.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        return value

    @property
    def is_independent(self) -> bool:
        """Whether no trial was suggested from another's result."""
        sampler = self.setting("search.sampler")
        name = next(iter(sampler), "") if isinstance(sampler, dict) else sampler
        return name in INDEPENDENT_SAMPLERS

    @cached_property
    def n_valid_per_train(self) -> float | None:
        """Validation rows per training row; None if unknown."""
        return n_valid_per_train(self.ranked[0]) if self.ranked else None

    def rng(self, purpose: str) -> Generator:
        """Return a generator whose numbers are the same in every report of a study."""
        return default_rng([crc32(self.study.name.encode()), crc32(purpose.encode())])


def fold_metrics(study: StudyRecord) -> dict[str, tuple[float, ...]]:
    """Return the best trial's other metrics at its best evaluation, by name, one per fold."""
    best = next(iter(ranked(study)), None)
    if best is None or not best.metrics:
        return {}
    at_best = [
        metrics
        for fold in study.curve(best).folds
        for step, metrics in zip(fold.step, fold.metrics, strict=True)
        if step == best.best_step
    ]
    return {
        name: tuple(metrics.get(name, math.nan) for metrics in at_best) for name in best.metrics
    }


def test_score(study: StudyRecord) -> TestScore | None:
    """Return the best trial's score when its model was last scored on the test rows."""
    best = next(iter(ranked(study)), None)
    for look in reversed(study.test_looks):
        is_other = best is None or look.trial != best.number or look.n_trials > 1
        if is_other or look.compressed:
            continue
        if look.score is not None and look.low is not None and look.high is not None:
            return TestScore(
                *(look.score, look.low, look.high),
                n_networks=look.n_networks,
                single=look.single,
                rows=_rows_of(look),
                of_folds=look.of_folds,
            )
    return None


def _rows_of(look: StoredLook) -> RowCounts | None:
    if not (look.n_fold and look.n_valid and look.n_test):
        return None
    return RowCounts(look.n_fold, look.n_valid, look.n_test)


def takes(trial: TrialRecord, name: str, choice: Scalar) -> bool:
    """Return whether a trial has this option of a choice, of the same type."""
    value = trial.params.get(name)
    return name in trial.params and type(value) is type(choice) and value == choice


def _leaders(study: StudyRecord) -> list[TrialRecord]:
    """Return the trials whose curves every report needs: the best tenth, at least ten."""
    trials = ranked(study)
    return trials[: max(_FEWEST_CURVES, len(best_tenth(trials)))]


def best_tenth(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the best tenth of ranked trials, at least five."""
    return list(trials[: max(FEWEST_GOOD, math.ceil(_GOOD_SHARE * len(trials)))])
