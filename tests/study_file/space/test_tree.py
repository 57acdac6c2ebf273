"""The grammar: components, choices, ranges, gates, variants, and their mistakes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunecli.errors import StudyFileError
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Range
from tunecli.study_file.space.tree import categories, identity
from tunecli.study_file.study_file import StudyFile

BASE = {
    "data": "data: digits",
    "model": "model: MLP",
    "optimizer": "optimizer: {AdamW: {lr: 1e-3}}",
}


def study(**sections: str) -> StudyFile:
    """A study file with some sections as given and the required ones filled in."""
    texts = BASE | {name: f"{name}: {text}" for name, text in sections.items()}
    return StudyFile.from_text("\n".join(texts.values()), "a.yaml")


def ranges(**sections: str) -> dict[str, Range]:
    return {parameter.name: parameter.range for parameter in study(**sections).parameters}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{float: [1e-4, 1], log: true}", FloatRange(1e-4, 1.0, log=True)),
        ("{float: [0, 1], step: 0.1}", FloatRange(0.0, 1.0, step=0.1)),
        ("{float: [0.5, 0.5]}", FloatRange(0.5, 0.5)),
        ("{choice: [0.1, 1, 10.0]}", Categories((0.1, 1, 10.0))),
    ],
)
def test_ranges_of_an_argument(text: str, expected: Range) -> None:
    found = ranges(optimizer=f"{{SGD: {{lr: 0.1, weight_decay: {text}}}}}")
    assert found == {"optimizer.SGD.weight_decay": expected}


def test_names_are_paths() -> None:
    found = ranges(
        model="{choice: {MLP: {width: [{int: [8, 64]}, 32]}, "
        "small: {MLP: {depth: {int: [1, 2]}}}}}",
        optimizer="{Muon: {lr: {float: [0.1, 1]}, rest: {AdamW: {lr: {float: [0.1, 1]}}}}}",
        schedule="{choice: [none, {StepLR: {step_size: {int: [1, 5]}}}]}",
        training="{l1: {float: [1e-8, 1e-4], log: true, or: 0}}",
    )
    assert found == {
        "model": Categories(("MLP", "small")),
        "model.MLP.width[0]": IntRange(8, 64),
        "model.small.depth": IntRange(1, 2),
        "optimizer.Muon.lr": FloatRange(0.1, 1.0),
        "optimizer.Muon.rest.AdamW.lr": FloatRange(0.1, 1.0),
        "schedule": Categories(("none", "StepLR")),
        "schedule.StepLR.step_size": IntRange(1, 5),
        "training.l1.or": Categories((False, True)),
        "training.l1": FloatRange(1e-8, 1e-4, log=True),
    }


def test_values_that_a_category_cannot_be_are_json() -> None:
    found = ranges(model="{MLP: {width: {choice: [[64, 64], [128], 32]}}}")
    assert found["model.MLP.width"] == Categories(("[64, 64]", "[128]", 32))


def test_a_labelled_choice_of_values() -> None:
    found = ranges(model="{MLP: {width: {choice: {few: {int: [8, 16]}, many: 512}}}}")
    assert found["model.MLP.width"] == Categories(("few", "many"))
    assert found["model.MLP.width.few"] == IntRange(8, 16)


def test_none_null_and_empty_are_one_thing() -> None:
    written = ["none", "null", ""]
    assert len({study(schedule=text).to_yaml() for text in written}) == 1
    assert len({study(training=f"{{clip_norm: {text}}}").to_yaml() for text in written}) == 1


_OPTIONS = st.lists(
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, 1.0, "1", "[1]", "true"])
    | st.lists(st.integers(0, 1), max_size=2),
    min_size=1,
    max_size=6,
    unique_by=identity,
)


@given(_OPTIONS)
def test_categories_differ_and_are_scalars(options: list[object]) -> None:
    found = categories(options)
    assert len(set(found)) == len(options), "Python's == must tell them apart, as Optuna needs"
    assert all(not isinstance(category, list) for category in found)


def test_one_and_true_are_told_apart() -> None:
    assert categories([1, True, 2]) == ("1", "true", 2)
    assert categories([32, 64, "full"]) == (32, 64, "full")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{flaot: [0, 1]}", "unknown kind of range `flaot`. Did you mean `float`"),
        ("{float: [0, 1], lgo: true}", "got `lgo`. Did you mean `log`"),
        ("{float: [0, 1], int: [0, 1]}", "one of float, int and choice, but got float and int"),
        ("{low: 0, high: 1}", r"a range must be \{float: \[low, high\]\}"),
        ("{float: [1, 0]}", r"low must not be above high, but got 1 and 0. Write \[0, 1\]"),
        ("{float: [0, 1], log: true}", "a log scale needs a low end above 0, but got 0"),
        ("{float: [0, 1], log: 1}", "log must be true or false, but got 1"),
        ("{float: [0, 1], step: 0.3}", "do not reach 1. Write 0.9 as the high end"),
        ("{float: [0.1, 1], step: 0.3, log: true}", "log and step cannot be combined"),
        ("{float: [0, 1], step: 0}", "step must be a number above 0, but got 0"),
        ("{float: [0, true]}", "the ends must be numbers, but got true"),
        ("{float: 3}", r"must be \{float: \[low, high\]\}, but got 3"),
        ("{int: [0, 1.5]}", "the ends must be whole numbers, but got 1.5"),
        ("{float: [0, 1], or: [1]}", "`or` takes a single value"),
        ("{choice: [1, 2], or: 0}", "`choice` allows no other key, but got `or`"),
        ("{choice: []}", r"a choice must be a list of options, but got \[\]"),
        ("{choice: [1, 1]}", "the option 1 occurs twice"),
        ("{choice: [1, {float: [0, 1]}]}", "an option that contains a range needs a label"),
        ("{choice: {a.b: 1}}", "a label must have"),
        ("{choice: {' a': 1}}", "a label must have .* and spaces between them"),
    ],
)
def test_mistakes_in_ranges(text: str, message: str) -> None:
    with pytest.raises(StudyFileError, match=message) as caught:
        study(optimizer=f"{{AdamW: {{weight_decay: {text}}}}}")
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].line == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AdmaW", "Did you mean `AdamW`"),
        ("{AdamW: 3}", "the arguments of AdamW must be a mapping, but got 3"),
        ("{AdamW: {}, SGD: {}}", r"but got AdamW, SGD. .* choice: \{AdamW, SGD\}"),
        ("{adamw: {}, sgd: {}}", r"Did you mean `AdamW`\? .* choice: \{AdamW, SGD\}"),
        ("{lr: 1, betas: [0, 1]}", r"Write \{Name: \{arguments\}\}"),
        ("3", "must be a name"),
        ("none", "an optimizer is required, but got none"),
        ("{float: [0, 1]}", "cannot be a range of numbers"),
        ("{AdamW: {float: [0, 1]}}", "a range cannot replace all arguments"),
        ("{AdamW: {ler: 1}}", "no argument .ler.. Did you mean .lr."),
        ("{AdamW: {lr: fast}}", "lr must be"),
        ("{choice: [AdamW, AdamW]}", "AdamW occurs twice. Give both a label"),
        ("{choice: [AdamW, none]}", "optimizer is required, but got none"),
        ("{choice: {AdmaW: {lr: 1}}}", "Did you mean `AdamW`"),
        ("{choice: {mine: {AdmaW: {lr: 1}}}}", "Did you mean `AdamW`"),
        ("{choice: {mine: {choice: [SGD]}}}", "a choice cannot be an option of a choice"),
        ("{choice: [SGD], log: true}", "`choice` allows no other key, but got log"),
        ("SparseAdam", "SparseAdam is not supported: it requires sparse gradients"),
        ("{Muon: {rest: {AdamW: {x: 1}}}}", "AdamW has no argument .x."),
    ],
)
def test_mistakes_in_components(text: str, message: str) -> None:
    with pytest.raises(StudyFileError, match=message) as caught:
        study(optimizer=text)
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].path.startswith("optimizer")


def test_a_second_none_is_to_be_removed() -> None:
    with pytest.raises(StudyFileError, match=r"\[1\]: the option none occurs twice. Remove one"):
        study(schedule="{choice: [none, null]}")


@pytest.mark.parametrize("text", ["{widht: {int: [32, 16]}}", "{widht: {choice: []}}"])
def test_a_broken_range_does_not_hide_that_its_argument_is_unknown(text: str) -> None:
    with pytest.raises(StudyFileError, match="Did you mean `width`") as caught:
        study(model=f"{{MLP: {text}}}")
    assert len(caught.value.problems) == 2


def test_a_required_argument_with_a_broken_range_is_not_missing() -> None:
    with pytest.raises(StudyFileError, match="low must not be above high") as caught:
        study(schedule="{StepLR: {step_size: {int: [3, 1]}}}")
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("text", ["{width: {int: [32, 16]}}", "{widht: [16, {int: [4, 8]}]}"])
def test_nothing_is_told_twice_of_an_argument(text: str) -> None:
    with pytest.raises(StudyFileError, match=r"low must not|Did you mean") as caught:
        study(model=f"{{MLP: {text}}}")
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{choice: {a: {seed: 1}}}", r"can replace only .*: all trials share seed"),
        ("{choice: {a: {search: {}}}}", r"can replace only .*: all trials share search"),
        ("{choice: {a: {trianing: {}}}}", "Did you mean `training`"),
        ("{choice: {a: {data: {source: iris}}}}", "`data.max_length`: all trials share source"),
        (
            "{choice: {a: {data: iris}}}",
            "replace only `data.scale`, .* and `data.max_length`, but got 'iris'",
        ),
        ("{choice: [a, b]}", r"must be written as variant: \{choice"),
        ("{a: {model: MLP}}", r"must be written as variant: \{choice"),
        ("{choice: {a: 3}}", "must contain sections of the file, but got 3"),
        ("{choice: {a: {training: {epoch: 3}}}}", "Did you mean `epochs`"),
    ],
)
def test_mistakes_in_variants(text: str, message: str) -> None:
    with pytest.raises(StudyFileError, match=message):
        study(variant=text)


@pytest.mark.parametrize(
    "section",
    [
        "validation: {folds: {int: [3, 5]}}",
        "seed: {int: [0, 3]}",
        "search: {trials: {int: [3, 5]}}",
        "search: {sampler: {TPE: {n_startup_trials: {int: [1, 5]}}}}",
        "metrics: [{f1: {average: {choice: [macro, micro]}}}]",
        "objective: {maximize: {choice: [f1, accuracy]}}",
    ],
)
def test_ranges_stand_only_where_they_may(section: str) -> None:
    text = "\n".join([*BASE.values(), section])
    with pytest.raises(StudyFileError, match=r"cannot be a range|must be a whole number"):
        StudyFile.from_text(text, "a.yaml")
