"""`none`, null and an empty value mean off in every setting that can be off, however written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest

from tunecli.errors import StudyFileError
from tunecli.study_file.read.overrides import set_path
from tunecli.study_file.settings.search_settings import SearchSettings
from tunecli.study_file.settings.settings import (
    CompressionSettings,
    DataSettings,
    Settings,
    TrainingSettings,
    ValidationSettings,
)
from tunecli.study_file.settings.switching_off import off_values
from tunecli.study_file.study_file import StudyFile
from tunecli.study_file.text.document import Document
from tunecli.study_file.text.dump import to_text

BASE = "data: {source: t.csv, target: y}\nmodel: MLP\noptimizer: AdamW\n"
HOLDERS = {
    "training.early_stopping": "{patience: 3}",
    "compression.structured": "{amount: 0.5}",
    "compression.prune": "{amount: 0.5}",
    "compression.share": "{clusters: 4}",
}
"""What stands around nested settings."""

KINDS: dict[str, type[Settings]] = {
    "data": DataSettings,
    "validation": ValidationSettings,
    "training": TrainingSettings,
    "compression": CompressionSettings,
    "search": SearchSettings,
}
COMPONENTS = ("data.scale", "data.augment", "search.sampler", "search.pruner", "data.arguments")


def settings_below(path: str, kind: type[Settings]) -> Iterator[tuple[str, list[object]]]:
    """Each setting's path, and the value that means off."""
    for name, field in kind.model_fields.items():
        if f"{path}.{name}" in COMPONENTS:
            continue
        yield f"{path}.{name}", off_values(field)
        for member in get_args(field.annotation):
            if isinstance(member, type) and issubclass(member, Settings):
                yield from settings_below(f"{path}.{name}", member)


SETTINGS = [pair for path, kind in KINDS.items() for pair in settings_below(path, kind)]


def answer(text: str, *overrides: str) -> tuple[object, ...]:
    """The study, or the paths and sentences of its mistakes."""
    try:
        study = StudyFile.from_text(text, "a.yaml", overrides)
    except StudyFileError as error:
        return tuple((problem.path, problem.message) for problem in error.problems)
    return study, study.tree.base, study.training


def written(path: str, value: str) -> str:
    """The study file with a setting as it would be typed; empty for nothing behind the colon."""
    data = Document.parse(BASE, "a.yaml").data
    set_path(data, path, "\0")
    return to_text(data).replace('"\\0"', value)


@pytest.mark.parametrize(("path", "off"), SETTINGS, ids=[path for path, _ in SETTINGS])
def test_every_spelling_means_the_same(path: str, off: list[object]) -> None:
    holder = path.rpartition(".")[0]
    around = [f"{holder}={HOLDERS[holder]}"] if holder in HOLDERS else []
    expected = answer(BASE, *around, f"{path}=null")
    for value in ("none", "", '""', "~"):
        assert answer(BASE, *around, f"{path}={value}") == expected, value
    if not around:
        for value in ("none", "null", "", '""'):
            assert answer(written(path, value)) == expected, value
    if off and off != [None]:
        shown = to_text({"off": off[0]}).partition(": ")[2].strip()
        assert answer(BASE, *around, f"{path}={shown}") == expected
    if not off:
        assert [place for place, _ in expected] == [path]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.test", 0.0),
        ("data.drop", []),
        ("data.group", None),
        ("data.size", None),
        ("data.task", None),
        ("data.missing", []),
        ("data.download", False),
        ("validation.folds", None),
        ("training.l1", 0.0),
        ("training.clip_norm", None),
        ("training.shuffle", False),
        ("compression.finetune_epochs", 0),
        ("search.timeout", None),
        ("search.keep_models", 0),
        ("search.keep_predictions", 0),
        ("search.baselines", False),
    ],
)
def test_off_is_what_it_is_called(path: str, value: object) -> None:
    section, _, name = path.partition(".")
    study = StudyFile.from_text(BASE, "a.yaml", [f"{path}=none"])
    found = study.training if section == "training" else getattr(study, section, None)
    if section == "compression":
        found = study.completed("classification", 100).resolve(lambda *_: None).compression
    assert getattr(found, name) == value


@pytest.mark.parametrize("section", ["validation", "training", "compression", "search", "metrics"])
@pytest.mark.parametrize("value", ["none", "null", "", '""'])
def test_a_section_that_is_off_is_left_out(section: str, value: str) -> None:
    assert answer(BASE, f"{section}={value}") == answer(BASE)


@pytest.mark.parametrize("value", ["none", "null", "", '""'])
@pytest.mark.parametrize("path", ["variant", "constraints", "schedule", "objective"])
def test_so_are_other_parts(path: str, value: str) -> None:
    assert answer(BASE, f"{path}={value}") == answer(BASE)


@pytest.mark.parametrize("value", ["none", "null", "", '""'])
@pytest.mark.parametrize("path", ["data", "model", "optimizer", "loss", "seed", "search.sampler"])
def test_what_is_needed_cannot_be_off(path: str, value: str) -> None:
    found = answer(BASE, f"{path}={value}")
    assert path in [place for place, _ in found]


def test_a_limit_that_is_off_is_none() -> None:
    limited = answer(BASE, "constraints.n_weights.max=100")
    for off in ("constraints.n_weights=none", "constraints.n_weights.max=none"):
        assert answer(BASE, off) == answer(BASE) != limited


def test_a_column_of_that_name_can_be_named_in_a_list() -> None:
    assert StudyFile.from_text(BASE, "a.yaml", ["data.drop=[none]"]).data.drop == ["none"]
