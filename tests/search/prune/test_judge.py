from __future__ import annotations

import random
from typing import Any

import optuna
import pytest

from tunecli.database.trials import Trial
from tunecli.search.prune.halving import Brackets
from tunecli.search.prune.judge import Judge, first_verdict, make_pruner
from tunecli.study_file.settings.settings import (
    Component,
    DataSettings,
    Objective,
    TrainingSettings,
    TrialConfig,
    ValidationSettings,
)
from tunecli.training.step.timetable import n_evaluations

N_EVALUATIONS = 9
PRUNERS = [
    Component(name="MedianPruner", arguments={"n_startup_trials": 2}),
    Component(name="PercentilePruner", arguments={"percentile": 40.0, "n_startup_trials": 2}),
    Component(name="SuccessiveHalvingPruner", arguments={"reduction_factor": 2}),
    Component(name="HyperbandPruner", arguments={"reduction_factor": 2}),
    Component(
        name="PatientPruner",
        arguments={
            "patience": 1,
            "wrapped_pruner": Component(
                name="PercentilePruner", arguments={"percentile": 40.0, "n_startup_trials": 2}
            ),
        },
    ),
    Component(name="ThresholdPruner", arguments={"lower": 0.3}),
]
by_name = pytest.mark.parametrize("pruner", PRUNERS, ids=lambda pruner: pruner.name)


def config(schedule: str | None = None, **training: Any) -> TrialConfig:
    return TrialConfig(
        seed=0,
        data=DataSettings(source="digits"),
        validation=ValidationSettings(folds=2),
        model=Component(name="MLP"),
        loss=Component(name="CrossEntropyLoss"),
        optimizer=Component(name="SGD"),
        schedule=Component(name=schedule) if schedule else None,
        training=TrainingSettings(**{"epochs": N_EVALUATIONS} | training),
        objective=Objective(direction="maximize", metric=Component(name="accuracy")),
    )


def curve(number: int) -> list[float]:
    random_ = random.Random(number)
    ceiling = random_.random()
    return [ceiling * (1 - 0.5**step) + 0.05 * random_.random() for step in range(1, 10)]


def judge_all(judge: Judge, numbers: range) -> list[Trial]:
    """Run trials one after another; the judge says how long each lasts."""
    ended = []
    for number in numbers:
        judge.start(number, config(), range(number))
        told: list[float] = []
        stopped = False
        for mean in curve(number):
            told.append(mean)
            judge.add(number, mean)
            stopped = judge.stops(number)
            if stopped:
                break
        ended.append(trial(number, told, "pruned" if stopped else "complete"))
        judge.finish(ended[-1])
    return ended


def trial(number: int, told: list[float], outcome: Any) -> Trial:
    return Trial(
        number, {}, {}, config(), outcome=outcome, value=told[-1] if told else None, curve=told
    )


@by_name
def test_a_resumed_judge_gives_the_same_verdicts(pruner: Component) -> None:
    whole = judge_all(Judge(pruner, "maximize", "study"), range(40))
    lengths = {len(ended.curve) for ended in whole}
    assert len(lengths) > 1, "the pruner must stop some and let others run"

    resumed = Judge(pruner, "maximize", "study")
    for ended in whole[:20]:
        resumed.restore(ended, range(ended.number))
    assert judge_all(resumed, range(20, 40)) == whole[20:]


@by_name
def test_another_attempt_is_judged_like_the_first(pruner: Component) -> None:
    whole = judge_all(Judge(pruner, "maximize", "study"), range(40))
    judge = Judge(pruner, "maximize", "study")
    for number in range(40):
        judge.start(number, config(), range(number))
        for mean in curve(number)[: 1 + number % 5]:  # then its worker dies
            judge.add(number, mean)
            judge.stops(number)
        assert judge_all(judge, range(number, number + 1)) == [whole[number]]


@by_name
def test_what_may_not_be_seen_changes_nothing(pruner: Component) -> None:
    alone, crowded = Judge(pruner, "maximize", "study"), Judge(pruner, "maximize", "study")
    for number in range(10):
        for judge in (alone, crowded):
            judge.restore(trial(number, curve(number), "complete"), range(number))
    for number in range(10, 20):  # finished, but later than what trial 20 was suggested from
        told = curve(number) if number % 2 else [1.0] * N_EVALUATIONS
        crowded.restore(trial(number, told, "complete"), range(number))
        alone.restore(trial(number, [], None), range(number))
    verdicts = [verdicts_on(judge, 20, range(10)) for judge in (alone, crowded)]
    assert verdicts[0] == verdicts[1]


def verdicts_on(judge: Judge, number: int, visible: range) -> list[bool]:
    judge.start(number, config(), visible)
    verdicts = []
    for mean in curve(number):
        judge.add(number, mean)
        verdicts.append(judge.stops(number))
    return verdicts


def lengths_in(study: optuna.Study, n_trials: int) -> list[int]:
    """After how many evaluations Optuna's own pruner ends each trial."""
    lengths = []
    for number in range(n_trials):
        asked = study.ask()
        for step, mean in enumerate(curve(number)):
            asked.report(mean, step)
            if asked.should_prune():
                study.tell(asked, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(asked, mean)
        lengths.append(step + 1)
    return lengths


MEDIAN = Component(name="MedianPruner", arguments={"n_startup_trials": 3})
HALVING = Component(name="SuccessiveHalvingPruner", arguments={"min_resource": 1})
HALVING_LATER = Component(
    name="SuccessiveHalvingPruner",
    arguments={"min_resource": 2, "reduction_factor": 2, "bootstrap_count": 3},
)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize(
    ("pruner", "theirs"),
    [
        (MEDIAN, optuna.pruners.MedianPruner(n_startup_trials=3)),
        (HALVING, optuna.pruners.SuccessiveHalvingPruner(min_resource=1)),
        (
            HALVING_LATER,
            optuna.pruners.SuccessiveHalvingPruner(
                min_resource=2, reduction_factor=2, bootstrap_count=3
            ),
        ),
    ],
    ids=["Median", "SuccessiveHalving", "SuccessiveHalving with arguments"],
)
def test_the_rules_are_optunas(
    pruner: Component, theirs: optuna.pruners.BasePruner, direction: Any
) -> None:
    ours = [len(ended.curve) for ended in judge_all(Judge(pruner, direction, "s"), range(60))]
    study = optuna.create_study(direction=direction, pruner=theirs)
    assert ours == lengths_in(study, 60)
    assert len(set(ours)) > 1


def test_hyperband_is_halving_within_the_bracket_that_optuna_chooses() -> None:
    pruner = Component(name="HyperbandPruner", arguments={"reduction_factor": 2})
    ours = [len(ended.curve) for ended in judge_all(Judge(pruner, "maximize", "s"), range(80))]
    study = optuna.create_study(
        study_name="s",
        direction="maximize",
        pruner=optuna.pruners.HyperbandPruner(max_resource=N_EVALUATIONS, reduction_factor=2),
    )
    assert ours == lengths_in(study, 80)


def test_rising_schedules_are_judged_among_themselves() -> None:
    judge = Judge(
        Component(name="MedianPruner", arguments={"n_startup_trials": 1}), "maximize", "study"
    )
    for number in range(3):
        flat = Trial(number, {}, {}, config(), outcome="complete", value=0.9, curve=[0.9] * 9)
        judge.restore(flat, range(number))
    rising = [config("OneCycleLR"), config("CyclicLR"), config(warmup=0.1)]
    for number, its_config in enumerate([*rising, config("CosineAnnealingLR")], start=3):
        judge.start(number, its_config, range(3))
        judge.add(number, 0.1)
        assert judge.stops(number) == (number == 6)


def test_hyperband_uses_its_brackets_as_often_as_they_are_budgeted() -> None:
    # 9 evaluations, factor 3: brackets stop from 1, 3 and 9 evaluations on; ⌈3·9/3⌉, ⌈3·3/2⌉, 3
    brackets = Brackets.of({}, 9)
    assert brackets.budgets == (9, 5, 3)
    chosen = [brackets.choose(f"study_{number}") for number in range(17_000)]
    for bracket, budget in enumerate(brackets.budgets):
        assert chosen.count(bracket) == pytest.approx(1000 * budget, rel=0.1)


def test_patience_cannot_wrap_halving() -> None:
    wrapped = Component(name="HyperbandPruner")
    arguments = {"patience": 1, "wrapped_pruner": wrapped}
    with pytest.raises(ValueError, match="PatientPruner cannot wrap HyperbandPruner"):
        make_pruner(Component(name="PatientPruner", arguments=arguments))


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        ({"epochs": 7}, 7),
        ({"epochs": 7, "eval_every": 2}, 4),
        ({"epochs": 1, "eval_every": 0.25}, 4),
        ({"epochs": None, "steps": 100}, 10),
        ({"epochs": None, "steps": 100, "eval_every": 30}, 4),
    ],
)
def test_the_number_of_evaluations_is_known_before(
    training: dict[str, Any], expected: int
) -> None:
    assert n_evaluations(config(**training)) == expected


def test_without_a_pruner_nothing_stops() -> None:
    judge = Judge(None, "maximize", "study")
    judge.start(0, config(), range(0))
    assert not judge.judges(0)
    judge.add(0, 0.0)
    assert not judge.stops(0)


@pytest.mark.parametrize(
    ("name", "arguments", "first"),
    [
        ("MedianPruner", {}, 0),
        ("MedianPruner", {"n_warmup_steps": 4}, 4),
        ("HyperbandPruner", {"min_resource": 5}, 5),
        ("SuccessiveHalvingPruner", {"reduction_factor": 3, "min_early_stopping_rate": 2}, 9),
        ("PatientPruner", {"patience": 3, "wrapped_pruner": Component(name="MedianPruner")}, 3),
    ],
)
def test_no_trial_ends_before_the_first_verdict(
    name: str, arguments: dict[str, Any], first: int
) -> None:
    pruner = Component(name=name, arguments=arguments)
    assert first_verdict(pruner, 20) == first


# stages of folds


def raced(judge: Judge, number: int, first: list[float], all_: list[float] | None = None) -> int:
    """Judge a trial of two stages; return after how many evaluations it was stopped, or 0."""
    racing = config().validation.model_copy(update={"folds": 5, "racing": "on"})
    own = config().model_copy(update={"validation": racing})
    judge.start(number, own, range(number))
    curves = [(3, mean) for mean in first] + [(0, mean) for mean in all_ or first]
    for n_done, (n_waiting, mean) in enumerate(curves, 1):
        judge.add(number, mean, n_waiting)
        if judge.stops(number, n_waiting, ends_stage=n_done == len(first)):
            judge.finish(Trial(number, {}, {}, own, outcome="pruned"))
            return n_done
    judge.finish(Trial(number, {}, {}, own, outcome="complete"))
    return 0


@pytest.mark.parametrize(
    "pruner", [None, PRUNERS[-1], Component(name="MedianPruner", arguments={"n_warmup_steps": 9})]
)
def test_more_folds_join_if_the_best_of_a_stage_reaches_the_median(
    pruner: Component | None,
) -> None:
    judge = Judge(pruner, "maximize", "study")
    for number, best in enumerate([0.4, 0.5, 0.6, 0.7, 0.8]):
        assert raced(judge, number, [0.3, best, 0.35]) == 0
    assert judge.judges(0)
    assert raced(judge, 5, [0.3, 0.59, 0.4]) == 3
    assert raced(judge, 6, [0.3, 0.6, 0.4]) == 0


def test_a_percentile_is_that_of_the_pruner() -> None:
    arguments = {"percentile": 80.0, "n_startup_trials": 5, "n_warmup_steps": 9}
    judge = Judge(Component(name="PercentilePruner", arguments=arguments), "minimize", "study")
    for number, best in enumerate([0.4, 0.5, 0.6, 0.7, 0.8]):
        assert raced(judge, number, [0.9, best, 0.95]) == 0
    assert raced(judge, 5, [0.9, 0.71, 0.95]) == 0
    assert raced(judge, 6, [0.9, 0.79, 0.95]) == 3


def test_each_stage_is_compared_with_the_same_folds() -> None:
    """The first folds are easier: their means say nothing against those of all folds."""
    judge = Judge(Component(name="MedianPruner"), "maximize", "study")
    for number in range(5):
        assert raced(judge, number, [0.9, 0.9], [0.5, 0.5]) == 0
    assert raced(judge, 5, [0.9, 0.9], [0.5, 0.5]) == 0
    assert raced(judge, 6, [0.8, 0.9]) == 1
    assert raced(judge, 7, [0.9, 0.9], [0.5, 0.4]) == 0, "its best so far is as good"
    assert raced(judge, 8, [0.9, 0.9], [0.4, 0.5]) == 3


def test_halving_decides_in_the_first_stage_alone() -> None:
    halving = Component(name="SuccessiveHalvingPruner", arguments={"reduction_factor": 2})
    judge = Judge(halving, "maximize", "study")
    ends = [raced(judge, n, curve(n), [0.0] * N_EVALUATIONS) for n in range(30)]
    assert any(ends)
    assert all(end <= N_EVALUATIONS for end in ends)
