"""Every setting and every option at its boundaries, through a real search of two trials.

The law: whatever is written, a command ends with 0, 1 or 2, soon and without a traceback. What is
refused names its path. After 0 every trial has an outcome, and every form of the report works.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from commands_in_process import Told, run
from picture_files import make_folders
from training_in_process import TrainingExecutor

from tunecli.errors import StudyFileError
from tunecli.search.workers.executor import EXECUTORS
from tunecli.study_file.catalogue import component_arguments
from tunecli.study_file.catalogue.names import Kind
from tunecli.study_file.read.read_sections import SECTIONS
from tunecli.study_file.settings.search_settings import SearchSettings
from tunecli.study_file.settings.settings import (
    CompressionSettings,
    DataSettings,
    Settings,
    TrainingSettings,
    ValidationSettings,
)
from tunecli.study_file.study_file import read_study_file

pytestmark = pytest.mark.slow

STUDY = """\
data: {source: t.csv, target: y}
model: Linear
optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}
validation: {folds: 2}
training: {epochs: 1, max_time: 5s}
search: {trials: 2, parallel: 2, baselines: false, timeout: 5s}
"""

PICTURES = """\
data: {source: pictures/, size: 8}
model: {MLP: {width: 4, depth: 1}}
optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}
validation: {folds: 2}
training: {epochs: 1, max_time: 5s}
search: {trials: 2, parallel: 2, baselines: false, timeout: 5s}
"""
ARRAYS = PICTURES.replace("pictures/, size: 8", "x.npy, target: y.npy")

VALUES = (
    *("0", "1", "-1", "1000000000000", "1" + "0" * 30, "1e300", "1e-300", "-1e300"),
    *(".nan", ".inf", "-.inf", "true", "false", "null", "none", "", '""', "[]", "{}", "[1]"),
    *("[none]", "{a: 1}", "word", "x" * 3000, "{choice: [1, none]}", "{float: [0, 1e300]}"),
)
"""As they are written behind `--set path=`."""
SIZES = (
    "3",
    "8",
    "9",
    "1000",
    "100000",
    "[8, 9]",
    "[1, 100000]",
    "0.5",
    "minmax",
    "y.npy",
    "x.npy",
)
"""Of pictures and arrays, and what else their settings take."""

SECTIONS_OF_SETTINGS: Mapping[str, type[Settings]] = {
    "data": DataSettings,
    "validation": ValidationSettings,
    "training": TrainingSettings,
    "compression": CompressionSettings,
    "search": SearchSettings,
}

COMPONENTS: Mapping[str, tuple[Kind, str]] = {
    "model.MLP": ("model", "MLP"),
    "model.ResNet": ("model", "ResNet"),
    "optimizer.SGD": ("optimizer", "SGD"),
    "optimizer.AdamW": ("optimizer", "AdamW"),
    "loss.CrossEntropyLoss": ("loss", "CrossEntropyLoss"),
    "schedule.StepLR": ("schedule", "StepLR"),
    "schedule.ReduceLROnPlateau": ("schedule", "ReduceLROnPlateau"),
    "schedule.OneCycleLR": ("schedule", "OneCycleLR"),
    "data.scale.quantile": ("scale", "quantile"),
    "search.sampler.TPE": ("sampler", "TPESampler"),
    "search.sampler.CmaEs": ("sampler", "CmaEsSampler"),
    "search.pruner.Median": ("pruner", "MedianPruner"),
    "search.pruner.Hyperband": ("pruner", "HyperbandPruner"),
}


def settings_below(kind: type[Settings], path: str) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        yield f"{path}.{name}"
        for member in (field.annotation, *get_args(field.annotation)):
            if isinstance(member, type) and issubclass(member, Settings):
                yield from settings_below(member, f"{path}.{name}")


def paths() -> dict[str, list[str]]:
    """Every place of a study file, by what it is part of."""
    found = {"sections": [*SECTIONS, "constraints.accuracy", "constraints.latency.max"]}
    for section, kind in SECTIONS_OF_SETTINGS.items():
        found[section] = [*settings_below(kind, section)]
    for path, (kind, name) in COMPONENTS.items():
        arguments = component_arguments.signature(kind, name).arguments
        found[path] = [f"{path}.{argument.name}" for argument in arguments]
    return found


OF_PICTURES = (
    *("data.size", "data.channels", "data.scale", "data.test"),
    "data={source: broken/, size: 8, skip_unreadable: %s}",
    *("data.augment", "data.augment={RandomAffine: {degrees: %s}}"),
    *("data.augment={RandomCrop: {size: %s}}", "data.augment={RandomHorizontalFlip: {p: %s}}"),
    *("validation.folder", "training.cutmix", "training.mixup", "training.input_noise"),
    *("model={CNN: {channels: %s, depth: 1}}", "model={CNN: {channels: 2, depth: %s}}"),
    *("model={CNN: {channels: 2, kernel: %s}}", "model={CNN: {channels: 2, dropout: %s}}"),
)
OF_ARRAYS = (
    *("data.target", "data.task", "data.scale", "data.impute", "data.test"),
    "validation.holdout",
)
"""What these studies alone take, or take otherwise than a table; `%s` is where a value stands."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds study files and their data."""
    folder = tmp_path_factory.mktemp("boundaries")
    write_table(folder)
    make_folders(folder / "pictures", {"": [8, 8]}, size=(9, 9))
    make_folders(folder / "broken", {"": [8, 8]}, size=(9, 9))
    (folder / "broken" / "class0" / "broken.png").write_bytes(b"no picture")
    source = np.random.default_rng(0)
    np.save(folder / "x.npy", source.normal(size=(40, 2, 3)).astype(np.float32))
    np.save(folder / "y.npy", np.arange(40) % 3)
    for name, text in (("study", STUDY), ("pictures", PICTURES), ("arrays", ARRAYS)):
        (folder / f"{name}.yaml").write_text(text)
    return folder


def write_table(folder: Path) -> None:
    source = random.Random(0)
    with (folder / "t.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["a", "b", "c", "y"])
        for row in range(40):
            numbers = [round(source.gauss(0, 1), 3) for _ in range(2)]
            writer.writerow([*numbers, "pqr"[row % 3], "no" if row % 2 else "yes"])


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)


def in_this_process(patch: pytest.MonkeyPatch) -> None:
    """Let `search` train in this process."""
    patch.setitem(EXECUTORS, "local", TrainingExecutor)
    patch.setattr("tunecli.search.workers.local.start_server", lambda: None)


def broken_law(file: Path, override: str, known: set[str]) -> str:
    """What is wrong with how a value is answered; empty if nothing is.

    Args:
        override: as `path=value`.
        known: studies that were searched already, which other spellings lead to again.
    """
    folder, path = file.parent, override.partition("=")[0]
    try:
        meaning = read_study_file(file, [override]).to_yaml()
    except StudyFileError as refused:
        named = [one for one in refused.problems if one.override or one.line]
        return "" if named else f"without a place: {refused}"
    if meaning in known:
        return ""
    known.add(meaning)
    words = ("search", file.name, "--as", "swept", "--restart", "--quiet")
    done = run(folder, *words, "--set", override)
    if mistake := of_command(done):
        return mistake
    if done.code == 2 and path.rpartition(".")[2] not in done.stderr:
        return f"names no path: {done}"
    return of_reports(folder) if done.code != 2 else ""


def of_command(done: Told) -> str:
    if done.bug or done.code not in (0, 1, 2):
        return str(done)
    return "" if done.code == 0 or done.stderr.strip() else f"code {done.code} without a word"


def of_reports(folder: Path) -> str:
    report = run(folder, "report", "swept", "--json")
    if mistake := of_command(report):
        return mistake
    whole = json.loads(
        report.stdout, parse_constant=lambda word: pytest.fail(f"{word} is no JSON")
    )
    if not all(trial["outcome"] for trial in whole["trials"]):
        return "a trial has no outcome"
    forms = ((), ("--html", "x.html"))
    for form in forms if whole["trials"] else ((),):
        told = run(folder, "report", "swept", *form)
        if told.code or told.bug:
            return str(told)
    return ""


def broken_laws(file: Path, swept: Iterable[str], known: set[str]) -> str:
    answers = {override: broken_law(file, override, known) for override in swept}
    return "\n\n".join(f"{o[:60]}: {told[-1500:]}" for o, told in answers.items() if told)


@pytest.mark.parametrize("part", paths())
@pytest.mark.usefixtures("training")
def test_every_setting_at_its_boundaries(
    part: str, folder: Path, figure: Callable[[str], None]
) -> None:
    known: set[str] = set()
    swept = [f"{path}={value}" for path in paths()[part] for value in VALUES]
    assert not (told := broken_laws(folder / "study.yaml", swept, known)), told
    figure(f"{part}: {len(swept)} values, {len(known)} of them searched by")


@pytest.mark.parametrize("path", [*OF_PICTURES, *(f"arrays: {path}" for path in OF_ARRAYS)])
@pytest.mark.usefixtures("training")
def test_every_setting_of_pictures_and_arrays_at_its_boundaries(path: str, folder: Path) -> None:
    name = "arrays" if path.startswith("arrays: ") else "pictures"
    form = path.removeprefix("arrays: ")
    form = form if "=" in form else f"{form}=%s"
    swept = [form.replace("%s", value) for value in (*VALUES, *SIZES)]
    told = broken_laws(folder / f"{name}.yaml", swept, set())
    assert not told, told
