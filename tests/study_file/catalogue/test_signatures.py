from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from tunecli.study_file.catalogue import signatures
from tunecli.study_file.catalogue.signatures import Argument, Unreadable

SOURCE = """
from json.decoder import JSONDecoder, JSONDecodeError
from os import path

__all__ = ["Child", "Own"]
HALF = 1 / 2
WORDS = ("a", HALF)


class Base(Elsewhere):
    def __init__(self, a, b: int = 3, *rest, c: float = -HALF * 3, d="x", **others):
        pass


class Child(Base):
    pass


class Own(Child):
    def __init__(self, words=WORDS, computed=len(WORDS), nothing=None):
        pass


class Foreign(Elsewhere):
    pass


@register()
@other
def built(*, depth: int = 2, **kwargs):
    pass


@other
def helper(x):
    pass
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "source.py"
    file.write_text(SOURCE)
    return file


def test_a_constructor_is_read_from_the_nearest_class_that_has_one(source: Path) -> None:
    base, child = (signatures.class_signature(source, name) for name in ("Base", "Child"))
    assert (
        child.arguments
        == base.arguments
        == (
            Argument("a"),
            Argument("b", "int", required=False, default=3),
            Argument("c", "float", required=False, default=-1.5),
            Argument("d", "", required=False, default="x"),
        )
    )
    assert child.open
    assert child.name == "Child"


def test_defaults_are_values_of_the_module_or_unreadable(source: Path) -> None:
    own = signatures.class_signature(source, "Own")
    assert [a.default for a in own.arguments] == [("a", 0.5), Unreadable, None]
    assert not own.open
    nothing = own.argument("nothing")
    assert nothing is not None
    assert not nothing.required
    assert own.argument("anything") is None


def test_a_class_whose_constructor_is_elsewhere_takes_nothing(source: Path) -> None:
    assert signatures.class_signature(source, "Foreign").arguments == ()


def test_functions_are_found_by_their_decorator(source: Path) -> None:
    assert signatures.decorated_functions(source, "register") == ("built",)
    built = signatures.function_signature(source, "built")
    assert built.arguments == (Argument("depth", "int", required=False, default=2),)
    assert built.open
    with pytest.raises(LookupError, match=r"source\.py has no function missing"):
        signatures.function_signature(source, "missing")


def test_exports_and_imports(source: Path) -> None:
    assert signatures.exported(source) == ("Child", "Own")
    found = signatures.imported_from("json", source)
    assert set(found) == {"JSONDecoder", "JSONDecodeError"}
    assert found["JSONDecoder"].samefile(inspect.getfile(__import__("json").JSONDecoder))


def test_a_missing_package_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_package is not installed"):
        signatures.package_folder("no_such_package")
