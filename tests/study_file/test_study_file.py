"""Whole study files: shorthands, defaults, all mistakes at once, and never a traceback."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tunecli.errors import StudyFileError
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.settings.settings import Component, ValidationSettings
from tunecli.study_file.study_file import StudyFile, read_study_file
from tunecli.study_file.text.document import Document
from tunecli.study_file.text.dump import to_text

QUICK = "data: digits\nmodel: MLP\noptimizer: {AdamW: {lr: {float: [1e-4, 1e-1], log: true}}}\n"

FULL = """
study: digits
data: {source: digits, test: 0.2, scale: {choice: [standard, minmax]}}
validation: {folds: 5}
model:
  choice:
    MLP: {width: {int: [32, 256], log: true}, dropout: {float: [0.0, 0.5]}}
    CNN: {channels: {int: [8, 32], step: 8}}
loss: {CrossEntropyLoss: {label_smoothing: {float: [0.0, 0.2]}}}
optimizer:
  choice:
    nesterov:
      SGD: {lr: {float: [1e-3, 1], log: true}, momentum: {float: [0.5, 0.99]}, nesterov: true}
    AdamW: {lr: {float: [1e-4, 1e-1], log: true}}
schedule: {choice: [none, CosineAnnealingLR, {ReduceLROnPlateau: {patience: 3}}]}
training:
  epochs: 20
  batch_size: {choice: [32, 64, 128]}
  l1: {float: [1e-8, 1e-4], log: true, or: 0}
  early_stopping: {patience: 5, min_delta: 0.001}
objective: {maximize: accuracy}
metrics: [f1, {recall: {average: micro}}]
search:
  trials: 50
  timeout: 2h
  sampler: {TPE: {n_startup_trials: 5}}
  pruner: {Patient: {patience: 3, wrapped_pruner: Median}}
  start_with:
    - {optimizer: {AdamW: {lr: 1e-3}}, model: CNN, training: {l1: 0}}
"""

VARIANT = """
data: diabetes
model: Linear
optimizer: {SGD: {lr: {float: [1e-3, 1], log: true}}}
training: {steps: 500, clip_norm: {choice: [none, 1.0]}}
objective: {minimize: rmse}
search: {sampler: Random, pruner: none, start_with: {study: other, best: 3}}
variant:
  choice:
    as it is:
    full: {training: {batch_size: full, clip_norm: none}, optimizer: LBFGS}
    big: {training: {epochs: 3, batch_size: {int: [64, 256]}}, model: {MLP: {depth: 3}}}
"""


def problems(text: str, overrides: tuple[str, ...] = ()) -> list[tuple[int, str, str]]:
    with pytest.raises(StudyFileError, match=r"^a\.yaml:\d+:\d+: |^--set ") as caught:
        StudyFile.from_text(text, "a.yaml", overrides)
    return [(p.line, p.path, p.message) for p in caught.value.problems]


def test_the_shortest_study_file() -> None:
    study = StudyFile.from_text(QUICK, "studies/quick.yaml")
    assert study.name == "quick"
    assert [parameter.name for parameter in study.parameters] == ["optimizer.AdamW.lr"]
    config = study.completed("classification", 1797).resolve(lambda name, range_: 0.01)
    assert config.optimizer == Component(name="AdamW", arguments={"lr": 0.01})
    assert config.loss == Component(name="CrossEntropyLoss")
    assert (config.objective.direction, config.objective.metric.name) == ("maximize", "accuracy")
    assert config.validation == ValidationSettings(folds=5)
    assert (config.training.epochs, config.training.steps) == (20, None)
    assert config.data.scale == Component(name="standard")


@pytest.mark.parametrize("text", [QUICK, FULL, VARIANT])
def test_what_is_mutated_below_is_right_at_first(text: str) -> None:
    assert is_read(text)


def test_large_data_is_held_out_instead_of_folded() -> None:
    study = StudyFile.from_text(QUICK, "quick.yaml")
    assert study.completed("classification", 20_000).validation.folds == 5
    assert study.completed("classification", 20_001).validation == ValidationSettings(holdout=0.2)


def test_the_fuller_study_file() -> None:
    study = StudyFile.from_text(FULL, "a.yaml")
    assert study.search.timeout == 7200
    assert study.search.sampler == Component(name="TPESampler", arguments={"n_startup_trials": 5})
    assert study.search.pruner is not None
    assert study.search.pruner.arguments["wrapped_pruner"] == Component(name="MedianPruner")
    assert study.start_with == (
        {
            "optimizer": "AdamW",
            "optimizer.AdamW.lr": 0.001,
            "model": "CNN",
            "training.l1.or": True,
        },
    )
    assert study.completed("classification", 1797).completed("classification", 1797) == (
        study.completed("classification", 1797)
    )


TEN_MISTAKES = """\
data: {source: digits, tset: 0.2}
model: {MLP: {widht: 64}}
loss: CrossEntropyLos
optimizer:
  choice:
    SGD: {lr: {float: [1, 1e-3], log: true}}
    AdmaW: {lr: 1e-3}
    Adam: {lr: {flaot: [1e-4, 1e-1]}}
training:
  epochs: -3
  batch_size: {choice: [32, 64, 32]}
objective: {maximize: log_loss}
search:
  sampler: TPE
  trials: many
"""


def test_ten_mistakes_are_ten_errors_with_their_lines() -> None:
    expected = [
        (1, "data.tset", "Did you mean `test`"),
        (2, "model.MLP.widht", "Did you mean `width`"),
        (3, "loss", "Did you mean `CrossEntropyLoss`"),
        (6, "optimizer.choice.SGD.lr", "low must not be above high, but got 1 and 0.001"),
        (7, "optimizer.choice.AdmaW", "Did you mean `AdamW`"),
        (8, "optimizer.choice.Adam.lr", "Did you mean `float`"),
        (10, "training.epochs", "must be at least 1, but got -3"),
        (11, "training.batch_size.choice[2]", "the option 32 occurs twice"),
        (12, "objective.maximize", "log_loss is better when lower. Write minimize: log_loss"),
        (15, "search.trials", "must be a whole number, but got 'many'"),
    ]
    found = problems(TEN_MISTAKES)
    assert [mistake[:2] for mistake in found] == [mistake[:2] for mistake in expected]
    for (_, _, message), (_, _, part) in zip(found, expected, strict=True):
        assert part.replace("`", "") in message.replace("`", "").replace('"', "")


@pytest.mark.parametrize(
    ("text", "path", "part"),
    [
        ("seed: -1", "seed", "must be a whole number from 0 to"),
        ("seed: true", "seed", "must be a whole number from 0 to"),
        ("study: ../x", "study", "is not a valid study name"),
        ("study: .x", "study", "do not start with a dot"),
        ("validation: {folds: 1}", "validation.folds", "at least 2, but got 1"),
        (
            "validation: {folds: 3, holdout: 0.2}",
            "validation.holdout",
            "only one of folds and holdout",
        ),
        ("validation: {repeats: 3, holdout: 0.2}", "validation.holdout", "repeats requires folds"),
        ("objective: []", "objective", "Write {maximize: accuracy}"),
        (
            "objective: {minimize: size}",
            "objective.minimize",
            "Put a score first",
        ),
        (
            "objective: [{minimize: size}, {maximize: f1}]",
            "objective[0].minimize",
            "Put a score first",
        ),
        (
            "objective: [{maximize: {f1: {average: macro}}}, {maximize: {f1: {average: macro}}}]",
            "objective[1]",
            "occurs twice",
        ),
        ("constraints: 5", "constraints", "must map metrics to limits"),
        ("constraints: {sise: {max: 1}}", "constraints.sise", "Did you mean `size`"),
        ("constraints: {size: 1}", "constraints.size", "must have min, max or both"),
        ("constraints: {size: {max: 3XB}}", "constraints.size.max", "got '3XB'"),
        (
            "constraints: {size: {most: 3}}",
            "constraints.size.most",
            "Valid keys are `min` and `max`.",
        ),
        ("constraints: {f1: {averag: macro, min: 0.5}}", "constraints.f1.averag", "`average`"),
        (
            "constraints: {f1: {average: makro, min: 0.5}}",
            "constraints.f1.average",
            "Did you mean `macro`?",
        ),
        ("constraints: {f1: {average: macro}}", "constraints.f1", "must have min, max or both"),
        ("constraints: {fbeta: {min: 0.5}}", "constraints.fbeta", "fbeta needs beta"),
        ("constraints: {top_k_accuracy: {k: 0, min: 0.5}}", "constraints.top_k_accuracy.k", "1"),
        ("constraints: {f1: {min: 1, max: 0.5}}", "constraints.f1.min", "above max"),
        ("constraints: {rmse: {max: 1}}", "constraints.rmse", "for regression"),
        ("objective: accuracy", "objective", "{maximize: accuracy}"),
        ("objective: {maximise: f1}", "objective.maximise", "Did you mean `maximize`"),
        ("objective: {maximize: acuracy}", "objective.maximize", "accuracy"),
        (
            "objective: {maximize: accuracy, tolerence: 0.1}",
            "objective.tolerence",
            "Did you mean `tolerance`",
        ),
        (
            "objective: {maximize: accuracy, tolerance: 1.0}",
            "objective.tolerance",
            "must be below 1, since accuracy is from 0 to 1, but got 1.",
        ),
        (
            "objective: {maximize: accuracy, tolerance: -1}",
            "objective.tolerance",
            "must be at least 0, but got -1",
        ),
        (
            "objective: {maximize: accuracy, tolerance: {float: [0, 1]}}",
            "objective.tolerance",
            "cannot be a range",
        ),
        (
            "objective: [{maximize: accuracy, tolerance: 0.1}, {minimize: size}]",
            "objective[0].tolerance",
            "has no effect with several objectives: no trial is the best. Remove it.",
        ),
        ("objective: {tolerance: 0.1}", "objective", "must be {maximize: accuracy} or"),
        ("objective: {minimize: rmse}", "objective.minimize", "rmse is for regression"),
        ("metrics: [rmse]", "metrics[0]", "rmse is for regression"),
        ("metrics: f1", "metrics", "must be a list of metrics"),
        ("metrics: [f1, f1]", "metrics[1]", "occurs twice"),
        ("loss: MSELoss", "loss", "MSELoss is for regression"),
        ("search: {timeout: 2x}", "search.timeout", "`1h30m`"),
        ("search: {timeout: 87601h}", "search.timeout", "at most ten years, 87600h, but got"),
        ("search: {timeout: 1e300}", "search.timeout", "at most ten years, 87600h, but got 1"),
        ("search: {timeout: 0}", "search.timeout", "above 0, but got 0"),
        ("training: {max_time: 1.2.3h}", "training.max_time", "or a time such as `2h`"),
        ("training: {max_time: true}", "training.max_time", "a number, but got true"),
        ("training: {max_time: 100000h}", "training.max_time", "at most ten years, 87600h"),
        ("training: {max_time: {choice: [1h, 2h]}}", "training.max_time", "cannot be a range"),
        ("search: {order: exakt}", "search.order", "Did you mean `exact`"),
        ("search: {pruner: Wilcoxon}", "search.pruner", "not supported"),
        ("search: {sampler: TEP}", "search.sampler", "Did you mean `TPE`"),
        ("search: {sampler: none}", "search.sampler", "a sampler is required"),
        ("search: {sampler: Grid}", "search.sampler", "optimizer.AdamW.lr is a continuous"),
        ("search: {sampler: BruteForce}", "search.sampler", "optimizer.AdamW.lr is a continuous"),
        ("search: {start_with: 3}", "search.start_with", "must be a list"),
        ("training: {epochs: 3, steps: 3}", "training.steps", "Remove one of them"),
        ("training: {deterministic: maybe}", "training.deterministic", "`auto` or true or false"),
        ("training: 3", "training", "must be a mapping of settings"),
        ("variant: {choice: {a: {optimizer: LBFGS}}}", "variant.choice.a.optimizer", "LBFGS"),
    ],
)
def test_one_mistake_is_one_error_on_its_line(text: str, path: str, part: str) -> None:
    found = problems(QUICK + text)
    assert [(line, at) for line, at, _ in found] in ([(4, path)], [(4, "training.batch_size")])
    assert part in found[0][2]


def test_missing_sections_are_told_with_an_example() -> None:
    assert problems("") == [
        (1, "data", "required, but missing. For example `data: digits`."),
        (1, "model", "required, but missing. For example `model: MLP`."),
        (
            1,
            "optimizer",
            "required, but missing. For example `optimizer: {AdamW: {lr: 1e-3}}`.",
        ),
    ]


def test_completing_with_another_task_checks_again() -> None:
    study = StudyFile.from_text(QUICK + "metrics: [f1]\n", "a.yaml")
    with pytest.raises(StudyFileError, match=r"a.yaml:4:11: metrics\[0\]: f1 is for classif"):
        study.completed("regression", 100)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2h", 7200),
        ("90m", 5400),
        ("1h30m", 5400),
        ("45s", 45),
        ("12", 12),
        ("1.5", 1.5),
        ("87600h", 315360000),
    ],
)
def test_times(text: str, seconds: float) -> None:
    times = f"search: {{timeout: {text}}}\ntraining: {{max_time: {text}}}"
    study = StudyFile.from_text(f"{QUICK}{times}", "a.yaml")
    assert study.training.max_time == seconds
    assert study.search.timeout == seconds


def test_the_objective_among_the_metrics_is_dropped() -> None:
    study = StudyFile.from_text(QUICK + "metrics: [accuracy, f1]", "a.yaml")
    metrics = study.completed("classification", 1797).metrics
    assert metrics == (Component(name="f1", arguments={"average": "macro"}),)


# --set


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("training.epochs=3", ("training", "epochs", "3")),
        ("data.test=0.1", ("data", "test", "0.1")),
        ("optimizer.AdamW.weight_decay=0.5", ("optimizer", "AdamW.weight_decay", "0.5")),
        ("model.MLP.depth=4", ("model", "MLP.depth", "4")),
        ("model=CNN", ("model", None, "CNN")),
        ("schedule={StepLR: {step_size: 3}}", ("schedule", "StepLR.step_size", "3")),
    ],
)
def test_overrides(override: str, expected: tuple[str, str | None, str]) -> None:
    section, below, value = expected
    data = Document.parse(StudyFile.from_text(QUICK, "a.yaml", [override]).to_yaml(), "").data
    found: Any = data[section]
    for step in below.split(".") if below else ():
        found = found[step]
    assert str(found) == value


def test_an_override_finds_its_way_into_a_choice() -> None:
    overrides = ["optimizer.AdamW.lr=0.5", "schedule.CosineAnnealingLR.eta_min=0.1"]
    text = FULL[: FULL.index("search:")]
    study = StudyFile.from_text(text, "a.yaml", overrides)
    names = [parameter.name for parameter in study.parameters]
    assert "optimizer.AdamW.lr" not in names
    assert "optimizer.nesterov.lr" in names
    assert "eta_min: 0.1" in study.to_yaml()


@pytest.mark.parametrize(
    ("override", "path", "part"),
    [
        ("trianing.epochs=3", "trianing", "Did you mean `training`"),
        ("training.epoch=3", "training.epoch", "Did you mean `epochs`"),
        ("training.epochs=-1", "training.epochs", "at least 1, but got -1"),
        ("training", "training", "an override must be path=value"),
        ("=3", "", "a path must look like"),
        ("a..b=3", "a..b", "a path must look like"),
        ("training[0]=3", "training[0]", "has no item"),
        ("seed.x=3", "seed.x", "seed is 7, which has no settings"),
        ("model=[", "model", "invalid YAML"),
    ],
)
def test_a_mistake_in_an_override_has_a_path_and_no_line(
    override: str, path: str, part: str
) -> None:
    found = problems(QUICK + "seed: 7\ntraining: {l1: 0}", (override,))
    assert [(line, at) for line, at, _ in found] == [(0, path)]
    assert part in found[0][2]


@pytest.mark.parametrize(
    ("optimizer", "override", "advice"),
    [
        ("AdamW", "optimizer.lr=0.1", "Write optimizer.AdamW.lr=0.1."),
        ("{AdamW: {lr: 1}}", "optimizer.lr=0.1", "Write optimizer.AdamW.lr=0.1."),
        ("AdamW", "optimizer.adamw.lr=0.1", "Did you mean optimizer.AdamW.lr=0.1?"),
        ("{AdamW: {lr: 1}}", "optimizer.Adamw.lr=0.1", "Did you mean optimizer.AdamW.lr=0.1?"),
        ("AdamW", "optimizer.SGD.lr=0.1", "Write optimizer={SGD: {lr: 0.1}}."),
        ("{AdamW: }", "optimizer.SGD.lr=0.1", "Write optimizer={SGD: {lr: 0.1}}."),
        ("{choice: [AdamW, SGD]}", "optimizer.lr=0.1", "Write optimizer.AdamW.lr=0.1."),
        ("{choice: {m: SGD}}", "optimizer.m.lr=0.1", "Write optimizer.m.SGD.lr=0.1."),
        ("{choice: {m: {SGD: }}}", "optimizer.m.lr=0.1", "Write optimizer.m.SGD.lr=0.1."),
        (
            "AdamW",
            "optimizer.betas=[0.9, 0.99]",
            "Write optimizer.AdamW.betas=[0.9, 0.99].",
        ),
        (
            "{choice: [{Muon: {rest: SGD}}]}",
            "optimizer.Muon.rest.lr=0.1",
            "Write optimizer.Muon.rest.SGD.lr=0.1.",
        ),
        (
            "{Muon: {rest: SGD}}",
            "optimizer.Muon.rest.lr=0.1",
            "Write optimizer.Muon.rest.SGD.lr=0.1.",
        ),
    ],
)
def test_an_argument_without_its_component_is_told_the_way_which_works(
    optimizer: str, override: str, advice: str
) -> None:
    text = f"data: digits\nmodel: MLP\noptimizer: {optimizer}\n"
    [(line, path, message)] = problems(text, (override,))
    assert (line, path) == (0, override.partition("=")[0])
    assert message.endswith(advice)
    StudyFile.from_text(
        text, "a.yaml", [advice[:-1].removeprefix("Write ").removeprefix("Did you mean ")]
    )


# Reading from disk


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match=r"no.yaml: cannot be read: No such file"):
        read_study_file(tmp_path / "no.yaml")
    with pytest.raises(StudyFileError, match=r"cannot be read: Is a directory"):
        read_study_file(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"study: caf\xe9\n")
    with pytest.raises(StudyFileError, match=r"must be UTF-8, but byte 10 is not"):
        read_study_file(tmp_path / "latin.yaml")
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + QUICK.encode())
    assert read_study_file(tmp_path / "bom.yaml").name == "bom"


# Mutations: whatever is done to a study file, it is read, or refused with all its mistakes

_LEAVES: list[Any] = [
    None, True, False, 0, 1, -1, 3, 10**18, -(10**18), 0.0, -0.5, 1e-320, 1.7e308, "", "none",
    "full",
    "AdamW", "MLP", "choice", "float", "é\u2028x", "0" * 300, [], {}, [[]], [None], {"": None},
    {"choice": None}, {"choice": {}}, {"choice": [1, 1.0, True, "1"]}, {"float": [0, 1]},
    {"int": [0, 5], "or": None}, {"float": [1, 10**18], "log": True}, {"float": [-1e308, 1e308]},
    {"float": [0, 1e308], "step": 1e-300}, {"int": [0, 10**18], "step": 1}, {"AdamW": None},
    {"choice": ["none", {"AdamW": {"lr": 1}}, 3]}, {"choice": {"a": "SGD", "b": None}},
]  # fmt: skip


def _places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(data, dict | list):
        return [path]
    entries = data.items() if isinstance(data, dict) else enumerate(data)
    return [path, *(place for key, value in entries for place in _places(value, (*path, key)))]


def _at(data: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        data = data[step]
    return data


def mutate_structure(data: Any, source: random.Random) -> Any:
    """Replace, remove, rename, wrap or move one part."""
    places = [place for place in _places(data) if place]
    if not places:
        return data
    place = source.choice(places)
    holder, key = _at(data, place[:-1]), place[-1]
    kind = source.randrange(6)
    if kind == 0:
        holder[key] = copy.deepcopy(source.choice(_LEAVES))
    elif kind == 1:
        del holder[key]
    elif kind == 2:
        holder[key] = copy.deepcopy(_at(data, source.choice(places)))
    elif kind == 3:
        holder[key] = {source.choice(["choice", "or", "AdamW", "x", "float"]): holder[key]}
    elif kind == 4:
        holder[key] = [holder[key], copy.deepcopy(source.choice(_LEAVES))]
    elif isinstance(holder, dict):
        holder[f"{key}"[:-1] + source.choice("xos")] = holder.pop(key)
    return data


_CHARACTERS = "{}[]:,-&*!|>'\"#%@`\t\n\r\0\u0085\ufeff\U0001f600é~=?"


def mutate_text(text: str, source: random.Random) -> str:
    """Remove, repeat or put in a few characters."""
    at = source.randrange(len(text) + 1)
    width = source.randrange(1, 12)
    kind = source.randrange(4)
    if kind == 0:
        return text[:at] + text[at + width :]
    if kind == 1:
        return text[:at] + text[at : at + width] * 2 + text[at + width :]
    if kind == 2:
        return (
            text[:at]
            + source.choice("{}[]:,-&*!|>'\"#%@`\t\n\r\0\u0085\ufeff\U0001f600é~=?")
            + text[at:]
        )
    digits = [i for i, character in enumerate(text) if character.isdigit()]
    at = source.choice(digits) if digits else at
    return text[:at] + source.choice(["-", "9" * 30, "e", "e9", ".", "0x", "e400"]) + text[at:]


def mutated(seed: int) -> str:
    source = random.Random(seed)
    text = source.choice([QUICK, FULL, VARIANT, VARIANT, QUICK])
    if source.random() < 0.7:
        data = Document.parse(text, "a.yaml").data
        for _ in range(source.choice([1, 1, 2, 4])):
            data = mutate_structure(data, source)
        text = to_text(data)
    if source.random() < 0.5:
        for _ in range(source.choice([1, 2, 5])):
            text = mutate_text(text, source)
    return text


def is_read(text: str) -> bool:
    """Whether `text` is read; if so, it must keep what every study file keeps."""
    try:
        study = StudyFile.from_text(text, "a.yaml")
    except StudyFileError as error:
        sentences = [problem.message[-1] in ".?" for problem in error.problems]
        if not sentences or not all(sentences):
            pytest.fail(f"no sentence: {error}")
        return False
    again = StudyFile.from_text(study.to_yaml(), "b.yaml")
    assert again.to_yaml() == study.to_yaml()
    study = study.completed(study.task or "classification", 1797)
    low = study.resolve(lambda name, r: r.choices[0] if hasattr(r, "choices") else r.low)
    assert low.training.batch_size
    return True


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_a_mutated_study_file_is_read_or_refused(seed: int) -> None:
    is_read(mutated(seed))


@pytest.mark.slow
def test_two_thousand_mutated_study_files_give_no_traceback() -> None:
    accepted = sum(is_read(mutated(seed)) for seed in range(2000))
    assert 100 < accepted < 1900, "both ways were taken often"


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=60))
def test_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "a.yaml"
    path.write_bytes(data)
    with pytest.raises(StudyFileError, match=r"a\.yaml"):
        read_study_file(path)


@pytest.mark.parametrize(
    ("setting", "path", "part"),
    [
        ("sampler: CmaEs", "search.sampler", "CMA-ES supports only one objective"),
        ("learn_from: other", "search.learn_from", "supports only one objective"),
    ],
)
def test_some_settings_take_one_objective(setting: str, path: str, part: str) -> None:
    several = "objective: [{maximize: f1}, {minimize: size}]\n"
    [(_, at, message)] = problems(f"{QUICK}{several}search: {{{setting}}}")
    assert at == path
    assert part in message
    single = StudyFile.from_text(f"{QUICK}objective: [{{maximize: f1}}]", "a.yaml")
    assert single.search.pruner is not None
    assert StudyFile.from_text(QUICK + several, "a.yaml").search.pruner is None


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("data.split_seed=1000000000000", "data.split_seed: must be at most "),
        ("validation.repeats=1000000000000", "validation.repeats: must be at most 10000, "),
        ("training.threads=1000000000000", "training.threads: must be at most 1024, "),
        ("training.l1=1e300", "training.l1: must be at most 3e+38, "),
        ("training.l1=.inf", "training.l1: numbers must be finite, but got .inf."),
        (
            "training.clip_norm=1e999",
            "training.clip_norm: numbers must be finite, but 1e999 is",
        ),
        ("training.micro_batch=1", "training.micro_batch: batch_norm needs at least 2 rows per "),
        ("constraints.accuracy.min=1.5", "constraints.accuracy.min: no trial can satisfy this: "),
        ("constraints.latency.max=0", "constraints.latency.max: no trial can satisfy this: "),
        ("constraints.n_weights.max=0", "constraints.n_weights.max: no trial can satisfy this: "),
        (
            "constraints.mcc.max=-2",
            "constraints.mcc.max: no trial can satisfy this: mcc is at least ",
        ),
    ],
)
def test_what_is_beyond_a_bound_is_refused_once_at_its_place(override: str, told: str) -> None:
    text = "data: digits\nmodel: {MLP: {batch_norm: true}}\noptimizer: SGD\n"
    with pytest.raises(StudyFileError) as raised:
        StudyFile.from_text(text, "a.yaml", [override])
    assert str(raised.value).startswith(f"--set {override}: {told}")
    assert len(raised.value.problems) == 1


def test_folds_and_repeats_are_bounded_together() -> None:
    with pytest.raises(StudyFileError, match=r"at most 10,000 folds, but got 100 folds repeated"):
        StudyFile.from_text(
            "data: digits\nmodel: MLP\noptimizer: SGD\nvalidation: {folds: 100, repeats: 200}\n",
            "a",
        )


def test_a_choice_between_a_training_of_ones_own_and_none_needs_all_parts_of_the_other() -> None:
    text = "data: iris\nmodel: MLP\noptimizer: SGD\ntrain: {choice: ['m.py:fit', none]}\n"
    study = StudyFile.from_text(text, "a.yaml").completed("classification", 100)
    own, usual = (study.resolve(lambda _, given, i=i: given.choices[i]) for i in (0, 1))
    assert own.train == Component(name="m.py:fit")
    assert (usual.train, usual.loss.name) == (None, "CrossEntropyLoss")
    with pytest.raises(StudyFileError, match="model: required, but missing"):
        StudyFile.from_text(text.replace("model: MLP\n", ""), "a.yaml")


def test_a_limited_metric_has_its_arguments_next_to_its_limits() -> None:
    text = "data: digits\nmodel: MLP\noptimizer: SGD\n"
    text += "constraints: {f1: {average: weighted, min: 0.5}, fbeta: {beta: 2, max: 0.9}, "
    text += "recall: {min: 0.1}}\n"
    study = StudyFile.from_text(text, "a.yaml").completed("classification", 100)
    weighted, fbeta, recall = study.constraints
    assert weighted.metric == Component(name="f1", arguments={"average": "weighted"})
    assert (weighted.min, weighted.max) == (0.5, None)
    assert fbeta.metric.arguments == {"beta": 2, "average": "macro"}
    assert recall.metric.arguments == {"average": "macro"}
    again = StudyFile.from_text(study.to_yaml(), "b.yaml").completed("classification", 100)
    assert again.constraints == study.constraints


def test_a_limit_of_the_users_metric_has_any_argument_but_min_and_max(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text("def cost(y, p, *, price=1.0):\n    return price\n")
    text = "data: digits\nmodel: MLP\noptimizer: SGD\n"
    text += "constraints: {m.py:cost: {price: 2.5, max: 3}}\n"
    code = AllowedCode.of(tmp_path, ["m.py"])
    [limit] = StudyFile.from_text(text, "a.yaml", (), tmp_path, code).constraints
    assert limit.metric == Component(name="m.py:cost", arguments={"price": 2.5})
    assert (limit.min, limit.max) == (None, 3)
    with pytest.raises(StudyFileError, match=r"4:34: constraints\.m\.py:cost\.prise: .*`price`"):
        StudyFile.from_text(text.replace("price", "prise"), "a.yaml", (), tmp_path, code)
