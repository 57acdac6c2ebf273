"""`tunecli report` as a command: its forms, and what it says of wrong ones."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import pytest
from commands import call_in
from room import no_room
from study_makers import complete, made, mlp

from tunecli.study_file.study_file import StudyFile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, shift in (("one", 0.0), ("two", 0.1)):
        trials = [
            (mlp(0.01 * (n + 1)), complete(0.5 + shift + n / 50, 0.6 + n / 50)) for n in range(6)
        ]
        made(tmp_path / "runs" / name, trials, name=name)
    return tmp_path


def test_a_page_is_written(folder: Path) -> None:
    done = call_in(folder, "report", "one", "--html", "one.html")
    assert done.stderr == "Wrote the report to one.html.\n"
    assert done.stdout == ""
    page = (folder / "one.html").read_text()
    assert page.startswith("<!doctype html>")
    assert 'id="trial-5"' in page


def test_a_place_that_cannot_be_written_is_told(folder: Path) -> None:
    done = call_in(folder, "report", "one", "--html", "nowhere/one.html", code=2)
    assert "nowhere/one.html cannot be written (No such file or directory)" in " ".join(
        done.stderr.replace("│", " ").split()
    )


@pytest.mark.parametrize("words", [(), ("--trial", "0")])
def test_the_study_file_can_be_copied_from_a_narrow_terminal(
    folder: Path, words: tuple[str, ...]
) -> None:
    with patch.object(import_module("tunecli.cli.report"), "_COLUMNS", 30):
        shown = call_in(folder, "report", "one", *words).stdout
    below = shown.partition("Study file that")[2].partition("trial\n")[2]
    copied = below.partition("\n\n")[0]
    assert max(map(len, copied.splitlines())) > 30
    assert StudyFile.from_text(copied + "\n", "copied.yaml").name.startswith("one-")


def test_markdown_goes_to_stdout(folder: Path) -> None:
    done = call_in(folder, "report", "one", "--markdown")
    assert done.stdout.startswith("## one: maximize accuracy\n")


def test_several_studies_are_compared(folder: Path) -> None:
    out = call_in(folder, "report", "one", "two").stdout
    assert out.index("two  ") < out.index("one  ")
    whole = json.loads(call_in(folder, "report", "one", "two", "--json").stdout)
    assert [study["name"] for study in whole["studies"]] == ["one", "two"]
    assert call_in(folder, "report", "one", "two", "--markdown").stdout.startswith("## one, two:")
    call_in(folder, "report", "one", "two", "--html", "both.html")
    assert "<!doctype html>" in (folder / "both.html").read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("one", "--json", "--csv"), "--json and --csv are mutually exclusive"),
        (
            ("one", "--markdown", "--html", "x.html"),
            "--markdown and --html are mutually exclusive",
        ),
        (("--json",), "--json requires a study"),
        (("--trial", "3"), "--trial requires a study"),
        (("one", "two", "--csv"), "--csv requires exactly one study"),
        (("one", "two", "--trial", "1"), "--trial requires exactly one study"),
        (("one", "--trial", "1", "--markdown"), "--markdown cannot be combined with --trial"),
    ],
)
def test_what_does_not_go_together_is_told(
    folder: Path, words: tuple[str, ...], told: str
) -> None:
    done = call_in(folder, "report", *words, code=2)
    assert told in " ".join(done.stderr.replace("│", " ").split())


def test_studies_that_cannot_be_compared_are_told_in_one_line(folder: Path) -> None:
    made(folder / "runs" / "other", [(mlp(0.1), complete(0.5))], "other", "minimize")
    done = call_in(folder, "report", "one", "other", code=2)
    assert done.stderr.count("\n") == 1
    assert "the objective is maximize accuracy in `one` and minimize" in done.stderr


def test_with_the_disk_full_the_old_page_stays(folder: Path) -> None:
    (folder / "one.html").write_text("old")
    with no_room(5000):
        done = call_in(folder, "report", "one", "--html", "one.html", code=1)
    assert "--html: one.html cannot be written (File too large)" in done.stderr
    assert (folder / "one.html").read_text() == "old"
    assert sorted(path.name for path in folder.iterdir()) == ["one.html", "runs"]
