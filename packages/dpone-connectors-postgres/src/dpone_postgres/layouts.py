"""A target's columns as they are, and the statements that make them what a load needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dpone.books import not_a_table
from dpone.connector import AddColumn, CreateTarget, Layout, RelaxColumn, SchemaChange, WidenColumn
from dpone.schema import Schema
from dpone_postgres.catalog import TABLE, Relation, find_relation
from dpone_postgres.dialect import MERGING, POSTGRES, PostgresDialect
from dpone_postgres.session import Connection
from dpone_postgres.typemap import ENGINE


def find_target(connection: Connection, name: Sequence[str]) -> Relation | None:
    """The table of that name, or None; anything else of that name is refused."""
    found = find_relation(connection, name)
    if found is not None and found.kind not in {"r", "p"}:
        raise not_a_table(name)
    return found


def layout_of(relation: Relation) -> Layout:
    """All columns that can be written; which of them are dpone's is the pipeline's to say."""
    writable = tuple(a.field for a in relation.attributes if not a.generated)
    return Layout(Schema(writable, relation.key))


def statements(table: str, layout: Layout, changes: Sequence[SchemaChange]) -> Iterator[str]:
    """The changes in order. A new table gets its key after its rows."""
    for change in changes:
        match change:
            case CreateTarget():
                yield POSTGRES.create_table(table, [*layout.schema, *(c.field for c in layout.system)])
            case AddColumn(field=field):
                yield POSTGRES.add_column(table, field)
            case WidenColumn(field=field):
                yield POSTGRES.widen_column(table, field)
            case RelaxColumn(name=name):
                yield POSTGRES.relax_column(table, layout.schema[name])


def remodel(table: str, relation: Relation, layout: Layout) -> Iterator[str]:
    """What makes an existing table, all of whose rows will be exchanged, look like the layout."""
    wanted = {f.name: f for f in (*layout.schema, *(c.field for c in layout.system))}
    found = {a.field.name: a.field for a in relation.attributes if not a.generated}
    for name in found.keys() - wanted.keys():
        yield f"ALTER TABLE {table} DROP COLUMN {POSTGRES.quote(name)}"
    for name, field in wanted.items():
        stored = found.get(name)
        column = POSTGRES.quote(name)
        if stored is None:
            yield f"ALTER TABLE {table} ADD COLUMN {column} {POSTGRES.spell(field)}"
        elif stored.native_of(ENGINE) != POSTGRES.spell(field):
            # no stored value survives the exchange, so none has to be converted
            yield f"ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT"
            yield f"ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"
            yield (
                f"ALTER TABLE {table} ALTER COLUMN {column} "
                f"TYPE {POSTGRES.spell(field)} USING NULL::{POSTGRES.spell(field)}"
            )
        elif not stored.nullable and field.nullable and name not in relation.key:
            yield POSTGRES.relax_column(table, field)


def dialect_for(
    connection: Connection, relation: Relation | None, layout: Layout, key: Sequence[str]
) -> PostgresDialect:
    """How the operations of a load with that key are spelled for a target."""
    if relation is None or relation.kind != TABLE or not key or set(relation.key) != set(key):
        return POSTGRES
    written = {*layout.schema.names, *(c.field.name for c in layout.system)}
    if any(a.field.name not in written or a.generated for a in relation.attributes):
        return POSTGRES
    row = connection.execute(
        "SELECT c.relhasrules OR c.relhastriggers OR NOT i.indimmediate OR NOT i.indisvalid FROM pg_catalog.pg_class c "
        "JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary WHERE c.oid = %s",
        (relation.oid,),
    ).fetchone()
    return MERGING if row is not None and not row[0] else POSTGRES


def rewrites(relation: Relation, layout: Layout) -> bool:
    """`remodel` gives a column another type."""
    found = {a.field.name: a.field.native_of(ENGINE) for a in relation.attributes if not a.generated}
    wanted = (*layout.schema, *(c.field for c in layout.system))
    return any(f.name in found and found[f.name] != POSTGRES.spell(f) for f in wanted)


def key_statement(table: str, key: Sequence[str]) -> str:
    return f"ALTER TABLE {table} ADD PRIMARY KEY ({', '.join(map(POSTGRES.quote, key))})"
