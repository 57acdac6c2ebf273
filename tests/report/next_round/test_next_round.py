"""The next round's study file holds what was asked for, and no more."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from drawn_answers import drawn
from locations import STUDIES

from tunecli.database.records import StudyRecord, TrialRecord
from tunecli.report.findings.evidence.evidence import Evidence
from tunecli.report.findings.evidence.finding import (
    Change,
    DroppedChoices,
    Finding,
    Fixed,
    NewRange,
    NewSetting,
)
from tunecli.report.findings.evidence.positions import Numeric
from tunecli.report.findings.space.useful_bounds import bounds_of
from tunecli.report.findings.space.wider import FAR, NEAR, widened
from tunecli.report.next_round.chosen_changes import Advice, advice_of, settled
from tunecli.report.next_round.paths import moved
from tunecli.report.next_round.round import Round, Style, following, write_next_round
from tunecli.search.suggest.suggester import Suggester
from tunecli.search.suggest.visible_trials import VisibleTrials
from tunecli.study_file.locate_config import match
from tunecli.study_file.read_start_with import StartFrom
from tunecli.study_file.settings.ranges import Categories, FloatRange, IntRange, Parameter
from tunecli.study_file.space.tree import range_data
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.dump import flow
from tunecli.study_file.text.scalars import Scalar

FILES = [
    path
    for path in sorted(STUDIES.glob("*.yaml"))
    if path.stem not in ("compress", "latency")  # several objectives have no next round
]

MIXED = """
study: mixed
data: {source: digits, scale: {choice: [none, standard, {quantile: }]}}
model:
  choice:
    MLP: {width: {int: [8, 64], log: true}, depth: {int: [1, 3]}}
    Linear:
    wide: {MLP: {width: [{int: [64, 128]}, {int: [16, 32], step: 4}]}}
optimizer:
  choice:
    momentum: {SGD: {lr: {float: [1e-4, 1], log: true}, momentum: 0.9}}   # by hand
    AdamW: {lr: {float: [1e-4, 1e-1], log: true}}
schedule: {choice: [none, CosineAnnealingLR, {StepLR: {step_size: {int: [1, 4]}}}]}
training:
  epochs: {int: [5, 20]}
  batch_size: {choice: {small: 16, large: {choice: [64, 128]}}}
  l1: {float: [1e-8, 1e-4], log: true, or: 0}
  clip_norm: {choice: [none, 1.0]}
variant:
  choice:
    one: {training: {input_noise: {float: [0.1, 1]}}}
    two: {optimizer: {Adam: {lr: {float: [1e-3, 1e-2]}}}, data: {scale: none}}
    three: {}
search: {trials: 20, learn_from: older}
"""


def record(text: str, file: str = "a.yaml", trials: Sequence[TrialRecord] = ()) -> StudyRecord:
    study = StudyFile.from_text(text, file)
    return StudyRecord(
        url="",
        study_id=1,
        name=study.name,
        metric="accuracy",
        direction="maximize",
        trials=tuple(trials),
        file=file,
        study_file=text,
    )


def written(text: str, *advice: Advice, style: Style = "go on", file: str = "a.yaml") -> Round:
    return write_next_round(Evidence(record(text, file)), advice, style=style)


def advice(change: Change, kind: str = "narrow", reason: str = "Because.") -> Advice:
    return Advice(change, reason, kind)


def changes_of(parameter: Parameter) -> list[Change]:
    """All kinds of change that a finding might ask for."""
    number, name = parameter.range, parameter.name
    if isinstance(number, Categories):
        found: list[Change] = [Fixed(name, choice) for choice in number.choices]
        return found + [DroppedChoices(name, (choice,)) for choice in number.choices]
    middle = number.low + (number.high - number.low) / 2
    if isinstance(number, IntRange):
        middle = number.low + (number.high - number.low) // number.step // 2 * number.step
        cut: FloatRange | IntRange = replace(number, high=int(middle))
        return [NewRange(name, cut), Fixed(name, int(middle))]
    middle = number.low + round((number.high - number.low) / (number.step or 1e-9) / 2) * (
        number.step or 1e-9
    )
    return [NewRange(name, replace(number, high=middle)), Fixed(name, number.high)]


def allows(change: Change, params: dict[str, Scalar]) -> bool:
    """Whether a trial has what a change leaves."""
    assert not isinstance(change, NewSetting)
    if change.parameter not in params:
        return True
    value = params[change.parameter]
    if isinstance(change, NewRange):
        assert isinstance(value, int | float)
        return change.range.low <= value <= change.range.high
    if isinstance(change, Fixed):
        return type(value) is type(change.value) and value == change.value
    return value not in change.choices


@cache
def completed(text: str, file: str) -> StudyFile:
    study = StudyFile.from_text(text, file)
    numbers = "r2" in text or "regression" in file
    return study.completed(study.task or ("regression" if numbers else "classification"), 1797)


def check_law(text: str, file: str, asked: Sequence[Advice], seeds: int = 12) -> None:
    """A configuration of the old space is one of the new exactly if all changes allow it."""
    old = completed(text, file)
    found = written(text, *asked, file=file)
    assert not any("learn_from" in sentence for sentence in found.left_out)
    new = completed(found.text, file)
    assert new.name == found.name == following(old.name)
    for seed in range(seeds):
        params = drawn(old, seed)
        config = old.resolve(lambda name, _: params[name])  # noqa: B023
        lies_inside = not match(new.tree, config, params).misfits
        assert lies_inside == all(allows(one.change, params) for one in found.made), (
            [one.change for one in found.made],
            params,
        )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_change_alone_leaves_exactly_what_it_allows(path: Path) -> None:
    text = path.read_text()
    study = StudyFile.from_text(text, str(path))
    changes = [change for parameter in study.parameters for change in changes_of(parameter)]
    for change in random.Random(0).sample(changes, min(2, len(changes))):
        check_law(text, str(path), [advice(change)], seeds=6)


@pytest.mark.slow
def test_of_every_kind_of_place() -> None:
    for parameter in StudyFile.from_text(MIXED, "a.yaml").parameters:
        for change in changes_of(parameter):
            check_law(MIXED, "a.yaml", [advice(change)])


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 20))]
)
def test_many_changes_together_leave_what_all_allow(seed: int) -> None:
    draw = random.Random(seed)
    kinds = ["narrow", "edge", "dead", "isolation", "unstable"]
    parameters = StudyFile.from_text(MIXED, "a.yaml").parameters
    asked = [
        advice(draw.choice(changes_of(parameter)), draw.choice(kinds))
        for parameter in draw.choices(parameters, k=8)
    ]
    check_law(MIXED, "a.yaml", asked, seeds=20)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_to_change_goes_on_with_the_same_space(path: Path) -> None:
    text = path.read_text()
    found = written(text, file=str(path))
    old, new = StudyFile.from_text(text, str(path)), StudyFile.from_text(found.text, str(path))
    assert new.tree == old.tree
    assert isinstance(new.start_from, StartFrom)
    assert new.start_from.study == old.name
    assert not found.made


def test_a_range_that_is_widened_reaches_there() -> None:
    wide = NewRange("optimizer.AdamW.lr", FloatRange(1e-6, 3.0, log=True))
    found = written(MIXED, advice(wide, "edge", "The best lie at the edge."))
    ranges = {p.name: p.range for p in StudyFile.from_text(found.text, "a.yaml").parameters}
    assert ranges["optimizer.AdamW.lr"] == wide.range
    assert "# The best lie at the edge.\n" in found.text
    assert "# by hand" in found.text


@pytest.mark.parametrize(
    ("parameter", "kind", "written_in"),
    [
        ("model.MLP.width", IntRange(16, 64, step=16), "{MLP: {width: RANGE}}"),
        ("model.MLP.width", IntRange(16, 256, log=True), "{MLP: {width: RANGE}}"),
        ("model.MLP.depth", IntRange(2, 4), "{MLP: {depth: RANGE}}"),
        ("model.MLP.dropout", FloatRange(0.1, 0.4, step=0.1), "{MLP: {dropout: RANGE}}"),
        ("model.MLP.dropout", FloatRange(0.15, 0.6), "{MLP: {dropout: RANGE}}"),
        ("optimizer.SGD.lr", FloatRange(0.01, 0.1), "{SGD: {lr: RANGE}}"),
        ("optimizer.Adam.lr", FloatRange(1.3e-5, 0.7, log=True), "{Adam: {lr: RANGE}}"),
        ("optimizer.SGD.momentum", FloatRange(0.7, 0.95), "{SGD: {lr: 0.1, momentum: RANGE}}"),
    ],
)
@pytest.mark.parametrize("farthest", [NEAR, FAR])
def test_the_file_has_the_range_that_the_finding_names(
    parameter: str, kind: Numeric, written_in: str, farthest: float
) -> None:
    section, component, argument = parameter.split(".")
    parts = {"model": "MLP", "optimizer": "{SGD: {lr: 0.1}}"}
    parts[section] = written_in.replace("RANGE", flow(range_data(kind)))
    text = "data: digits\n" + "".join(f"{name}: {part}\n" for name, part in parts.items())
    for end in (0.0, 1.0):
        wider = widened(kind, end, bounds_of(section, component, argument), farthest)
        if wider is None:
            continue
        change = NewRange(parameter, wider)
        found = written(text, advice(change, "edge"))
        assert not found.left_out
        [only] = StudyFile.from_text(found.text, "a.yaml").parameters
        assert only.range == wider
        assert f"{argument}: {flow(range_data(wider))}" in found.text
        assert change.line.endswith(flow(range_data(wider)))


def test_the_best_are_tried_again_only_where_their_scores_are_unknown() -> None:
    def repeats(text: str, *asked: Advice, style: Style = "go on") -> bool:
        start = StudyFile.from_text(written(text, *asked, style=style).text, "a.yaml").start_from
        assert start is not None
        return start.repeat

    base = "data: digits\nmodel: MLP\noptimizer: {SGD: {lr: {float: [0.1, 1]}}}\n"
    for sampler in ("TPE", "GP", "Random", "QMC"):  # learn, or follow no score
        assert not repeats(f"{base}search: {{sampler: {sampler}}}\n")
    assert repeats(f"{base}search: {{sampler: CMA-ES}}\n")
    assert not repeats(f"{base}search: {{sampler: CMA-ES}}\n", style="explore")
    assert repeats(base, advice(NewSetting("training.epochs", 40), "length"))


BASE = "model: MLP\noptimizer: {SGD: {lr: {float: [0.1, 1]}}}\n"
LONGER = NewSetting("training.epochs", 40)


@pytest.mark.parametrize(("seed", "following_seed"), [(0, 1), (6, 7), (2**32 - 1, 0)])
def test_a_round_that_cannot_learn_gets_another_seed(seed: int, following_seed: int) -> None:
    text = f"# Head.\n\ndata: digits  # d\nseed: {seed}  # mine\n{BASE}"
    same = StudyFile.from_text(written(text, style="exploit").text, "a.yaml")
    assert same.search.learn_from == ["a"]
    assert same.seed == seed
    for found in (written(text, advice(LONGER, "length")), written(text, style="explore")):
        new = StudyFile.from_text(found.text, "a.yaml")
        assert (new.seed, new.search.learn_from) == (following_seed, [])
        note = "# Another seed, so that random trials differ from those of a.\n"
        assert f"data: digits  # d\n{note}seed: {following_seed}  # mine\n" in found.text


def test_a_seed_that_was_not_written_follows_the_study() -> None:
    found = written(f"data: digits\n{BASE}", advice(LONGER, "length"))
    assert "\nstudy: a-2\n# Another seed, so that" in found.text
    assert "\nseed: 1\ndata: digits\nmodel: MLP\n" in found.text


@pytest.mark.parametrize("sampler", ["TPE", "GP", "CMA-ES", "Random"])
def test_a_round_that_cannot_learn_draws_configurations_that_are_new(sampler: str) -> None:
    text = f"data: digits\n{BASE}search: {{sampler: {sampler}}}\n"
    longer = written(text, advice(LONGER, "length")).text
    first, second = (_random_rates(one) for one in (text, longer))
    assert len(first | second) == len(first) + len(second)
    again = longer.replace("seed: 1\n", "seed: 0\n")
    assert _random_rates(again) & first  # what another seed avoids


def _random_rates(text: str) -> set[Scalar]:
    """The learning rates that a search suggests before any trial has ended."""
    study = StudyFile.from_text(text, "a.yaml").completed("classification", 1797)
    suggester = Suggester(study, [], [], VisibleTrials([(0, 8)]))
    asked = [suggester.ask(number) for number in range(8)]
    return {one.params["optimizer.SGD.lr"] for one in asked if one is not None}


def test_the_file_begins_with_its_study_and_names_itself() -> None:
    text = "# Digits.\n#\n#   tunecli search studies/a.yaml\n#\ndata: digits\nstudy: mine  # my\n"
    text += "model: MLP\noptimizer: {SGD: {lr: {float: [0.1, 1]}}}\n"
    found = write_next_round(Evidence(record(text)), [], file=Path("b/mine-2.yaml"))
    assert found.text.startswith(
        "# Digits.\n#\n#   tunecli search b/mine-2.yaml\n#\n"
        "# The next round after mine: 0 trials.\nstudy: mine-2  # my\ndata: digits\nmodel: MLP\n"
    )


def test_a_reason_is_told_once_for_a_line() -> None:
    text = "data: digits\nmodel: MLP\noptimizer: {SGD: {lr: {float: [0.1, 1]}}}\n"
    text += "training: {epochs: 20, early_stopping: {patience: 3}}\n"
    changes = ("training.epochs", 40), ("training.early_stopping.patience", 6)
    asked = [advice(NewSetting(*change), "length", "Train longer.") for change in changes]
    new = written(text, *asked).text
    assert "# Train longer.\ntraining: {epochs: 40, early_stopping: {patience: 6}}\n" in new
    assert new.count("# Train longer.") == 1


def test_one_option_that_is_left_takes_the_place_of_the_choice() -> None:
    found = written(MIXED, advice(DroppedChoices("optimizer", ("AdamW",)), "isolation"))
    new = StudyFile.from_text(found.text, "a.yaml")
    names = {parameter.name for parameter in new.parameters}
    assert "optimizer.SGD.lr" in names
    assert "optimizer" not in names


def test_what_contradicts_is_settled_in_a_stated_order() -> None:
    parameters = StudyFile.from_text(MIXED, "a.yaml").parameters
    lr = "optimizer.AdamW.lr"
    by_kind = {
        kind: advice(NewRange(lr, FloatRange(1e-4, end, log=True)), kind)
        for kind, end in (("narrow", 1e-3), ("edge", 1.0), ("unstable", 1e-2))
    }
    edge, narrow, unstable = by_kind["edge"], by_kind["narrow"], by_kind["unstable"]
    assert settled([narrow, edge], parameters) == [edge]
    assert settled([edge, narrow, unstable], parameters) == [unstable]
    dropped = advice(DroppedChoices("optimizer", ("AdamW",)), "isolation")
    assert settled([unstable, dropped], parameters) == [dropped]
    assert settled([advice(Fixed("gone", 1))], parameters) == []


def test_what_the_study_file_refuses_is_left_out_with_the_reason() -> None:
    wrong = advice(NewRange("training.l1", FloatRange(-1.0, 1e-4, log=True)))
    right = advice(Fixed("training.clip_norm", 1.0))
    found = written(MIXED, wrong, right)
    assert found.made == (right,)
    [sentence] = found.left_out
    assert sentence.startswith("training.l1: {float: [-1.0, 0.0001], log: true}, since ")


def test_longer_training_learns_nothing_from_shorter() -> None:
    text = MIXED.replace("{int: [5, 20]}", "5")
    longer = written(text, advice(NewSetting("training.epochs", 10), "length"))
    new = StudyFile.from_text(longer.text, "a.yaml")
    assert new.training.epochs == 10
    assert new.search.learn_from == []
    assert StudyFile.from_text(written(text).text, "a.yaml").search.learn_from == [
        "older",
        "mixed",
    ]


def test_of_searched_epochs_the_range_ends_later() -> None:
    found = written(MIXED, advice(NewSetting("training.epochs", 40), "length"))
    ranges = {p.name: p.range for p in StudyFile.from_text(found.text, "a.yaml").parameters}
    assert ranges["training.epochs"] == IntRange(5, 40)


def test_a_change_of_the_validation_is_the_users() -> None:
    found = written(MIXED, advice(NewSetting("validation.repeats", 3), "noise"))
    assert not found.made
    assert "Make this change yourself, in a new study, if you want it." in found.left_out[0]


def test_exploring_samples_evenly_and_learns_nothing() -> None:
    flat = "data: digits\nmodel: MLP\noptimizer: {AdamW: {lr: {float: [1e-4, 1]}}}\n"
    for text, sampler in ((MIXED, "RandomSampler"), (flat, "QMCSampler")):
        search = StudyFile.from_text(written(text, style="explore").text, "a.yaml").search
        assert (search.sampler.name, search.learn_from) == (sampler, [])


TEXTS = """data:
  source: reviews.csv
  target: y
  text: review
  tokenizer: {words: {min_frequency: {int: [1, 3]}}}
  max_length: {choice: [64, 128]}
model:
  choice:
    TextCNN: {embed: {int: [50, 100], step: 50}}
    AutoModelForSequenceClassification: {pretrained: base, max_length: 32}
optimizer: {AdamW: {lr: {float: [1e-5, 1e-3], log: true}}}
"""
PRETRAINED = "AutoModelForSequenceClassification"
"""A model of the study of texts that reads the tokens of its own tokenizer."""


@pytest.mark.parametrize(
    "change", [DroppedChoices("model", ("TextCNN",)), Fixed("model", PRETRAINED)]
)
def test_settings_of_tokens_go_with_the_last_model_that_uses_them(change: Change) -> None:
    frequency = NewRange("data.tokenizer.words.min_frequency", IntRange(1, 2))
    found = written(TEXTS, advice(frequency), advice(change))
    assert [one.change for one in found.made] == [frequency, change]
    assert (
        "# Left out, since every model now has its own tokenizer: tokenizer and max_length."
        in found.text
    )
    data = StudyFile.from_text(found.text, "a.yaml").data
    assert (data.tokenizer, data.max_length) == (None, None)


def test_settings_of_tokens_stay_while_a_model_uses_them() -> None:
    found = written(TEXTS, advice(DroppedChoices("model", (PRETRAINED,))))
    assert "min_frequency: {int: [1, 3]}" in found.text
    assert "max_length: {choice: [64, 128]}" in found.text


def test_exploiting_cuts_to_where_the_best_lie() -> None:
    text = "data: digits\nmodel: MLP\noptimizer: {AdamW: {lr: {float: [1e-4, 1], log: true}}}\n"
    trials = [
        TrialRecord(
            n, n, "complete", "complete", params={"optimizer.AdamW.lr": lr}, value=-abs(lr - 0.01)
        )
        for n, lr in enumerate([1e-4, 1e-3, 0.008, 0.009, 0.01, 0.011, 0.012, 0.3, 1.0])
    ]
    found = write_next_round(Evidence(record(text, trials=trials)), [], style="exploit")
    new = StudyFile.from_text(found.text, "a.yaml")
    [lr] = new.parameters
    assert isinstance(lr.range, FloatRange)
    assert 1e-3 < lr.range.low < 0.008
    assert 0.012 < lr.range.high < 0.1
    assert new.search.sampler.arguments == {"n_startup_trials": 5}


def test_overrides_and_edits_are_folded_in() -> None:
    study = record(MIXED)
    edited = MIXED.replace("[1e-4, 1e-1]", "[1e-5, 1e-1]")
    study = replace(
        study,
        overrides=("search.trials=7",),
        edits=({"study_file": edited, "overrides": ["search.trials=9"]},),
    )
    new = StudyFile.from_text(write_next_round(Evidence(study), []).text, "a.yaml")
    assert new.search.trials == 9
    ranges = {parameter.name: parameter.range for parameter in new.parameters}
    assert ranges["optimizer.AdamW.lr"] == FloatRange(1e-5, 1e-1, log=True)


def test_all_changes_of_all_findings_are_advice() -> None:
    change = Fixed("a", 1)
    findings = [Finding("advice", "It does nothing.", kind="dead", changes=(change,))]
    assert advice_of(findings) == [Advice(change, "It does nothing.", "dead")]


@pytest.mark.parametrize(
    ("old", "new"), [("digits", "digits-2"), ("digits-2", "digits-3"), ("a-9", "a-10")]
)
def test_names_count_on(old: str, new: str) -> None:
    assert following(old) == new


def test_paths_lead_to_the_same_files_from_another_folder(tmp_path: Path) -> None:
    before, after = tmp_path / "a", tmp_path / "b" / "c"
    (before / "data").mkdir(parents=True)
    after.mkdir(parents=True)
    for name in ("data/x.csv", "parts.py"):
        (before / name).touch()
    data = {
        "data": {"source": "data/x.csv", "test": 0.2},
        "model": {"choice": {"parts.py:Net": {"width": 3}, "MLP": None}},
        "validation": {"file": "nowhere.csv"},
    }
    assert moved(data, before, after) == {
        "data": {"source": "../../a/data/x.csv", "test": 0.2},
        "model": {"choice": {"../../a/parts.py:Net": {"width": 3}, "MLP": None}},
        "validation": {"file": "nowhere.csv"},
    }
    assert moved({"data": "digits"}, before, after) == {"data": "digits"}
