"""Whether trials train for too long or not long enough, and what early stopping does."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence

from scipy.special import stdtrit

from tunecli.database.records import TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import (
    Change,
    Finding,
    Fixed,
    NewRange,
    NewSetting,
    finding,
)
from tunecli.report.findings.evidence.positions import in_steps, resized, rounded
from tunecli.study_file.settings.ranges import IntRange

_LAST, _FIRST = 0.9, 0.1  # shares of the training
_MOST = 0.6  # share of the good trials
_FEWEST_EVALUATIONS = 5
_FEWEST_TRIALS = 10
_LEVEL = 0.01
_ALWAYS = 0.95
_LONGER = 2
_PATIENCE = "training.early_stopping.patience"


@finding("length", plot="learning", of_several=True, compares=True, rank=4, after=("untrained",))
def lengths(evidence: Evidence, untrained: Sequence[Finding] = ()) -> list[Finding]:
    """Return a finding on the number of epochs (or steps), else one on early stopping.

    Args:
        untrained: findings on networks that have hardly learned: larger steps help them more than
            a longer training.
    """
    return [] if untrained else [*_peaks(evidence)] or [*_early_stopping(evidence)]


def _n_planned(trial: TrialRecord) -> int:
    """Return the number of evaluations of a trial that runs to its end; 0 if it is unknown."""
    training = (trial.config or {}).get("training") or {}
    if not isinstance(training, Mapping):
        return 0
    total, every = training.get("epochs"), training.get("eval_every") or 1
    if training.get("steps"):
        total = training["steps"]
        every = training.get("eval_every") or max(total // 10, 1)
    if isinstance(total, int | float) and isinstance(every, int | float) and every > 0:
        return math.ceil(total / every - 1e-9)
    return 0


def _shares(evidence: Evidence) -> list[tuple[TrialRecord, float]]:
    """Return each good trial with the share of its planned training at its best evaluation."""
    shares = []
    for trial in evidence.good:
        planned = _n_planned(trial)
        if trial.best_step is not None and planned >= _FEWEST_EVALUATIONS:
            shares.append((trial, (trial.best_step + 1) / planned))
    return shares


def _peaks(evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding if most good trials peak in the last or the first tenth of the training."""
    shares = _shares(evidence)
    if len(shares) < 3:
        return
    fewest, of_good = _MOST * len(shares), f"of the best {len(shares)} trials peak in"
    late = [trial for trial, share in shares if share > _LAST]
    early = [trial for trial, share in shares if share <= _FIRST]
    if len(late) >= fewest and _still_rising(
        evidence, evidence.ranked[: max(len(shares), _FEWEST_TRIALS)]
    ):
        sentence = (
            f"Train longer: {len(late)} {of_good} the last tenth of their training, and their "
            "curves still improve."
        )
        yield _finding(evidence, sentence, late, 0.85, _LONGER)
    if len(early) >= fewest:
        sentence = f"Train less: {len(early)} {of_good} the first tenth of their training."
        yield _finding(evidence, sentence, early, 0.6, 3 * _FIRST)


def _still_rising(evidence: Evidence, trials: Sequence[TrialRecord]) -> bool:
    """Return whether the last fifth of the curves beats the fifth before: a t-test over trials.

    The peak alone shows nothing: a curve that has levelled off also has one, by chance.
    """
    rises = []
    for trial in trials:
        curve = evidence.curves.get(trial.trial_id)
        scores = [s for s in curve.score if math.isfinite(s)] if curve is not None else []
        fifth = max(len(scores) // 5, 1)
        if len(scores) >= _FEWEST_EVALUATIONS:
            last = statistics.fmean(scores[-fifth:])
            before = statistics.fmean(scores[-2 * fifth : -fifth])
            rises.append(evidence.sign * (last - before))
    if len(rises) < 3:
        return False
    error = statistics.stdev(rises) / math.sqrt(len(rises))
    return statistics.fmean(rises) > float(stdtrit(len(rises) - 1, 1 - _LEVEL)) * error


def _finding(
    evidence: Evidence, sentence: str, trials: Sequence[TrialRecord], weight: float, factor: float
) -> Finding:
    path = "training.steps" if evidence.setting("training.steps") else "training.epochs"
    now = evidence.setting(path)
    can_change = isinstance(now, int) and not evidence.setting("variant")
    new = max(round(rounded(now * factor)), 1) if isinstance(now, int) else 0
    return Finding(
        "advice",
        sentence,
        weight=weight,
        figures={"setting": path, "now": now, "factor": factor},
        trials=tuple(trial.number for trial in trials),
        changes=_new_length(evidence, path, new) if can_change and new != now else (),
        advice="" if can_change else f"multiply {path} by {factor:g}",
    )


def _new_length(evidence: Evidence, path: str, new: int) -> tuple[Change, ...]:
    """Return the changes that make the training longer or shorter; patience moves along.

    Patience counts evaluations, so it stays where their number does: with `steps`, a training is
    evaluated ten times, however long it is.
    """
    now = evidence.setting(path)
    per_steps = path == "training.steps" and not evidence.setting("training.eval_every")
    return (NewSetting(path, new), *(() if per_steps else _patience(evidence, new / now)))


def _patience(evidence: Evidence, factor: float) -> Iterator[Change]:
    """Yield the change of early stopping's patience by a factor, where it has one."""
    now, kind = evidence.setting(_PATIENCE), evidence.ranges.get(_PATIENCE)
    if isinstance(kind, IntRange):
        low, high = (_scaled(end, factor) for end in (kind.low, kind.high))
        new = in_steps(kind, resized(kind, low, high))
        yield NewRange(_PATIENCE, new) if new.low < new.high else Fixed(_PATIENCE, int(new.low))
    elif isinstance(now, int) and _scaled(now, factor) != now:
        yield NewSetting(_PATIENCE, _scaled(now, factor))


def _scaled(n_evaluations: int, factor: float) -> int:
    return max(round(n_evaluations * factor), 1)


def _early_stopping(evidence: Evidence) -> Iterator[Finding]:
    patience = evidence.setting(_PATIENCE)
    if not isinstance(patience, int):
        return
    having = [trial for trial in evidence.ranked if trial.trial_id in evidence.curves]
    lengths_ = [(len(evidence.curves[t.trial_id].step), _n_planned(t), t) for t in having]
    known = [(done, planned, trial) for done, planned, trial in lengths_ if planned and done]
    if len(known) < _FEWEST_TRIALS:
        return
    stopped = [trial for done, planned, trial in known if done < planned]
    changes: tuple[NewSetting, ...] = ()
    if len(stopped) >= _ALWAYS * len(known):
        longest = max(done / planned for done, planned, _ in known)
        epochs = evidence.setting("training.epochs")
        if not isinstance(epochs, int) or longest >= _LAST:
            return
        # Trials already end there, so patience stays: less of it would end them earlier still.
        changes = (NewSetting("training.epochs", math.ceil(epochs * longest)),)
        sentence = (
            f"Plan fewer epochs: early stopping ends {len(stopped)} of {len(known)} complete "
            "trials before a schedule reaches its end."
        )
    elif stopped or any(planned <= patience for _, planned, _ in known):
        return
    else:
        sentence = f"Early stopping (patience {patience}) stopped none of {len(known)} trials."
    yield Finding(
        "note",
        sentence,
        weight=0.3,
        figures={"n_stopped": len(stopped), "n_complete": len(known)},
        trials=tuple(trial.number for trial in stopped),
        changes=changes,
        advice="" if changes else "lower the patience to save time",
    )
