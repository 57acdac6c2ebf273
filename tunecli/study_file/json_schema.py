"""The JSON Schema of study files, for completion and underlining in editors.

It is made of the settings and the catalogue, so it knows the names and arguments of the torch that
is installed. It is looser than tunecli itself: rules between settings, and whether the ends of a
range fit, are told by `check` and `search`.

Source: https://json-schema.org/draft/2020-12
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

from tunecli.study_file.catalogue import component_arguments
from tunecli.study_file.catalogue.component_arguments import Kind
from tunecli.study_file.catalogue.names import ALIASES, CODE_KINDS
from tunecli.study_file.catalogue.signatures import Argument
from tunecli.study_file.settings.bundled import BUNDLED
from tunecli.study_file.settings.durations import PATTERN
from tunecli.study_file.settings.metric_names import METRICS
from tunecli.study_file.settings.settings import (
    CompressionSettings,
    DataSettings,
    Direction,
    SearchSettings,
    Settings,
    TrainingSettings,
    ValidationSettings,
)
from tunecli.study_file.settings.source_kinds import TORCHVISION
from tunecli.study_file.settings.switching_off import off_values

Schema = dict[str, Any]

_SEARCHED: tuple[Kind, ...] = (
    *("model", "loss", "optimizer", "schedule", "train", "scale", "augmentation"),
)
_FIXED: tuple[Kind, ...] = ("sampler", "pruner", "metric")
_CODE = r"^[^:]+:[A-Za-z_]\w*$"
"""Code of the user's own, as path.py:Name or module:Name; labels are words without a colon."""

_NONE: Schema = {"enum": [None, "none"]}
_SCALAR: Schema = {"type": ["number", "string", "boolean", "null"]}
_DURATION: Schema = {
    "type": "string",
    "pattern": f"^{PATTERN}$",
    "description": "2h, 90m, 1h30m or 45s.",
}


def json_schema() -> Schema:
    """The schema of a whole study file; its component parts stand under `$defs`."""
    parts: dict[str, Schema] = {}
    for kind in (*_SEARCHED, *_FIXED):
        parts[kind] = _component(kind)
        parts |= _arguments_of_all(kind)
    parts["training"] = _section(TrainingSettings, searched=True)
    parts["compression"] = _section(CompressionSettings, searched=True)
    parts["training"]["properties"]["max_time"].update(_duration())  # no range may stand there
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tunecli study file",
        **_closed(_sections()),
        "if": {"not": {"required": ["train"]}},
        "then": {"required": ["data", "model", "optimizer"]},
        "$defs": {**parts, **_ranges()},
    }


def _sections() -> dict[str, Schema]:
    """Every key of a study file, in the order of the README."""
    return {
        "study": {"type": "string", "description": "Its name; without one, the file's."},
        "seed": {"type": "integer", "minimum": 0, "default": 0},
        "data": _data(),
        "validation": _any_of([_section(ValidationSettings), _NONE]),
        **_trained_parts(),
        "objective": _objectives(),
        "constraints": _constraints(),
        "metrics": _any_of([{"type": "array", "items": _ref("metric")}, _NONE]),
        "search": _any_of([_search(), _NONE]),
        "variant": {
            "description": "Settings that belong together: the chosen branch replaces them.",
            **_only("choice", _labelled_branches()),
        },
    }


def _trained_parts() -> dict[str, Schema]:
    """The sections in which ranges may stand, and which a variant may replace."""
    return {
        "model": _ref("model"),
        "loss": _ref("loss"),
        "optimizer": _ref("optimizer"),
        "schedule": _any_of([_ref("schedule"), _NONE]),
        "train": _any_of([_ref("train"), _NONE]),
        "training": _any_of([_ref("training"), _NONE]),
        "compression": _any_of([_ref("compression"), _NONE]),
    }


def _labelled_branches() -> Schema:
    """The branches of a variant: parts of the file by label."""
    parts = _closed({"data": _closed(_prepared()), **_trained_parts()})
    branch = _any_of([parts, _NONE])
    return {"type": "object", "minProperties": 1, "additionalProperties": branch}


def _data() -> Schema:
    """A bundled set's name, or settings around it."""
    files = {"type": "string", "pattern": "[./:]", "description": "A file, folder or function."}
    code = {**_closed({}), "patternProperties": {_CODE: {"type": ["object", "null"]}}}
    source = _any_of([{"enum": [*sorted(BUNDLED), *TORCHVISION]}, files, code])
    section = _section(DataSettings, replaced={"source": source, **_prepared()})
    return _any_of([source, {**section, "required": ["source"]}])


def _prepared() -> dict[str, Schema]:
    """How rows are prepared: what a variant may replace of the data."""
    one = _any_of([_ref("augmentation"), _NONE])
    several = _any_of([{"type": "array", "items": one}, one])
    labelled = {"type": "object", "additionalProperties": several, "minProperties": 1}
    return {
        "scale": _any_of([_ref("scale"), _NONE]),
        "augment": _any_of([several, _only("choice", labelled)]),
    }


def _objectives() -> Schema:
    """`{maximize: metric}` or `{minimize: metric}`: those that go that way, and the user's own."""
    directions: tuple[Direction, ...] = ("maximize", "minimize")
    one = _any_of(
        [
            _only(direction, {"allOf": [_ref("metric"), _metrics_named(direction)]})
            for direction in directions
        ]
    )
    return _any_of([one, {"type": "array", "items": one, "minItems": 1}, _NONE])


def _constraints() -> Schema:
    """Limits by metric, some with a unit: `{size: {max: 200KB}}`."""
    limit = _any_of(
        [{"type": "number"}, {"type": "string", "pattern": r"^[0-9.e+-]+ *[A-Za-zµ]+$"}]
    )
    limits = {**_closed({"min": limit, "max": limit}), "minProperties": 1}
    return _any_of([{"type": "object", "additionalProperties": limits}, _NONE])


def _metrics_named(direction: Direction) -> Schema:
    names = [info.name for info in METRICS.values() if info.direction == direction]
    name = _any_of([{"enum": names}, {"type": "string", "pattern": _CODE}])
    return _any_of([name, {"type": "object", "propertyNames": name}])


def _duration() -> Schema:
    return _any_of([{"type": "number", "exclusiveMinimum": 0}, _DURATION, _NONE])


def _search() -> Schema:
    """Budgets, sampler and pruner, and what to start with."""
    best: Schema = {"type": "integer", "minimum": 1}
    another_study = {**_closed({"study": {"type": "string"}, "best": best}), "required": ["study"]}
    section = _section(
        SearchSettings,
        replaced={
            "timeout": _duration(),
            "sampler": _ref("sampler"),
            "pruner": _any_of([_ref("pruner"), _NONE]),
        },
    )
    section["properties"]["start_with"] = {
        "description": "Configurations tried first; what one leaves out is suggested.",
        **_any_of([{"type": "array", "items": {"type": "object"}}, another_study]),
    }
    return section


# Sections, from the settings


def _section(
    settings: type[Settings], searched: bool = False, replaced: dict[str, Schema] | None = None
) -> Schema:
    """A section's settings as pydantic describes them, with their descriptions.

    Args:
        settings: the section's class.
        searched: whether ranges may stand in place of values.
        replaced: schemas of the settings that are written in another way than they are held.
    """
    made = settings.model_json_schema()
    made["properties"].pop("arguments", None)  # stand below the source
    nested = made.get("$defs", {})
    words = described(settings)
    properties = {}
    for name, schema in made["properties"].items():
        kept = {key: schema[key] for key in ("default",) if key in schema}
        schema = (replaced or {}).get(name) or _written(schema, nested)
        if off_values(settings.model_fields[name]) not in ([], [None]):
            schema = _any_of([schema, _NONE])
        kept |= {"description": words[name]} if name in words else {}
        properties[name] = (_searchable(schema) if searched else schema) | _plain_default(kept)
    return {"description": _first_paragraph(settings), **_closed(properties)}


def _written(schema: Schema, nested: dict[str, Schema]) -> Schema:
    """As it stands in a file: nested settings in place, `none` for null, no titles."""
    if "$ref" in schema:
        schema = nested[schema["$ref"].rpartition("/")[2]]
    if schema.get("type") == "null":
        return _NONE
    result = {key: value for key, value in schema.items() if key not in ("title", "default")}
    if "anyOf" in schema:
        result["anyOf"] = [_written(member, nested) for member in schema["anyOf"]]
    if "properties" in schema:
        result["properties"] = {k: _written(v, nested) for k, v in schema["properties"].items()}
    return result


def _plain_default(extras: Schema) -> Schema:
    """Components print as data of their own, which is no way to write them."""
    if isinstance(extras.get("default"), dict):
        extras["default"] = extras["default"]["name"]
    return extras


def described(settings: type[Settings]) -> dict[str, str]:
    """The `Attributes:` of a settings class's docstring, by name."""
    found: dict[str, str] = {}
    name = ""
    for line in (inspect.getdoc(settings) or "").partition("Attributes:\n")[2].splitlines():
        start = re.match(r" {4}(\w+): (.*)", line)
        if start:
            name = start[1]
            found[name] = start[2]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found


def _first_paragraph(settings: type[Settings]) -> str:
    return " ".join((inspect.getdoc(settings) or "").split("\n\n")[0].split())


# Components, from the catalogue


def _component(kind: Kind) -> Schema:
    """`Name`, `{Name: {arguments}}`, or where it can be searched a choice between several."""
    arguments = {
        written: _ref(_arguments_name(kind, full))
        for full in component_arguments.names(kind)
        for written in _spellings(kind, full)
    }
    own = {_CODE: {"type": ["object", "null"]}} if kind in CODE_KINDS else {}
    named: list[Schema] = [{"enum": list(arguments)}] if arguments else []
    single = [
        *named,
        *({"type": "string", "pattern": pattern} for pattern in own),
        {
            **_closed(arguments),
            "minProperties": 1,
            "maxProperties": 1,
            **({"patternProperties": own} if own else {}),
        },
    ]
    if kind not in _SEARCHED:
        return _any_of(single)
    one = _any_of([*single, _NONE])
    listed = {"type": "array", "items": one, "minItems": 1}
    labelled = {"type": "object", "properties": arguments, "additionalProperties": one}
    labelled |= {"patternProperties": own} if own else {}
    branches = _any_of([listed, {**labelled, "minProperties": 1}])
    return _any_of([*single, _only("choice", branches)])


def _spellings(kind: Kind, full: str) -> list[str]:
    """All ways to write a name: `MedianPruner` and `Median`."""
    short = full.removesuffix(kind.capitalize()) if kind in ("sampler", "pruner") else full
    return list(dict.fromkeys([full, short, *(a for a, name in ALIASES.items() if name == full)]))


def _arguments_name(kind: Kind, name: str) -> str:
    """Under `$defs`; one for all of torchvision's builders, since they take `**kwargs`."""
    is_open = kind == "model" and component_arguments.signature(kind, name).open
    return "torchvision" if is_open else f"{kind}.{name}"


def _arguments_of_all(kind: Kind) -> dict[str, Schema]:
    return {
        _arguments_name(kind, name): _arguments(kind, name)
        for name in component_arguments.names(kind)
    }


def _arguments(kind: Kind, name: str) -> Schema:
    """The mapping of a component's arguments."""
    signature = component_arguments.signature(kind, name)
    properties = {a.name: _argument(kind, name, a) for a in signature.arguments}
    required = [argument.name for argument in signature.arguments if argument.required]
    mapping = {**_closed(properties, required), "additionalProperties": signature.open}
    return mapping if required else _any_of([mapping, _NONE])


def _argument(kind: Kind, name: str, argument: Argument) -> Schema:
    nested = component_arguments.nested_kind(kind, name, argument.name)
    if nested is not None:
        schema = _any_of([_ref(nested), _NONE])
    else:
        schema = component_arguments.argument_type(kind, name, argument).schema
        schema = _searchable(schema) if kind in _SEARCHED else schema
    plain = isinstance(argument.default, bool | int | float | str)
    return {**schema, "default": argument.default} if plain else schema


# Ranges


def _ranges() -> dict[str, Schema]:
    """What may stand in place of a value."""
    return {
        "float_range": _number_range("float", "number"),
        "int_range": _number_range("int", "integer"),
    }


def _number_range(word: str, number: str) -> Schema:
    ends = {"type": "array", "items": {"type": number}, "minItems": 2, "maxItems": 2}
    return _closed(
        {
            word: {**ends, "description": "Lowest and highest value, both included."},
            "log": {"type": "boolean", "description": "Search on a logarithmic scale."},
            "step": {"type": number, "exclusiveMinimum": 0},
            "or": {**_SCALAR, "description": "A value apart from the range, such as 0 for off."},
        },
        required=[word],
    )


def _searchable(schema: Schema) -> Schema:
    """The same value, or a range of such values, at any depth of it."""
    inner = _with_searchable_parts(schema)
    options: Schema = {"type": "array", "items": inner, "minItems": 1}
    labelled: Schema = {"type": "object", "minProperties": 1}
    choice = _only("choice", _any_of([options, labelled]))
    return _any_of([inner, *_number_ranges(schema), choice])


def _with_searchable_parts(schema: Schema) -> Schema:
    """Items of lists and settings of nested sections may be ranges themselves."""
    result = dict(schema)
    for key in ("anyOf", "prefixItems"):
        if key in schema:
            deepen = _with_searchable_parts if key == "anyOf" else _searchable
            result[key] = [deepen(part) for part in schema[key]]
    if "items" in schema:
        result["items"] = _searchable(schema["items"])
    if "properties" in schema:
        result["properties"] = {k: _searchable(v) for k, v in schema["properties"].items()}
    return result


def _number_ranges(schema: Schema) -> list[Schema]:
    """References to the ranges whose values fit; whole numbers are numbers."""
    types = _types(schema)
    if not schema:  # anything
        types = {"number"}
    floats = [_ref("float_range")] if "number" in types else []
    return [*floats, _ref("int_range")] if types & {"number", "integer"} else []


def _types(schema: Schema) -> set[Any]:
    """Of a value's alternatives, at any depth of them."""
    below = (_types(member) for member in schema.get("anyOf", ()))
    return {schema.get("type")}.union(*below)


# Building blocks


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _any_of(members: Sequence[Schema]) -> Schema:
    """`anyOf`, with nested ones flattened."""
    flat: list[Schema] = []
    for member in members:
        flat += member["anyOf"] if set(member) == {"anyOf"} else [member]
    return {"anyOf": flat}


def _closed(properties: dict[str, Schema], required: Sequence[str] = ()) -> Schema:
    """A mapping of these keys only."""
    closed: Schema = {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    return {**closed, "required": list(required)} if required else closed


def _only(key: str, value: Schema) -> Schema:
    """A mapping of exactly one key."""
    return _closed({key: value}, required=[key])
