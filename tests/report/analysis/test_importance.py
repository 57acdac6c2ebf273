from __future__ import annotations

import math
import random
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from study_makers import complete, made, mlp

from tunecli.database.records import StudyRecord, TrialRecord, read_study
from tunecli.report.analysis.importance import importance
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range


def study(trials: list[TrialRecord]) -> StudyRecord:
    return StudyRecord("sqlite://", 1, "s", "accuracy", "maximize", tuple(trials))


def trial(number: int, value: float, **params: tuple[object, Range]) -> TrialRecord:
    return TrialRecord(
        number,
        number,
        "complete",
        "complete",
        value=value,
        params={name: given for name, (given, _) in params.items()},
        ranges={name: kind for name, (_, kind) in params.items()},
    )


UNIT = FloatRange(0.0, 1.0)


def test_equals_optuna_on_the_same_database(tmp_path: Path) -> None:
    draw = random.Random(0)
    trials = []
    for _ in range(40):
        lr, optimizer = 10 ** draw.uniform(-4, 0), draw.choice(["SGD", "AdamW"])
        score = 1 - abs(math.log10(lr) + 2) / 10 - 0.05 * (optimizer == "SGD")
        trials.append((mlp(lr, draw.randint(8, 256), optimizer), complete(score, score)))
    url = made(tmp_path, trials)
    stock = optuna.importance.get_param_importances(
        optuna.load_study(storage=url, study_name="digits")
    )
    found = importance(read_study(url))
    assert found.values == pytest.approx(stock)
    assert list(found.values) == list(stock)
    assert (found.n_trials, found.reason, found.left_out) == (40, "", {})
    assert sum(found.values.values()) == pytest.approx(1.0)


def test_few_trials_say_nothing() -> None:
    found = importance(study([trial(n, n / 9, a=(n / 9, UNIT)) for n in range(9)]))
    assert (dict(found.values), found.reason) == (
        {},
        "10 complete trials are needed; this study has 9",
    )


def test_equal_scores_say_nothing() -> None:
    found = importance(study([trial(n, 0.5, a=(n / 9, UNIT)) for n in range(10)]))
    assert found.reason == "the scores hardly differ"


def test_what_cannot_be_computed_is_left_out_with_a_reason() -> None:
    fixed, one, two = IntRange(3, 3), Categories(("x",)), Categories(("x", "y"))
    trials = [
        trial(
            n,
            n / 20,
            a=(n / 20, UNIT),
            fixed=(3, fixed),
            one=("x", one),
            changed=("x", one if n < 10 else two),
            log=(0.5, FloatRange(0.1, 1.0, log=n < 10)),
            **({"rare": (0.1, UNIT)} if n in (1, 7, 8, 15) else {}),
        )
        for n in range(20)
    ]
    found = importance(study(trials))
    assert list(found.values) == ["a"]
    assert found.left_out == {
        "fixed": "its range is a single value",
        "one": "its range is a single value",
        "changed": "its range changed its type",
        "log": "its range changed its type",
        "rare": "only 4 complete trials have it",
    }


def test_a_widened_range_is_no_obstacle() -> None:
    trials = [
        trial(n, n / 20, a=(n / 40, UNIT if n < 10 else FloatRange(0.0, 2.0))) for n in range(20)
    ]
    assert list(importance(study(trials)).values) == ["a"]


def test_nothing_that_varies() -> None:
    found = importance(study([trial(n, n / 20, a=(3, IntRange(3, 3))) for n in range(20)]))
    assert found.reason == "no parameter varies"


def test_optuna_stays_as_talkative_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    importance(study([trial(n, n / 20, a=(n / 20, UNIT)) for n in range(20)]))
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


def test_distributions_survive_the_way_through_the_database(tmp_path: Path) -> None:
    """True, 1 and '1' are three choices, and stay so."""
    kind = CategoricalDistribution((True, 2, "1"))
    unit = FloatDistribution(0.0, 1.0)
    trials = [
        ({"c": ((True, 2, "1")[n % 3], kind), "u": (n / 30, unit)}, complete(n / 30, n / 30))
        for n in range(30)
    ]
    found = importance(read_study(made(tmp_path, trials)))
    assert set(found.values) == {"c", "u"}
    assert found.values["u"] > 0.9
