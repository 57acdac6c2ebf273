"""Whatever code of the user's own a study runs, a change of it is noticed; and nothing else is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from commands import run_in

from tunecli.data.user_code.loaded_code import LoadedCode
from tunecli.errors import UserCodeError
from tunecli.study_file.catalogue import code_hashes
from tunecli.study_file.catalogue.allowed_code import AllowedCode
from tunecli.study_file.catalogue.code_hashes import (
    OF_FILES,
    changed_files,
    content_hash,
    file_hash,
    package_hash,
    shadows,
)
from tunecli.study_file.settings.code_names import CodeName

WAYS = {
    "import helper": "helper.py",
    "from helper import f": "helper.py",
    "import helper.core": "helper/core.py",
    "from helper import core": "helper/core.py",
    "from helper.core import f": "helper/core.py",
    "from helper import f  # of what its __init__ imports": "helper/core.py",
    "import helper as h  # a namespace": "helper/deep/core.py",
    "def later():\n    import helper.deep.core": "helper/deep/core.py",
    "from .helper import f": "helper.py",
    "from . import helper": "helper.py",
    "import importlib\nimportlib.import_module('helper.core')": "helper/core.py",
    "from importlib import import_module\nimport_module('helper')": "helper.py",
    "from importlib import import_module\nimport_module('.helper', 'x')": "helper.py",
    "__import__('helper')": "helper.py",
    "exec(open('helper.py').read())": "helper.py",
    "from pathlib import Path\nexec(Path('parts/helper.py').read_text())": "parts/helper.py",
    "import runpy\nrunpy.run_path('helper.py')": "helper.py",
    "import between": "helper.py",
    "import package": "helper.py",
    "import helper  # compiled": "helper/fast.so",
}
"""Code, and the file that it names in some way."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where code lies, on the import path; what is imported of it is forgotten afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    write(tmp_path / "between.py", "import helper")
    write(tmp_path / "package/__init__.py", "from package import inner")
    write(tmp_path / "package/inner.py", "import helper")
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(("code", "named"), WAYS.items(), ids=range(len(WAYS)))
def test_a_change_of_what_a_file_names_is_noticed(folder: Path, code: str, named: str) -> None:
    own = write(folder / "own.py", code)
    if "__init__" in code:
        write(folder / "helper/__init__.py", "from .core import f")
    write(folder / named, "SIZE = 1\n")
    before = file_hash(own)
    assert before == file_hash(own)
    write(folder / named, "SIZE = 2\n")
    assert file_hash(own) != before
    write(folder / named, "SIZE = 1\n")
    for unrelated in (
        "other.py",
        "runs/x.py",
        "helpers.py",
        "helper/.hidden/x.py",
        "helper/x.csv",
    ):
        write(folder / unrelated, "SIZE = 3\n")
    assert file_hash(own) == before


@pytest.mark.parametrize(
    "code", ["import helper.", "def f(:", "-" * 100_000 + "1", "\0", "open('\\0.py')", "import os"]
)
def test_code_that_names_nothing_is_its_own_bytes(folder: Path, code: str) -> None:
    own = write(folder / "own.py", code)
    before = file_hash(own)
    write(folder / "helper/core.py", "")
    assert file_hash(own) == before
    write(own, f"{code} ")
    assert file_hash(own) != before


def test_nothing_outside_the_folder_belongs_to_a_file(folder: Path) -> None:
    write(folder / "outside.py", "SIZE = 1\n")
    code = "from .. import outside\nfrom ...... import x\nopen('../outside.py')\n"
    own = write(folder / "inside/own.py", code)
    before = file_hash(own)
    write(folder / "outside.py", "SIZE = 2\n")
    assert file_hash(own) == before


def test_a_package_is_its_version_if_it_was_installed_and_else_its_files(folder: Path) -> None:
    import torch

    assert package_hash("torch", Path(torch.__file__)) == f"torch {version('torch')}"
    origin = folder / "package/__init__.py"
    before = package_hash("package", origin)
    assert before.startswith(OF_FILES)
    write(folder / "package/deep/unused.py", "SIZE = 1\n")
    after = package_hash("package", origin)
    assert after != before
    write(folder / "helper.py", "SIZE = 1\n")  # beside it, which it imports
    assert package_hash("package", origin) != after


def test_too_many_files_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code_hashes, "MOST_FILES", 3)
    own = write(folder / "own.py", "import helper")
    for name in ("a.py", "b.py", "c.py", "d.py"):
        write(folder / "helper" / name, "")
    with pytest.raises(UserCodeError, match=r"helper contains more than 3 code files"):
        file_hash(own)


def test_a_study_of_the_first_rule_is_compared_by_it(folder: Path) -> None:
    own = write(folder / "own.py", "import helper\nfrom . import parts\n")
    write(folder / "helper.py", "SIZE = 1\n")
    name = CodeName("own.py", "Net")
    first, now = code_hashes.first_file_hash(own), file_hash(own)
    assert first != now
    write(folder / "parts.py", "SIZE = 2\n")
    code = AllowedCode.of(folder, [str(own)])
    assert code.is_as_before(name, first)
    assert not code.is_as_before(name, now)
    write(folder / "helper.py", "SIZE = 2\n")
    assert not AllowedCode.of(folder, [str(own)]).is_as_before(name, first)
    assert not AllowedCode(folder).is_as_before(name, first)


def test_what_was_really_imported_is_known_however_it_was_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write(folder / "really_own.py", "name = 'really_' + 'parts'\n__import__(name)\n")
    parts = write(folder / "really_parts.py", "SIZE = 1\n")
    monkeypatch.syspath_prepend(str(folder))
    nothing = LoadedCode(AllowedCode(folder))
    loaded = LoadedCode(AllowedCode.of(folder, [str(own)]))
    __import__("really_own")
    __import__("this")  # of Python itself
    news = loaded.news()
    assert loaded.news() == {}
    assert nothing.news() == {}
    assert news == {str(path): content_hash(path) for path in (own, parts)}


@pytest.mark.parametrize(
    "run",
    [
        "with open('/'.join((HERE, 'plugin.py'))) as file: exec(file.read())",
        "__import__('runpy').run_path(HERE + '/plugin.py')",
        "__import__('pathlib').Path(HERE, 'plugin.py').read_text()",
    ],
)
def test_a_file_that_is_run_by_its_path_counts_wherever_its_name_comes_from(
    folder: Path, run: str
) -> None:
    own = write(folder / "own.py", run)
    plugin = write(folder / "plugin.py", "SIZE = 1\n")
    loaded = LoadedCode(AllowedCode.of(folder, [str(own)]))
    assert loaded.news() == {}
    exec(own.read_text(), {"HERE": str(folder)})
    write(folder / "written.py", "")
    news = loaded.news()
    assert loaded.news() == {}
    assert news == {str(path): content_hash(path) for path in (own, plugin)}


LAZY = """
from torch import nn
class Net(nn.Module):
    def __init__(self, in_features, num_classes):
        super().__init__()
        self.head = nn.Linear(in_features, num_classes)
    def forward(self, x):
        if self.training:
            __import__("la" + "ter")
        return self.head(x)
"""
STUDY = """
data: iris
validation: {folds: 2}
model: own.py:Net
optimizer: {AdamW: {lr: {float: [1e-3, 1e-1], log: true}}}
training: {epochs: 1}
search: {trials: 1, baselines: false}
"""


@pytest.mark.slow
def test_code_that_is_imported_during_training_alone_counts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    write(tmp_path / "own.py", LAZY)
    write(tmp_path / "later.py", "SIZE = 1\n")
    write(tmp_path / "own.yaml", STUDY)
    search = ("search", "own.yaml", "--quiet", "--jobs", "1", "--trials")
    run_in(tmp_path, *search, "1", "--code", "own.py")
    run_in(tmp_path, *search, "2")
    write(tmp_path / "later.py", "open('CANARY', 'w')\n")
    told = run_in(tmp_path, *search, "3", code=2).stderr
    assert "has changed since you allowed it" in told
    assert "add --code own.py" in told
    told = run_in(tmp_path, *search, "3", "--code", "own.py", code=2).stderr
    assert "later.py has changed since the first trial" in told
    assert not (tmp_path / "CANARY").exists()


@pytest.mark.parametrize("shadow", ["helper/__init__.py", "helper/__init__.pyc", "helper.so"])
def test_what_is_new_in_the_place_of_a_module_counts_as_a_change_of_it(
    tmp_path: Path, shadow: str
) -> None:
    helper, other = tmp_path / "helper.py", tmp_path / shadow
    helper.write_text("")
    loaded = {"helper.py": content_hash(helper)}
    (tmp_path / "helper").mkdir()  # without code Python goes on to the file
    assert changed_files(tmp_path, loaded) == []
    other.write_text("")
    assert shadows(helper) == [other]
    assert changed_files(tmp_path, loaded) == ["helper.py"]
    assert changed_files(tmp_path, {**loaded, shadow: content_hash(other)}) == []  # it was there
