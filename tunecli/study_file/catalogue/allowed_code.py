"""The user's own code: how a study file names it, and what the command line allows.

A study file names it `path.py:Name` (a file, relative to the study file) or `module:Name` (in an
installed package). It is not imported here: its arguments are read from its source, as for every
library. It runs only in the workers, and only if `--code` allows it (`data/user_code`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from os.path import isfile  # which accepts any string as a path
from pathlib import Path

from tunecli.errors import UserCodeError
from tunecli.study_file.catalogue import code_hashes, signatures
from tunecli.study_file.catalogue.signatures import Argument, Signature, Unreadable
from tunecli.study_file.catalogue.value_types import value_in_words, value_type
from tunecli.study_file.settings.code_names import CodeName, short_name
from tunecli.study_file.settings.settings import Component
from tunecli.study_file.text.suggestions import did_you_mean, listed

_BETWEEN_NAMES = re.compile(r"[\s{}\[\],'\"]")

FILLED_IN: dict[str, tuple[str, ...]] = {
    "model": (
        "in_features",
        "in_channels",
        "image_size",
        "num_classes",
        "out_features",
        "cat_cardinalities",
        "n_cont_features",
        "vocab_size",
        "padding_idx",
        "shape",
        "n_outputs",
    )
}
"""Arguments, by kind, that tunecli derives from the data unless the study file gives them."""

FOR_TUNECLI: dict[str, tuple[Argument, ...]] = {
    "model": (
        Argument("freeze", "int | Literal['features'] | None", required=False),
        Argument("backbone_lr", "float | None", required=False),
        Argument("layer_decay", "float | None", required=False),
    )
}
"""Arguments, by kind, that tunecli reads itself unless the user's class has them."""

_GIVEN_FIRST: dict[str, int] = {"optimizer": 1, "schedule": 1}
_GIVEN_TO_FUNCTIONS: dict[str, int] = {"metric": 2, "loss": 2}
"""Number of positional arguments that tunecli passes: parameters, optimizer, targets, outputs."""

_RELATIVE = "Paths are relative to the study file's folder."

_PLAIN_BASES = ("nn.Module", "torch.nn.Module", "Module", "object")

ArgumentProblem = tuple[tuple[str, ...], str]


def places_in(text: str) -> set[str]:
    """Return each file and package that a study file's text might name, most of them by chance."""
    pairs = (pair for word in _BETWEEN_NAMES.split(text) for pair in pairwise(word.split(":")))
    return {name.to_allow for pair in pairs if (name := CodeName.parse(":".join(pair)))}


@dataclass(frozen=True)
class AllowedCode:
    """The code that the command line allows a study file to run.

    Attributes:
        folder: the folder of the study file.
        files: absolute path and content hash of each file.
        packages: name and version of each package, or the hash of its files.
        changed: files and packages that were allowed before they changed.
    """

    folder: Path
    files: tuple[tuple[Path, str], ...] = ()
    packages: tuple[tuple[str, str], ...] = ()
    changed: frozenset[Path | str] = frozenset()

    @classmethod
    def of(cls, folder: Path, options: Iterable[str]) -> AllowedCode:
        """Read `--code` options: files relative to the current or to the study file's folder.

        Raises:
            UserCodeError: a file or package does not exist.
        """
        files: dict[Path, str] = {}
        packages: dict[str, str] = {}
        for option in options:
            if option.endswith(".py"):
                paths = [path for path in (Path(option), folder / option) if path.is_file()]
                if not paths:
                    raise UserCodeError(
                        f"--code {option}: this file exists neither in the current folder "
                        "nor in the study file's folder."
                    )
                files[paths[0].resolve()] = _hash(paths[0].resolve(), option)
            elif _package(option) is not None:
                origin = signatures.package_origin(option)
                packages[option] = code_hashes.package_hash(option, origin)
            else:
                raise UserCodeError(
                    f"--code {option}: no such package is installed. To allow a file, give its "
                    "name with .py."
                )
        return cls(folder, tuple(files.items()), tuple(packages.items()))

    @property
    def allows_anything(self) -> bool:
        """Whether any code is allowed."""
        return bool(self.files or self.packages)

    def hash_of(self, name: CodeName) -> str | None:
        """Return the hash of the content that is allowed under this name; None if not allowed."""
        if name.is_file:
            return dict(self.files).get(self.file(name))
        return dict(self.packages).get(name.to_allow)

    def is_as_before(self, name: CodeName, before: str) -> bool:
        """Return whether the code still has the hash `before`, by the rule that made that hash."""
        now = self.hash_of(name)
        if before.startswith(code_hashes.OF_FILES) or now is None:
            return now == before
        return self.first_hash_of(name) == before

    def first_hash_of(self, name: CodeName) -> str:
        """Return the hash of the content by the rule of the oldest studies."""
        if name.is_file:
            return code_hashes.first_file_hash(self.file(name))
        return code_hashes.package_version(name.to_allow)

    def file(self, name: CodeName) -> Path:
        """Return the file of a name, absolute and without links."""
        return (self.folder / name.place).resolve()

    def and_also(self, other: AllowedCode) -> AllowedCode:
        """Return the union of both."""
        files = dict((*other.files, *self.files))
        packages = dict((*other.packages, *self.packages))
        changed = (self.changed | other.changed) - files.keys() - packages.keys()
        return AllowedCode(self.folder, tuple(files.items()), tuple(packages.items()), changed)

    def mistake(self, written: str) -> str | None:
        """Return why a name cannot be used (missing or not allowed); None if it can."""
        name = CodeName.parse(written)
        assert name is not None
        if name.is_file and not isfile(self.file(name)):
            where = f"(looked for at {self.file(name)})"
            return f"file {name.place!r} does not exist {where}. {_RELATIVE}"
        if not name.is_file and _package(name.to_allow) is None:
            return (
                f"package {name.to_allow!r} is not installed. Install it, or name a file: "
                f"my_code.py:{name.name}."
            )
        if self.hash_of(name) is None:
            option = self._option(name)
            if (self.file(name) if name.is_file else name.to_allow) in self.changed:
                rule = "or something it imports has changed since you allowed it"
                return f"{written} {rule}. To allow it again, add --code {option}."
            rule = "is code, which runs only if the command line allows it"
            return f"{written} {rule}: add --code {option}."
        source = self._source(name)
        return None if source is None else _missing(source, name)

    def signature(self, kind: str, written: str) -> Signature:
        """Return the arguments that a study file can set; open if its source lacks them."""
        name = CodeName.parse(written)
        source = self._source(name) if name and self.hash_of(name) is not None else None
        if name is None or source is None or kind == "train":  # which gets them as one mapping
            signature = Signature(short_name(written), (), open=True)
        else:
            signature = _signature(source, name.name, kind)
        added = (a for a in FOR_TUNECLI.get(kind, ()) if signature.argument(a.name) is None)
        return replace(signature, arguments=(*signature.arguments, *added))

    def argument_problems(
        self, kind: str, component: Component, broken: Collection[str] = ()
    ) -> list[ArgumentProblem]:
        """Return everything wrong with a component's arguments, as `argument_problems` does."""
        known = self.signature(kind, component.name)
        problems: list[ArgumentProblem] = []
        for name, value in component.arguments.items():
            argument = known.argument(name)
            if argument is not None:
                problems += _value_problems(argument, value)
            elif unknown := known.unknown(name):
                problems.append(((name,), unknown))
        missing = known.missing({*component.arguments, *broken})
        return [*problems, *(((), f"{known.name} needs {one.name}.") for one in missing)]

    def _option(self, name: CodeName) -> str:
        """Return the value for `--code`, relative to the current folder."""
        if not name.is_file:
            return name.to_allow
        file = self.file(name)
        return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)

    def _source(self, name: CodeName) -> Path | None:
        """Return the source file to read; None if there is no readable source."""
        if name.is_file:
            return self.file(name)
        folder = _package(name.to_allow)
        rest = name.place.split(".")[1:]
        if folder is None:
            return None
        module = folder.joinpath(*rest)
        paths = (module.with_suffix(".py") if rest else module, module / "__init__.py")
        return next((path for path in paths if path.is_file()), None)


NO_CODE = AllowedCode(Path())
"""The code that a command without `--code` allows."""


def mistakes(
    kind: str, component: Component, allowed: AllowedCode | None, broken: Collection[str] = ()
) -> list[ArgumentProblem]:
    """Return the mistakes in a component of the user's own; none if code is not checked (None)."""
    if allowed is None:
        return []
    mistake = allowed.mistake(component.name)
    if mistake is not None:
        return [((), mistake)]
    return allowed.argument_problems(kind, component, broken)


def _hash(file: Path, option: str) -> str:
    try:
        return code_hashes.file_hash(file)
    except OSError as error:
        raise UserCodeError(f"--code {option} cannot be read: {error.strerror}.") from None


@cache
def _package(name: str) -> Path | None:
    try:
        return signatures.package_folder(name)
    except (ImportError, ValueError):
        return None


def _missing(source: Path, name: CodeName) -> str | None:
    """Return the message for a file that does not define a name; None if it does."""
    try:
        tree = signatures.parsed(source)
    except (SyntaxError, ValueError, OSError, MemoryError, RecursionError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        reason = getattr(error, "strerror", None) or (error.args or ["too deeply nested"])[0]
        return f"{name.place} cannot be read as Python: {reason}{line}."
    known = _defined(tree)
    if name.name in known or "*" in known or "__getattr__" in known:
        return None
    names = f" It defines {listed(known)}." if known else " It defines none."
    hint = did_you_mean(name.name, known) or names
    return f"{name.place} has no class or function {name.name!r}.{hint}"


def _defined(tree: ast.Module) -> list[str]:
    """Return the top-level names of a module's source; `*` if it imports unknown names."""
    defined: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            defined += [node.name] if node in tree.body else []
        elif isinstance(node, ast.Import | ast.ImportFrom):
            defined += [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.Assign):
            defined += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return defined


@cache
def _signature(source: Path, name: str, kind: str) -> Signature:
    node = signatures.definitions(source).get(name)
    is_function = isinstance(node, ast.FunctionDef) and not node.decorator_list
    if is_function:
        full = signatures.function_signature(source, name)
    elif isinstance(node, ast.ClassDef) and _constructor_is_known(source, node):
        full = signatures.class_signature(source, name)
    else:
        return Signature(name, (), open=True)
    n_given = _GIVEN_FIRST.get(kind, _GIVEN_TO_FUNCTIONS.get(kind, 0) if is_function else 0)
    filled = FILLED_IN.get(kind, ())
    settable = (
        replace(argument, required=False) if argument.name in filled else argument
        for argument in full.arguments[n_given:]
    )
    return Signature(full.name, tuple(settable), full.open)


def _constructor_is_known(source: Path, node: ast.ClassDef) -> bool:
    """Return whether a class, or a base in the same file, defines its constructor."""
    if node.decorator_list or node.keywords:
        return False
    if any(isinstance(m, ast.FunctionDef) and m.name == "__init__" for m in node.body):
        return True
    known = signatures.definitions(source)
    bases = [ast.unparse(base) for base in node.bases]
    others = [known.get(base) for base in bases if base not in _PLAIN_BASES]
    return all(isinstance(o, ast.ClassDef) and _constructor_is_known(source, o) for o in others)


def _value_problems(argument: Argument, value: object) -> list[ArgumentProblem]:
    """Check a value by its annotation; a default alone does not determine the type."""
    try:
        accepted = value_type(argument.annotation, Unreadable)
    except (SyntaxError, ValueError):
        return []
    is_default = not argument.required and value == argument.default
    if is_default or not accepted.settable or accepted.accepts(value):
        return []
    message = f"{argument.name} must be {accepted.words}, but got {value_in_words(value)}."
    return [((argument.name,), message)]
