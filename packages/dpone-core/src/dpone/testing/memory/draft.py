"""A target as it will be: the layout it takes, and a program carried out on it by the oracle."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from dpone import oracle
from dpone.connector import Layout, SchemaChange, WidenColumn
from dpone.errors import RemoteError
from dpone.ops import Append, Op, Recreate
from dpone.oracle import Counts
from dpone.testing.memory.cell import Table, refuse_long_name
from dpone.testing.memory.staging import MemoryStage
from dpone.testing.memory.typemap import widened
from dpone.where import Row


def ensured(base: Table | None, layout: Layout, changes: Sequence[SchemaChange], *, recreates: bool) -> Table:
    """The table with the layout after `changes`; one that is about to be recreated stays as it is until then."""
    refuse_long_name(layout.schema.names)
    if base is None:
        return Table(layout)
    if recreates:
        return base
    wider = {c.field.name: c.field.type for c in changes if isinstance(c, WidenColumn)}
    laid = replace(base, layout=layout)
    rows: list[Row] = []
    for _, row in base.rows:
        whole = {c: row.get(c) for c in laid.columns}
        rows.append({**whole, **{c: widened(whole[c], of) for c, of in wider.items()}} if wider else whole)
    return replace(laid, rows=tuple((xid, row) for (xid, _), row in zip(base.rows, rows, strict=True)))


def carried_out(op: Op, table: Table, stage: MemoryStage, layout: Layout, xid: int) -> tuple[Table, Counts]:
    """The table after one operation, and what it did; columns that the load does not carry keep their values."""
    laid = replace(table, layout=layout) if isinstance(op, Recreate) else table
    before = oracle.Table(stage.spec.columns, tuple(table.content), table.appended)
    after, counts = oracle._carry_out(op, before, stage.sealed)  # noqa: SLF001 - the one step of `apply`, counted by itself
    rows = [row if len(row) == len(laid.columns) else {c: row.get(c) for c in laid.columns} for row in after.rows]
    done = laid.rewritten(rows, xid)
    return (replace(done, appended=after.loads) if isinstance(op, Append) else done), counts


def refuse_null(table: Table) -> None:
    """Raises when a required column holds NULL."""
    required = [f.name for f in table.schema if not f.nullable]
    for row in table.content:
        for column in required:
            if row[column] is None:
                raise RemoteError(
                    f"column {column} is required, and a row holds NULL in it",
                    code="sink.rejected_rows",
                    hint="correct the rows at the source, or make the column nullable",
                )
