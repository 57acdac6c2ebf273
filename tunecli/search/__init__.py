"""Run a search: resume, suggest, train, prune, record.

The package can be called: `tunecli.search("study.yaml")` is `tunecli.search_study`, which would
otherwise be hidden by this package of the same name.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Call `tunecli.search_study`."""
        import tunecli

        return tunecli.search_study(*arguments, **options)


sys.modules[__name__].__class__ = _CallablePackage
