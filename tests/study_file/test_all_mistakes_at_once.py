"""Any two mistakes at different places of a study file give the errors of both."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable
from functools import cache
from itertools import combinations

import pytest

from tunecli.errors import DataError, StudyFileError
from tunecli.study_file.study_file import StudyFile

RICH = """\
study: rich
seed: 7
data:
  source: digits
  test: 0.2
  split_seed: 3
  scale: {choice: [standard, {quantile: {n_quantiles: 50}}]}
validation:
  folds: 5
  repeats: 2
model:
  choice:
    MLP:
      width: {int: [32, 256], log: true}
      depth: 2
      dropout: {float: [0.0, 0.5]}
    deep:
      MLP: {width: 64, depth: {int: [2, 8], step: 3},
        residual: true}
loss:
  CrossEntropyLoss:
    label_smoothing: {float: [0.0, 0.2]}
    weight: balanced
optimizer:
  choice:
    nesterov:
      SGD:
        lr: {float: [1e-3, 1.0], log: true}
        momentum: {float: [0.5, 0.99]}
        nesterov: true
    AdamW:
      lr: {float: [1e-4, 1e-1], log: true}
      betas: [0.9, {float: [0.99, 0.999]}]
    muon:
      Muon:
        lr: 0.02
        rest:
          Adam:
            lr: 1e-3
            eps: 1e-8
schedule:
  choice:
    - none
    - CosineAnnealingLR
    - ReduceLROnPlateau:
        patience: 3
training:
  epochs: 20
  batch_size: {choice: [32, 64]}
  l1: {float: [1e-8, 1e-4], log: true, or: 0}
  clip_norm: 1.0
  accumulate: 1
  dtype: fp32
  device: cpu
  warmup: 0.1
  early_stopping:
    patience: 5
    min_delta: 0.001
objective:
  maximize: accuracy
metrics:
  - f1
  - recall: {average: micro}
search:
  trials: 50
  timeout: 2h
  parallel: 4
  sampler:
    TPE:
      n_startup_trials: 5
      n_ei_candidates: 24
  pruner:
    Patient:
      patience: 3
      wrapped_pruner:
        Median:
          n_startup_trials: 5
  start_with:
    - optimizer: {AdamW: {lr: 1e-3}}
    - training: {l1: 0}
variant:
  choice:
    as it is:
    long:
      training: {epochs: 40}
    small:
      loss: MultiMarginLoss
"""

MISTAKES = [
    ("study: rich", "study: ../rich"),
    ("seed: 7", "seed: -7"),
    ("seed: 7", "seed: 7\nseed: 8"),
    ("seed: 7", "sed: 7"),
    ("objective:", "objectiv:"),
    ("  source: digits", "  source: digts"),
    ("  test: 0.2", "  tset: 0.2"),
    ("  test: 0.2", "  test: {float: [0.1, 0.2]}"),
    ("  split_seed: 3", "  split_seed: 0.5"),
    ("{n_quantiles: 50}", "{n_quantils: 50}"),
    ("  folds: 5", "  folds: 1"),
    ("  repeats: 2", "  repeatss: 2"),
    ("  repeats: 2", "  repeats: 2\n  holdout: 0.2"),
    ("\n    MLP:", "\n    MLPP:"),
    ("width: {int: [32, 256]", "width: {int: [256, 32]"),
    ("width: {int:", "widht: {int:"),
    ("  depth: 2", "  depth: 0"),
    ("[0.0, 0.5]", "[0.0, 1.5]"),
    ("step: 3}", "step: 4}"),
    ("step: 3}", "stp: 3}"),
    ("residual: true", "residual: .inf"),
    ("  CrossEntropyLoss:", "  CrossEntropyLos:"),
    ("label_smoothing: {float: [0.0, 0.2]}", "label_smoothing: {float: [0.0, 2]}"),
    ("weight: balanced", "weight: balancd"),
    ("      SGD:", "      SDG:"),
    ("        lr: {float: [1e-3, 1.0]", "        lr: {flaot: [1e-3, 1.0]"),
    ("momentum: {float: [0.5, 0.99]}", "momentum: {float: [0.0, 0.99]}"),
    ("residual: true", "residual: yes"),
    ("    AdamW:", "    AdmaW:"),
    ("      lr: {float: [1e-4, 1e-1]", "      lr: {float: [0, 1e-1]"),
    ("      lr: {float: [1e-4", "      learning_rate: {float: [1e-4"),
    ("betas: [0.9, {float: [0.99, 0.999]}]", "betas: [0.9, {float: [0.999, 0.99]}]"),
    ("lr: 0.02", "lr: fast"),
    ("        rest:", "        rests:"),
    ("          Adam:", "          Adm:"),
    ("            eps: 1e-8", "            eps: -1"),
    ("            eps: 1e-8", "            foreach: true"),
    ("    - CosineAnnealingLR", "    - SequentialLR"),
    ("    - CosineAnnealingLR", "    - none"),
    ("        patience: 3", "        patiense: 3"),
    ("  epochs: 20", "  epochs: -20"),
    ("  epochs: 20", "  epochs: 20\n  epochs: 30"),
    ("  epochs: 20", "  epochs: !!int 20"),
    ("batch_size: {choice: [32, 64]}", "batch_size: {choice: [32, 64, 32]}"),
    ("l1: {float: [1e-8, 1e-4], log: true, or: 0}", "l1: {float: [0, 1e-4], log: true, or: 0}"),
    ("clip_norm: 1.0", "clip_norm: 0"),
    ("clip_norm: 1.0", "? [clip_norm]\n  : 1.0"),
    ("accumulate: 1", "accumulate: 0"),
    ("dtype: fp32", "dtype: fp16"),
    ("warmup: 0.1", "warmup: 1"),
    ("  early_stopping:", "  early_stoping:"),
    ("    patience: 5", "    patience: 0"),
    ("    min_delta: 0.001", "    min_deltas: 0.001"),
    ("  maximize: accuracy", "  maximize: acuracy"),
    ("  maximize: accuracy", "  minimize: accuracy"),
    ("  - f1", "  - rmse"),
    ("{average: micro}", "{average: mikro}"),
    ("  trials: 50", "  trials: many"),
    ("  timeout: 2h", "  timeout: 2x"),
    ("  parallel: 4", "  paralel: 4"),
    ("    TPE:", "    TEP:"),
    ("      n_startup_trials: 5\n      n_ei", "      n_startup_trial: 5\n      n_ei"),
    ("      n_ei_candidates: 24", "      n_ei_candidates: {int: [1, 24]}"),
    ("    Patient:", "    Pateint:"),
    ("      patience: 3\n      wrapped", "      patience: three\n      wrapped"),
    ("        Median:", "        Medain:"),
    ("          n_startup_trials: 5", "          n_startup_trials: -5"),
    ("    - optimizer: {AdamW: {lr: 1e-3}}", "    - {optimizr: {AdamW: {lr: 1e-3}}}"),
    ("    - training: {l1: 0}", "    - training: {l2: 0}"),
    ("    as it is:", "    as/it/is:"),
    ("      training: {epochs: 40}", "      search: {trials: 40}"),
    ("      loss: MultiMarginLoss", "      loss: MSELoss"),
]  # fmt: skip

Found = frozenset[tuple[str, str]]


def errors(*mistakes: tuple[str, str]) -> Found:
    """What is said of the rich study file with these mistakes: (its line, message)."""
    text = RICH
    for right, wrong in mistakes:
        assert text.count(right) == 1, right
        text = text.replace(right, wrong)
    with pytest.raises(StudyFileError, match=r"^rich\.yaml:") as caught:
        StudyFile.from_text(text, "rich.yaml")
    lines = text.split("\n")
    for problem in caught.value.problems:
        assert problem.line, problem
        assert problem.path, problem
    return frozenset(
        (lines[p.line - 1], re.sub(r"on line \d+", "on line N", p.message))
        for p in caught.value.problems
    )


@cache
def alone(mistake: tuple[str, str]) -> Found:
    return errors(mistake)


def are_apart(one: tuple[str, str], other: tuple[str, str]) -> bool:
    """Whether the mistakes do not stand on the same line."""
    return all(a not in b for a, b in ((one[0], other[0]), (other[0], one[0])))


PAIRS = [pair for pair in combinations(MISTAKES, 2) if are_apart(*pair)]


def test_the_rich_study_file_is_right() -> None:
    assert StudyFile.from_text(RICH, "rich.yaml").parameters


def test_each_mistake_alone_is_told() -> None:
    for mistake in MISTAKES:
        assert alone(mistake), mistake


def refuse_hidden(mistakes: tuple[tuple[str, str], ...]) -> None:
    expected = frozenset().union(*map(alone, mistakes))
    assert errors(*mistakes) == expected, mistakes


def test_some_pairs_of_mistakes_give_the_errors_of_both() -> None:
    for pair in random.Random(0).sample(PAIRS, 60):
        refuse_hidden(pair)


@pytest.mark.slow
def test_pairs_of_mistakes_give_the_errors_of_both(figure: Callable[[str], None]) -> None:
    pairs = PAIRS if os.environ.get("FAULTS") == "1" else random.Random(2).sample(PAIRS, 250)
    for pair in pairs:
        refuse_hidden(pair)
    told = f"{len(pairs)} of {len(PAIRS)} pairs of {len(MISTAKES)} mistakes in a study file"
    figure(f"{told}: none hides another")


def test_many_mistakes_at_once_give_the_errors_of_all() -> None:
    source = random.Random(1)
    for _ in range(20):
        chosen: list[tuple[str, str]] = []
        for mistake in source.sample(MISTAKES, len(MISTAKES)):
            if all(are_apart(mistake, other) for other in chosen):
                chosen.append(mistake)
        assert len(chosen) >= 25
        refuse_hidden(tuple(chosen))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("lr: 1e-3", "unknown section. Write optimizer: {AdamW: {lr: …}}."),
        ("epochs: 3", "unknown section. Write training: {epochs: …}."),
        ("batch_size: 3", "unknown section. Write training: {batch_size: …}."),
        ("folds: 3", "unknown section. Write validation: {folds: …}."),
        ("trials: 3", "unknown section. Write search: {trials: …}."),
        ("metric: f1", "unknown section. Write objective: {maximize: accuracy}."),
        ("dataset: digits", "unknown section. Write data: digits."),
        ("schedule: ChainedScheduler", "ChainedScheduler is not supported: it combines other"),
        ("schedule: LambdaLR", "LambdaLR is not supported: it takes code"),
        ("search: {pruner: Nop}", "NopPruner is not supported: it prunes nothing"),
        (
            "search: {start_with: [{optimizer.AdamW.lr: 1}]}",
            "Write {optimizer: {AdamW: {lr: 1}}}.",
        ),
        ("loss: CTCLoss", "CTCLoss is not supported: it does not compare"),
    ],
)
def test_words_of_the_field_are_told_where_they_belong(text: str, line: str) -> None:
    head = "data: digits\nmodel: MLP\noptimizer: {AdamW: {lr: {float: [0.1, 1]}}}\n"
    with pytest.raises(StudyFileError, match=re.escape(line)) as caught:
        StudyFile.from_text(head + text, "a.yaml")
    assert [problem.line for problem in caught.value.problems] == [4]
    assert str(caught.value).startswith("a.yaml:4:")


def test_an_override_is_named_before_what_is_wrong_with_it() -> None:
    message = "--set training.epochs=-1: training.epochs: must be at least 1, but got -1."
    with pytest.raises(StudyFileError, match=f"^{re.escape(message)}$"):
        StudyFile.from_text(RICH, "rich.yaml", ["training.epochs=-1"])


def test_what_the_data_does_not_allow_has_its_line() -> None:
    study = StudyFile.from_text(RICH, "rich.yaml")
    error = study.located(DataError("too few rows.", "data.test"))
    assert str(error) == "rich.yaml:5:9: data.test: too few rows."
    elsewhere = DataError("no such file.")
    assert study.located(elsewhere) is elsewhere
