"""Which files of the user's own a process has really imported, however they were named."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

from tunecli.study_file.code_hashes import content_hash, is_installed, shadows
from tunecli.study_file.user_code import AllowedCode


class LoadedCode:
    """Looks at what was imported since it was made; each module counts once.

    What counts is beside an allowed file, in an allowed package, or elsewhere on the import path;
    what was installed is known by its version, and what libraries generate is no code of a user's.
    """

    def __init__(self, code: AllowedCode) -> None:
        self._folders = [file.parent for file, _ in code.files]
        self._packages = {package for package, _ in code.packages}
        self._seen = set(sys.modules)

    def news(self) -> dict[str, str]:
        """Content hash of each file that was imported since the last call, by absolute path.

        Beside them, of those that would be imported in their place under the same name.
        """
        if not self._folders and not self._packages:
            return {}
        new = {name: m for name, m in sys.modules.copy().items() if name not in self._seen}
        self._seen |= new.keys()
        files = {path for name, module in new.items() if (path := self._file(name, module))}
        files |= {other for path in files for other in shadows(path)}
        found = {str(path): content_hash(path) for path in sorted(files)}
        return {path: content for path, content in found.items() if content}

    def _file(self, name: str, module: ModuleType) -> Path | None:
        file, package = getattr(module, "__file__", None), name.partition(".")[0]
        if not isinstance(file, str) or package == "tunecli":
            return None
        path = Path(file).absolute()
        places = (*self._folders, *(Path(entry) for entry in sys.path if entry))
        is_theirs = package in self._packages or any(map(path.is_relative_to, places))
        return path if is_theirs and not is_installed(path) else None
