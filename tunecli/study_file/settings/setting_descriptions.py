"""The description of a setting: the docstring below its field."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema


class Described(BaseModel):
    """Base of models whose fields are described by the docstrings below them.

    pydantic's `use_attribute_docstrings` would read the source whenever the program starts.
    """

    @classmethod
    def descriptions(cls) -> dict[str, str]:
        """Return the docstrings below the fields of this class, by field."""
        (written,) = ast.parse(inspect.getsource(cls)).body
        assert isinstance(written, ast.ClassDef)
        return {
            field.target.id: inspect.cleandoc(text)
            for field, below in pairwise(written.body)
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
            if isinstance(text := below.value.value, str)
        }

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the descriptions to the JSON Schema."""
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema)["properties"]
        for name, text in cls.descriptions().items():
            properties[name]["description"] = text
        return schema
