"""Import the user's code: the one gate, in the processes that train.

Nothing is permitted until `permit` is called, so no study file, database or checkpoint can cause
an import that the command line did not allow.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from tunecli.errors import TunecliError, UserCodeError
from tunecli.import_path import restore_for_allowed_code
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.catalogue.code_hashes import file_hash
from tunecli.study_file.settings.code_names import CodeName

_permitted = AllowedCode(Path())


def permit(code: AllowedCode) -> None:
    """Permit this process to import `code` from now on, and only that."""
    global _permitted
    _permitted = code
    load_object.cache_clear()
    if code.allows_anything:
        restore_for_allowed_code()


@cache
def load_object(written: str) -> Any:
    """Import the class or function that a study file names.

    Raises:
        UserCodeError: it is not permitted, does not exist, or raises when it is imported.
    """
    name = CodeName.parse(written)
    if name is None or _permitted.hash_of(name) is None:
        mistake = _permitted.mistake(written) if name else None
        not_allowed = f"{written} is not allowed by --code, so it is not imported."
        raise UserCodeError(mistake or not_allowed)
    with blaming(written):
        module = _file_module(name) if name.is_file else importlib.import_module(name.place)
    loaded = getattr(module, name.name, None)
    if not callable(loaded):
        what = "is not a class or function" if hasattr(module, name.name) else "does not exist"
        raise UserCodeError(f"{name.name} {what} in {name.place}.")
    return loaded


@contextmanager
def blaming(written: str) -> Iterator[None]:
    """Turn any error of the user's code into one sentence with file and line, keeping the cause.

    Out-of-memory errors pass through, since they are not a mistake in the code.
    """
    try:
        yield
    except (TunecliError, MemoryError):
        raise
    except Exception as error:
        if "out of memory" in str(error).lower():
            raise
        raise UserCodeError(f"{written}: {error_text(error)}") from error


def error_text(error: BaseException) -> str:
    """Return an exception in words, with the line of the user's code that raised it."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return f"{text}{place_in_code(error)}"


def place_in_code(error: BaseException) -> str:
    """Return ` (my_models.py, line 12)`, the innermost line of permitted code; empty for none."""
    if isinstance(error, SyntaxError) and error.filename and _is_permitted(error.filename):
        return f" ({Path(error.filename).name}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if _is_permitted(frame.filename)]
    return f" ({Path(ours[-1].filename).name}, line {ours[-1].lineno})" if ours else ""


def _is_permitted(filename: str) -> bool:
    """Return whether a file is permitted, in the same folder, or in a permitted package."""
    path = Path(filename)
    if any(path.parent == file.parent for file, _ in _permitted.files):
        return True
    return any(package in path.parts for package, _ in _permitted.packages)


def _file_module(name: CodeName) -> ModuleType:
    """Import a file as a module under its own name, which pickling its classes needs.

    It can import files of its folder, as if it were run by itself.
    """
    file = _permitted.file(name)
    for known in sys.modules.copy().values():
        if getattr(known, "__file__", None) == str(file):
            return known
    if file_hash(file) != _permitted.hash_of(name):
        raise UserCodeError(
            f"{name.place} has changed since the search began. Start the search again."
        )
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))  # at the end, so that it shadows no library
    taken = file.stem in sys.modules or not file.stem.isidentifier()
    module_name = f"tunecli_user_code_{file_hash(file)[-8:]}" if taken else file.stem
    spec = importlib.util.spec_from_file_location(module_name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module
