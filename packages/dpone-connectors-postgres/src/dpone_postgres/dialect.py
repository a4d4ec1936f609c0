"""How PostgreSQL spells SQL, and the one operation that it does faster in its own words."""

from __future__ import annotations

from dpone.errors import PlanError
from dpone.ops import Upsert
from dpone.schema import Field, Kind, Type
from dpone.sql.dialect import Dialect
from dpone.sql.load import SqlLoad
from dpone.sql.statement import Counted, Statement, Statements
from dpone_postgres.typemap import ENGINE, TYPES

_BY_TEXT = frozenset({Kind.JSON, Kind.OPAQUE, Kind.INTERVAL, Kind.LIST, Kind.MAP, Kind.STRUCT})


class PostgresDialect(Dialect):
    """Literals that keep microseconds and zones, bytea, numeric without bound."""

    name = ENGINE
    max_identifier = 63
    orders_nan = True

    def identifier_length(self, identifier: str) -> int:
        return len(identifier.encode())

    def text(self, value: str) -> str:
        if "\0" in value:
            raise PlanError(
                "PostgreSQL keeps no text with a zero character",
                code="plan.no_literal",
                hint="change the filter's value",
            )
        return super().text(value)

    def binary(self, value: bytes) -> str:
        return f"'\\x{value.hex()}'::bytea"

    def differs(self, left: str, right: str, of: Type | None = None) -> str:
        """By text where a type has no equality, or a coarser one than its values: 30 days equal a month."""
        if of is not None and of.kind in _BY_TEXT:
            return f"{left}::text IS DISTINCT FROM {right}::text"
        return super().differs(left, right, of)

    def is_nan(self, expression: str, of: Type | None) -> str | None:
        """A numeric may be NaN too, and NaN equals itself here: it is the greatest number."""
        return f"{expression} = 'NaN'" if of is not None and of.kind in {Kind.FLOAT, Kind.DECIMAL} else None

    def spell(self, field: Field) -> str:
        return field.native_of(self.name) or TYPES.land(field).native

    def total(self, expression: str, of: Type) -> str:
        """A sum of bigint or numeric is numeric here, and one of smaller integers bigint: none overflows."""
        if of.kind in {Kind.DECIMAL, Kind.INT}:
            return f"SUM({expression})"
        if of.kind is Kind.UINT and of.size == 32:  # noqa: PLR2004 - oid, which casts to bigint alone
            return f"SUM({expression}::bigint)"
        return f"SUM({expression}::numeric)"


class MergingDialect(PostgresDialect):
    """For targets whose primary key is the key of the load, and which hold nothing but what the load writes.

    One statement finds, compares and writes: of 1M rows by 13 columns it takes 2.1 s instead of 2.3 when none differs,
    and 5 s instead of 12 when all do. Without such a key there is nothing to conflict with; columns, triggers and rules
    beside the load's would see rows that are never inserted.
    """

    def upsert(self, op: Upsert, load: SqlLoad) -> Statements:
        exchanged = [name for name in load.names if name not in op.key]
        if load.partial or op.newer is not None or not exchanged:
            return super().upsert(op, load)
        columns = ", ".join(map(self.quote, (*load.names, *load.stamps)))
        values = [f"s.{self.quote(name)}" for name in load.names] + [self.literal(v) for v in load.stamps.values()]
        sets = [f"{self.quote(name)} = excluded.{self.quote(name)}" for name in (*exchanged, *load.stamps)]
        reasons = [
            self.differs(f"t.{self.quote(name)}", f"excluded.{self.quote(name)}", load.type_of(name))
            for name in exchanged
        ]
        if op.flag is not None:
            sets.append(f"{self.quote(op.flag)} = NULL")
            reasons.append(f"t.{self.quote(op.flag)} IS NOT NULL")
        merge = (
            f"INSERT INTO {load.target} AS t ({columns}) SELECT {', '.join(values)} FROM {load.live} AS s "  # noqa: S608 - quoted identifiers, encoded literals
            f"ON CONFLICT ({', '.join(map(self.quote, op.key))}) DO UPDATE SET {', '.join(sets)} "
            f"WHERE {' OR '.join(reasons)} RETURNING t.xmax = 0 AS is_new"
        )
        counted = "count(*) FILTER (WHERE is_new), count(*) FILTER (WHERE NOT is_new)"
        return (Statement(f"WITH done AS ({merge}) SELECT {counted} FROM done", Counted.ANSWERED),)  # noqa: S608 - as above


POSTGRES = PostgresDialect()
MERGING = MergingDialect()
