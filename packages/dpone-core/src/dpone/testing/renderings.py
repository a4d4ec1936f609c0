"""Every kind of statement that a dialect renders, over names and values that are out to break it.

A connector's tests give them to an independent grammar; what does not parse there was not rendered right.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

from msgspec.structs import replace

from dpone.ops import (
    Absent,
    Append,
    DeleteAbsent,
    DeleteKeys,
    Domain,
    Flag,
    Grain,
    Hard,
    Ignore,
    Op,
    Recreate,
    ReplaceAll,
    ReplaceSlice,
    Upsert,
    Version,
)
from dpone.probes import Beyond, Duplicates, Greatest, Least, Nulls, Outside, Rows, Total
from dpone.schema import DATE, INT64, STRING, Field, decimal, timestamp, timestamptz
from dpone.sql.dialect import Dialect
from dpone.sql.load import Ledger, SqlLoad
from dpone.sql.operations import render
from dpone.sql.probe import render_probe
from dpone.sql.questions import checks, domain_query, guard_query
from dpone.sql.seal import RawStage, Survey, dead_query, live_query, present_query, seal_checks, survey_query
from dpone.stage import Duplicates as OnDuplicates
from dpone.stage import Sealing
from dpone.where import Compare, Condition

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
FLAG = Flag("deleted at", AT)
BOUNDS = (date(2026, 1, 1), date(2026, 2, 1))
KEY = ("id", "the name")
COLUMNS = (
    Field("id", INT64, nullable=False),
    Field("the name", STRING, nullable=False),
    Field("select", decimal(18, 4)),
    Field("größe", STRING),
    Field("seen_at", timestamptz(6)),
    Field("clock", timestamp(6)),
    Field("day", DATE),
)
WHERE = (
    Condition("the name", Compare.EQ, "O'Hara\\"),
    Condition("the name", Compare.IN, ("a", 'b"', None)),
    Condition("größe", Compare.NE, "back\\slash\n-- /* "),
    Condition("größe", Compare.NOT_NULL),
    Condition("select", Compare.NOT_IN, (Decimal("1.50"), Decimal(-2))),
    Condition("day", Compare.GE, BOUNDS[0]),
    Condition("seen_at", Compare.LT, AT),
    Condition("clock", Compare.IS_NULL),
)
OPS: tuple[Op, ...] = (
    Recreate(),
    ReplaceAll(),
    ReplaceAll(WHERE),
    Append("l'1"),
    Append("l'1", unless=KEY),
    Upsert(KEY),
    Upsert(KEY, newer="seen_at", flag=FLAG.column),
    *(DeleteKeys(KEY, how) for how in (Hard(), FLAG, Ignore())),
    *(DeleteAbsent(KEY, how, within=within) for how in (Hard(), FLAG) for within in ((), WHERE)),
    ReplaceSlice("day", bounds=BOUNDS),
    *(ReplaceSlice(column, Grain.VALUE) for column in ("id", "the name", "select", "day")),
    *(ReplaceSlice("day", grain) for grain in (Grain.DAY, Grain.MONTH, Grain.YEAR)),
    *(ReplaceSlice(column, grain) for column in ("seen_at", "clock") for grain in Grain),
    Version(KEY, AT, ("select", "größe", "day")),
    Version(KEY, AT, ("select",), absent=Absent.KEEP),
)


def loads(dialect: Dialect) -> tuple[SqlLoad, SqlLoad]:
    """A load that has everything, and one that has only rows."""
    table = dialect.table
    full = SqlLoad(
        target=table(("raw", "the orders")),
        live=table(("raw", "live")),
        columns=COLUMNS,
        key=KEY,
        dead=table(("raw", "dead")),
        present=table(("raw", "present")),
        cleared=True,
        partial=True,
        stamps={"_dpone_load_id": "l'1", "_dpone_loaded_at": AT},
        ledger=Ledger(table(("raw", "_dpone_loads")), also={"target": "raw.'orders'"}),
    )
    bare = replace(full, dead=None, present=None, cleared=False, partial=False, stamps={}, ledger=None)
    return full, bare


def operations(dialect: Dialect) -> Iterator[str]:
    """The statements of every operation."""
    for load in loads(dialect):
        for op in OPS:
            yield from (statement.text for statement in render(op, load, dialect))


def questions(dialect: Dialect) -> Iterator[str]:
    """What is asked about a stage and a target before an operation and after it."""
    for load in loads(dialect):
        for op in OPS:
            yield from (check.text for check in checks(op, load, dialect))
            if query := guard_query(op, load, dialect):
                yield query
        yield domain_query(Domain(KEY, WHERE, ("day", *BOUNDS)), load, dialect)
        measures = (
            *(Rows(), Rows(WHERE), Nulls("größe"), Duplicates(KEY), Outside("the name", ("a",))),
            *(Beyond("day", *BOUNDS), Least("id"), Greatest("day"), Total("select"), Total("id")),
        )
        yield render_probe(measures, load.target, COLUMNS, dialect)


def sealing(dialect: Dialect) -> Iterator[str]:
    """What makes a sealed stage of a raw one."""
    raw = RawStage(dialect.table(("raw", "stage")), COLUMNS, tagged=True)
    names = tuple(f.name for f in COLUMNS)
    for changes, partial in ((True, True), (True, False), (False, False)):
        how = Sealing(names, KEY, ("seen_at",), changes, OnDuplicates.LAST)
        found = Survey(9, cleared=changes, partial=partial)
        yield survey_query(raw, how, dialect)
        yield from (check.text for check in seal_checks(raw, how, found, dialect))
        for query in (live_query, dead_query, present_query):
            if text := query(raw, how, found, dialect):
                yield dialect.create_as(dialect.table(("raw", "sealed")), text)


def definitions(dialect: Dialect) -> Iterator[str]:
    """What makes and changes tables, renaming aside, which has no common form."""
    table = dialect.table(("raw", "the orders"))
    column = COLUMNS[2]
    yield dialect.create_table(table, COLUMNS, KEY)
    yield dialect.create_table(table, COLUMNS)
    yield dialect.add_column(table, column)
    yield dialect.widen_column(table, column)
    yield dialect.relax_column(table, column)
    yield dialect.drop(table)
