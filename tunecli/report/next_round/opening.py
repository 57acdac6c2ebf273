"""The comment at the top of the next round's file: where it comes from, and how to run it.

What the old file said there stays, but its commands name the new file and the new study.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import PurePath

from tunecli.study_file.text.comments import comment_lines
from tunecli.study_file.text.document import Document

_BEGINS = "The next round after "
_COMMAND = re.compile(r"#\s+tunecli (?!next |init )")
_SEARCH = re.compile(r"#\s+tunecli search ")
_WORD = re.compile(r"[^\s`'\"]+")


@dataclass(frozen=True)
class Renaming:
    """What the commands in the new file name: itself and its study.

    Attributes:
        new_file: its path, as it is typed.
        options: those of `search` that find the new study's runs; empty for the usual ones.
    """

    old_study: str
    new_study: str
    new_file: str
    options: str = ""

    @property
    def command(self) -> str:
        """The command that runs the next round."""
        return f"tunecli search {shlex.quote(self.new_file)} {self.options}".rstrip()

    def renamed(self, line: str) -> str:
        """Return a line with the new names, if it is a command."""
        return _WORD.sub(self._word, line) if _COMMAND.match(line) else line

    def _word(self, match: re.Match[str]) -> str:
        word = match[0]
        if PurePath(word).suffix in (".yaml", ".yml"):
            return shlex.quote(self.new_file)
        return self.new_study if word == self.old_study else word


def opened(text: str, parent: str, renaming: Renaming) -> str:
    """Return a study file whose first comment tells its origin and the command to run it.

    Args:
        text: a study file that begins with `study:`.
        parent: the study before, in words.
    """
    lines = text.splitlines()
    at = Document.parse(text, "").mark(("study",), of_key=True).line - 1
    head = [renaming.renamed(line) for line in _without_origin(lines[:at])]
    origin = comment_lines(f"{_BEGINS}{parent}.")
    if not any(_SEARCH.match(line) for line in head):
        origin += ["#", f"#   {renaming.command}"]
    return "\n".join([*head, *origin, *lines[at:]]) + "\n"


def _without_origin(head: list[str]) -> list[str]:
    """Return the first comment without the sentence that an earlier round wrote there."""
    kept: list[str] = []
    is_origin = False
    for line in head:
        continues = is_origin and line.startswith("#   ") and not _COMMAND.match(line)
        is_origin = continues or line.startswith(f"# {_BEGINS}")
        if not is_origin:
            kept.append(line)
    return kept
