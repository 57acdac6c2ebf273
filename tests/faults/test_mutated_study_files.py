"""Issue item 15: any study file is read, or refused with places, without a traceback."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from tunecli.errors import StudyFileError
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.document import Document
from tunecli.study_file.text.dump import to_text

pytestmark = pytest.mark.slow

SEED = 20_000
MOST_SECONDS = 1.0  # of processor time: other tests keep the machine busy

SHORT = "data: digits\nmodel: MLP\noptimizer: {AdamW: {lr: {float: [1e-4, 1e-1], log: true}}}\n"
LONG = """\
study: digits
seed: 3
data: {source: digits, test: 0.2, scale: {choice: [standard, {quantile: {n_quantiles: 50}}]}}
validation: {folds: 5, repeats: 2}
model:
  choice:
    MLP: {width: {int: [32, 256], log: true}, dropout: {float: [0.0, 0.5]}}
    CNN: {channels: {int: [8, 32], step: 8}}
loss: {CrossEntropyLoss: {label_smoothing: {float: [0.0, 0.2]}, weight: balanced}}
optimizer:
  choice:
    nesterov:
      SGD: {lr: {float: [1e-3, 1], log: true}, momentum: {float: [0.5, 0.99]}, nesterov: true}
    AdamW: {lr: {float: [1e-4, 1e-1], log: true}, betas: [0.9, {float: [0.99, 0.999]}]}
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
variant:
  choice:
    as it is:
    long: {training: {epochs: 40}}
    small: {loss: MultiMarginLoss, data: {scale: none}}
"""
TEXTS = (SHORT, LONG, LONG)

TRAPS = [
    "1e-5",
    "1E5",
    "0o12",
    "012",
    "no",
    "off",
    "12:30",
    "=",
    "",
    "~",
    "<<",
    ".inf",
    "-.INF",
    ".nan",
    "1e999",
    "9" * 400,
    "!!python/object:os.system x",
    "!!float 1",
    "&a [*a]",
    "&a {b: *a}",
    "*a",
    "[" * 1000,
    "{a: " * 1000,
    "'",
    '"',
    "\0",
    "\ud7ff",
    "\U0010ffff",
    "? [a]\n: b",
    "? {a: b}\n: c",
    "{a: 1, a: 2}",
    "|\n  a",
    ">-\n  b",
    "--- 1",
    "...",
    "%YAML 1.2",
    "@",
    "`",
    "\t",
    "\u2028",
    "\x85",
    '"\\UFFFFFFFF"',
    "{<<: {a: 1}}",
    "[a, [b, [c]]]",
    "{? a}",
    "- a",
    "# x",
    "!",
    "&",
    "2001-01-01",
]
"""Values that other readers of YAML take for something else, or end in a traceback on."""

LEAVES: list[Any] = [
    None,
    True,
    0,
    1,
    -1,
    3,
    10**18,
    -(10**18),
    0.0,
    -0.5,
    1e-320,
    1.7e308,
    "",
    "none",
    "full",
    "MLP",
    "choice",
    "\u2028x",
    "0" * 300,
    [],
    {},
    [[]],
    {"": None},
    {"choice": None},
    {"choice": {}},
    {"choice": [1, 1.0, True, "1"]},
    {"float": [0, 1]},
    {"int": [0, 5], "or": None},
    {"float": [1, 10**18], "log": True},
    {"float": [0, 1e308], "step": 1e-300},
    {"AdamW": None},
    {"int": [0, 10**18], "step": 1},
    {"choice": ["none", {"AdamW": {"lr": 1}}, 3]},
    {"choice": {"a": "SGD", "b": None}},
    {"Hyperband": {"min_resource": 0}},
    {"study": "x"},
]


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(data, dict | list):
        return [path]
    entries = data.items() if isinstance(data, dict) else enumerate(data)
    return [path, *(place for key, value in entries for place in places(value, (*path, key)))]


def holder_of(data: Any, place: tuple[Any, ...]) -> Any:
    for step in place[:-1]:
        data = data[step]
    return data


def structure(text: str, source: random.Random) -> str:
    """Remove, rename, repeat, wrap or exchange parts."""
    data = Document.parse(text, "a.yaml").data
    for _ in range(source.choice([1, 2, 5])):
        found = [place for place in places(data) if place]
        if not found:
            break
        place, other = source.choice(found), source.choice(found)
        holder, key = holder_of(data, place), place[-1]
        kind = source.randrange(5)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            holder[key] = copy.deepcopy(holder_of(data, other)[other[-1]])
        elif kind == 2:
            holder[key] = {source.choice(["choice", "or", "AdamW", "x", "float"]): holder[key]}
        elif kind == 3:
            holder[key] = [holder[key], copy.deepcopy(holder[key])]
        elif isinstance(holder, dict):
            holder[f"{key}"[:-1] + source.choice("xos")] = holder.pop(key)
    return to_text(data)


def types(text: str, source: random.Random) -> str:
    """Put something of another kind in place of parts."""
    data = Document.parse(text, "a.yaml").data
    for _ in range(source.choice([1, 2, 5])):
        place = source.choice([place for place in places(data) if place])
        holder_of(data, place)[place[-1]] = copy.deepcopy(source.choice(LEAVES))
    return to_text(data)


def numbers(text: str, source: random.Random) -> str:
    """Change digits: signs, exponents, sizes."""
    for _ in range(source.choice([1, 2, 5])):
        digits = [i for i, character in enumerate(text) if character.isdigit()]
        at = source.choice(digits or range(len(text)))
        put = source.choice(["-", "0", "9" * 30, "e", "e9", "e-300", ".", "0x", "e400", "_", ":"])
        text = text[:at] + put + text[at + source.randrange(2) :]
    return text


def characters(text: str, source: random.Random) -> str:
    """Remove, repeat, change or put in bytes; what is no UTF-8 becomes U+FFFD."""
    content = bytearray(text.encode())
    for _ in range(source.choice([1, 2, 5, 20])):
        at = source.randrange(len(content))
        width = source.randrange(1, 12)
        kind = source.randrange(4)
        if kind == 0:
            del content[at : at + width]
        elif kind == 1:
            content[at:at] = content[at : at + width]
        elif kind == 2:
            content[at] = source.randrange(256)
        else:
            content[at:at] = source.choice(b"{}[]:,-&*!|>'\"#%@`\t\n\r\0 ").to_bytes(1, "big")
    return content.decode(errors="replace")


def traps(text: str, source: random.Random) -> str:
    """Put a trap of YAML in place of a value, or a line of it anywhere."""
    lines = text.split("\n")
    at = source.randrange(len(lines) - 1)
    trap = source.choice(TRAPS)
    key, colon, _ = lines[at].partition(": ")
    lines[at] = f"{key}: {trap}" if colon and source.random() < 0.7 else f"{lines[at]}\n{trap}"
    return "\n".join(lines)


MUTATIONS = [structure, types, numbers, characters, traps]


def refuse_bad_answer(text: str) -> bool:
    """Whether the text is read; fails for a traceback, a hang, and an error without its place."""
    start = time.process_time()
    try:
        study = StudyFile.from_text(text, "a.yaml")
        assert StudyFile.from_text(study.to_yaml(), "a.yaml").tree == study.tree
        refused = None
    except StudyFileError as error:
        refused = error
    seconds = time.process_time() - start
    assert seconds < MOST_SECONDS, f"{seconds:.2f} s"
    if refused is None:
        return True
    assert len(set(refused.problems)) == len(refused.problems) > 0
    n_lines = text.count("\n") + text.count("\r") + text.count("\x85") + text.count("\u2028") + 2
    for problem in refused.problems:
        assert 1 <= problem.line <= n_lines, problem
        assert problem.column >= 1, problem
        assert problem.path or is_of_the_file(problem.message), problem
        assert problem.message[-1] in ".?", problem
    assert all(line.startswith("a.yaml:") for line in str(refused).split("\n"))
    return False


def is_of_the_file(message: str) -> bool:
    """Whether an error is about the text as a whole, before or beside any key."""
    whole = ("a study file", "invalid YAML", "a line must not begin", "the character U+")
    return message.startswith((*whole, "a key must be", "YAML tags are"))


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_a_mutated_study_file_is_read_or_refused_with_places(
    mutate: Callable[[str, random.Random], str],
    n_faults: Callable[[int], int],
    figure: Callable[[str], None],
) -> None:
    count = n_faults(1000)
    n_read = 0
    for seed in range(SEED, SEED + count):
        source = random.Random(f"{mutate.__name__}{seed}")
        text = mutate(source.choice(TEXTS), source)
        try:
            n_read += refuse_bad_answer(text)
        except BaseException:
            print(f"seed {seed} of {mutate.__name__}:\n{text[:2000]}")
            raise
    assert 0 <= n_read < count
    figure(
        f"{count} study files with mutated {mutate.__name__} (seeds from {SEED}): {n_read} read, "
        f"{count - n_read} refused; no traceback, none over {MOST_SECONDS:g} s"
    )


@pytest.mark.parametrize("trap", TRAPS, ids=range(len(TRAPS)))
def test_every_trap_of_yaml_in_every_section(trap: str) -> None:
    lines = LONG.rstrip("\n").split("\n")
    for at, line in enumerate(lines):
        key, colon, _ = line.partition(": ")
        if colon and not line.startswith(" "):
            refuse_bad_answer("\n".join([*lines[:at], f"{key}: {trap}", *lines[at + 1 :]]) + "\n")
