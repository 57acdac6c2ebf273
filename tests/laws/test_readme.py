"""README and guide tell the truth: tables, commands and study files are held against the program.

What CONTRIBUTING says of the folders is held against the folders.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from locations import PACKAGE, ROOT
from test_layers import ORDER
from typer.main import get_command

from tunecli.cli import app
from tunecli.guide.topics import TOPICS
from tunecli.report.findings import all_findings
from tunecli.report.findings.evidence.finding import ENOUGH_TRIALS
from tunecli.search.suggest.samplers import KINDS
from tunecli.study_file.catalogue.names import LOSS_TASKS, OWN_MODELS, SCALES, names
from tunecli.study_file.settings.metric_names import METRICS
from tunecli.study_file.study_file import StudyFile

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
GUIDE = {topic: (PACKAGE / "guide" / f"{topic}.md").read_text() for topic in TOPICS}
TEXTS = {"README": README, **GUIDE}
"""What a user reads, by name; a fact stands in one of them."""
ALL = "\n".join(TEXTS.values())
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
MOST_LINES = 250


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", ALL, re.DOTALL | re.MULTILINE)


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= MOST_LINES


def test_readme_names_every_topic_of_the_guide() -> None:
    for topic in TOPICS:
        assert f"| [{topic}](tunecli/guide/{topic}.md) |" in README


def test_every_file_of_the_guide_is_a_topic() -> None:
    files = {path.stem for path in (PACKAGE / "guide").glob("*.md")}
    assert files == set(TOPICS)
    assert all(text.startswith("# ") for text in GUIDE.values())


@pytest.mark.parametrize("topic", TOPICS)
def test_no_line_of_a_sentence_reads_as_a_numbered_list(topic: str) -> None:
    """Markdown takes a line that begins with `2026. ` for the item of a list."""
    assert not re.findall(r"^ *\d+[.)] .*", GUIDE[topic], re.MULTILINE)


def test_every_name_that_can_be_selected_is_named() -> None:
    for name in (*METRICS, *LOSS_TASKS, *SCALES, *OWN_MODELS):
        assert f"`{name}`" in ALL, name
    for kind in ("sampler", "pruner"):
        for name in names(kind):
            assert f"`{re.sub('(Sampler|Pruner)$', '', name)}`" in ALL, name


def test_the_table_of_samplers_says_how_each_continues() -> None:
    words = {
        "from the stored trials": "rebuilt",
        "by replaying": "replayed",
        "with the": "enumerated",
    }
    told = {
        name: continues
        for begin, continues in words.items()
        for row in re.findall(rf"^\| ([`\w, ]+) \| {begin}", GUIDE["guarantees"], re.MULTILINE)
        for name in row.replace("`", "").split(", ")
    }
    assert told == {name.removesuffix("Sampler"): kind.continues for name, kind in KINDS.items()}
    assert set(KINDS) == set(names("sampler"))


@pytest.mark.parametrize("kind", all_findings.KINDS)
def test_every_finding_is_explained(kind: str) -> None:
    assert f"\n| {kind} | " in GUIDE["report"]


def test_what_a_small_study_and_one_of_several_objectives_show_is_explained() -> None:
    kinds, text = all_findings.KINDS.values(), " ".join(GUIDE["report"].split())
    few = re.search(rf"fewer than {ENOUGH_TRIALS} complete trials, only (.+?) are shown", text)
    several = re.search(r"With several objectives, the only findings are (.+?)\. ", text)
    assert few
    assert several
    assert set(re.split(", | and ", few[1])) == {k.name for k in kinds if not k.needs_trials}
    assert set(re.split(", | and ", several[1])) == {k.name for k in kinds if k.of_several}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_shown(name: str) -> None:
    assert re.search(rf"tunecli {name}\b", README)
    assert f"| `tunecli {name}` |" in GUIDE["options"]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_is_explained(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    for option in (option for option in options if option.startswith("--")):
        row = rf"^\| .*`{option}[ `].*\| ([\w, ]*\b)?{name}\b.*\|$"
        assert re.search(row, GUIDE["options"], re.MULTILINE), option


@pytest.mark.parametrize("text", blocks("yaml"))
def test_every_study_file_in_the_text_is_right(text: str) -> None:
    assert StudyFile.from_text(text, "readme.yaml").name in ("readme", "digits")


@pytest.mark.parametrize("path", sorted((ROOT / "studies").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_study_is_right_and_says_how_to_run_it(path: Path) -> None:
    text = path.read_text()
    study = StudyFile.from_text(text, str(path))  # the data of some is not shipped
    assert study.name == path.stem
    assert f"#   tunecli search studies/{path.name}" in text
    assert "# yaml-language-server: $schema=" in text
    assert f"`tunecli search studies/{path.name}" in ALL


def test_the_two_commands_stand_on_lines_of_their_own() -> None:
    lines = README.splitlines()
    assert lines.count("pip install . && tunecli search studies/digits.yaml") == 1
    assert lines.count("pip install '.[test]' && pytest") == 1


def typed_commands() -> Iterator[str]:
    """Every command of tunecli in a block, and in a text as code."""
    for block in blocks("sh"):
        for line in block.splitlines():
            yield from (part.strip() for part in line.split("&&") if "tunecli" in part)
    yield from re.findall(r"`(tunecli [^`]+)`", ALL)


@pytest.mark.parametrize("line", sorted(set(typed_commands())))
def test_every_option_in_the_text_exists(line: str) -> None:
    words = shlex.split(line, comments=True)
    if "tunecli" not in words or words[-1] == "tunecli":
        return  # `pip install 'tunecli[onnx]'`, `docker build -t tunecli .`
    name, *rest = words[words.index("tunecli") + 1 :]
    if name in ("COMMAND", ".") or name.startswith("-"):
        return
    known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    used = {word for word in rest if word.startswith("-")}
    assert used <= known | {"--help"}


def links() -> Iterator[tuple[Path, str]]:
    files = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
    for file in [*files, *(PACKAGE / "guide" / f"{topic}.md" for topic in TOPICS)]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", file.read_text()):
            yield file, target


@pytest.mark.parametrize(("file", "target"), sorted(set(links())), ids=str)
def test_every_link_leads_somewhere(file: Path, target: str) -> None:
    assert (file.parent / target).exists()


# CONTRIBUTING and the folders


def test_every_folder_is_on_the_map() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()}
    assert set(re.findall(r"^\| `tunecli/(\w+)/` \|", CONTRIBUTING, re.MULTILINE)) == folders


@pytest.mark.parametrize("room", [room for room in ORDER if "/" in room])
def test_every_room_is_on_the_map(room: str) -> None:
    folder, _, inside = room.partition("/")
    (row,) = re.findall(rf"^\| `tunecli/{folder}/` \|.*$", CONTRIBUTING, re.MULTILINE)
    assert f"`{inside}`" in row


def test_the_map_has_no_room_that_is_gone() -> None:
    rows = re.findall(r"^\| `tunecli/(\w+)/` \|[^|]*\|([^|]*)\|", CONTRIBUTING, re.MULTILINE)
    named = {f"{folder}/{room}" for folder, cell in rows for room in re.findall("`(.+?)`", cell)}
    assert named <= set(ORDER)


def named_paths() -> set[str]:
    """What CONTRIBUTING names as code and has the form of a path."""
    words = {word for code in re.findall("`([^`\n]+)`", CONTRIBUTING) for word in code.split()}
    return {
        word
        for word in words
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)*/?", word)
        and ("/" in word or word.endswith((".py", ".md", ".toml")))
        and word not in {room.partition("/")[2] for room in ORDER}
    }


@pytest.mark.parametrize("path", sorted(named_paths()))
def test_every_path_that_contributing_names_exists(path: str) -> None:
    if path != "__init__.py":
        assert (ROOT / path).exists()


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
