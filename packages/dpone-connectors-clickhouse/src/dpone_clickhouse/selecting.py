"""The SELECT that a reading is: columns under their new names, a table or a query, conditions, and a bulk format."""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals, and of the manifest's own query

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from dpone.batch import ARROW, CH_NATIVE, PG_TEXT, Format
from dpone.connector import ReadRequest
from dpone.schema import Kind, Schema, Type
from dpone_clickhouse.catalog import Name, describe_query, full_name, readable_table
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.session import Session

_FORMATS = {CH_NATIVE: "Native", PG_TEXT: "TabSeparated", ARROW: "ArrowStream"}
_BY_TEXT = frozenset({Kind.STRING, Kind.UUID, Kind.JSON, Kind.INTERVAL})
_MICROSECONDS, _ARROW_BITS = 6, 64


class Subject(Struct, frozen=True):
    """What is read: a table or view, or a query that the server took as a subquery."""

    schema: Schema
    name: Name | None = None
    query: str | None = None
    final: bool = False

    @property
    def source(self) -> str:
        """The item of FROM, called `t`."""
        if self.name is not None:
            return f"{CLICKHOUSE.table(self.name)} AS t{' FINAL' if self.final else ''}"
        return f"(\n{self.query}\n) AS t"


def subject_of(session: Session, request: ReadRequest, database: str) -> Subject:
    """What a request reads, as the server has it now."""
    dataset = request.dataset
    if dataset.query is not None:
        query = dataset.query.strip().rstrip(";")
        return Subject(describe_query(session, query), query=query)
    found = readable_table(session, full_name(dataset.name, database))
    is_final = found.keeps_versions or bool(dataset.options.get("final"))
    return Subject(Schema(found.fields), found.name, final=is_final)


def select(subject: Subject, request: ReadRequest, conditions: Sequence[str], *, in_arrow: bool) -> str:
    """The rows that match the request's filter and all conditions."""
    terms = [CLICKHOUSE.where(request.where, "t", subject.schema.fields)] if request.where else []
    terms += conditions
    columns = []
    for column in request.columns:
        value = f"t.{CLICKHOUSE.quote(column.source)}"
        if in_arrow:
            value = arrow_expression(value, subject.schema[column.source].type)
        columns.append(f"{value} AS {CLICKHOUSE.quote(column.name)}")
    where = f" WHERE {' AND '.join(terms)}" if terms else ""
    # an alias must not stand for a column of the same name in WHERE
    return f"SELECT {', '.join(columns)} FROM {subject.source}{where}"


def bulk_query(subject: Subject, request: ReadRequest, conditions: Sequence[str]) -> str:
    query = select(subject, request, conditions, in_arrow=request.format == ARROW)
    return f"{query} FORMAT {format_name(request.format)}"


def format_name(of: Format) -> str:
    return _FORMATS[of]


def arrow_expression(value: str, of: Type, depth: int = 0) -> str:
    """The value as one of a type whose Arrow form is core's."""
    match of.kind:
        case Kind.INT | Kind.UINT if (of.size or 0) > _ARROW_BITS:
            return f"toString({value})"
        case Kind.OPAQUE:
            return f"if(isNull({value}), NULL, toString({value}))"  # toString says NULL of a Variant as ''
        case kind if kind in _BY_TEXT:
            return f"toString({value})"
        case Kind.FLOAT:
            return f"toFloat{of.size}({value})"
        case Kind.DATE:
            return f"toDate32({value})"
        case Kind.TIMESTAMPTZ:
            return f"toDateTime64({value}, {6 if (of.size or 0) <= _MICROSECONDS else 9}, 'UTC')"
        case Kind.TIME:
            return f"toTime64({value}, {6 if (of.size or 0) <= _MICROSECONDS else 9})"
        case Kind.LIST:
            item = f"x{depth}"
            return f"arrayMap({item} -> {arrow_expression(item, of.items[0].type, depth + 1)}, {value})"
        case Kind.MAP:
            key, item = f"k{depth}", f"x{depth}"
            made = ", ".join(arrow_expression(n, f.type, depth + 1) for n, f in zip((key, item), of.items, strict=True))
            return f"mapApply(({key}, {item}) -> ({made}), {value})"
        case Kind.STRUCT:
            parts = [
                arrow_expression(f"tupleElement({value}, {n})", f.type, depth + 1) for n, f in enumerate(of.items, 1)
            ]
            return f"tuple({', '.join(parts)})"
        case _:
            return value
