"""Track which of the user's files a process has really run, however they were named."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.catalogue.code_hashes import content_hash, is_installed, shadows


class LoadedCode:
    """The files that were imported, or opened for reading, since creation or the last call.

    Files count if they are in the folder of an allowed file, in an allowed package, or elsewhere
    on the import path. Installed packages are known by their version, and code that libraries
    generate is not the user's.
    """

    def __init__(self, code: AllowedCode) -> None:
        self._code = code
        self._seen = set(sys.modules)
        self._opened = _opened() if code.allows_anything else set()
        self._opened.clear()

    def news(self) -> dict[str, str]:
        """Return the content hash of each file run since the last call, by absolute path.

        Files that would be imported in their place under the same name are included.
        """
        if not self._code.allows_anything:
            return {}
        opened = self._opened.copy()
        theirs = (*self._imported(), *filter(self._is_theirs, map(Path, opened)))
        files = {path for path in theirs if not is_installed(path)}
        files |= {other for path in files for other in shadows(path)}
        hashes = {str(path): content_hash(path) for path in sorted(files)}
        self._opened -= {*opened, *hashes}  # without those that were opened here
        return {path: content for path, content in hashes.items() if content}

    def _imported(self) -> Iterator[Path]:
        new = {name: m for name, m in sys.modules.copy().items() if name not in self._seen}
        self._seen |= new.keys()
        packages = {package for package, _ in self._code.packages}
        for name, module in new.items():
            file, package = getattr(module, "__file__", None), name.partition(".")[0]
            if isinstance(file, str) and package != "tunecli":
                path = Path(file).absolute()
                if package in packages or self._is_theirs(path):
                    yield path

    def _is_theirs(self, path: Path) -> bool:
        folders = (file.parent for file, _ in self._code.files)
        return any(map(path.is_relative_to, (*folders, *(Path(e) for e in sys.path if e))))


@cache
def _opened() -> set[str]:
    """Return a set that collects the Python files this process opens from now on, by path.

    Python reports each file that it opens, including those whose names are computed
    (`exec(open(name).read())`, `runpy.run_path(name)`). The hook stays until the process ends.
    """
    opened: set[str] = set()

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(arguments[0], str) and arguments[0].endswith(".py"):
            with suppress(OSError):  # the current folder was removed
                if not arguments[2] & (os.O_WRONLY | os.O_RDWR):
                    opened.add(os.path.abspath(arguments[0]))

    sys.addaudithook(on_event)
    return opened
