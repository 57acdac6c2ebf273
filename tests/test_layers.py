"""The layers: which folder may import what."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tunecli"
HEAVY = {"torch", "torchvision", "optuna", "pandas", "sklearn", "numpy", "scipy", "rich", "typer"}

FORBIDDEN = {
    "files": {*HEAVY, "sqlalchemy"},
    "study_file": {*HEAVY, "sqlalchemy"},
    "data": {"optuna", "rich", "typer", "sqlalchemy"},
    "training": {"optuna", "rich", "typer", "sqlalchemy"},
    "search": {"rich", "typer", "torch", "torchvision", "sklearn"},
    "report": {"torch", "torchvision", "typer"},
    "model_folder": {"optuna", "rich", "typer", "sqlalchemy"},
}
# What runs in the workers, and in `check`, in place of a worker.
TRAINS = {
    f"search/{name}.py" for name in ("worker", "building", "rehearsing", "describe", "measurable")
}

MAY_USE = {
    "files": set(),
    "study_file": set(),
    "data": {"study_file"},
    "training": {"study_file", "data"},
    "search": {"study_file", "data", "training"},
    "report": {"study_file", "data", "training", "search"},
    "model_folder": {"study_file", "data", "training", "search", "report"},
}
FOR_ALL = {
    "errors",
    "files",
    "import_path",
    "lifeline",
    "numerics",
    "temporary_folder",
    "__version__",
}


def modules(folder: str) -> list[Path]:
    return sorted((PACKAGE / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_no_folder_imports_what_is_not_its_business(folder: str) -> None:
    assert modules(folder)
    for path in modules(folder):
        if str(path.relative_to(PACKAGE)) in TRAINS:
            continue
        found = {name.split(".")[0] for name in imported(path)} & FORBIDDEN[folder]
        found -= {"torch"} if path.name == "samplers.py" else set()  # GP computes with torch
        assert not found, f"{path.relative_to(PACKAGE)} imports {found}"


@pytest.mark.parametrize("folder", MAY_USE)
def test_folders_use_only_those_before_them(folder: str) -> None:
    for path in modules(folder):
        ours = {name.split(".")[1] for name in imported(path) if name.startswith("tunecli.")}
        strangers = ours - MAY_USE[folder] - {folder, *FOR_ALL}
        assert not strangers, f"{path.relative_to(PACKAGE)} imports tunecli.{strangers}"


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_only_the_command_line_prints(folder: str) -> None:
    for path in modules(folder):
        calls = [
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "print"
        ]
        assert not calls, f"{path.relative_to(PACKAGE)} prints"


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import tunecli.cli", {"torch", "optuna", "pandas", "sklearn", "numpy", "sqlalchemy"}),
        (
            "from tunecli.study_file.study_file import StudyFile\n"
            "StudyFile.from_text('data: digits\\nmodel: MLP\\noptimizer: AdamW', 'x.yaml')",
            {"torch", "optuna", "pandas", "sklearn", "numpy", "rich"},
        ),
        ("from tunecli import load", {"optuna", "sqlalchemy", "typer"}),
        ("import tunecli.search.run", {"torch", "sklearn", "rich", "typer"}),
        ("import tunecli.report.terminal, tunecli.report.live", {"torch", "sklearn", "typer"}),
        ("import tunecli.training.cross_validation, tunecli.search.describe", {"optuna", "typer"}),
    ],
)
def test_nothing_heavy_is_loaded_on_the_way(statement: str, absent: set[str]) -> None:
    assert not loaded_after(statement) & absent


def test_the_worker_knows_no_optuna_and_no_database() -> None:
    assert not loaded_after("import tunecli.search.worker") & {"optuna", "sqlalchemy", "typer"}
