"""Every option and argument of every command at its boundaries.

The law: a command ends with 0, 1 or 2, soon and without a traceback, and says why unless with 0.
"""

from __future__ import annotations

import socketserver
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from commands_in_process import run
from test_boundaries import STUDY, in_this_process, write_table

from tunecli.cli import app

pytestmark = pytest.mark.slow

VALUES = (
    *("", "0", "1", "-1", "1" + "0" * 30, "1e300", "nan", "none"),
    *(".", "word", "no/such", "a=b", "x" * 3000),
)
STUDY_OF_OPTIONS = STUDY.replace("timeout: 5s", "timeout: 1s")
WORDS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "search": ({"file": "study.yaml"}, ("--as", "swept", "--restart", "--quiet")),
    "report": ({"study": "done"}, ()),
    "dashboard": ({"study": "done"}, ("--port", "0")),
    "check": ({"file": "study.yaml"}, ()),
    "init": ({"data": "t.csv"}, ("--target", "y")),
    "schema": ({}, ()),
    "refit": ({"study": "done"}, ()),
    "predict": ({"model": "done", "data": "t.csv"}, ()),
    "export": ({"model": "done"}, ("--to", "safetensors")),
    "compress": ({"study": "done"}, ("--finetune-epochs", "0")),
    "remove": ({"study": "gone"}, ()),
    "next": ({"study": "done"}, ()),
    "guide": ({"topic": "data"}, ()),
}
"""Of each command, arguments and options that work."""

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Holds a study that was searched and refitted."""
    folder = tmp_path_factory.mktemp("options")
    write_table(folder)
    (folder / "study.yaml").write_text(STUDY_OF_OPTIONS)
    with pytest.MonkeyPatch.context() as patch:
        in_this_process(patch)
        patch.setattr(socketserver.BaseServer, "serve_forever", lambda *_: None)
        assert run(folder, "search", "study.yaml", "--as", "done", "--timeout", "").code == 0
        assert run(folder, "refit", "done").code == 0
        yield folder


def test_every_command_is_swept() -> None:
    assert set(COMMANDS) == set(WORDS)


def calls(command: str) -> Iterator[tuple[str, ...]]:
    """The command with each value for each of its options and arguments."""
    arguments, options = WORDS[command]
    for parameter in COMMANDS[command].params:
        for value in VALUES:
            if parameter.param_type_name == "argument":
                given = {**arguments, parameter.name: value}
                yield (command, *options, "--", *given.values())
            elif not getattr(parameter, "is_flag", False):
                yield (command, *arguments.values(), *options, parameter.opts[0], value)


@pytest.mark.parametrize("command", WORDS)
def test_every_option_at_its_boundaries(command: str, folder: Path) -> None:
    broken = []
    for words in calls(command):
        (folder / "t.yaml").unlink(missing_ok=True)
        done = run(folder, *words)
        told = done.code == 0 or done.stderr.strip()
        if done.bug or done.code not in (0, 1, 2) or not told:
            broken.append(f"{' '.join(words)[:200]!r} → {done.code}\n{done.bug[-1200:]}")
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("command", sorted({*WORDS} - {"refit"}))  # writes a folder, with parents
def test_every_file_to_write_needs_a_folder_and_says_so(command: str, folder: Path) -> None:
    arguments, options = WORDS[command]
    for parameter in COMMANDS[command].params:
        if {"--output", "-o", "--html", "--csv"} & {*parameter.opts} and not parameter.is_flag:
            words = (*arguments.values(), *options, parameter.opts[0], "nowhere/x.csv")
            done = run(folder, command, *words)
            assert done.code == 2
            told = " ".join(done.stderr.replace("│", " ").split())
            assert "Folder nowhere does not exist: create it, or name another file." in told
