from __future__ import annotations

import math
import random
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import optuna
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import create_trial
from study_makers import complete, made, mlp

from tunecli.database.records import StudyRecord, TrialRecord, read_study
from tunecli.database.trials import to_distribution
from tunecli.report.analysis.importance import PedAnova, importance
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range
from tunecli.study_file.settings.settings import Direction


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


KINDS: dict[str, list[Range]] = {  # the second was widened, the third narrowed
    "lr": [FloatRange(1e-4, 1.0, True), FloatRange(1e-6, 1.0, True), FloatRange(1e-3, 1.0, True)],
    "width": [IntRange(8, 256, True), IntRange(8, 9, True), IntRange(8, 4000, True)],
    "layers": [IntRange(1, 4), IntRange(1, 9, False, 2), IntRange(0, 200)],
    "optimizer": [Categories(("SGD", True, 1, None))] * 3,
    "momentum": [FloatRange(0.0, 0.9, False, 0.1), FloatRange(0.0, 1.0), FloatRange(0.5, 0.5)],
}


def drawn(kind: Range, draw: random.Random) -> object:
    match kind:
        case Categories(choices):
            return draw.choice(choices)
        case IntRange(low, high, _, step):
            return draw.randrange(low, high + 1, step)
        case FloatRange(low, high, log, step):
            if log:
                return min(max(math.exp(draw.uniform(math.log(low), math.log(high))), low), high)
            return low + draw.randint(0, 9) * step if step else draw.uniform(low, high)


def drawn_trial(number: int, draw: random.Random, n_kinds: int) -> TrialRecord:
    """A trial of a study with a branch, in which only SGD has a momentum."""
    params = {}
    for name, kinds in KINDS.items():
        kind = draw.choice(kinds[:n_kinds])
        if name != "momentum" or params["optimizer"][0] == "SGD":
            params[name] = drawn(kind, draw), kind
    return trial(number, round(draw.gauss(0.9, 0.02), 2), **params)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("n_kinds", [1, 3])
@pytest.mark.parametrize("repeats", [False, True])
@given(seed=st.integers(0, 2**32), n_trials=st.integers(10, 60))
@settings(max_examples=10, phases=[Phase.generate])
def test_equals_optuna_to_the_bit_whatever_the_branches_ranges_and_resamples(
    seed: int, n_trials: int, direction: Direction, n_kinds: int, repeats: bool
) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    draw = random.Random(seed)
    trials = [drawn_trial(number, draw, n_kinds) for number in range(n_trials)]
    order = draw.choices(range(n_trials), k=n_trials) if repeats else range(n_trials)
    theirs = optuna.create_study(direction=direction)
    for one in (trials[index] for index in order):
        kinds = {name: to_distribution(kind) for name, kind in one.ranges.items()}
        theirs.add_trial(create_trial(value=one.value, params=one.params, distributions=kinds))
    names = [name for name in KINDS if any(name in trials[index].params for index in order)]
    record = StudyRecord("sqlite://", 1, "s", "accuracy", direction, tuple(trials))
    ours = PedAnova.of(record, draw.sample(trials, n_trials), names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rare ranges, and equal trials
        expected = optuna.importance.get_param_importances(theirs, params=names)
    assert [*ours.importances(np.array(order), names).items()] == [*expected.items()]


def test_other_evaluators_are_not_imported_and_stay_importable() -> None:
    code = (
        "import sys; from tunecli.report.analysis.importance import _parzen_density;"
        "_parzen_density(); print('sklearn' in sys.modules, 'pandas' in sys.modules);"
        "import optuna; optuna.importance.FanovaImportanceEvaluator()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("False False\n", "")
