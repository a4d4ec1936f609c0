"""How ClickHouse spells SQL: backquotes, exact literals, and comparisons under which NULL and NaN equal themselves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from uuid import UUID

from dpone.ops import Grain
from dpone.schema import Field, Kind, Type
from dpone.sql.dialect import Dialect
from dpone_clickhouse.native import ENGINE, parse_native, with_null
from dpone_clickhouse.typemap import TYPES

_LONG = 2**63
_FLOAT32 = 32
_FINEST = 6  # digits of a Python datetime
# Compared by text: their own equality does not reach NULL and NaN inside, or there is none.
_BY_TEXT = frozenset({Kind.JSON, Kind.OPAQUE, Kind.LIST, Kind.MAP, Kind.STRUCT, Kind.INTERVAL})


class ClickHouseDialect(Dialect):
    """Names and literals of ClickHouse. Operations are not rendered here: see `rebuilding`."""

    name = ENGINE
    max_identifier = 127  # a column is a file name of up to 255 bytes, with escapes and suffixes

    def identifier_length(self, identifier: str) -> int:
        return len(identifier.encode())

    def quoted(self, identifier: str) -> str:
        return "`" + identifier.replace("\\", "\\\\").replace("`", "\\`") + "`"

    # ---------------------------------------------------------------- literals

    def literal(self, value: object, as_type: Type | None = None) -> str:
        """Dates keep all years, decimals all digits, integers all 256 bits."""
        match value:
            case bool():
                return self.boolean(value)
            case int() if as_type is not None and as_type.kind in {Kind.TIMESTAMP, Kind.TIMESTAMPTZ}:
                return f"fromUnixTimestamp64Nano(toInt64('{value}'), 'UTC')"
            case int() if as_type is not None and as_type.kind is Kind.DECIMAL:
                return self.literal(Decimal(value), as_type)
            case int() if not -_LONG <= value < _LONG:
                return f"toUInt256('{value}')" if value > 0 else f"toInt256('{value}')"
            case Decimal() if value.is_finite():
                digits = max(0, -int(value.as_tuple().exponent))
                return f"toDecimal256('{value:f}', {digits})"
            case float() if as_type is not None and as_type.kind is Kind.FLOAT and as_type.size == _FLOAT32:
                return f"toFloat32('{value!r}')"
            case date() if not isinstance(value, datetime):
                return f"toDate32('{value.isoformat()}')"
            case time():
                return self.text(value.isoformat())
            case UUID():
                return f"toUUID('{value}')"
            case str() if as_type is not None and as_type.kind is Kind.UUID:
                return f"toUUID({self.text(value)})"
            case _:
                return super().literal(value, as_type)

    def text(self, value: str) -> str:
        escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
        return f"'{escaped}'"

    def boolean(self, value: bool) -> str:  # noqa: FBT001 - the value itself
        return "true" if value else "false"

    def binary(self, value: bytes) -> str:
        return f"unhex('{value.hex()}')"

    def special(self, spelled: str, as_type: Type) -> str:
        del as_type  # only floats have such values here
        return f"toFloat64('{spelled.lower()}')"

    def instant(self, value: datetime, as_type: Type | None) -> str:
        del as_type  # comparisons widen to the finer of both
        return f"toDateTime64('{value.replace(tzinfo=None).isoformat(' ', 'microseconds')}', {_FINEST}, 'UTC')"

    def wall_clock(self, value: datetime, as_type: Type | None) -> str:
        return self.instant(value, as_type)

    # ------------------------------------------------------------- comparisons

    def comparable(self, expression: str, of: Type | None) -> str:
        """An expression that is equal for equal keys: bits of a float without sign of zero, text of nested values."""
        if of is not None and of.kind is Kind.FLOAT:
            return f"reinterpretAsUInt64(if(isNaN({expression}), nan, toFloat64({expression}) + 0))"
        if of is not None and of.kind in _BY_TEXT:
            return f"toString({expression})"
        return expression

    def equals(self, left: str, right: str, of: Type | None = None) -> str:
        if of is not None and of.kind is Kind.FLOAT:
            return f"({left} = {right} OR (isNaN({left}) AND isNaN({right})))"
        return f"{left} = {right}"

    def differs(self, left: str, right: str, of: Type | None = None) -> str:
        """Never unknown. `IS DISTINCT FROM` holds NaN different from itself."""
        if of is not None and of.kind in _BY_TEXT:
            left, right = f"toString({left})", f"toString({right})"
        unlike = f"{left} != {right}"
        if of is not None and of.kind is Kind.FLOAT:
            unlike = f"{unlike} AND NOT (isNaN({left}) AND isNaN({right}))"
        return f"(isNull({left}) != isNull({right}) OR ifNull({unlike}, 0))"

    def truncate(self, expression: str, grain: Grain, of: Type) -> str:
        """A number that names the slice; `toStartOfMonth` would end at the year 2149."""
        zone = "" if of.kind is Kind.DATE else ", 'UTC'"
        match grain:
            case Grain.VALUE:
                return self.comparable(expression, of)
            case Grain.DAY:
                return f"toYYYYMMDD({expression}{zone})"
            case Grain.MONTH:
                return f"toYYYYMM({expression}{zone})"
            case Grain.YEAR:
                return f"toYear({expression}{zone})"
            case Grain.HOUR:
                return f"(toYYYYMMDD({expression}{zone}), toHour({expression}{zone}))"

    def first_value(self, expression: str, window: str) -> str:
        """NULL is skipped here unless it is to be respected."""
        return f"first_value({expression}) RESPECT NULLS OVER ({window})"

    def total(self, expression: str, of: Type) -> str:
        if of.kind is Kind.DECIMAL:
            return f"SUM(toDecimal256({expression}, {of.scale or 0}))"
        return f"SUM({'toUInt256' if of.kind is Kind.UINT else 'toInt256'}({expression}))"

    # ------------------------------------------------------------- definitions

    def spell(self, field: Field) -> str:
        """The column's type, NULL included."""
        native = parse_native(field.native_of(self.name) or TYPES.land(field).native)
        return str(with_null(native) if field.nullable else native)

    def definition(self, field: Field) -> str:
        return f"{self.quote(field.name)} {self.spell(field)}"

    def add_column(self, table: str, field: Field) -> str:
        return f"ALTER TABLE {table} ADD COLUMN {self.definition(field)}"

    def names(self, columns: Sequence[str], alias: str = "") -> str:
        """The columns as a list, each after its alias where there is one."""
        before = f"{alias}." if alias else ""
        return ", ".join(before + self.quote(c) for c in columns)


CLICKHOUSE = ClickHouseDialect()
