"""`tunecli guide`: listed, piped, on a terminal, misspelled, completed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path

import pytest
from commands import call_in, command, environment, read_all, run_in
from locations import PACKAGE, ROOT

from tunecli.guide.topics import TOPICS, topic_text


def on_terminal(folder: Path, *words: str, pager: str = "cat") -> tuple[int, str]:
    """Run a command with a terminal on every stream; its exit code and what was shown."""
    ours, theirs = os.openpty()
    running = subprocess.Popen(
        command(*words),
        cwd=folder,
        env=environment() | {"PAGER": pager, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = read_all(ours)
    return running.wait(timeout=60), shown


def completed(incomplete: str) -> list[str]:
    """What bash is offered after `tunecli guide `."""
    start = "import sys; sys.argv = ['tunecli']; from tunecli.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", start],
        env=environment()
        | {
            "_TUNECLI_COMPLETE": "complete_bash",
            "COMP_WORDS": f"tunecli guide {incomplete}",
            "COMP_CWORD": "2",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_without_a_topic_all_are_listed_with_a_line_each(tmp_path: Path) -> None:
    lines = call_in(tmp_path, "guide").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [*TOPICS]
    assert [line.split(maxsplit=1)[1] for line in lines] == [*TOPICS.values()]
    assert max(map(len, lines)) <= 88


@pytest.mark.parametrize("topic", TOPICS)
def test_a_topic_is_plain_markdown_in_a_pipe(tmp_path: Path, topic: str) -> None:
    text = call_in(tmp_path, "guide", topic).stdout
    assert text == topic_text(topic)
    assert text.startswith("# ")
    assert text.endswith("\n")
    assert "\x1b" not in text
    assert "<!--" not in text
    rest = re.sub(
        r"\s+", " ", re.sub("<!--.*?-->", "", (PACKAGE / f"guide/{topic}.md").read_text())
    )
    assert re.sub(r"\s+", " ", text) == rest


def test_a_terminal_gets_it_rendered_and_paged(tmp_path: Path) -> None:
    code, shown = on_terminal(tmp_path, "guide", "winner", pager="tee paged")
    assert code == 0
    paged = (tmp_path / "paged").read_text()
    assert "\x1b[" in paged
    plain = re.sub(r"\x1b\[[\d;]*m", "", paged)
    assert "The model folder" in plain
    assert "## The model folder" not in plain
    assert max(map(len, plain.splitlines())) <= 100
    assert "The model folder" in shown


def test_links_to_other_topics_are_words_on_a_terminal(tmp_path: Path) -> None:
    _, shown = on_terminal(tmp_path, "guide", "recipes")
    assert "studies/quick.yaml" in shown
    assert "../../studies" not in shown


def test_a_pager_that_ends_early_is_no_error(tmp_path: Path) -> None:
    code, shown = on_terminal(tmp_path, "guide", "settings", pager="head -c 100")
    assert code == 0
    assert "Traceback" not in shown


def test_ctrl_c_is_the_pagers(tmp_path: Path) -> None:
    pager = "trap '' INT; kill -INT 0; cat > paged"  # as a terminal does: the whole group hears it
    code, shown = on_terminal(tmp_path, "guide", "winner", pager=pager)
    assert code == 0
    assert "serve it" in (tmp_path / "paged").read_text()
    assert "Traceback" not in shown


def test_an_unknown_topic_is_one_line(tmp_path: Path) -> None:
    call = partial(call_in, tmp_path, code=2)
    done = call("guide", "study_file")
    assert done.stderr == "'study_file' is not a topic of the guide. Did you mean `study-file`?\n"
    assert done.stdout == ""
    unlike = call("guide", "zzz").stderr
    assert unlike.startswith(
        "'zzz' is not a topic of the guide. Topics are `study-file`, `data`, "
    )
    assert unlike.count("\n") == 1


def test_topics_are_completed_by_the_shell() -> None:
    assert completed("re") == ["report", "recipes"]
    assert completed("") == [*TOPICS]
    assert completed("nothing") == []


def test_every_topic_is_shipped_with_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["tunecli"]
    shipped = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    assert {PACKAGE / "guide" / f"{topic}.md" for topic in TOPICS} <= shipped


def test_help_shows_an_example(tmp_path: Path) -> None:
    assert "Example: tunecli guide study-file" in run_in(tmp_path, "guide", "--help").stdout
