"""The JSON Schema of study files, for completion and underlining in editors.

It is built from the settings and the catalogue, so it has the names and arguments of the
installed torch. It is less strict than tunecli itself: only `check` and `search` check rules
between settings and the ends of ranges.

Source: https://json-schema.org/draft/2020-12
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tunecli.study_file.catalogue import component_arguments, names
from tunecli.study_file.catalogue.names import ALIASES, CODE_KINDS, Kind
from tunecli.study_file.catalogue.signatures import Argument
from tunecli.study_file.read_start_with import TUNED
from tunecli.study_file.settings.metric_names import METRICS
from tunecli.study_file.settings.objective_settings import ObjectiveSettings
from tunecli.study_file.settings.search_settings import AUTO, SearchSettings
from tunecli.study_file.settings.setting_types import NoRange, mark
from tunecli.study_file.settings.settings import (
    CompressionSettings,
    DataSettings,
    Direction,
    Settings,
    TrainingSettings,
    ValidationSettings,
)
from tunecli.study_file.settings.source_kinds import BUNDLED, TORCHVISION
from tunecli.study_file.settings.switching_off import off_values

Schema = dict[str, Any]

_SEARCHED: tuple[Kind, ...] = (
    *("model", "loss", "optimizer", "schedule", "train", "scale", "tokenizer"),
    *("augmentation", "adapter"),
)
_FIXED: tuple[Kind, ...] = ("sampler", "pruner", "metric")
_CODE = r"^[^:]+:[A-Za-z_]\w*$"
"""Pattern of the user's own code, path.py:Name or module:Name; labels have no such colon."""

_NONE: Schema = {"enum": [None, "none"]}
_SCALAR: Schema = {"type": ["number", "string", "boolean", "null"]}


_LIMIT: Schema = {
    "anyOf": [
        {"type": "number"},
        {"type": "string", "pattern": r"^[0-9.e+-]+ *[A-Za-zµ]+$"},  # with a unit: 200KB
    ]
}
_LIMITS: Schema = {
    "type": "object",
    "properties": {"min": _LIMIT, "max": _LIMIT},
    "additionalProperties": False,
    "anyOf": [{"required": ["min"]}, {"required": ["max"]}],
}


def json_schema() -> Schema:
    """Return the schema of a whole study file, with its components under `$defs`."""
    parts: dict[str, Schema] = {}
    for kind in (*_SEARCHED, *_FIXED):
        parts[kind] = _component(kind)
        for name in names.names(kind):
            parts[_arguments_name(kind, name)] = _arguments(kind, name)
    parts["training"] = _section(TrainingSettings, searched=True)
    parts["compression"] = _section(CompressionSettings, searched=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "tunecli study file",
        **_closed(_sections()),
        "if": {"not": {"required": ["train"]}},
        "then": {"required": ["data", "model", "optimizer"]},
        "$defs": {
            **parts,
            "float_range": _number_range("float", "number"),
            "int_range": _number_range("int", "integer"),
        },
    }


def _sections() -> dict[str, Schema]:
    """Return the schema of every section, in the order of a study file."""
    return {
        "study": {
            "type": "string",
            "description": "Name of the study. Default: the name of the file.",
        },
        "seed": {"type": "integer", "minimum": 0, "default": 0},
        "data": _data(),
        "validation": _any_of(_section(ValidationSettings), _NONE),
        **_trained_parts(),
        "objective": _objectives(),
        "constraints": _constraints(),
        "metrics": _any_of({"type": "array", "items": _ref("metric")}, _NONE),
        "search": _any_of(_search(), _NONE),
        "variant": {
            "description": "Settings that change together: each trial chooses one branch of them.",
            **_only("choice", _labelled_branches()),
        },
    }


def _trained_parts() -> dict[str, Schema]:
    """Return the sections that can contain ranges and that a variant can replace."""
    optional = ("schedule", "train", "training", "compression")
    required = {name: _ref(name) for name in ("model", "loss", "optimizer")}
    return required | {name: _any_of(_ref(name), _NONE) for name in optional}


def _labelled_branches() -> Schema:
    """Return the schema of the branches of a variant: parts of the file, by label."""
    parts = _closed({"data": _closed(_prepared()), **_trained_parts()})
    branch = _any_of(parts, _NONE)
    return {"type": "object", "minProperties": 1, "additionalProperties": branch}


def _data() -> Schema:
    """Return the schema of `data`: the name of a source, or settings with a source."""
    files = {"type": "string", "pattern": "[./:]", "description": "A file, folder or function."}
    code = {**_closed({}), "patternProperties": {_CODE: {"type": ["object", "null"]}}}
    source = _any_of({"enum": [*sorted(BUNDLED), *TORCHVISION]}, files, code)
    section = _section(DataSettings, replaced={"source": source, **_prepared()})
    return _any_of(source, {**section, "required": ["source"]})


def _prepared() -> dict[str, Schema]:
    """Return the data settings that a variant can replace."""
    one = _any_of(_ref("augmentation"), _NONE)
    several = _any_of({"type": "array", "items": one}, one)
    labelled = {"type": "object", "additionalProperties": several, "minProperties": 1}
    return {
        "scale": _any_of(_ref("scale"), _NONE),
        "tokenizer": _any_of(_ref("tokenizer"), _NONE),
        "augment": _any_of(several, _only("choice", labelled)),
        "max_length": _searchable(_section(DataSettings)["properties"]["max_length"]),
    }


def _objectives() -> Schema:
    """Return the schema of objectives: metrics of the right direction, and the user's own."""
    directions: tuple[Direction, ...] = ("maximize", "minimize")
    one = _any_of(*map(_objective, directions))
    return _any_of(one, {"type": "array", "items": one, "minItems": 1}, _NONE)


def _objective(direction: Direction) -> Schema:
    """Return the schema of an objective with its settings: `{maximize: …, tolerance: …}`."""
    metric = {"allOf": [_ref("metric"), _metrics_named(direction)]}
    settings: dict[str, Schema] = _section(ObjectiveSettings)["properties"]
    return _closed({direction: metric, **settings}, required=[direction])


def _constraints() -> Schema:
    """Return the schema of limits by metric, such as `{f1: {average: macro, min: 0.8}}`."""
    known = {name: _limits_of(name) for name in METRICS}
    other: Schema = {**_LIMITS, "additionalProperties": True}  # the user's own takes any argument
    return _any_of({"type": "object", "properties": known, "additionalProperties": other}, _NONE)


def _limits_of(metric: str) -> Schema:
    """Return the schema of limits next to a metric's arguments."""
    arguments = component_arguments.signature("metric", metric).arguments
    properties = {one.name: _argument("metric", metric, one) for one in arguments}
    return {**_LIMITS, "properties": properties | _LIMITS["properties"]}


def _metrics_named(direction: Direction) -> Schema:
    names = [info.name for info in METRICS.values() if info.direction == direction]
    name = _any_of({"enum": names}, {"type": "string", "pattern": _CODE})
    return _any_of(name, {"type": "object", "propertyNames": name})


def _search() -> Schema:
    """Return the schema of `search`: budgets, sampler, pruner, and `start_with`."""
    best: Schema = {"type": "integer", "minimum": 1}
    keys: dict[str, Schema] = {
        "study": {"type": "string"},
        "best": best,
        "repeat": {"type": "boolean"},
    }
    another_study = _closed(keys, required=["study"])
    section = _section(
        SearchSettings,
        replaced={
            "sampler": _any_of(_ref("sampler"), {"const": AUTO.name}),
            "pruner": _any_of(_ref("pruner"), _NONE),
        },
    )
    section["properties"]["start_with"] = {
        "description": "Configurations to try first; the sampler suggests the rest.",
        **_any_of({"type": "array", "items": {"type": "object"}}, another_study, {"const": TUNED}),
    }
    return section


# Sections, from the settings


def _section(
    settings: type[Settings], searched: bool = False, replaced: dict[str, Schema] | None = None
) -> Schema:
    """Return the schema of a section by pydantic, with the descriptions of its settings.

    Args:
        settings: the section's class.
        searched: whether values can be ranges.
        replaced: schemas of settings whose written form differs from the stored one.
    """
    made = settings.model_json_schema()
    made["properties"].pop("arguments", None)  # are written below the source
    nested = made.get("$defs", {})
    properties = {}
    for name, made_schema in made["properties"].items():
        told = _told(made_schema)
        schema = (replaced or {}).get(name) or _written(made_schema, nested)
        field = settings.model_fields[name]
        if off_values(field) not in ([], [None]):
            schema = _any_of(schema, _NONE)
        can_vary = searched and not mark(field, NoRange)
        properties[name] = (_searchable(schema) if can_vary else schema) | told
    about = made["description"].partition("\n\n")[0]
    return {"description": _one_line(about), **_closed(properties)}


def _written(schema: Schema, nested: dict[str, Schema]) -> Schema:
    """Return the schema of the written form: nested settings inline, `none`, no titles."""
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


def _told(schema: Schema) -> Schema:
    """Take the default and the description out of a setting's schema; a component as written."""
    told: Schema = {key: schema.pop(key) for key in ("default", "description") if key in schema}
    if isinstance(told.get("default"), dict):
        name, arguments = told["default"]["name"], told["default"]["arguments"]
        told["default"] = {name: arguments} if arguments else name
    return told | {"description": _one_line(told["description"])}


def _one_line(text: str) -> str:
    return " ".join(text.split())


# Components, from the catalogue


def _component(kind: Kind) -> Schema:
    """Return the schema of a component: `Name`, `{Name: {arguments}}`, or a choice of these."""
    arguments = {
        written: _ref(_arguments_name(kind, full))
        for full in names.names(kind)
        for written in _spellings(kind, full)
    }
    own: Schema = {}
    single: list[Schema] = [{"enum": list(arguments)}] if arguments else []
    if kind in CODE_KINDS:
        own = {"patternProperties": {_CODE: {"type": ["object", "null"]}}}
        single.append({"type": "string", "pattern": _CODE})
    single.append({**_closed(arguments), "minProperties": 1, "maxProperties": 1, **own})
    if kind not in _SEARCHED:
        return _any_of(*single)
    one = _any_of(*single, _NONE)
    listed = {"type": "array", "items": one, "minItems": 1}
    labelled = {"type": "object", "properties": arguments, "additionalProperties": one, **own}
    branches = _any_of(listed, {**labelled, "minProperties": 1})
    return _any_of(*single, _only("choice", branches))


def _spellings(kind: Kind, full: str) -> list[str]:
    """Return all ways to write a name, such as `MedianPruner` and `Median`."""
    short = full.removesuffix(kind.capitalize()) if kind in ("sampler", "pruner") else full
    return list(dict.fromkeys([full, short, *(a for a, name in ALIASES.items() if name == full)]))


def _arguments_name(kind: Kind, name: str) -> str:
    """Return the name in `$defs`; the same for all torchvision builders, which take `**kwargs`."""
    is_torchvision = kind == "model" and name not in names.OWN_MODELS
    return "torchvision" if is_torchvision else f"{kind}.{name}"


def _arguments(kind: Kind, name: str) -> Schema:
    """Return the schema of the mapping of a component's arguments."""
    signature = component_arguments.signature(kind, name)
    properties = {a.name: _argument(kind, name, a) for a in signature.arguments}
    required = [argument.name for argument in signature.arguments if argument.required]
    mapping = {**_closed(properties, required), "additionalProperties": signature.open}
    return mapping if required else _any_of(mapping, _NONE)


def _argument(kind: Kind, name: str, argument: Argument) -> Schema:
    nested = component_arguments.nested_kind(kind, name, argument.name)
    if nested is not None:
        schema = _any_of(_ref(nested), _NONE)
    else:
        schema = component_arguments.argument_type(kind, name, argument).schema
        schema = _searchable(schema) if kind in _SEARCHED else schema
    plain = isinstance(argument.default, bool | int | float | str)
    return {**schema, "default": argument.default} if plain else schema


# Ranges


def _number_range(word: str, number: str) -> Schema:
    """Return the schema of a range of numbers, which can replace a value."""
    ends = {"type": "array", "items": {"type": number}, "minItems": 2, "maxItems": 2}
    return _closed(
        {
            word: {**ends, "description": "Lowest and highest value, both included."},
            "log": {"type": "boolean", "description": "Search on a logarithmic scale."},
            "step": {"type": number, "exclusiveMinimum": 0},
            "or": {
                **_SCALAR,
                "description": "A value to try as an alternative to the range, such as 0 for off.",
            },
        },
        required=[word],
    )


def _searchable(schema: Schema) -> Schema:
    """Return the schema of a value or of a range of such values, at any depth."""
    inner = _with_searchable_parts(schema)
    options: Schema = {"type": "array", "items": inner, "minItems": 1}
    labelled: Schema = {"type": "object", "minProperties": 1}
    choice = _only("choice", _any_of(options, labelled))
    return _any_of(inner, *_number_ranges(schema), choice)


def _with_searchable_parts(schema: Schema) -> Schema:
    """Allow ranges in items of lists and in settings of nested sections."""
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
    """Return references to the ranges whose values fit; whole numbers are numbers."""
    types = _types(schema)
    if not schema:  # anything
        types = {"number"}
    floats = [_ref("float_range")] if "number" in types else []
    return [*floats, _ref("int_range")] if types & {"number", "integer"} else []


def _types(schema: Schema) -> set[Any]:
    """Return the types of a value's alternatives, at any depth."""
    below = (_types(member) for member in schema.get("anyOf", ()))
    return {schema.get("type")}.union(*below)


# Building blocks


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _any_of(*members: Schema) -> Schema:
    """Return `anyOf`, with nested ones flattened."""
    flat: list[Schema] = []
    for member in members:
        flat += member["anyOf"] if set(member) == {"anyOf"} else [member]
    return {"anyOf": flat}


def _closed(properties: dict[str, Schema], required: Sequence[str] = ()) -> Schema:
    """Return the schema of a mapping with these keys only."""
    closed: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**closed, "required": list(required)} if required else closed


def _only(key: str, value: Schema) -> Schema:
    """Return the schema of a mapping with exactly one key."""
    return _closed({key: value}, required=[key])
