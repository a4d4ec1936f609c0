"""How BigQuery spells SQL."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from dpone.errors import PlanError
from dpone.names import too_long
from dpone.ops import Grain, Upsert
from dpone.schema import Field, Kind, Type
from dpone.sql import operations
from dpone.sql.dialect import Dialect
from dpone.sql.load import SqlLoad
from dpone.sql.statement import Counted, Statement, Statements
from dpone_bigquery.native import ENGINE, parse_native
from dpone_bigquery.typemap import BIGNUMERIC_SCALE, BIGNUMERIC_WHOLE, NUMERIC_SCALE, NUMERIC_WHOLE, TYPES

# What a column's name may hold beside letters, marks, digits, connectors and dashes; a table's only a space.
_IN_COLUMNS = frozenset("&%=+:'<>#| ")
_CATEGORIES = ("L", "M", "N", "Pc", "Pd")
_RESERVED_PREFIXES = ("_table_", "_file_", "_partition", "_row_timestamp", "__root__", "_colidentifier")

_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_CONTROL = re.compile(r"[\\'\x00-\x1f\x7f\u2028\u2029]")

_PROJECT = re.compile(r"(?:[a-z0-9.-]+:)?[a-z0-9-]+")
_DATASET = re.compile(r"[A-Za-z0-9_]{1,1024}")
_LONGEST_TABLE = 1024  # bytes of UTF-8

_INT64_LIMIT = 1 << 63
# Kinds whose columns have no equality: they are compared by their JSON text, which is the same for the same value.
_BY_JSON = frozenset({Kind.JSON, Kind.LIST, Kind.MAP, Kind.STRUCT})
_TRUNC = {Kind.DATE: "DATE_TRUNC", Kind.TIMESTAMP: "DATETIME_TRUNC", Kind.TIMESTAMPTZ: "TIMESTAMP_TRUNC"}


class BigQueryDialect(Dialect):
    """GoogleSQL. All of a program runs in one transaction of a session."""

    name: ClassVar[str] = ENGINE
    max_identifier: ClassVar[int] = 300

    def quote(self, identifier: str) -> str:
        """Quoting does not help against what BigQuery never takes: it is refused here, before a job is sent."""
        _refuse_letters(identifier, _IN_COLUMNS)
        if identifier.lower().startswith(_RESERVED_PREFIXES):
            raise PlanError(
                f"BigQuery keeps names that begin like {identifier!r} for itself",
                code="plan.invalid_identifier",
                hint="rename it under `columns:`",
            )
        return super().quote(identifier)

    def quoted(self, identifier: str) -> str:
        """Backquotes; what would need an escape between them is in no name."""
        return f"`{identifier}`"

    def table(self, parts: Sequence[str]) -> str:
        """A project of a domain has a dot and a colon in its name: `example.com:project`."""
        if (size := len(parts[-1].encode())) > _LONGEST_TABLE:
            raise too_long(self.name, parts[-1], size, _LONGEST_TABLE)
        _refuse_letters(parts[-1], frozenset(" "))
        *project, dataset, name = parts if len(parts) > 1 else (None, *parts)
        for part in project:
            if not _PROJECT.fullmatch(part or ""):
                raise PlanError(
                    f"not the name of a project: {part!r}",
                    code="plan.invalid_identifier",
                    hint="write project.dataset.table",
                )
        if dataset is not None and not _DATASET.fullmatch(dataset):
            raise PlanError(
                f"not the name of a dataset: {dataset!r}",
                code="plan.invalid_identifier",
                hint="a dataset's name is made of letters, digits and underscores",
            )
        if not name:
            raise PlanError("a table needs a name", code="plan.invalid_identifier", hint="write dataset.table")
        return ".".join(f"`{part}`" for part in (*project, dataset, name) if part is not None)

    # ---------------------------------------------------------------- literals

    def literal(self, value: object, as_type: Type | None = None) -> str:
        """Numbers that are exact: a bare 1.5 is a FLOAT64, and an integer beyond 64 bits is nothing at all."""
        match value:
            case bool():
                return super().literal(value, as_type)
            case int() if not -_INT64_LIMIT <= value < _INT64_LIMIT:
                return self._exact(Decimal(value))
            case Decimal() if value.is_finite():
                return self._exact(value)
            case _:
                return super().literal(value, as_type)

    def _exact(self, value: Decimal) -> str:
        digits = format(value, "f")
        whole, _, behind = digits.lstrip("-").partition(".")
        whole, behind = whole.lstrip("0"), behind.rstrip("0")
        if len(whole) > BIGNUMERIC_WHOLE or len(behind) > BIGNUMERIC_SCALE:
            raise PlanError(
                f"BigQuery has no number of {len(whole)} digits before and {len(behind)} behind the point",
                code="plan.no_literal",
                hint="change the filter's value",
            )
        word = "NUMERIC" if len(whole) <= NUMERIC_WHOLE and len(behind) <= NUMERIC_SCALE else "BIGNUMERIC"
        return f"{word} '{digits}'"

    def text(self, value: str) -> str:
        """A backslash escapes, so it is escaped itself; so are quotes and whatever would end the line."""
        return "'" + _CONTROL.sub(lambda found: _ESCAPES.get(found[0], f"\\u{ord(found[0]):04x}"), value) + "'"

    def binary(self, value: bytes) -> str:
        return "b'" + "".join(f"\\x{byte:02x}" for byte in value) + "'"

    def special(self, spelled: str, as_type: Type) -> str:
        """FLOAT64 alone has them."""
        if as_type.kind is not Kind.FLOAT:
            raise PlanError(f"NUMERIC has no {spelled}", code="plan.no_literal", hint="change the filter's value")
        return f"CAST('{spelled}' AS FLOAT64)"

    def instant(self, value: datetime, as_type: Type | None) -> str:
        return f"TIMESTAMP '{value.replace(tzinfo=None).isoformat(' ', 'microseconds')}+00:00'"

    def wall_clock(self, value: datetime, as_type: Type | None) -> str:
        """What others call a timestamp without zone is a DATETIME; TIMESTAMP is an instant."""
        return f"DATETIME '{value.isoformat(' ', 'microseconds')}'"

    # ------------------------------------------------------------- comparisons

    def equals(self, left: str, right: str, of: Type | None = None) -> str:
        """A NaN equals itself in dpone, and not in BigQuery."""
        if of is not None and of.kind is Kind.FLOAT:
            return f"({left} = {right} OR (IS_NAN({left}) AND IS_NAN({right})))"
        return super().equals(left, right, of)

    def differs(self, left: str, right: str, of: Type | None = None) -> str:
        """JSON, ARRAY and STRUCT have no equality of their own, and are compared by their text."""
        if of is not None and of.kind in _BY_JSON:
            left, right = f"TO_JSON_STRING({left})", f"TO_JSON_STRING({right})"
        return super().differs(left, right, of)

    def is_nan(self, expression: str, of: Type | None) -> str | None:
        return f"IS_NAN({expression})" if of is not None and of.kind is Kind.FLOAT else None

    def truncate(self, expression: str, grain: Grain, of: Type) -> str:
        """One function per type; an instant is cut in UTC."""
        if grain is Grain.VALUE or (grain is Grain.DAY and of.kind is Kind.DATE):
            return expression
        zone = ", 'UTC'" if of.kind is Kind.TIMESTAMPTZ else ""
        return f"{_TRUNC[of.kind]}({expression}, {grain.value.upper()}{zone})"

    def one_character(self, expression: str, position: int) -> str:
        return f"SUBSTR({expression}, {position}, 1)"

    def total(self, expression: str, of: Type) -> str:
        """As BIGNUMERIC: NUMERIC has 29 digits before the point."""
        return f"SUM(CAST({expression} AS BIGNUMERIC))"

    # ------------------------------------------------------------- definitions

    def spell(self, field: Field) -> str:
        return field.native_of(self.name) or TYPES.land(field).native

    def definition(self, field: Field) -> str:
        """An ARRAY takes no NOT NULL: it never is."""
        definition = f"{self.quote(field.name)} {self.spell(field)}"
        is_array = parse_native(self.spell(field)).word == "ARRAY"
        return definition if field.nullable or is_array else f"{definition} NOT NULL"

    def create_table(self, table: str, fields: Sequence[Field], key: Sequence[str] = ()) -> str:
        """Without a primary key: it would not be enforced, and the optimizer would believe it."""
        return super().create_table(table, fields)

    # -------------------------------------------------------------- operations

    def upsert(self, op: Upsert, load: SqlLoad) -> Statements:
        """MERGE: one statement reads the target once, and what is read is what is paid for.

        Its row count adds up updates and inserts; the job's `dmlStats` tell them apart, and are its answer.
        """
        assignments = [(n, operations.incoming(n, load, self)) for n in load.names if n not in op.key]
        assignments += [(name, self.literal(value)) for name, value in load.stamps.items()]
        if op.flag is not None:
            assignments.append((op.flag, "NULL"))
        same_key = operations.on(op.key, "t", "s", load, self)
        merge = [f"MERGE INTO {load.target} AS t USING {load.live} AS s ON {same_key}"]
        if assignments:
            sets = ", ".join(f"{self.quote(name)} = {expression}" for name, expression in assignments)
            merge.append(f"WHEN MATCHED AND {operations.superseded(op, load, self)} THEN UPDATE SET {sets}")
        names = ", ".join(map(self.quote, (*load.names, *load.stamps)))
        values = [*(f"s.{self.quote(n)}" for n in load.names), *map(self.literal, load.stamps.values())]
        merge.append(f"WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({', '.join(values)})")  # noqa: S608 - all quoted
        return (Statement(" ".join(merge), Counted.ANSWERED),)


def _refuse_letters(name: str, beside: frozenset[str]) -> None:
    for letter in name:
        if letter not in beside and not unicodedata.category(letter).startswith(_CATEGORIES):
            raise PlanError(
                f"BigQuery takes no name with {letter!r}, as in {name!r}",
                code="plan.invalid_identifier",
                hint="rename it under `columns:`, or name another table",
            )


BIGQUERY = BigQueryDialect()
