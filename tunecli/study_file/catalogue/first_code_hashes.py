"""Hash code by the rule of the oldest studies: without relative imports and whole packages.

Studies that were started with this rule are still compared by it, so their data's fingerprint does
not change.
"""

from __future__ import annotations

import ast
import hashlib
from os.path import isfile  # which accepts any string as a path
from pathlib import Path

from tunecli.files.small import read_small


def file_hash(file: Path) -> str:
    """Return the hexadecimal SHA-256 of a Python file and of its imports from its folder.

    Args:
        file: absolute and without links.
    """
    digest = hashlib.sha256()
    for path in sorted(_with_neighbours(file)):
        content = read_small(path)
        digest.update(f"{path.relative_to(file.parent)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def package_hash(package: str) -> str:
    """Return name and version of the distributions of a package; empty if unknown."""
    from importlib import metadata  # which is slow to import and rarely needed

    names = sorted(set(metadata.packages_distributions().get(package, ())))
    return ", ".join(f"{name} {metadata.version(name)}" for name in names)


def _with_neighbours(file: Path) -> set[Path]:
    """Return the file and the files in its folder that it imports, directly or indirectly."""
    files: set[Path] = set()
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if path not in files:
            files.add(path)
            waiting += _imported(path, file.parent)
    return files


def _imported(path: Path, folder: Path) -> list[Path]:
    try:
        tree = ast.parse(read_small(path))
    except (SyntaxError, ValueError):
        return []  # only its own content is known
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    modules = (folder.joinpath(*name.split(".")) for name in names)
    paths = (p for m in modules for p in (m.with_name(f"{m.name}.py"), m / "__init__.py"))
    return [path for path in paths if isfile(path)]
