"""How one engine spells SQL: names, literals, comparisons, definitions, and each operation.

`Dialect` is plain SQL that is right wherever there are transactions. An engine's dialect is a subclass that overrides a
few methods and says in its docstring why, with a number where speed is the reason. Every piece of text that leaves this
class is made of quoted identifiers and encoded literals only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import ClassVar
from uuid import UUID

from dpone.errors import PlanError
from dpone.names import too_long
from dpone.ops import Append, DeleteAbsent, DeleteKeys, Grain, Recreate, ReplaceAll, ReplaceSlice, Upsert, Version
from dpone.schema import FLOAT64, Field, Kind, Type
from dpone.sql import operations
from dpone.sql.load import SqlLoad
from dpone.sql.statement import Statements
from dpone.where import Compare, Condition, Where

# What standard SQL calls the types; `{0}` and `{1}` are size and scale.
_SPELLED: dict[Kind, str] = {
    Kind.BOOL: "BOOLEAN",
    Kind.FLOAT: "DOUBLE PRECISION",
    Kind.BINARY: "VARBINARY",
    Kind.DATE: "DATE",
    Kind.TIME: "TIME",
    Kind.TIMESTAMP: "TIMESTAMP",
    Kind.TIMESTAMPTZ: "TIMESTAMP WITH TIME ZONE",
}
_SPECIAL = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_INTEGERS = {8: "SMALLINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT"}


class Dialect:
    """The default. A subclass sets `name` to the connector's, so that native types of fields are found by it."""

    name: ClassVar[str] = "ansi"
    grammar: ClassVar[str | None] = None  # what public grammars call the engine's SQL, where it is not `name`
    max_identifier: ClassVar[int] = 128  # in the units of `identifier_length`
    orders_nan: ClassVar[bool] = False  # NaN is less or greater than numbers; by IEEE 754 it is neither

    # ------------------------------------------------------------------- names

    def identifier_length(self, identifier: str) -> int:
        """The length that `max_identifier` bounds: characters here, bytes in some engines."""
        return len(identifier)

    def quote(self, identifier: str) -> str:
        """The identifier as the engine takes it literally; one that the engine would cut or refuse is an error."""
        if not identifier or "\0" in identifier:
            raise PlanError(
                f"not a name: {identifier!r}", code="plan.invalid_identifier", hint="rename it under `columns:`"
            )
        if (length := self.identifier_length(identifier)) > self.max_identifier:
            raise too_long(self.name, identifier, length, self.max_identifier)
        return self.quoted(identifier)

    def quoted(self, identifier: str) -> str:
        """The identifier between the engine's quotes."""
        return '"' + identifier.replace('"', '""') + '"'

    def table(self, parts: Sequence[str]) -> str:
        """A table's name as statements hold it; everything here that takes a `table` takes this text."""
        return ".".join(map(self.quote, parts))

    # ---------------------------------------------------------------- literals

    def literal(self, value: object, as_type: Type | None = None) -> str:
        """An expression whose value is exactly `value`; `as_type` is the type of the column that it meets, if known."""
        match value:
            case None:
                return "NULL"
            case bool():
                return self.boolean(value)
            case int():
                return str(value)
            case Decimal() if not value.is_finite():
                return self.special(str(value), as_type or Type(Kind.DECIMAL))
            case Decimal():
                return format(value, "f")
            case float() if not math.isfinite(value):
                return self.special(_SPECIAL[str(value)], FLOAT64)
            case float():
                return self.approximate(value)
            case str():
                return self.text(value)
            case bytes() | bytearray() | memoryview():
                return self.binary(bytes(value))
            case datetime() if value.tzinfo is not None:
                return self.instant(value.astimezone(UTC), as_type)
            case datetime():
                return self.wall_clock(value, as_type)
            case date():
                return f"DATE '{value.isoformat()}'"
            case time():
                return f"TIME '{value.isoformat()}'"
            case UUID():
                return self.text(str(value))
            case _:
                raise PlanError(
                    f"no literal holds a {type(value).__name__}",
                    code="plan.no_literal",
                    hint="filters and bounds take numbers, text, booleans, dates and times",
                )

    def boolean(self, value: bool) -> str:  # noqa: FBT001 - the value itself
        return "TRUE" if value else "FALSE"

    def text(self, value: str) -> str:
        """A string literal. An engine in which a backslash escapes overrides this."""
        return "'" + value.replace("'", "''") + "'"

    def binary(self, value: bytes) -> str:
        return f"X'{value.hex().upper()}'"

    def approximate(self, value: float) -> str:
        """A finite float. The exponent keeps it a float: without one, engines read a decimal."""
        spelled = repr(value)
        return spelled if "e" in spelled else f"{spelled}E0"

    def special(self, spelled: str, as_type: Type) -> str:
        """NaN or an infinity."""
        return f"CAST('{spelled}' AS {self.spell(Field('', as_type))})"

    def instant(self, value: datetime, as_type: Type | None) -> str:
        """A moment, given in UTC."""
        return f"TIMESTAMP WITH TIME ZONE '{value.replace(tzinfo=None).isoformat(' ', 'microseconds')}+00:00'"

    def wall_clock(self, value: datetime, as_type: Type | None) -> str:
        """A datetime without zone."""
        return f"TIMESTAMP '{value.isoformat(' ', 'microseconds')}'"

    # ------------------------------------------------------------- comparisons

    def equals(self, left: str, right: str, of: Type | None = None) -> str:
        """True when two key values that are not NULL are the same value; one that is NULL equals nothing."""
        return f"{left} = {right}"

    def differs(self, left: str, right: str, of: Type | None = None) -> str:
        """True when two values are not the same, where NULL is the same as NULL and NaN as NaN; never unknown."""
        return f"{left} IS DISTINCT FROM {right}"

    def grouped(self, expression: str, of: Type | None) -> str:  # `of` for overrides
        """What GROUP BY and PARTITION BY take so that two values fall together exactly when `equals` says so.

        An engine whose columns compare text by a coarser collation than `equals` overrides this together with it.
        """
        return expression

    def truncate(self, expression: str, grain: Grain, of: Type) -> str:
        """The start of the slice that a date, a wall clock or an instant lies in; instants are cut in UTC."""
        if grain is Grain.VALUE:
            return self.grouped(expression, of)
        if grain is Grain.DAY and of.kind is Kind.DATE:
            return expression
        if of.kind is Kind.TIMESTAMPTZ:
            expression = f"{expression} AT TIME ZONE 'UTC'"
        return f"DATE_TRUNC('{grain.value}', {expression})"

    def one_character(self, expression: str, position: int) -> str:
        """The character at `position`, counted from one."""
        return f"SUBSTRING({expression}, {position}, 1)"

    def concatenate(self, expressions: Sequence[str]) -> str:
        """The text of all expressions, none of which is NULL, one after another."""
        return " || ".join(expressions)

    def first_value(self, expression: str, window: str) -> str:
        """The value in the first row of the window, NULL among them; an engine that skips NULL overrides this."""
        return f"FIRST_VALUE({expression}) OVER ({window})"

    def total(self, expression: str, of: Type) -> str:
        """The exact sum of integers or decimals, NULL when there is none."""
        return f"SUM(CAST({expression} AS DECIMAL(38, {of.scale or 0})))"

    def condition(self, expression: str, condition: Condition, of: Type | None = None) -> str:
        """True where `dpone.where` says that the condition is; false or unknown elsewhere."""
        match condition.op:
            case Compare.IS_NULL:
                return f"{expression} IS NULL"
            case Compare.NOT_NULL:
                return f"{expression} IS NOT NULL"
            case Compare.IN | Compare.NOT_IN:
                return self.among(expression, _values(condition), of, inside=condition.op is Compare.IN)
            case Compare.EQ:
                return self.equals(expression, self.literal(condition.value, of), of)
            case Compare.NE if condition.value is None:
                return f"{expression} IS NOT NULL"
            case Compare.NE:
                return f"NOT ({self.equals(expression, self.literal(condition.value, of), of)})"
            case Compare.LT | Compare.LE | Compare.GT | Compare.GE as order:
                return self.ordered(expression, f"{expression} {order.value} {self.literal(condition.value, of)}", of)

    def is_nan(self, expression: str, of: Type | None) -> str | None:
        """True when the value is NaN, unknown for NULL, by IEEE 754; None where the type has no NaN."""
        return f"{expression} <> {expression}" if of is not None and of.kind is Kind.FLOAT else None

    def ordered(self, expression: str, comparison: str, of: Type | None) -> str:
        """The comparison of the expression by order, which is not true of NaN."""
        nan = self.is_nan(expression, of) if self.orders_nan else None
        return comparison if nan is None else f"({comparison} AND NOT {nan})"

    def not_older(self, staged: str, stored: str, of: Type | None) -> str:
        """True when the staged value is not before the stored one: NULL is the least, then NaN, then the numbers."""
        terms = [f"{stored} IS NULL"]
        if (nan := self.is_nan(stored, of)) is not None:
            terms.append(f"({nan} AND {staged} IS NOT NULL)")
        return " OR ".join([*terms, self.ordered(staged, f"{staged} >= {stored}", of)])

    def among(self, expression: str, values: tuple[object, ...], of: Type | None, *, inside: bool) -> str:
        """True when a value is not NULL and is, or is not, one of `values`; a NULL in the list is nothing's equal."""
        known = ", ".join(self.literal(v, of) for v in values if v is not None)
        if not known:
            return "1 = 0" if inside else f"{expression} IS NOT NULL"
        return f"{expression} {'IN' if inside else 'NOT IN'} ({known})"

    def where(self, where: Where, alias: str, columns: Sequence[Field]) -> str:
        """The conjunction; true of every row when it is empty. `alias` stands before each column."""
        types = {f.name: f.type for f in columns}
        return (
            " AND ".join(self.condition(f"{alias}.{self.quote(c.column)}", c, types.get(c.column)) for c in where)
            or "1 = 1"
        )

    def greatest_first(self, expression: str, of: Type | None = None) -> str:
        """The terms of ORDER BY that put the greatest value first, NaN after all numbers, and NULL last."""
        nan = self.is_nan(expression, of)
        last = f"{expression} IS NULL THEN 1" if nan is None else f"{expression} IS NULL THEN 2 WHEN {nan} THEN 1"
        return f"CASE WHEN {last} ELSE 0 END, {expression} DESC"

    # ------------------------------------------------------------- definitions

    def spell(self, field: Field) -> str:
        """The column's type: the native spelling when the field comes from this engine, else a standard one."""
        if (native := field.native_of(self.name)) is not None:
            return native
        of = field.type
        match of.kind:
            case Kind.INT if of.size in _INTEGERS:
                return _INTEGERS[of.size]
            case Kind.INT | Kind.UINT:
                return "DECIMAL(38, 0)"
            case Kind.DECIMAL:
                return "DECIMAL" if of.size is None else f"DECIMAL({of.size}, {of.scale})"
            case Kind.STRING if of.size is not None:
                return f"VARCHAR({of.size})"
            case kind:
                return _SPELLED.get(kind, "VARCHAR")

    def definition(self, field: Field) -> str:
        return f"{self.quote(field.name)} {self.spell(field)}" + ("" if field.nullable else " NOT NULL")

    def create_table(self, table: str, fields: Sequence[Field], key: Sequence[str] = ()) -> str:
        """A statement that makes the table; it fails when there is one."""
        parts = [self.definition(f) for f in fields]
        if key:
            parts.append(f"PRIMARY KEY ({', '.join(map(self.quote, key))})")
        return f"CREATE TABLE {table} ({', '.join(parts)})"

    def create_as(self, table: str, query: str) -> str:
        """A statement that makes the table of a query's rows."""
        return f"CREATE TABLE {table} AS {query}"

    def add_column(self, table: str, field: Field) -> str:
        return f"ALTER TABLE {table} ADD COLUMN {self.definition(field)}"

    def widen_column(self, table: str, field: Field) -> str:
        """A statement that gives a column the field's type."""
        return f"ALTER TABLE {table} ALTER COLUMN {self.quote(field.name)} SET DATA TYPE {self.spell(field)}"

    def relax_column(self, table: str, field: Field) -> str:
        """A statement that drops NOT NULL; the field's type is there for engines that must repeat it."""
        return f"ALTER TABLE {table} ALTER COLUMN {self.quote(field.name)} DROP NOT NULL"

    def rename(self, table: str, name: str) -> str:
        """A statement that renames the table within its schema."""
        return f"ALTER TABLE {table} RENAME TO {self.quote(name)}"

    def drop(self, table: str) -> str:
        return f"DROP TABLE IF EXISTS {table}"

    # ------------------------------------------------------ changes of content
    # S608 is silenced below: all parts are quoted identifiers and encoded literals.

    def insert(self, table: str, columns: Sequence[str], query: str) -> str:
        return f"INSERT INTO {table} ({', '.join(map(self.quote, columns))}) {query}"

    def delete(self, table: str, alias: str, condition: str) -> str:
        """A statement that removes the rows for which `condition`, which calls the table `alias`, is true."""
        return f"DELETE FROM {table} AS {alias} WHERE {condition}"  # noqa: S608 - see above

    def update(
        self, table: str, alias: str, assignments: Sequence[tuple[str, str]], source: str | None, condition: str
    ) -> str:
        """A statement that sets columns where `condition` is true; `source` is a table with its alias."""
        sets = ", ".join(f"{self.quote(name)} = {expression}" for name, expression in assignments)
        joined = f" FROM {source}" if source else ""
        return f"UPDATE {table} AS {alias} SET {sets}{joined} WHERE {condition}"  # noqa: S608 - see above

    # -------------------------------------------------------------- operations

    def recreate(self, op: Recreate, load: SqlLoad) -> Statements:
        return operations.recreate(load, self)

    def replace_all(self, op: ReplaceAll, load: SqlLoad) -> Statements:
        return operations.replace_all(op, load, self)

    def append(self, op: Append, load: SqlLoad) -> Statements:
        return operations.append(op, load, self)

    def upsert(self, op: Upsert, load: SqlLoad) -> Statements:
        return operations.upsert(op, load, self)

    def delete_keys(self, op: DeleteKeys, load: SqlLoad) -> Statements:
        return operations.delete_keys(op, load, self)

    def delete_absent(self, op: DeleteAbsent, load: SqlLoad) -> Statements:
        return operations.delete_absent(op, load, self)

    def replace_slice(self, op: ReplaceSlice, load: SqlLoad) -> Statements:
        return operations.replace_slice(op, load, self)

    def version(self, op: Version, load: SqlLoad) -> Statements:
        return operations.version(op, load, self)


def _values(condition: Condition) -> tuple[object, ...]:
    assert isinstance(condition.value, tuple)
    return condition.value
