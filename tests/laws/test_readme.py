"""README tells the truth: its tables, commands and study files are held against the program."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from locations import ROOT
from pydantic import BaseModel
from typer.main import get_command

from tunecli.cli import app
from tunecli.search.suggest.samplers import KINDS
from tunecli.study_file.catalogue.names import LOSS_TASKS, SCALES, names
from tunecli.study_file.json_schema import described
from tunecli.study_file.settings import settings
from tunecli.study_file.settings.metric_names import METRICS
from tunecli.study_file.study_file import StudyFile

README = (ROOT / "README.md").read_text()
SECTIONS: dict[str, type[BaseModel]] = {
    "data": settings.DataSettings,
    "validation": settings.ValidationSettings,
    "training": settings.TrainingSettings,
    "training.early_stopping": settings.EarlyStopping,
    "compression": settings.CompressionSettings,
    "search": settings.SearchSettings,
}
BY_TASK = {
    "study": "the file's name",
    "seed": "0",
    "validation": "the source's own, or `{folds: 5}` up to 20,000 rows, beyond `{holdout: 0.2}`",
    "loss": "`CrossEntropyLoss` for classes, `MSELoss` for numbers",
    "schedule": "none",
    "objective": "`{maximize: accuracy}` for classes, `{minimize: rmse}` for numbers",
    "metrics": "none",
}


def defaults_table() -> str:
    """The table of all defaults, made from the settings themselves."""
    lines = ["| setting | default | meaning |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {default} | |" for name, default in BY_TASK.items()]
    for section, cls in SECTIONS.items():
        meanings = described(cls)
        for name, field in cls.model_fields.items():
            if section != "validation" and not field.is_required():
                default = written(name, field.default)
                lines.append(f"| `{section}.{name}` | {default} | {meanings.get(name, '')} |")
    return "\n".join(lines)


def written(name: str, default: object) -> str:
    if name == "epochs":
        return "20"
    if name == "test":
        return "the source's own, or 0.2"
    if default is None or default in ([], {}, ()):
        return "none"
    if isinstance(default, settings.Component):
        return f"`{re.sub('(Sampler|Pruner)$', '', default.name)}`"
    if isinstance(default, bool):
        return str(default).lower()
    return f"`{default}`" if isinstance(default, str) else f"{default:g}"  # type: ignore[str-format]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_the_table_of_defaults_is_the_settings() -> None:
    assert defaults_table() in README


def test_every_name_that_can_be_selected_is_named() -> None:
    for name in (*METRICS, *LOSS_TASKS, *SCALES, *BUNDLED_MODELS):
        assert f"`{name}`" in README, name
    for kind in ("sampler", "pruner"):
        for name in names(kind):
            assert f"`{re.sub('(Sampler|Pruner)$', '', name)}`" in README, name


def test_the_table_of_samplers_says_how_each_continues() -> None:
    words = {
        "from the stored trials": "rebuilt",
        "by replaying": "replayed",
        "with the": "enumerated",
    }
    told = {
        name: continues
        for begin, continues in words.items()
        for row in re.findall(rf"^\| ([\w, ]+) \| {begin}", README, re.MULTILINE)
        for name in row.split(", ")
    }
    assert told == {name.removesuffix("Sampler"): kind.continues for name, kind in KINDS.items()}
    assert set(KINDS) == set(names("sampler"))


BUNDLED_MODELS = ("Linear", "MLP", "CNN")


@pytest.mark.parametrize("name", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_every_command_is_shown(name: str) -> None:
    assert re.search(rf"tunecli {name}\b", README)


@pytest.mark.parametrize("name", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_every_option_is_explained(name: str) -> None:
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    options = {option for parameter in command.params for option in parameter.opts}
    for option in (option for option in options if option.startswith("--")):
        assert re.search(rf"^\|.*`{option}[ `].*\|$", README, re.MULTILINE), option


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_study_file_in_the_text_is_right(text: str) -> None:
    assert StudyFile.from_text(text, "readme.yaml").name == "readme"


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_study_is_right_and_says_how_to_run_it(path: Path) -> None:
    text = path.read_text()
    study = StudyFile.from_text(text, str(path))  # the data of some is not shipped
    assert study.name == path.stem
    assert f"#   tunecli search studies/{path.name}" in text
    assert "# yaml-language-server: $schema=" in text
    assert f"studies/{path.name}" in README


def test_the_two_commands_stand_on_lines_of_their_own() -> None:
    lines = README.splitlines()
    assert lines.count("pip install . && tunecli search studies/digits.yaml") == 1
    assert lines.count("pip install '.[test]' && pytest") == 1


def test_every_option_in_the_text_exists() -> None:
    for block in blocks("sh"):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if "tunecli" in words:
                words = words[words.index("tunecli") + 1 :]
                options = {word for word in words[1:] if word.startswith("--")}
                help_text = subprocess.run(
                    [sys.executable, "-m", "tunecli", words[0], "--help"],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
                assert all(option in help_text for option in options), line


def test_every_folder_is_on_the_map() -> None:
    folders = {
        path.name for path in (ROOT / "tunecli").iterdir() if (path / "__init__.py").exists()
    }
    for folder in folders:
        assert f"| `tunecli/{folder}/` |" in README


def test_only_what_belongs_stands_at_the_top() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True
    ).stdout.splitlines()
    top = {name.split("/")[0] for name in tracked}
    if not top:
        pytest.skip("not a git checkout")
    allowed = {
        "pyproject.toml",
        "tunecli",
        "studies",
        "tests",
        "Dockerfile",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
    }
    assert {name for name in top if not name.startswith(".")} <= allowed
