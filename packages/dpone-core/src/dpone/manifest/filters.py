"""What stands under `where:`: a row filter as data."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from dpone.manifest.scalars import Model, Name, refused
from dpone.where import Compare, Condition, Where

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "not_in", "is_null", "not_null"]
_ALONE = frozenset({Compare.IS_NULL, Compare.NOT_NULL})
_MANY = frozenset({Compare.IN, Compare.NOT_IN})
_SCALAR = {"type": ["string", "number", "boolean"]}


def _value(value: object) -> object:
    many = isinstance(value, list | tuple)
    for item in value if isinstance(value, list | tuple) else (value,):
        if not isinstance(item, str | int | float | bool):
            raise refused(
                "expected text, a number, true, false, or a list of them" if not many else "expected plain values"
            )
    return tuple(value) if isinstance(value, list | tuple) else value


def _by_operator(schema: dict[str, Any]) -> None:
    """Says in JSON Schema which operator goes with which kind of value."""
    value = schema["properties"]["value"] = {
        "description": schema["properties"]["value"]["description"],
        "anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}],
    }
    assert value
    schema["allOf"] = [
        {
            "if": {"properties": {"op": {"enum": ["in", "not_in"]}}, "required": ["op"]},
            "then": {"properties": {"value": {"type": "array"}}, "required": ["value"]},
            "else": {
                "if": {"properties": {"op": {"enum": ["is_null", "not_null"]}}, "required": ["op"]},
                "then": {"properties": {"value": False}},
                "else": {"properties": {"value": _SCALAR}, "required": ["value"]},
            },
        }
    ]


class Filter(Model):
    """One condition; all conditions of a list must hold."""

    model_config = ConfigDict(json_schema_extra=_by_operator)

    column: Name = Field(description="the column, by its name in the target")
    op: Operator = Field(default="=", description="how it is compared; put signs into quotes")
    value: Annotated[Any, BeforeValidator(_value)] = Field(
        default=None, description="what it is compared with; a list for in and not_in, absent for is_null and not_null"
    )

    @model_validator(mode="after")
    def _value_fits(self) -> Self:
        op, given = Compare(self.op), self.value is not None
        if op in _ALONE and given:
            raise refused(f"{self.op} takes no value", at="value")
        if op not in _ALONE and not given:
            raise refused(f"{self.op} needs a `value`; NULL is asked for with is_null")
        if op in _MANY and not (isinstance(self.value, tuple) and self.value):
            raise refused(f"{self.op} needs a list of values", at="value")
        if op not in _MANY | _ALONE and isinstance(self.value, tuple):
            raise refused(f"{self.op} needs a single value; a list goes with in and not_in", at="value")
        return self

    def condition(self) -> Condition:
        return Condition(self.column, Compare(self.op), self.value)


def where_of(filters: tuple[Filter, ...]) -> Where:
    """The filter in the words of the algebra; its values are still as YAML has them."""
    return tuple(f.condition() for f in filters)
