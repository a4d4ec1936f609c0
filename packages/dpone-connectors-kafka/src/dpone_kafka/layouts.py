"""Layouts as plain JSON, as they stand in the state topic of a target: a topic itself knows no columns."""

from __future__ import annotations

from dpone.connector import Json, Layout, Role, SystemColumn
from dpone.schema import Field, Schema, parse_type
from dpone_kafka.typemap import ENGINE


def layout_json(layout: Layout) -> Json:
    return {
        "fields": [_field_json(f) for f in layout.schema],
        "key": list(layout.schema.key),
        "system": [[c.role.value, _field_json(c.field)] for c in layout.system],
    }


def layout_of(found: Json) -> Layout:
    schema = Schema(tuple(_field_of(f) for f in found["fields"]), tuple(found["key"]))
    return Layout(schema, tuple(SystemColumn(Role(role), _field_of(f)) for role, f in found["system"]))


def columns_of(layout: Layout) -> tuple[Field, ...]:
    """All columns that a message holds: the content, and behind it the system's."""
    names = set(layout.schema.names)
    return (*layout.schema, *(c.field for c in layout.system if c.field.name not in names))


def _field_json(field: Field) -> Json:
    return [field.name, str(field.type), field.nullable]


def _field_of(found: Json) -> Field:
    name, kind, nullable = found
    of = parse_type(kind)
    return Field(name, of, nullable, f"{ENGINE}:{of}")
