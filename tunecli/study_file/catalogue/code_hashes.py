"""Hash a file or a package together with all of the user's own code that it names.

The hash of a file covers the file and what it imports from its folder: neighbouring modules, and
every code file below the folder of an imported package, since imports inside it may be decided at
run time. A package that `pip` installed is identified by its version; any other, such as an
editable installation, by its files. Names count in imports, including relative ones, and as
strings in calls: `import_module("helper.core")`, `open("parts.py")`. Code that is named in no such
way is found once it is loaded (`data/user_code/loaded_code.py`).

The oldest studies used another rule for files, without relative imports and whole packages. They
are still compared by it, so their data's fingerprint does not change.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from importlib.machinery import EXTENSION_SUFFIXES, all_suffixes
from os.path import isdir, isfile  # which accept any string as a path
from pathlib import Path

from tunecli.errors import UserCodeError
from tunecli.files.small import read_small

OF_FILES = "files:"
"""Prefix of a hash of files; hashes without it are versions, or from the oldest studies."""

MOST_FILES = 5_000
_SUFFIXES = (".py", ".pyc", ".pyd", ".so")
_INSTALLED = ("site-packages", "dist-packages")
_BY_TEXT = ("import_module", "__import__", "run_module", "find_spec")


def file_hash(file: Path) -> str:
    """Return the hexadecimal SHA-256 of a Python file and all that it names in its folder.

    Args:
        file: absolute and without links.

    Raises:
        UserCodeError: it has too many files.
    """
    return _hash([file], file.parent)


def package_hash(package: str, origin: Path) -> str:
    """Return name and version of the distributions of a package, or the hash of its files.

    Args:
        origin: its `__init__.py`, or its only module.

    Raises:
        UserCodeError: it has too many files.
    """
    version = package_version(package)
    if (version and is_installed(origin)) or not isfile(origin):
        return version
    if origin.stem == "__init__":
        return _hash(_code_below(origin.parent), origin.parent.parent)
    return _hash([origin], origin.parent)


def package_version(package: str) -> str:
    """Return name and version of the distributions of a package; empty if unknown."""
    from importlib import metadata  # which is slow to import and rarely needed

    names = sorted(set(metadata.packages_distributions().get(package, ())))
    return ", ".join(f"{name} {metadata.version(name)}" for name in names)


def first_file_hash(file: Path) -> str:
    """Return the hexadecimal SHA-256 of a Python file and its imports, by the oldest rule.

    Args:
        file: absolute and without links.
    """
    digest = hashlib.sha256()
    for path in sorted(_closure([file], file.parent, _first_names_in)):
        content = read_small(path)
        digest.update(f"{path.relative_to(file.parent)} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def content_hash(file: Path) -> str:
    """Return the SHA-256 of one code file; empty if it is missing or not a code file."""
    try:
        if file.suffix not in _SUFFIXES or not isfile(file):
            return ""
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except (OSError, ValueError):
        return ""


def changed_files(folder: Path, before: Mapping[str, str]) -> list[str]:
    """Return the code files that have changed, or that something new shadows.

    Args:
        before: `content_hash` of each file and of its `shadows`, by its path from `folder`.
    """
    known = {os.path.normpath(folder / path) for path in before}
    return [
        path
        for path, was in before.items()
        if content_hash(folder / path) != was
        or any(os.path.normpath(other) not in known for other in shadows(folder / path))
    ]


def shadows(file: Path) -> list[Path]:
    """Return what Python would import instead of a module's file: a package, or compiled code."""
    package = file.with_suffix("")
    paths = [package / f"__init__{suffix}" for suffix in all_suffixes()]
    paths += [file.with_name(f"{file.stem}{suffix}") for suffix in EXTENSION_SUFFIXES]
    return [path for path in paths if file.suffix == ".py" and isfile(path)]


def is_installed(file: Path) -> bool:
    """Return whether a file belongs to Python or to an installed package."""
    own = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    return any(part in _INSTALLED for part in file.parts) or any(map(file.is_relative_to, own))


def _hash(files: Iterable[Path], root: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(_closure(files, root, _names_in)):
        digest.update(f"{path.relative_to(root)} {content_hash(path)}\n".encode())
    return f"{OF_FILES}{digest.hexdigest()}"


def _closure(
    files: Iterable[Path], root: Path, named_in: Callable[[Path, Path], Iterable[Path]]
) -> set[Path]:
    """Return the files, and those below `root` that they name, directly or indirectly."""
    named: set[Path] = set()
    waiting = [*files]
    while waiting:
        path = waiting.pop()
        if path not in named:
            named.add(path)
            _refuse_more_than_most(len(named), root)
            waiting += named_in(path, root)
    return named


def _nodes(path: Path) -> Iterator[ast.AST]:
    """Yield the syntax tree of a file; nothing if only its content is known."""
    with suppress(SyntaxError, ValueError, RecursionError, MemoryError, OSError):
        yield from ast.walk(ast.parse(read_small(path)))


def _first_names_in(path: Path, root: Path) -> list[Path]:
    names: set[str] = set()
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    modules = (root.joinpath(*name.split(".")) for name in names)
    paths = (p for m in modules for p in (m.with_name(f"{m.name}.py"), m / "__init__.py"))
    return [path for path in paths if isfile(path)]


def _names_in(path: Path, root: Path) -> Iterator[Path]:
    if path.suffix != ".py" or is_installed(path):
        return
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _modules(root, alias.name)
        elif isinstance(node, ast.ImportFrom):
            yield from _imported_from(node, path, root)
        elif isinstance(node, ast.Call):
            yield from _named_in_call(node, path, root)


def _imported_from(node: ast.ImportFrom, path: Path, root: Path) -> Iterator[Path]:
    folder = path.parents[node.level - 1] if 0 < node.level <= len(path.parents) else root
    if folder.is_relative_to(root):
        module = f"{node.module}." if node.module else ""
        for alias in node.names:
            yield from _modules(folder, f"{module}{alias.name}")


def _named_in_call(call: ast.Call, path: Path, root: Path) -> Iterator[Path]:
    """Yield what a call may load: a file that a string names, or the module of `import_module`."""
    function = getattr(call.func, "attr", getattr(call.func, "id", ""))
    for argument in call.args:
        text = argument.value if isinstance(argument, ast.Constant) else None
        if not isinstance(text, str) or "\0" in text or len(text) > 1000:
            continue
        if text.endswith(".py"):
            paths = {(folder / text).resolve() for folder in (root, path.parent)}
            yield from (p for p in paths if p.is_relative_to(root) and isfile(p))
        elif function in _BY_TEXT:
            yield from _modules(path.parent if text.startswith(".") else root, text.lstrip("."))


def _modules(folder: Path, name: str) -> Iterator[Path]:
    """Yield the file of a module, or all code of its package; nothing if it is elsewhere.

    Args:
        folder: the folder that would contain it.
        name: the dotted name.
    """
    package = folder / name.partition(".")[0]
    module = package.with_name(f"{package.name}.py")
    if isfile(module) and not isfile(package / "__init__.py"):
        yield module
    elif isdir(package) and name:
        yield from _code_below(package)


def _code_below(folder: Path) -> Iterator[Path]:
    """Yield every code file in a folder, except in environments, caches and hidden folders."""
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
            "check all of them for changes. Put those that the study needs into a separate folder."
        )
