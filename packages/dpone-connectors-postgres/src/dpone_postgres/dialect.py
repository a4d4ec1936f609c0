"""How PostgreSQL spells SQL, and the one operation that it does faster in its own words."""

from __future__ import annotations

from dpone.errors import PlanError
from dpone.schema import Field, Kind, Type
from dpone.sql.dialect import Dialect
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


POSTGRES = PostgresDialect()
