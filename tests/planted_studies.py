"""Studies made from functions whose answer is known: no training, no database.

A trial's score is a smooth bump over its parameters with noise of folds; its curve saturates, goes
on rising, or falls again, as the plant wants it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

import numpy as np
import optuna

from tunecli.database.curves import Curve
from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.findings.evidence.evidence import Baseline, Evidence, TestScore
from tunecli.report.findings.evidence.positions import position, value_at
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range
from tunecli.study_file.settings.settings import (
    Component,
    DataSettings,
    Objective,
    TrialConfig,
    ValidationSettings,
)

LR = "optimizer.AdamW.lr"
DECAY = "optimizer.AdamW.weight_decay"
WIDTH = "model.MLP.width"
DROPOUT = "model.MLP.dropout"
IDLE = "loss.CrossEntropyLoss.label_smoothing"
ACTIVATION = "model.MLP.activation"

SPACE: Mapping[str, FloatRange | IntRange] = {
    WIDTH: IntRange(16, 256, log=True),
    DROPOUT: FloatRange(0.0, 0.6),
    LR: FloatRange(1e-4, 1e-1, log=True),
    DECAY: FloatRange(1e-5, 1e-1, log=True),
}
N_FOLDS = 5
SOON = 0.03  # cost of the rest at which a third is left of what shows only among good trials
N_EPOCHS = 20


@dataclass(frozen=True)
class Plant:
    """What is true of a study; by default nothing worth a finding.

    Attributes:
        optima: position of the best value of each number in its range; beyond 0 to 1 for outside.
        weights: how much of the score a number costs at a distance of a whole range.
        costs: what a number costs by its position, instead of the bump.
        optimizers: what each adds to the score; none for no choice.
        lr_costs: what the learning rate costs by its position, for optimizers that differ.
        activations: what each costs where all else is at its best, and ever less where it is not;
            none for no choice.
        idle: a further number that does nothing.
        idle_costs: what that number costs where all else is at its best, by its position.
        diverges_above: position of the learning rate.
        rise: time constant of the curves, in epochs.
        decay: what the validation score loses an epoch once it has risen.
        n_lost: trials that fail, and as many that diverge, whatever their parameters are.
        n_beyond: trials that break a limit, whatever their parameters are.
        baseline: score of a model that nobody tuned; none without it.
        test_noise: standard deviation of the best trial's score on the test rows; 0 for no test.
        log_loss: that of the best trial, which the model that nobody tuned shares and guessing
            exceeds by half; none if the study measures its objective alone.
    """

    optima: Mapping[str, float] = field(
        default_factory=lambda: {WIDTH: 0.5, DROPOUT: 0.45, LR: 0.55, DECAY: 0.4}
    )
    weights: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(SPACE, 0.1))
    costs: Mapping[str, Callable[[float], float]] = field(default_factory=dict)
    optimizers: Mapping[str, float] = field(default_factory=dict)
    lr_costs: Mapping[str, Callable[[float], float]] = field(default_factory=dict)
    activations: Mapping[str, float] = field(default_factory=dict)
    idle: bool = False
    idle_costs: Callable[[float], float] = lambda place: 0.0
    diverges_above: float = math.inf
    rise: float = 2.0
    decay: float = 0.0
    n_lost: int = 0
    n_beyond: int = 0
    baseline: float | None = None
    test_noise: float = 0.0
    log_loss: float | None = None
    sampler: str = "RandomSampler"

    @property
    def space(self) -> dict[str, Range]:
        space: dict[str, Range] = {**SPACE}
        if self.idle:
            space[IDLE] = FloatRange(0.0, 0.3)
        if self.activations:
            space[ACTIVATION] = Categories(tuple(self.activations))
        if self.optimizers:
            space["optimizer"] = Categories(tuple(self.optimizers))
        return space

    def score(self, params: Mapping[str, Any]) -> float:
        """Without noise."""
        own = self.lr_costs.get(params.get("optimizer", ""))
        costs = self.costs if own is None else {**self.costs, LR: own}
        cost = sum(
            costs.get(name, self._bump(name))(position(kind, params[name]))
            for name, kind in SPACE.items()
        )
        late = self.activations.get(params.get(ACTIVATION, ""), 0.0)
        if IDLE in params:
            late += self.idle_costs(position(self.space[IDLE], params[IDLE]))
        cost += late * math.exp(-cost / SOON)
        return 0.95 - cost + self.optimizers.get(params.get("optimizer", ""), 0.0)

    def _bump(self, name: str) -> Callable[[float], float]:
        return lambda place: self.weights[name] * (place - self.optima[name]) ** 2


def planted(plant: Plant, seed: int, n_trials: int = 60, noise: float = 0.004) -> Evidence:
    """A finished study of that many trials.

    Args:
        noise: standard deviation of a trial's score in one fold, besides what a fold does to all.
    """
    draw = np.random.default_rng(seed)
    folds = draw.normal(0.0, 0.01, N_FOLDS)
    sampler = _Sampler(plant, seed)
    trials, curves = [], {}
    folds = folds - folds.mean()
    outcomes = ["failed"] * plant.n_lost + ["diverged"] * plant.n_lost
    outcomes += ["infeasible"] * plant.n_beyond
    lost = dict(zip(draw.permutation(n_trials).tolist(), outcomes, strict=False))
    for number in range(n_trials):
        params = sampler.ask(draw)
        trial, curve = _trial(plant, number, params, draw, folds, noise, lost.get(number))
        trials.append(trial)
        curves[number] = curve
        sampler.tell(trial.value)
    resolved = (
        f"training: {{epochs: {N_EPOCHS}}}\nsearch: {{sampler: {plant.sampler}}}\n"
        "validation: {folds: 5}\n"
    )
    study = StudyRecord(
        "sqlite://", 1, f"planted-{seed}", "accuracy", "maximize", tuple(trials), resolved=resolved
    )
    evidence = Evidence(study, curves, _baselines(plant, folds, draw, noise))
    if plant.log_loss is not None:
        evidence = _measured(evidence, plant.log_loss, np.random.default_rng(seed))
    if not plant.test_noise:
        return evidence
    on_test = plant.score(evidence.ranked[0].params) + draw.normal(0.0, plant.test_noise)
    reach = 1.96 * plant.test_noise
    return replace(evidence, test=TestScore(on_test, on_test - reach, on_test + reach))


def _baselines(
    plant: Plant, folds: np.ndarray, draw: np.random.Generator, noise: float
) -> tuple[Baseline, ...]:
    if plant.baseline is None:
        return ()
    scores = plant.baseline + folds + draw.normal(0.0, noise, N_FOLDS)
    return (Baseline("logistic regression", tuple(scores.tolist())),)


def config_showing(*metrics: str) -> dict[str, Any]:
    """The configuration of a trial whose study also measures these metrics."""
    of_class = ("f1", "precision", "recall", "average_precision")
    arguments = {name: {"average": "binary"} for name in of_class}
    made = TrialConfig(
        seed=0,
        data=DataSettings(source="t.csv", target="y", positive="yes"),
        validation=ValidationSettings(folds=N_FOLDS),
        objective=Objective(direction="maximize", metric=Component(name="accuracy")),
        metrics=tuple(Component(name=m, arguments=arguments.get(m, {})) for m in metrics),
    )
    return made.model_dump(mode="json")


def _measured(evidence: Evidence, level: float, draw: np.random.Generator) -> Evidence:
    """The same study with the log loss of its best trial, its baselines and guessing."""
    of_folds = level + 0.1 * level * draw.normal(size=N_FOLDS)

    def scored(ratio: float) -> tuple[float, ...]:
        own = 0.05 * level * draw.normal(size=N_FOLDS)
        return tuple((ratio * of_folds + own).tolist())

    def with_loss(one: Baseline, ratio: float) -> Baseline:
        folds = scored(ratio)
        means = {"log_loss": fmean(folds)}
        return replace(one, metrics=means, fold_metrics={"log_loss": folds})

    guess = Baseline("commonest class", (0.3,) * N_FOLDS)
    baselines = [with_loss(one, 1.0) for one in evidence.baselines] + [with_loss(guess, 1.5)]
    best, first = scored(1.0), evidence.ranked[0].number
    trials = tuple(
        replace(
            trial,
            config=config_showing("log_loss"),
            metrics={"log_loss": fmean(best)} if trial.number == first else {},
        )
        for trial in evidence.study.trials
    )
    return replace(
        evidence,
        study=replace(evidence.study, trials=trials),
        baselines=tuple(baselines),
        best_metrics={"log_loss": best},
    )


def _trial(
    plant: Plant,
    number: int,
    params: dict[str, Any],
    draw: np.random.Generator,
    folds: np.ndarray,
    noise: float,
    lost: str | None = None,
) -> tuple[TrialRecord, Curve]:
    common = {
        "params": params,
        "ranges": {name: plant.space[name] for name in params},
        "seconds": 4.0,
        "n_weights": 64 * int(params[WIDTH]),
        "config": {
            "training": {"epochs": N_EPOCHS},
            "validation": {"folds": N_FOLDS},
        },
    }
    if lost == "failed":
        return TrialRecord(
            number, number, "failed", lost, "error: OSError: busy", **common
        ), Curve()
    if lost == "infeasible":
        reason = "size of 40 KB is above 20 KB"
        return TrialRecord(number, number, "pruned", lost, reason, **common), Curve()
    if lost or position(SPACE[LR], params[LR]) > plant.diverges_above:
        return TrialRecord(number, number, "pruned", "diverged", "not finite", **common), Curve()
    epochs = np.arange(1, N_EPOCHS + 1)
    risen = 1 - np.exp(-epochs / plant.rise)
    means = plant.score(params) - 0.5 * (1 - risen) - plant.decay * np.maximum(epochs - 6, 0)
    offsets = draw.normal(0.0, noise, N_FOLDS) + folds
    means = means + offsets.mean() + draw.normal(0.0, 0.3 * noise, N_EPOCHS)
    losses = 0.1 + np.exp(-epochs / 3.0) * draw.uniform(0.9, 1.1, N_EPOCHS)
    best = int(means.argmax())
    fold_scores = tuple((means[best] + offsets - offsets.mean()).tolist())
    curve = Curve(tuple(range(N_EPOCHS)), tuple(means.tolist()), tuple(losses.tolist()))
    trial = TrialRecord(
        number,
        number,
        "complete",
        "complete",
        value=float(means[best]),
        fold_scores=fold_scores,
        best_step=best,
        **common,
    )
    return trial, curve


class _Sampler:
    """Random draws, or Optuna's TPE on what it was told."""

    def __init__(self, plant: Plant, seed: int) -> None:
        self._space, self._study = plant.space, None
        if plant.sampler == "TPESampler":
            optuna.logging.set_verbosity(optuna.logging.WARNING)
            sampler = optuna.samplers.TPESampler(seed=seed)
            self._study = optuna.create_study(direction="maximize", sampler=sampler)

    def ask(self, draw: np.random.Generator) -> dict[str, Any]:
        if self._study is None:
            return {name: _drawn(kind, draw) for name, kind in self._space.items()}
        self._asked = self._study.ask()
        return {name: _suggested(self._asked, name, kind) for name, kind in self._space.items()}

    def tell(self, value: float | None) -> None:
        if self._study is not None and value is not None:
            self._study.tell(self._asked, value)
        elif self._study is not None:
            self._study.tell(self._asked, state=optuna.trial.TrialState.PRUNED)


def _drawn(kind: Range, draw: np.random.Generator) -> Any:
    match kind:
        case Categories(choices):
            return choices[int(draw.integers(len(choices)))]
        case IntRange():
            return round(value_at(kind, draw.random()))
        case FloatRange():
            return value_at(kind, draw.random())


def _suggested(trial: optuna.Trial, name: str, kind: Range) -> Any:
    match kind:
        case Categories(choices):
            return trial.suggest_categorical(name, choices)
        case IntRange(low, high, log):
            return trial.suggest_int(name, low, high, log=log)
        case FloatRange(low, high, log):
            return trial.suggest_float(name, low, high, log=log)
