"""The capture instances of a table: which one a reading goes by, and the changes that it holds between two LSNs.

SQL Server allows two for a table, so that a column can be added: the second is made with it, and the first is dropped
when nobody reads it any more. A reading goes over to the newest instance that holds all requested columns. What the
first one holds from before the second one's start is read from it, in the same query; of the columns that it does not
know, such a change keeps what the target has.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from dpone.connector import CHANGE_FIELDS, Position, ReadRequest
from dpone.errors import DataError, PlanError
from dpone.strategies import Read
from dpone_mssql.dialect import MSSQL
from dpone_mssql.selecting import Subject, sent, typed_null
from dpone_mssql.session import Connection

_HEX = "CONVERT(nvarchar(50), {0}, 1)"
_ORDER = ("__$start_lsn", "__$seqval", "__$operation")
_CHANGED = 4  # the row as it is after an update


class Capture(Struct, frozen=True):
    """One capture instance. `start` is the first LSN that it holds, or None while the server has not said it yet."""

    name: str
    start: int | None
    columns: frozenset[str]

    def lacks(self, columns: Sequence[str]) -> list[str]:
        return [name for name in columns if name not in self.columns]


class Bounds(Struct, frozen=True):
    """An instance and the LSNs to read from it, both of them included."""

    capture: Capture
    first: int
    last: int


def captures(connection: Connection, table: int) -> list[Capture]:
    """Of the table, the newest first; none where CDC is not enabled."""
    try:
        rows = connection.rows(
            f"SELECT c.capture_instance, {_HEX.format('c.start_lsn')} AS start_lsn FROM cdc.change_tables AS c "
            f"WHERE c.source_object_id = {table} ORDER BY c.start_lsn DESC"
        )
    except PlanError:
        return []  # a database without CDC has no such table
    found = [Capture(str(n), None if start is None else int(start, 16), _columns(connection, n)) for n, start in rows]
    return sorted(found, key=lambda c: c.start is not None)  # the server has not said yet where the newest begins


def _columns(connection: Connection, instance: str) -> frozenset[str]:
    table = MSSQL.text(MSSQL.table(("cdc", f"{instance}_CT")))
    rows = connection.rows(f"SELECT c.name FROM sys.columns AS c WHERE c.object_id = OBJECT_ID({table})")
    return frozenset(name for (name,) in rows)


def chosen(known: Sequence[Capture], request: ReadRequest, table: str) -> Capture:
    """The instance that the manifest names, or the newest that holds all columns."""
    columns = [c.source for c in request.columns]
    wanted = request.dataset.options.get("capture_instance")
    named = [c for c in known if wanted is None or c.name == wanted]
    if not named:
        raise PlanError(
            f"CDC is not enabled for {table}" + (f" as {wanted}" if wanted else ""),
            code="source.no_capture",
            hint="EXEC sys.sp_cdc_enable_db, then EXEC sys.sp_cdc_enable_table for it",
        )
    for capture in named:
        if not capture.lacks(columns):
            return capture
    newest = named[0]
    raise PlanError(
        f"the capture instance {newest.name} does not hold {', '.join(newest.lacks(columns))}",
        code="source.capture_outdated",
        hint="make a second capture instance with EXEC sys.sp_cdc_enable_table and a @capture_instance of its own; "
        "the next run goes over to it, and then the first one can be disabled",
    )


def greatest_lsn(connection: Connection) -> int:
    """The last commit that has been captured; 0 when there is none."""
    (found,) = connection.one(f"SELECT {_HEX.format('sys.fn_cdc_get_max_lsn()')} AS lsn")
    return int(found, 16) if found else 0


def beginning(capture: Capture, greatest: int) -> Position:
    """The position of a first load. An instance that nothing was captured for yet is read from its start later on."""
    if capture.start is None:
        return position(0, capture)
    return position(max(greatest, capture.start - 1), capture)


def position(lsn: int, capture: Capture) -> Position:
    return Position(Read.CHANGES, {"lsn": spelled(lsn), "capture": capture.name})


def spelled(lsn: int) -> str:
    """As a literal of binary(10)."""
    return f"0x{lsn:020X}"


def windows(
    known: Sequence[Capture], capture: Capture, since: Position, greatest: int
) -> tuple[list[Bounds], Position]:
    """What to read after the stored position, and the position after that; changes that nobody keeps are an error."""
    stored = int(str(since.token["lsn"]), 16)
    before = next((c for c in known if c.name == since.token.get("capture") and c.name != capture.name), None)
    if capture.start is None or stored + 1 < capture.start:  # the instance holds less than what is asked for
        holder = before if before is not None and before.start is not None else capture
        if holder.start is not None and not _reaches(stored, holder.start):
            raise _lost(stored, holder)
        if holder is not capture:
            return _handed_over(holder, capture, stored, greatest)
    if capture.start is None:
        return [], position(stored, capture)
    first = max(stored + 1, capture.start)
    if first > greatest:
        return [], position(first - 1, capture)
    return [Bounds(capture, first, greatest)], position(greatest, capture)


def _reaches(stored: int, start: int) -> bool:
    """All changes after the position are kept; with 0 it was taken when nothing had been captured yet."""
    return stored + 1 >= start or stored == 0


def _handed_over(before: Capture, capture: Capture, stored: int, greatest: int) -> tuple[list[Bounds], Position]:
    """The first instance's changes up to the second one's start, and then the second one's."""
    assert before.start is not None  # asked by `windows`
    end = greatest if capture.start is None else min(capture.start - 1, greatest)
    first = max(stored + 1, before.start)
    found = [Bounds(before, first, end)] if first <= end else []
    if capture.start is None or capture.start > greatest:
        return found, position(max(first - 1, greatest), before)
    return [*found, Bounds(capture, capture.start, greatest)], position(greatest, capture)


def _lost(stored: int, capture: Capture) -> DataError:
    return DataError(
        f"changes after {spelled(stored)} are no longer kept by the capture instance {capture.name}",
        code="source.changes_lost",
        hint="`dpone resync` reads the table again; a longer retention of CDC avoids this",
    )


def changes_query(subject: Subject, request: ReadRequest, parts: Sequence[Bounds]) -> str:
    """The changes of all parts in order, as the columns that were asked for with those of CHANGE_FIELDS behind."""
    columns = [
        f"{sent(f't.{MSSQL.quote(c.source)}', subject.schema[c.source], request.format)} AS {MSSQL.quote(c.name)}"
        for c in request.columns
    ]
    order = f"ROW_NUMBER() OVER (ORDER BY {', '.join(f't.[{name}]' for name in _ORDER)})"
    kind = "CASE WHEN t.[__$operation] IN (1, 3) THEN N'D' ELSE N'U' END"
    kept = CHANGE_FIELDS[2]
    partial = len(parts) > 1 or any(p.capture.lacks([c.source for c in request.columns]) for p in parts)
    mask = f"t.{MSSQL.quote(kept)}" if partial else "CAST(NULL AS nvarchar(1))"
    columns += [f"{v} AS {MSSQL.quote(f)}" for v, f in zip((order, kind, mask), CHANGE_FIELDS, strict=True)]
    source = f"(\n{' UNION ALL '.join(_part(subject, request, p) for p in parts)}\n)" if partial else _call(parts[0])
    return f"SELECT {', '.join(columns)} FROM {source} AS t"


def _call(part: Bounds) -> str:
    function = MSSQL.quote(f"fn_cdc_get_all_changes_{part.capture.name}")
    return f"cdc.{function}({spelled(part.first)}, {spelled(part.last)}, N'all update old')"


def _part(subject: Subject, request: ReadRequest, part: Bounds) -> str:
    """An instance's changes; an update says which columns the instance does not know."""
    lacking = part.capture.lacks([c.source for c in request.columns])
    if keys := [c.source for c in request.columns if c.source in lacking and c.name in request.key]:
        raise PlanError(
            f"the capture instance {part.capture.name} does not hold {', '.join(keys)}, which is part of the key",
            code="source.capture_outdated",
            hint="`dpone resync` reads the table again, and goes on from the newest capture instance",
        )
    columns = [
        f"{typed_null(subject.schema[c.source]) if c.source in lacking else f'c.{MSSQL.quote(c.source)}'} "
        f"AS {MSSQL.quote(c.source)}"
        for c in request.columns
    ]
    mask = "".join("1" if c.source in lacking else "0" for c in request.columns)
    says = (
        f"CASE WHEN c.[__$operation] = {_CHANGED} THEN {MSSQL.text(mask)} END"
        if lacking
        else "CAST(NULL AS nvarchar(1))"
    )
    columns += [f"c.[{name}]" for name in _ORDER] + [f"{says} AS {MSSQL.quote(CHANGE_FIELDS[2])}"]
    return f"SELECT {', '.join(columns)} FROM {_call(part)} AS c"
