"""Read names and arguments of installed classes and functions from their sources with `ast`.

Importing torch, torchvision and Optuna to inspect their signatures takes ten seconds. Reading the
few files that are needed takes a fraction of a second, and runs none of their code.
"""

from __future__ import annotations

import ast
import importlib.util
import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tunecli.files.small import read_small
from tunecli.study_file.text.suggestions import did_you_mean, listed

Constants = Mapping[str, object]
_FOLD: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class Unreadable:
    """Placeholder of a default whose source is not a plain value."""


@dataclass(frozen=True)
class Argument:
    """One argument of a constructor or function.

    Attributes:
        annotation: its source text; empty without an annotation.
        required: whether the library has no default for it.
        default: None if required; the class `Unreadable` if it is not a plain value.
    """

    name: str
    annotation: str = ""
    required: bool = True
    default: object = None

    @property
    def is_none_by_default(self) -> bool:
        """Whether leaving it out means none."""
        return not self.required and self.default is None


@dataclass(frozen=True)
class Signature:
    """The arguments of a constructor or function, without `self`.

    Attributes:
        open: whether `**kwargs` accepts names that are not listed.
    """

    name: str
    arguments: tuple[Argument, ...]
    open: bool = False

    def argument(self, name: str) -> Argument | None:
        """Return the argument of that name; None if it is not listed."""
        return next((argument for argument in self.arguments if argument.name == name), None)

    def unknown(self, name: str) -> str | None:
        """Return the message for an argument that is not accepted; None if it is."""
        taken = [argument.name for argument in self.arguments]
        if self.open or name in taken:
            return None
        others = f" It takes {listed(taken)}." if taken else " It takes no arguments."
        return f"{self.name} has no argument `{name}`.{did_you_mean(name, taken) or others}"

    def missing(self, given: Collection[str]) -> list[Argument]:
        """Return the required arguments that are not given."""
        return [one for one in self.arguments if one.required and one.name not in given]


def package_folder(package: str) -> Path:
    """Return the folder of a top-level package, without importing it."""
    return package_origin(package).parent


@cache
def package_origin(package: str) -> Path:
    """Return the first file of a top-level package: its `__init__.py`, or the module."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed; install tunecli again")
    return Path(spec.origin)


@cache
def parsed(file: Path) -> ast.Module:
    """Return the syntax tree of a source file."""
    return ast.parse(read_small(file))


@cache
def definitions(file: Path) -> Mapping[str, ast.ClassDef | ast.FunctionDef]:
    """Return the classes and functions at the top of a module, by name."""
    kinds = (ast.ClassDef, ast.FunctionDef)
    return {node.name: node for node in parsed(file).body if isinstance(node, kinds)}


@cache
def exported(file: Path) -> tuple[str, ...]:
    """Return the names in the module's `__all__`."""
    for node in parsed(file).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return tuple(ast.literal_eval(node.value))
    return ()


@cache
def imported_from(package: str, file: Path) -> Mapping[str, Path]:
    """Return the source file of each name that `file` imports by `from package.… import name`."""
    root = package_folder(package).parent
    sources = {}
    for node in parsed(file).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
            source = root.joinpath(*(node.module or "").split(".")).with_suffix(".py")
            sources.update({alias.name: source for alias in node.names})
    return sources


@cache
def decorated_functions(file: Path, decorator: str) -> tuple[str, ...]:
    """Return the names of the functions under `@decorator(...)`.

    They are found in the text: to parse all models of torchvision takes most of a second.
    """
    text = read_small(file).decode()
    return tuple(re.findall(rf"(?ms)^@{re.escape(decorator)}\(.*?^def (\w+)", text))


@cache
def class_signature(file: Path, name: str) -> Signature:
    """Return the constructor's signature: the class's own, or the nearest base's in the same file.

    A class whose constructor is in another file (torch's `Module`) takes no arguments.
    """
    waiting = [name]
    while waiting:
        node = definitions(file).get(waiting.pop(0))
        if not isinstance(node, ast.ClassDef):
            continue
        for member in node.body:
            if isinstance(member, ast.FunctionDef) and member.name == "__init__":
                return _signature(name, member.args, _constants(file), skip=1)
        waiting += [ast.unparse(base) for base in node.bases]
    return Signature(name, ())


@cache
def dataclass_signature(files: tuple[Path, ...], name: str) -> Signature:
    """Return the fields of a dataclass as arguments, those of its bases in `files` first."""
    arguments: dict[str, Argument] = {}
    for node, file in reversed(_lineage(files, name)):
        for member in node.body:
            if isinstance(member, ast.AnnAssign) and _is_field(member):
                argument = _field(member, _constants(file))
                arguments[argument.name] = argument
    return Signature(name, tuple(arguments.values()))


def _lineage(files: tuple[Path, ...], name: str) -> list[tuple[ast.ClassDef, Path]]:
    """Return a class and those of its bases that are in `files`, with the file of each."""
    found: list[tuple[ast.ClassDef, Path]] = []
    waiting = [name]
    while waiting:
        wanted = waiting.pop(0)
        file = next((file for file in files if wanted in definitions(file)), None)
        node = definitions(file)[wanted] if file is not None else None
        if file is not None and isinstance(node, ast.ClassDef):
            found.append((node, file))
            waiting += [ast.unparse(base) for base in node.bases]
    return found


def _is_field(member: ast.AnnAssign) -> bool:
    return isinstance(member.target, ast.Name) and "ClassVar" not in ast.unparse(member.annotation)


def _field(member: ast.AnnAssign, constants: Constants) -> Argument:
    """Return a field whose default is a value, or the `default` of a call of `field`."""
    name, default = ast.unparse(member.target), member.value
    if isinstance(default, ast.Call) and ast.unparse(default.func).endswith("field"):
        given = {keyword.arg: keyword.value for keyword in default.keywords}
        default = given.get("default", given.get("default_factory"))
    if default is None:
        return Argument(name, ast.unparse(member.annotation))
    value = _value(default, constants)
    return Argument(name, ast.unparse(member.annotation), required=False, default=value)


@cache
def function_signature(file: Path, name: str) -> Signature:
    """Return the signature of a top-level function of a module."""
    node = definitions(file).get(name)
    if isinstance(node, ast.FunctionDef):
        return _signature(name, node.args, _constants(file), skip=0)
    raise LookupError(f"{file.name} has no function {name}")


def _signature(name: str, args: ast.arguments, constants: Constants, skip: int) -> Signature:
    positional = [*args.posonlyargs, *args.args]
    missing = len(positional) - len(args.defaults)
    defaults: list[ast.expr | None] = [*[None] * missing, *args.defaults]
    pairs = [*zip(positional, defaults, strict=True)][skip:]
    pairs += zip(args.kwonlyargs, args.kw_defaults, strict=True)
    arguments = tuple(_argument(arg, default, constants) for arg, default in pairs)
    return Signature(name, arguments, open=args.kwarg is not None)


def _argument(arg: ast.arg, default: ast.expr | None, constants: Constants) -> Argument:
    annotation = ast.unparse(arg.annotation) if arg.annotation else ""
    if default is None:
        return Argument(arg.arg, annotation)
    return Argument(arg.arg, annotation, required=False, default=_value(default, constants))


@cache
def _constants(file: Path) -> Constants:
    """Return plain values assigned at the top of a module, such as torch's `EPS = 1e-7`."""
    constants: dict[str, object] = {}
    for node in parsed(file).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            constants[node.targets[0].id] = _value(node.value, constants)
    return constants


def _value(node: ast.expr, constants: Constants) -> object:
    """Return a default's value: a literal, a constant of its module, or arithmetic on these."""
    if isinstance(node, ast.Name):
        return constants.get(node.id, Unreadable)
    if isinstance(node, ast.Tuple):
        items = tuple(_value(item, constants) for item in node.elts)
        return Unreadable if Unreadable in items else items
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _value(node.operand, constants)
        return -value if isinstance(value, int | float) else Unreadable
    if isinstance(node, ast.BinOp) and type(node.op) in _FOLD:
        left, right = _value(node.left, constants), _value(node.right, constants)
        if isinstance(left, int | float) and isinstance(right, int | float):
            return _FOLD[type(node.op)](left, right)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        return Unreadable
