"""What code was, as the first studies keep it: without relative imports and whole packages.

A study that was begun so is compared so, and its data's fingerprint stays what it was.
"""

from __future__ import annotations

import ast
import hashlib
from os.path import isfile  # which takes any text for a path
from pathlib import Path

from tunecli.files.small import read_small


def file_hash(file: Path) -> str:
    """SHA-256 of a Python file and of those beside it that it imports, in hexadecimal.

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
    """Name and version of the distributions that bring a package; empty if nothing says."""
    from importlib import metadata  # which is slow to import, and seldom needed

    names = sorted(set(metadata.packages_distributions().get(package, ())))
    return ", ".join(f"{name} {metadata.version(name)}" for name in names)


def _with_neighbours(file: Path) -> set[Path]:
    """The file, and the files in its folder that it or one of them imports."""
    found: set[Path] = set()
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(path, file.parent)
    return found


def _imported(path: Path, folder: Path) -> list[Path]:
    try:
        tree = ast.parse(read_small(path))
    except (SyntaxError, ValueError):
        return []  # its own bytes are all that is known
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    modules = (folder.joinpath(*name.split(".")) for name in names)
    places = (p for m in modules for p in (m.with_name(f"{m.name}.py"), m / "__init__.py"))
    return [place for place in places if isfile(place)]
