"""What code was: the hash of a file or a package with all of the user's own that it names.

A file stands for itself and for what it imports from its folder: modules beside it, and of a
package every file of code below the package's folder, since what is imported there may be decided
at run time. A package that `pip` installed stands for its version; any other, as one that is
installed to be edited, for its files. Names count in imports, relative ones too, and as texts in
calls: `import_module("helper.core")`, `open("parts.py")`. What is found in no such way is known
once it has been loaded (`data/loaded_code.py`).
"""

from __future__ import annotations

import ast
import hashlib
import os
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import EXTENSION_SUFFIXES, all_suffixes
from os.path import isdir, isfile  # which take any text for a path
from pathlib import Path

from tunecli.errors import UserCodeError
from tunecli.files.small import read_small
from tunecli.study_file.catalogue import first_code_hashes

OF_FILES = "files:"
"""Begins a hash of files; the others are of the first studies, or versions."""

MOST_FILES = 5_000
_SUFFIXES = (".py", ".pyc", ".pyd", ".so")
_INSTALLED = ("site-packages", "dist-packages")
_BY_TEXT = ("import_module", "__import__", "run_module", "find_spec")


def file_hash(file: Path) -> str:
    """SHA-256 of a Python file and of all that it names beside it, in hexadecimal.

    Args:
        file: absolute and without links.

    Raises:
        UserCodeError: there are too many files.
    """
    return _hash(_named_by([file], file.parent), file.parent)


def package_hash(package: str, origin: Path) -> str:
    """Name and version of the distributions that bring a package, or the hash of its files.

    Args:
        origin: its `__init__.py`, or the module that it is.

    Raises:
        UserCodeError: there are too many files.
    """
    version = first_code_hashes.package_hash(package)
    if (version and is_installed(origin)) or not isfile(origin):
        return version
    is_folder = origin.stem == "__init__"
    files = [*_code_below(origin.parent)] if is_folder else [origin]
    root = origin.parent.parent if is_folder else origin.parent
    return _hash(_named_by(files, root), root)


def content_hash(file: Path) -> str:
    """SHA-256 of one file of code; empty if it is gone, or is none."""
    try:
        if file.suffix not in _SUFFIXES or not isfile(file):
            return ""
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def changed_files(folder: Path, before: Mapping[str, str]) -> list[str]:
    """Which files of code are not what they were, or have something new in their place.

    Args:
        before: `content_hash` of each, and of its `shadows`, by its path from `folder`.
    """
    known = {os.path.normpath(folder / path) for path in before}
    return [
        path
        for path, was in before.items()
        if content_hash(folder / path) != was
        or any(os.path.normpath(other) not in known for other in shadows(folder / path))
    ]


def shadows(file: Path) -> list[Path]:
    """What Python would import in the place of a module's file: a package, or compiled code."""
    package = file.with_suffix("")
    places = [package / f"__init__{suffix}" for suffix in all_suffixes()]
    places += [file.with_name(f"{file.stem}{suffix}") for suffix in EXTENSION_SUFFIXES]
    return [place for place in places if file.suffix == ".py" and isfile(place)]


def is_installed(file: Path) -> bool:
    """Whether a file belongs to Python or to what was installed for it."""
    own = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    return any(part in _INSTALLED for part in file.parts) or any(map(file.is_relative_to, own))


def _hash(files: Iterable[Path], root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path.relative_to(root)} {content_hash(path)}\n".encode())
    return f"{OF_FILES}{digest.hexdigest()}"


def _named_by(files: list[Path], root: Path) -> set[Path]:
    """The files, and those below `root` that one of them names."""
    found: set[Path] = set()
    waiting = [*files]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            _refuse_more_than_most(len(found), root)
            waiting += [] if is_installed(path) else _names_in(path, root)
    return found


def _names_in(path: Path, root: Path) -> Iterator[Path]:
    if path.suffix != ".py":
        return
    try:
        tree = ast.parse(read_small(path))
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError):
        return  # its own bytes are all that is known
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _modules(root, alias.name)
        elif isinstance(node, ast.ImportFrom):
            yield from _imported_from(node, path, root)
        elif isinstance(node, ast.Call):
            yield from _told_in(node, path, root)


def _imported_from(node: ast.ImportFrom, path: Path, root: Path) -> Iterator[Path]:
    folder = path.parents[node.level - 1] if 0 < node.level <= len(path.parents) else root
    if folder.is_relative_to(root):
        module = f"{node.module}." if node.module else ""
        for alias in node.names:
            yield from _modules(folder, f"{module}{alias.name}")


def _told_in(call: ast.Call, path: Path, root: Path) -> Iterator[Path]:
    """What a call may load: a file that a text names, or the module of `import_module`."""
    function = getattr(call.func, "attr", getattr(call.func, "id", ""))
    for argument in call.args:
        text = argument.value if isinstance(argument, ast.Constant) else None
        if not isinstance(text, str) or "\0" in text or len(text) > 1000:
            continue
        if text.endswith(".py"):
            places = {(folder / text).resolve() for folder in (root, path.parent)}
            yield from (p for p in places if p.is_relative_to(root) and isfile(p))
        elif function in _BY_TEXT:
            yield from _modules(path.parent if text.startswith(".") else root, text.lstrip("."))


def _modules(folder: Path, name: str) -> Iterator[Path]:
    """The file of a module, or all code of the package that it is in; nothing if it is elsewhere.

    Args:
        folder: where it would be.
        name: with dots.
    """
    place = folder / name.partition(".")[0]
    module = place.with_name(f"{place.name}.py")
    if isfile(module) and not isfile(place / "__init__.py"):
        yield module
    elif isdir(place) and name:
        yield from _code_below(place)


def _code_below(folder: Path) -> Iterator[Path]:
    """Every file of code in a folder; none of environments, caches and hidden folders."""
    n_files = 0
    for where, folders, names in os.walk(folder):
        here = Path(where)
        folders[:] = [name for name in folders if _may_hold_code(here / name)]
        for path in (here / name for name in names if name.endswith(_SUFFIXES)):
            if isfile(path):
                n_files += 1
                _refuse_more_than_most(n_files, folder)
                yield path


def _may_hold_code(folder: Path) -> bool:
    is_other = folder.name.startswith(".") or folder.name in ("__pycache__", *_INSTALLED)
    return not is_other and not (folder / "pyvenv.cfg").exists()


def _refuse_more_than_most(n_files: int, folder: Path) -> None:
    if n_files > MOST_FILES:
        raise UserCodeError(
            f"--code: {folder} contains more than {MOST_FILES:,} code files, and every call would "
            "compare all of them. Move the files that the study needs to a separate folder."
        )
