"""One name, one thing: a module, class or public function is found by its name."""

from __future__ import annotations

import ast
from collections import defaultdict

from locations import PACKAGE

COMMANDS = "cli"
"""Modules there are called as the commands that they hold."""

SAME_PROTOCOL = {
    "main": "the console script, and what it runs once the import path is safe",
    "read": "CSV files and Parquet files are read alike",
    "chunks": "CSV files and Parquet files are read alike",
}
"""Names that several modules have since each is the same thing of another kind, and why."""


def test_no_module_has_the_name_of_another() -> None:
    found = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        folder = str(path.parent.relative_to(PACKAGE))
        if not path.stem.startswith("__") and folder != COMMANDS:
            found[path.stem].add(folder)
    assert {name: folders for name, folders in found.items() if len(folders) > 1} == {}


def test_no_class_or_function_has_the_name_of_another() -> None:
    found = defaultdict(set)
    for path in PACKAGE.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                found[node.name].add(str(path.relative_to(PACKAGE)))
    twice = {name for name, places in found.items() if len(places) > 1}
    assert twice == SAME_PROTOCOL.keys(), {name: found[name] for name in twice}
