"""What the server's catalogue says of a table, a view or a query: columns, key, kind, size."""
# ruff: noqa: S608 - all text here is made of encoded literals

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from dpone.errors import PlanError
from dpone.readings import table_missing
from dpone.schema import Field, Schema
from dpone_mssql.dialect import MSSQL
from dpone_mssql.session import Connection
from dpone_mssql.typemap import ENGINE, read

TABLE, VIEW = "U", "V"
_SIZED_BY_BYTES = frozenset({"varchar", "char", "varbinary", "binary"})
_SIZED_BY_PAIRS = frozenset({"nvarchar", "nchar"})
_SCALED = frozenset({"time", "datetime2", "datetimeoffset"})
_COLLATED = frozenset({"varchar", "char", "nvarchar", "nchar"})
_REAL_BITS = 24


class Attribute(Struct, frozen=True):
    """A column as it is stored; one that is computed or a rowversion is the server's alone to write."""

    field: Field
    is_identity: bool
    is_computed: bool
    has_default: bool
    collation: str

    @property
    def is_written_by_server(self) -> bool:
        return self.is_computed or (self.field.native_of(ENGINE) or "") in {"rowversion", "timestamp"}


class Relation(Struct, frozen=True):
    """A table or a view."""

    id: int
    name: tuple[str, str]
    kind: str
    attributes: tuple[Attribute, ...]
    key: tuple[str, ...]
    key_name: str | None

    @property
    def schema(self) -> Schema:
        return Schema(tuple(a.field for a in self.attributes), self.key)

    @property
    def identity(self) -> str | None:
        """The column that numbers itself."""
        return next((a.field.name for a in self.attributes if a.is_identity), None)


# An alias is told by the type behind it. Of a type that the login may not see there is no row, yet its column is there.
_COLUMNS = (
    "SELECT c.name, COALESCE(CASE WHEN y.is_user_defined = 0 THEN y.name END, b.name, y.name) AS type_name, "
    "c.max_length, c.precision, c.scale, c.collation_name, c.is_nullable, c.is_identity, c.is_computed, "
    "c.default_object_id FROM sys.columns AS c LEFT JOIN sys.types AS y ON y.user_type_id = c.user_type_id "
    "LEFT JOIN sys.types AS b ON b.user_type_id = c.system_type_id WHERE c.object_id = {0} ORDER BY c.column_id"
)
# The index of a key bears the key's name.
_KEY = (
    "SELECT c.name, i.name AS key_name FROM sys.indexes AS i "
    "JOIN sys.index_columns AS x ON x.object_id = i.object_id AND x.index_id = i.index_id "
    "JOIN sys.columns AS c ON c.object_id = x.object_id AND c.column_id = x.column_id "
    "WHERE i.object_id = {0} AND i.is_primary_key = 1 AND x.key_ordinal > 0 ORDER BY x.key_ordinal"
)


def find_relation(connection: Connection, name: Sequence[str]) -> Relation | None:
    """The table or view of that name, or None."""
    schema, table = name
    found = connection.row(
        "SELECT o.object_id, o.type FROM sys.objects AS o "
        f"WHERE o.schema_id = SCHEMA_ID({MSSQL.text(schema)}) AND o.name = {MSSQL.text(table)} "
        "AND o.type IN (N'U', N'V')"
    )
    if found is None:
        return None
    number, kind = found
    attributes = tuple(map(_attribute, connection.rows(_COLUMNS.format(number))))
    key = connection.rows(_KEY.format(number))
    return Relation(
        number,
        (schema, table),
        kind.strip(),
        attributes,
        tuple(column for column, _ in key),
        key[0][1] if key else None,
    )


def readable_relation(connection: Connection, name: Sequence[str]) -> Relation:
    """The relation to read, or an error that names it."""
    found = find_relation(connection, name)
    if found is None:
        raise table_missing(name, "check schema and name; without a schema the table is looked for in `dbo`")
    return found


def _attribute(row: tuple[Any, ...]) -> Attribute:
    name, of, length, precision, scale, collation, nullable, identity, computed, default = row
    if of is None:
        raise PlanError(
            f"the server does not tell the type of column {name}",
            code="plan.unknown_type",
            hint="let the connection's user see the type's definition, or read the table by a query without the column",
        )
    native = native_type(of, length, precision, scale)
    if collation is not None and of in {"varchar", "char"} and not _is_western(collation):
        native += f" collate {collation}"
    field = Field(name, read(native), nullable=bool(nullable), native=f"{ENGINE}:{native}")
    return Attribute(field, bool(identity), bool(computed), bool(default), collation or "")


def _is_western(collation: str) -> bool:
    return collation.startswith(("SQL_Latin1", "Latin1_General"))


def native_type(name: str, length: int, precision: int, scale: int) -> str:
    """The type as CREATE TABLE spells it."""
    if name == "timestamp":
        return "rowversion"
    if name in _SIZED_BY_BYTES:
        return f"{name}({'max' if length < 0 else length})"
    if name in _SIZED_BY_PAIRS:
        return f"{name}({'max' if length < 0 else length // 2})"
    if name in {"decimal", "numeric"}:
        return f"{name}({precision},{scale})"
    if name in _SCALED:
        return f"{name}({scale})"
    if name == "float":
        return "real" if precision <= _REAL_BITS else "float(53)"
    return name


def describe_query(connection: Connection, query: str) -> tuple[str, Schema]:
    """The query, known to be one statement that reads, and the schema of its rows."""
    text = query.strip().rstrip(";")
    try:
        rows = connection.rows(
            "SELECT name, system_type_name, is_nullable FROM sys.dm_exec_describe_first_result_set("
            f"{MSSQL.text('SELECT * FROM (' + text + chr(10) + ') AS q')}, NULL, 0) ORDER BY column_ordinal"
        )
    except PlanError:
        rows = []
    if not rows or any(name is None or of is None for name, of, _ in rows):
        raise PlanError(
            "the query is not one statement that SQL Server can read, or a column of it has no name",
            code="source.invalid_query",
            hint="write a single SELECT, with a name for each column and names of tables qualified by their schema",
        )
    fields = tuple(
        Field(name, read(_described(of)), nullable=bool(nullable), native=f"{ENGINE}:{_described(of)}")
        for name, of, nullable in rows
    )
    return text, Schema(fields)


def _described(native: str) -> str:
    return {"timestamp": "rowversion", "float": "float(53)"}.get(native, native)
