"""The layers: which folder may import what."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from locations import PACKAGE

HEAVY = {"torch", "torchvision", "optuna", "pandas", "sklearn", "numpy", "scipy", "rich", "typer"}

ORDER = [
    "files",
    "study_file/text",
    "study_file/settings",
    "study_file/catalogue",
    "study_file/space",
    "study_file/read",
    "study_file",
    "data/user_code",
    "data/rows",
    "data/splits",
    "data/cache",
    "data/text",
    "data/preprocessing",
    "data/columns",
    "data/tables",
    "data/pictures",
    "data/arrays",
    "data",
    "training/state",
    "training/models/text",
    "training/models/pretrained",
    "training/models/parametrization",
    "training/models/layers",
    "training/models",
    "training/outcome",
    "training/step",
    "training/stack",
    "training/compression",
    "training/user_loop",
    "training",
    "database/server",
    "database",
    "search/study",
    "search/suggest",
    "search/prune",
    "search/events",
    "search/events/trackers",
    "search/workers",
    "search/workers/cluster",
    "search",
    "report/phrases",
    "report/analysis",
    "report/findings/evidence",
    "report/findings/space",
    "report/findings",
    "report/studies",
    "report/live",
    "report/screen",
    "report/export",
    "report/next_round",
    "report/page/plots",
    "report/page",
    "report",
    "model_folder/adjust",
    "model_folder/language",
    "model_folder/format",
    "model_folder/exports",
    "model_folder/ensemble",
    "model_folder",
    "guide",
    "notebook",
    "cli/shared",
    "cli",
]
"""Every room, in one line: each imports only from itself and from those before it."""

MOST_MODULES = 14
"""In a room: more are several jobs."""
MOST_LINES = 400
"""In a module, for the same reason."""

FORBIDDEN = {
    "files": {*HEAVY, "sqlalchemy"},
    "study_file": {*HEAVY, "sqlalchemy"},
    "data": {"optuna", "rich", "typer", "sqlalchemy"},
    "training": {"optuna", "rich", "typer", "sqlalchemy"},
    "database": {"rich", "typer", "torch", "torchvision", "sklearn"},
    "search": {"rich", "typer", "torch", "torchvision", "sklearn"},
    "report": {"torch", "torchvision", "typer"},
    "model_folder": {"optuna", "rich", "typer", "sqlalchemy"},
    "notebook": {"torch", "torchvision", "rich", "typer", "sqlalchemy"},
}
# What runs in the workers, and in `check`, in place of a worker.
TRAINS = {f"search/workers/{name}.py" for name in ("worker", "check_study", "summarize_data")}


def rooms() -> dict[str, list[Path]]:
    """The modules of each folder that has any, by its path in the package."""
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        found.setdefault(str(path.parent.relative_to(PACKAGE)), []).append(path)
    return {room: paths for room, paths in found.items() if room != "."}


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


def room_of(module: str) -> str | None:
    """Where a module of tunecli's stands; None for one at the top, which is for all."""
    parts = module.split(".")[1:]
    path = PACKAGE.joinpath(*parts)
    if not path.is_dir():
        parts = parts[:-1] if path.with_suffix(".py").is_file() else []
    return "/".join(parts) or None


def test_the_order_names_every_room_once() -> None:
    assert sorted(ORDER) == sorted(rooms())


@pytest.mark.parametrize("room", ORDER)
def test_a_room_imports_only_from_those_before_it(room: str) -> None:
    allowed = ORDER[: ORDER.index(room) + 1]
    for path in rooms()[room]:
        used = {room_of(name) for name in imported(path) if name.startswith("tunecli.")}
        strangers = used - {*allowed, None}
        assert not strangers, f"{path.relative_to(PACKAGE)} imports from {strangers}"


@pytest.mark.parametrize("room", ORDER)
def test_a_room_does_one_job_and_says_it(room: str) -> None:
    paths = rooms()[room]
    assert len([path for path in paths if path.name != "__init__.py"]) <= MOST_MODULES
    assert all(len(path.read_text().splitlines()) <= MOST_LINES for path in paths)
    assert ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text()))


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
        (
            "import tunecli.report.screen.terminal, tunecli.report.live.live",
            {"torch", "sklearn", "typer"},
        ),
        (
            "import tunecli.training.cross_validation, tunecli.search.workers.summarize_data",
            {"optuna", "typer"},
        ),
    ],
)
def test_nothing_heavy_is_loaded_on_the_way(statement: str, absent: set[str]) -> None:
    assert not loaded_after(statement) & absent


def test_the_worker_knows_no_optuna_and_no_database() -> None:
    assert not loaded_after("import tunecli.search.workers.worker") & {
        "optuna",
        "sqlalchemy",
        "typer",
    }
