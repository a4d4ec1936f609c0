"""The SELECT that a reading is: columns under their new names, a table or a query, and conditions.

Values whose form on the wire is not exact are turned into another at the server: moments of seven digits into text,
text of a code page into national text, types without a home in Arrow into text or bytes.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals, and of the manifest's own query

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from dpone.batch import Format
from dpone.connector import ReadRequest
from dpone.readings import needs_table
from dpone.schema import Field, Schema
from dpone_mssql.catalog import Relation
from dpone_mssql.dialect import MSSQL
from dpone_mssql.typemap import ENGINE, parse
from dpone_mssql.wires import MSSQL_ARROW

_MICROSECONDS = 6


class Subject(Struct, frozen=True):
    """What is read: a table or view of the catalogue, or a query that was found to be one statement."""

    schema: Schema
    relation: Relation | None = None
    query: str | None = None

    @property
    def source(self) -> str:
        """The item of FROM, called `t`."""
        if self.relation is not None:
            return f"{MSSQL.table(self.relation.name)} AS t"
        return f"(\n{self.query}\n) AS t"

    def table(self, purpose: str) -> Relation:
        """The relation, where `purpose` needs one that holds rows itself."""
        if self.relation is None or self.relation.kind != "U":
            raise needs_table(purpose)
        return self.relation


def select(subject: Subject, request: ReadRequest, conditions: Sequence[str], beside: Sequence[str] = ()) -> str:
    """The rows that match the request's filter and all conditions, with the expressions of `beside` behind."""
    terms = [MSSQL.where(request.where, "t", subject.schema.fields)] if request.where else []
    terms += conditions
    columns = [
        f"{sent(f't.{MSSQL.quote(c.source)}', subject.schema[c.source], request.format)} AS {MSSQL.quote(c.name)}"
        for c in request.columns
    ]
    where = f" WHERE {' AND '.join(terms)}" if terms else ""
    return f"SELECT {', '.join([*columns, *beside])} FROM {subject.source}{where}"


def sent(expression: str, of: Field, in_format: Format) -> str:
    """The expression whose value arrives whole."""
    native = parse(of.native_of(ENGINE) or MSSQL.spell(of))
    digits = 7 if native.size is None else native.size
    match native.name:
        case "datetimeoffset" if in_format == MSSQL_ARROW:
            return f"CONVERT(nvarchar(34), {expression}, 121)"
        case "datetimeoffset" if digits > _MICROSECONDS:
            return f"CONVERT(nvarchar(34), SWITCHOFFSET({expression}, '+00:00'), 121)"
        case "datetime2" if digits > _MICROSECONDS:
            return f"CONVERT(nvarchar(27), {expression}, 121)"
        case "datetime":
            return f"CAST({expression} AS datetime2(3))"
        case "varchar" | "char" | "text" | "ntext" | "xml" | "json":
            return f"CAST({expression} AS nvarchar(max))"
        case "sql_variant" | "hierarchyid":
            return f"CAST({expression} AS nvarchar(4000))"
        case "image" | "geography" | "geometry":
            return f"CAST({expression} AS varbinary(max))"
        case _:
            return expression


def arrives_as_text(of: Field, in_format: Format) -> bool:
    """`sent` made text of a moment."""
    return sent("", of, in_format).startswith("CONVERT(nvarchar")


def typed_null(of: Field) -> str:
    native = MSSQL.spell(of).partition(" ")[0]
    return f"CAST(NULL AS {native})"
