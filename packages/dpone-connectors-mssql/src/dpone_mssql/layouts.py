"""A target's columns as they are, and the statements that make them what a load needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dpone.books import not_a_table
from dpone.connector import AddColumn, CreateTarget, Layout, RelaxColumn, SchemaChange, WidenColumn
from dpone.schema import Field, Kind, Schema
from dpone_mssql.catalog import TABLE, Relation, find_relation
from dpone_mssql.dialect import BINARY_COLLATION, MSSQL
from dpone_mssql.session import Connection
from dpone_mssql.typemap import ENGINE


def find_target(connection: Connection, name: Sequence[str]) -> Relation | None:
    """The table of that name, or None; anything else of that name is refused."""
    found = find_relation(connection, name)
    if found is not None and found.kind != TABLE:
        raise not_a_table(name)
    return found


def layout_of(relation: Relation) -> Layout:
    """All columns that can be written; which of them are dpone's is the pipeline's to say."""
    writable = tuple(a.field for a in relation.attributes if not a.is_written_by_server)
    return Layout(Schema(writable, relation.key))


def fields_of(layout: Layout) -> list[Field]:
    return [*layout.schema, *(c.field for c in layout.system)]


def statements(table: str, layout: Layout, changes: Sequence[SchemaChange]) -> Iterator[str]:
    """The changes in order."""
    for change in changes:
        match change:
            case CreateTarget():
                yield MSSQL.create_table(table, fields_of(layout), layout.schema.key)
            case AddColumn(field=field):
                yield MSSQL.add_column(table, field)
            case WidenColumn(field=field):
                yield MSSQL.widen_column(table, field)
            case RelaxColumn(name=name):
                yield MSSQL.relax_column(table, layout.schema[name])


def remodel(table: str, relation: Relation, layout: Layout) -> Iterator[str]:
    """What makes an existing table, all of whose rows are gone, look like the layout."""
    wanted = {f.name: f for f in fields_of(layout)}
    found = {a.field.name: a.field for a in relation.attributes if not a.is_written_by_server}
    same_key = relation.key == layout.schema.key
    retyped = {n for n, f in wanted.items() if n in found and found[n].native_of(ENGINE) != MSSQL.spell(f)}
    if relation.key_name is not None and (not same_key or retyped & set(relation.key)):
        yield f"ALTER TABLE {table} DROP CONSTRAINT {MSSQL.quote(relation.key_name)}"
        same_key = False
    for name in found.keys() - wanted.keys():
        yield MSSQL.drop_column(table, name)
    for name, field in wanted.items():
        if name not in found:
            yield MSSQL.add_column(table, field)
        elif name in retyped or found[name].nullable != field.nullable:
            yield _altered(table, field, layout)
    if not same_key and (statement := key_statement(table, layout)):
        yield statement


def _altered(table: str, field: Field, layout: Layout) -> str:
    collated = (
        field.name in layout.schema.key and field.type.kind is Kind.STRING and "collate" not in MSSQL.spell(field)
    )
    collation = f" COLLATE {BINARY_COLLATION}" if collated else ""
    null = "NULL" if field.nullable else "NOT NULL"
    return f"ALTER TABLE {table} ALTER COLUMN {MSSQL.quote(field.name)} {MSSQL.spell(field)}{collation} {null}"


def key_statement(table: str, layout: Layout) -> str | None:
    """What gives the table the primary key that CREATE TABLE would have given it; None where that is none."""
    return next(
        (f"ALTER TABLE {table} ADD {c}" for c in MSSQL.primary_key(layout.schema.fields, layout.schema.key)), None
    )
