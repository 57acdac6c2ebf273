"""Choose an ensemble, and judge by cross-validation what it gains over the best trial.

The best of many ensembles is lucky on the rows that chose it, as the best trial is. So both are
chosen on all folds but one and scored on that one, for each fold. The ensemble is used only if its
mean score over the folds is then the better one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from tunecli.model_folder.ensemble.blend_scores import BlendScores
from tunecli.model_folder.ensemble.greedy import Picks, greedy_picks
from tunecli.report.analysis.standing import Verdict, Yardstick, compared_with
from tunecli.report.phrases.wording import score

HOW = "both chosen on some folds and scored on the others"
HOW_OF_PARTS = "both chosen on some of the validation rows and scored on the others"


@dataclass(frozen=True)
class EnsembleTrial:
    """One trial of an ensemble.

    Attributes:
        model: name of its model.
        weight: how often it was picked.
    """

    trial: int
    model: str
    weight: int


@dataclass(frozen=True)
class EnsembleChoice:
    """The trials of an ensemble, and its cross-validated scores.

    Attributes:
        trials: the trials, those with the largest weight first.
        n_candidates: number of trials to choose from.
        n_picks: largest number of picks.
        best: number of the best trial, which is used in place of an ensemble that gains nothing.
        scores: scores of ensembles on each part of the rows, each chosen on the others.
        of_best: the same of single trials.
        has_folds: whether the parts are folds, not parts of the only fold.
        verdict: how the ensembles compare with the single trials; those that are probably not
            worse, better or not, are "practically equal".
        why_not: why the ensemble is not used; empty if it is.
    """

    trials: tuple[EnsembleTrial, ...]
    n_candidates: int
    n_picks: int
    best: int
    scores: tuple[float, ...] = ()
    of_best: tuple[float, ...] = ()
    has_folds: bool = True
    verdict: Verdict = ""
    why_not: str = ""

    @property
    def is_used(self) -> bool:
        """Whether the ensemble is the model."""
        return not self.why_not

    @property
    def in_words(self) -> str:
        """The trials with their weights, or why there is no ensemble."""
        if self.why_not:
            return f"none, the model is trial {self.best} alone: {self.why_not}"
        trials = ", ".join(_weighed(one) for one in self.trials)
        return f"the weighted mean of {len(self.trials)} of {self.n_candidates} trials: {trials}"

    def gain_in_words(self, metric: str) -> str:
        """Return both scores and how they compare; empty if they are unknown.

        Args:
            metric: the objective for people.
        """
        if not self.scores:
            return ""
        ours, theirs = fmean(self.scores), fmean(self.of_best)
        judges = "folds" if self.has_folds else "rows"
        verdict = "better" if self.verdict == "better" else f"the {judges} do not distinguish them"
        verdict = self.verdict if self.verdict == "worse" else verdict
        return (
            f"{metric} {score(ours, theirs)} instead of {score(theirs, ours)} with the best trial "
            f"alone, {HOW if self.has_folds else HOW_OF_PARTS}: {verdict}"
        )


def _weighed(one: EnsembleTrial) -> str:
    return str(one.trial) if one.weight == 1 else f"{one.trial} ({one.weight} times)"


@dataclass(frozen=True)
class Candidate:
    """A trial that may be picked. Attributes: `model`: name of its model."""

    trial: int
    model: str


def chosen_ensemble(
    candidates: Sequence[Candidate],
    n_picks: int,
    scores: BlendScores,
    yardstick: Yardstick,
    allows: Callable[[Picks], bool],
) -> tuple[Picks, EnsembleChoice]:
    """Return the picks, those of the best trial if no ensemble is better, and the choice.

    Args:
        candidates: the trials, the study's best first; at least one of them is allowed alone.
        scores: scores of the candidates, by their place in `candidates`.
        yardstick: that of the study.
        allows: whether picks are within all limits.
    """

    def choose(n: int, parts: Sequence[int]) -> Picks:
        def goodness(picks: Picks, one: int) -> float:
            return float(scores.with_one(picks, one)[list(parts)].mean())

        return greedy_picks(len(candidates), n, goodness, allows)

    everything = range(len(scores.parts))
    picks = choose(n_picks, everything)
    # The study ranks trials by scores of whole folds, from which those of parts of one may differ.
    best = next((one,) for one in range(len(candidates)) if allows((one,)))
    known = EnsembleChoice(
        trials=_trials(candidates, picks),
        n_candidates=len(candidates),
        n_picks=n_picks,
        best=candidates[best[0]].trial,
        has_folds=len({part.fold for part in scores.parts}) > 1,
    )
    if not all(scores.apart):
        of_one = "the validation rows are too few to judge on some of them"
        why = "the folds share rows" if len(everything) > 1 else of_one
        why = f"what an ensemble gains cannot be judged, since {why}"
        return best, replace(known, why_not=why)
    judged = [(choose(n_picks, parts), choose(1, parts)) for parts in scores.apart]
    table = np.array([[scores.of(one)[i] for one in judged[i]] for i in everything])
    known = _compared(known, table, scores.sign, yardstick)
    if len({*picks}) == 1:
        return best, replace(known, why_not="no mean of several trials scores better")
    if not table[:, 0].mean() > table[:, 1].mean():
        return best, replace(known, why_not="an ensemble scores no better")
    return picks, known


def _trials(candidates: Sequence[Candidate], picks: Picks) -> tuple[EnsembleTrial, ...]:
    return tuple(
        EnsembleTrial(candidates[one].trial, candidates[one].model, weight)
        for one, weight in Counter(picks).most_common()
    )


def _compared(
    known: EnsembleChoice,
    table: NDArray[np.float64],
    sign: float,
    yardstick: Yardstick,
) -> EnsembleChoice:
    """Return the choice with the scores of ensembles and single trials, and their comparison.

    Args:
        table: goodness of both on each part, (n_parts, 2).
        sign: what makes scores of it.
    """
    if not known.has_folds:  # the parts share all training rows, and differ by their own alone
        yardstick = replace(yardstick, ratio=0.0)
    [standing] = compared_with(table[:, 1].tolist(), [table[:, 0].tolist()], yardstick).standings
    ours, theirs = (sign * table).T.tolist()
    return replace(known, scores=tuple(ours), of_best=tuple(theirs), verdict=standing.verdict)
