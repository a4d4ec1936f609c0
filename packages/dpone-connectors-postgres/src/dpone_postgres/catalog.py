"""What the server's catalogue says of a relation or a query: columns, key, kind, size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from dpone.errors import PlanError
from dpone.readings import table_missing
from dpone.schema import Field, Schema
from dpone_postgres.session import Connection
from dpone_postgres.typemap import ENGINE, read

PARTITIONED, TABLE = "p", "r"
READABLE = frozenset({"r", "p", "v", "m", "f"})


class Attribute(Struct, frozen=True):
    """A column as it is stored; `missing` is the text of the value that rows older than the column have."""

    field: Field
    number: int
    type_oid: int
    generated: bool
    has_default: bool
    missing: str | None


class Relation(Struct, frozen=True):
    """A table, view, partitioned table, materialised view or foreign table; `blocks` is its size on disk."""

    oid: int
    name: tuple[str, str]
    kind: str
    attributes: tuple[Attribute, ...]
    key: tuple[str, ...]
    blocks: int
    identity: str  # of replication: d(efault), n(othing), f(ull), i(ndex)
    identity_columns: tuple[str, ...]

    @property
    def schema(self) -> Schema:
        return Schema(tuple(a.field for a in self.attributes), self.key)


_INDEX_COLUMNS = """
SELECT a.attname::text FROM pg_catalog.pg_index i
CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(number, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indrelid = c.oid AND k.place <= i.indnkeyatts AND {which} ORDER BY k.place
"""

_RELATION = """
SELECT c.oid, c.relkind::text, c.relreplident::text,
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_relation_size(c.oid) / 8192 ELSE 0 END,
       ARRAY({primary}), ARRAY({identity})
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s
""".format(
    primary=_INDEX_COLUMNS.format(which="i.indisprimary"), identity=_INDEX_COLUMNS.format(which="i.indisreplident")
)

# the base of a domain, through domains over domains, decides as what its values are read
_ATTRIBUTES = """
WITH RECURSIVE based AS (
    SELECT a.attnum, a.atttypid AS type, a.atttypmod AS mod, a.attnotnull AS required
    FROM pg_catalog.pg_attribute a WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
    SELECT b.attnum, t.typbasetype, t.typtypmod, b.required OR t.typnotnull
    FROM based b JOIN pg_catalog.pg_type t ON t.oid = b.type AND t.typtype = 'd'
), lowest AS (
    SELECT b.attnum, pg_catalog.format_type(b.type, b.mod) AS base,
           bool_or(b.required) OVER (PARTITION BY b.attnum) AS r
    FROM based b
), floor AS (
    SELECT l.attnum, l.base, l.r FROM lowest l
    JOIN based b ON b.attnum = l.attnum AND pg_catalog.format_type(b.type, b.mod) = l.base
    JOIN pg_catalog.pg_type t ON t.oid = b.type AND t.typtype <> 'd'
)
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), f.base, f.r, a.attnum, a.atttypid,
       a.attgenerated <> '', a.atthasdef OR a.attidentity <> '',
       CASE WHEN a.atthasmissing THEN (a.attmissingval::text::text[])[1] END
FROM pg_catalog.pg_attribute a JOIN floor f USING (attnum)
WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""


def find_relation(connection: Connection, name: Sequence[str]) -> Relation | None:
    """The relation of that name, or None."""
    schema, table = name
    row = connection.execute(_RELATION, (schema, table)).fetchone()
    if row is None:
        return None
    oid, kind, identity, blocks = row[:4]
    key, chosen = (tuple(names) for names in row[4:])
    attributes = tuple(map(_attribute, connection.execute(_ATTRIBUTES, {"oid": oid}).fetchall()))
    identity_columns = {"d": key, "f": tuple(a.field.name for a in attributes), "i": chosen}.get(identity, ())
    return Relation(oid, (schema, table), kind, attributes, key, blocks, identity, identity_columns)


def readable_relation(connection: Connection, name: Sequence[str]) -> Relation:
    """The relation to read, or an error that names it."""
    found = find_relation(connection, name)
    if found is None or found.kind not in READABLE:
        raise table_missing(name, "check schema and name; without a schema the table is looked for in `public`")
    return found


def _attribute(row: tuple[Any, ...]) -> Attribute:
    name, native, base, required, number, type_oid, generated, has_default, missing = row
    field = Field(name, read(base), nullable=not required, native=f"{ENGINE}:{native}")
    return Attribute(field, number, type_oid, generated, has_default, missing)


def describe_query(connection: Connection, query: str) -> tuple[str, Schema]:
    """The query, known to be one statement that reads, and the schema of its rows."""
    text = query.strip().rstrip(";")
    prepared = connection.pgconn.prepare(b"", text.encode())  # the protocol takes one statement here, and runs nothing
    if prepared.error_message:
        raise PlanError(
            f"the query is not one statement that PostgreSQL can read: {prepared.get_error_message().strip()}",
            code="source.invalid_query",
            hint="write a single SELECT, with names qualified by their schema",
        )
    described = connection.pgconn.describe_prepared(b"")
    columns = [
        (name.decode() if (name := described.fname(i)) else "", described.ftype(i), described.fmod(i))
        for i in range(described.nfields)
    ]
    if not columns:
        raise PlanError(
            "the query yields no columns", code="source.invalid_query", hint="write a single SELECT that reads rows"
        )
    natives = connection.execute(
        "SELECT pg_catalog.format_type(t, m) FROM ROWS FROM (unnest(%s::oid[]), unnest(%s::int4[])) AS c(t, m)",
        ([oid for _, oid, _ in columns], [mod for _, _, mod in columns]),
    ).fetchall()
    fields = tuple(
        Field(name, read(native), native=f"{ENGINE}:{native}")
        for (name, _, _), (native,) in zip(columns, natives, strict=True)
    )
    return text, Schema(fields)
