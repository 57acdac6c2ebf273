from __future__ import annotations

import multiprocessing.spawn
import sys
from types import ModuleType

import pytest

from tunecli.search.workers.main_module import hidden_main_module


def main_of_new_processes() -> dict[str, object]:
    data = multiprocessing.spawn.get_preparation_data("worker")
    return {key: value for key, value in data.items() if key.startswith("init_main")}


def test_a_new_process_imports_no_main_module_and_this_one_keeps_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    main = ModuleType("__main__")
    main.__file__ = "/tmp/script.py"
    monkeypatch.setitem(sys.modules, "__main__", main)
    before = main_of_new_processes()
    assert before
    with hidden_main_module():
        assert not main_of_new_processes()
    with pytest.raises(OSError, match="no memory"), hidden_main_module():
        raise OSError("no memory")
    assert sys.modules["__main__"] is main
    assert main_of_new_processes() == before
