"""Readings of a source, decoded to rows, and the requests that make them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from dpone.batch import ARROW, Batch
from dpone.connector import CHANGE_FIELDS, Column, Cursor, Position, Reading, ReadRequest, Source
from dpone.positions import is_made_by
from dpone.schema import Field, Schema
from dpone.stage import Change, ChangeKind
from dpone.strategies import Read
from dpone.testing.suite.compare import assert_same, plain_rows, python_values
from dpone.testing.suite.rig import Seeded
from dpone.where import Row, Where


def request_of(
    seeded: Seeded,
    read: Read = Read.SCAN,
    *,
    cursor: Cursor | None = None,
    since: Position | None = None,
    where: Where = (),
    present: bool = False,
    splits: int | None = None,
) -> ReadRequest:
    """All columns of a seeded table, in Arrow."""
    return ReadRequest(
        dataset=seeded.dataset,
        read=read,
        columns=tuple(Column(name, name) for name in seeded.schema.names),
        format=ARROW,
        key=seeded.schema.key,
        where=where,
        cursor=cursor,
        since=since,
        present=present,
        pipeline="suite",
        splits=splits,
    )


class Gathered(Struct, frozen=True):
    """A reading to its end. `entries` are in the order in which they came, split by split."""

    schema: Schema
    upto: Position | None
    changes: bool
    entries: tuple[Change, ...]
    batches: int
    splits: int

    @property
    def rows(self) -> list[Row]:
        return [entry.row for entry in self.entries if entry.kind is ChangeKind.UPSERT]


def gather(seeded: Seeded, request: ReadRequest) -> Gathered:
    """The reading opened and read whole by a connection of its own."""
    with seeded.rig.source() as source:
        found = gather_from(source, request)
    connector, upto = seeded.rig.connector, found.upto
    assert upto is None or is_made_by(connector, upto.kind, upto.token), f"{connector.name} declares no {upto}"
    return found


def gather_from(source: Source, request: ReadRequest) -> Gathered:
    with source.open(request) as reading:
        entries: list[Change] = []
        batches = 0
        for split in reading.splits:
            assert json.loads(json.dumps(split.payload)) == split.payload, "a split is plain JSON"
            for batch in source.read(request, split):
                batches += 1
                entries += decode(batch, reading, request)
        upto = reading.upto
    if upto is not None:
        assert upto.kind is request.read
        upto = Position(upto.kind, json.loads(json.dumps(dict(upto.token))))  # as it comes back from a state table
    return Gathered(reading.schema, upto, reading.changes, tuple(entries), batches, len(reading.splits))


def decode(batch: Batch, reading: Reading, request: ReadRequest) -> list[Change]:
    """The entries of an Arrow batch, checked against what the reading says of itself."""
    assert batch.format == request.format, f"{batch.format} came, {request.format} was asked for"
    wanted = [c.name for c in request.columns]
    assert list(reading.schema.names) == wanted, f"the reading has {reading.schema.names}, asked for {wanted}"
    expected = [*wanted, *CHANGE_FIELDS] if reading.changes else wanted
    data = batch.data
    assert data.schema.names == expected, f"the batch has {data.schema.names}, expected {expected}"
    assert batch.rows in {None, data.num_rows}, f"the batch says {batch.rows} rows and holds {data.num_rows}"
    import pyarrow as pa

    table = pa.Table.from_batches([data])
    columns = [_home(python_values(table.column(i)), reading.schema[name]) for i, name in enumerate(wanted)]
    rows: list[dict[str, Any]] = [dict(zip(wanted, values, strict=True)) for values in zip(*columns, strict=True)]
    if not reading.changes:
        return [Change(row) for row in rows]
    marks = [table.column(name).to_pylist() for name in CHANGE_FIELDS]
    return [
        Change(row, ChangeKind(kind), seq, frozenset(c for c, m in zip(wanted, kept or "", strict=False) if m == "1"))
        for row, seq, kind, kept in zip(rows, *marks, strict=True)
    ]


def _home(values: Sequence[object], field: Field) -> list[Any]:
    from dpone.testing.memory.wire import home

    return [home(value, field.type) for value in values]


def assert_read(seeded: Seeded, found: Sequence[Row], expected: Sequence[Row], where: str = "reading") -> None:
    """Fails when other rows were read than these."""
    fields = seeded.schema.fields
    assert_same(plain_rows(found, fields), plain_rows(expected, fields), fields, where)


def since(request: ReadRequest, position: Position | None) -> ReadRequest:
    """The same request from this position on."""
    return replace(request, since=position)
