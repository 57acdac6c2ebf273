"""How the program speaks, as far as a machine can see it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from locations import PACKAGE

DIALECT = {
    r"\bbeside\b": "in addition to, next to",
    r"\btold\b": "shown, reported",
    r"\bput away\b": "held out",
    r"\bis none\b": "is not a …",
    r"\b(?:one|two) an? (?:GPU|core|row|trial|fold)\b": "one per …",
    r"\bgoes on with\b": "resumes",
    r"\bas a rule\b": "the condition itself",
    r"\btake any of them\b": "which one, and why",
    r"\bstands? (?!out\b|for\b)": "is",
}
"""What no message says, and what it says instead."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Texts that are statements: docstrings, also those below a field or a constant."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def messages(path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    no_message = {id(text) for text in docstrings(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if id(node) not in no_message and " " in node.value:
                yield node.value


@pytest.mark.parametrize("phrase", DIALECT)
def test_no_message_speaks_a_dialect(phrase: str) -> None:
    found = [
        f"{path.relative_to(PACKAGE)}: {text[:90]!r}"
        for path in MODULES
        for text in messages(path)
        if re.search(phrase, text)
    ]
    assert not found, f"write {DIALECT[phrase]}"


def test_the_guide_speaks_none_either() -> None:
    for path in sorted((PACKAGE / "guide").glob("*.md")):
        for phrase, better in DIALECT.items():
            match = re.search(phrase, path.read_text())
            assert match is None, f"{path.name}: {match}: write {better}"


def test_docstrings_begin_with_a_verb_or_a_noun() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}: {text.value[:60]!r}"
        for path in MODULES
        for text in docstrings(ast.parse(path.read_text()))
        if isinstance(text.value, str) and re.match(r"\s*(?:Of|In|That|All of)\b", text.value)
    ]
    assert not found
