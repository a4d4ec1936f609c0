"""Decoded messages as rows of a batch: the requested columns, then number, kind and mask of each change."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import psycopg
from msgspec import Struct
from psycopg import pq

from dpone.batch import ARROW, PG_BINARY, PG_TEXT, Batch
from dpone.connector import Json, ReadRequest
from dpone.errors import StateError
from dpone.schema import Field
from dpone.stage import ChangeKind
from dpone_postgres.copying import BINARY_HEADER, BINARY_TRAILER
from dpone_postgres.pgoutput import (
    Begin,
    CommitMessage,
    Deleted,
    Inserted,
    Message,
    RelationMessage,
    Sent,
    Truncated,
    Tuple,
    Updated,
    Value,
)
from dpone_postgres.selecting import CHANGE_COLUMNS
from dpone_postgres.session import Connection

_ESCAPES = {ord("\\"): "\\\\", ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
_NULL = struct.pack(">i", -1)


class Place(Struct, frozen=True):
    """Where a requested column is in the rows that the log sends now; None when it was added later."""

    index: int | None
    cast_from: int | None = None  # the type in which it is sent, where that is not the one of today


class ChangedRows:
    """Takes messages in order and gives batches. Only whole transactions inside the window count."""

    def __init__(
        self, request: ReadRequest, fields: Sequence[Field], payload: Mapping[str, Json], caster: Connection
    ) -> None:
        self.binary = request.format == PG_BINARY
        self.held = 0
        self._format = request.format
        self._fields = fields
        self._sources = [c.source for c in request.columns]
        self._key = [self._sources.index(k) for k in request.key]
        self._relation = int(payload["relation"])
        self._after, self._upto = int(payload["after"]), int(payload["upto"])
        self._types: Sequence[tuple[int, str | None]] = [(int(t), missing) for t, missing in payload["types"]]
        self._caster = caster
        self._places: list[Place] | None = None
        self._open: list[tuple[ChangeKind, list[Value], str | None]] = []  # of the transaction that is being sent
        self._rows: list[bytes] = []
        self._columns: list[list[str | None]] = [[] for _ in range(len(fields) + len(CHANGE_COLUMNS))]
        self._seq = 0
        self._count = 0
        self._started = False

    # ------------------------------------------------------------------ messages

    def take(self, message: Message) -> None:
        match message:
            case Begin():
                self._open = []
            case CommitMessage(end_lsn=end):
                self._commit(end)
            case RelationMessage() if message.oid == self._relation:
                self._places = [self._place(message, number) for number in range(len(self._sources))]
            case Inserted(oid=oid, new=new) if oid == self._relation:
                self._live(self._row(new), None)
            case Updated(oid=oid, old=old, new=new) if oid == self._relation:
                self._live(self._row(new), None if old is None else self._row(old))
            case Deleted(oid=oid, old=old) if oid == self._relation:
                self._dead(self._row(old))
            case Truncated(oids=oids) if self._relation in oids:
                self._open.append((ChangeKind.TRUNCATE, [Sent.NULL] * len(self._sources), None))
            case _:
                pass  # another table of the same publication

    def _place(self, message: RelationMessage, number: int) -> Place:
        for index, column in enumerate(message.columns):
            if column.name == self._sources[number]:
                today = self._types[number][0]
                other = self.binary and column.type_oid != today
                return Place(index, column.type_oid if other else None)
        return Place(None)

    def _row(self, sent: Tuple) -> list[Value]:
        if self._places is None:
            raise StateError(
                "the log sent rows of a table that it did not describe",
                code="source.schema_changed",
                hint="run `dpone resync`",
            )
        return [self._value(sent, place, number) for number, place in enumerate(self._places)]

    def _value(self, sent: Tuple, place: Place, number: int) -> Value:
        today, missing = self._types[number]
        if place.index is None:  # the row is older than the column
            return Sent.NULL if missing is None else self._cast(missing.encode(), 0, today, as_text=True)
        value = sent[place.index]
        if place.cast_from is None or isinstance(value, Sent):
            return value
        return self._cast(value, place.cast_from, today, as_text=False)

    def _cast(self, value: bytes, of: int, to: int, *, as_text: bool) -> Value:
        """The value as a column of type `to` sends it now: by the server, since only it knows its own forms."""
        if as_text and not self.binary:
            return value
        wire = self._caster.pgconn
        named = self._caster.execute("SELECT pg_catalog.format_type(%s, NULL)", (to,)).fetchone()
        assert named is not None
        result = wire.exec_params(
            f"SELECT $1::{named[0]}".encode(),
            [value],
            param_types=[of],
            param_formats=[pq.Format.TEXT if as_text else pq.Format.BINARY],
            result_format=pq.Format.BINARY,
        )
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise psycopg.errors.error_from_result(result)
        found = result.get_value(0, 0)
        return Sent.NULL if found is None else found

    # ------------------------------------------------------------------- changes

    def _live(self, new: list[Value], old: list[Value] | None) -> None:
        if old is not None:
            # a whole old row holds the large values that the new one does not repeat; of a key there is nothing else
            new = [o if n is Sent.UNCHANGED and o is not Sent.NULL else n for n, o in zip(new, old, strict=True)]
            if any(old[k] != new[k] for k in self._key):
                self._dead(old)
        mask = "".join("1" if v is Sent.UNCHANGED else "0" for v in new)
        self._open.append((ChangeKind.UPSERT, new, mask if "1" in mask else None))

    def _dead(self, old: list[Value]) -> None:
        keys = set(self._key)
        row = [v if i in keys else Sent.NULL for i, v in enumerate(old)]
        self._open.append((ChangeKind.DELETE, row, None))

    def _commit(self, end: int) -> None:
        entries, self._open = self._open, []
        if not self._after < end <= self._upto:  # read by the last window, or left to the next
            return
        for kind, row, mask in entries:
            self._seq += 1
            self._count += 1
            match self._format:
                case f if f == PG_BINARY:
                    self._add(_binary_row(row, self._seq, kind.value, mask))
                case f if f == PG_TEXT:
                    self._add(_text_row(row, self._seq, kind.value, mask))
                case _:
                    self._add_columns([_text(v) for v in row] + [str(self._seq), kind.value, mask])

    def _add(self, row: bytes) -> None:
        self._rows.append(row)
        self.held += len(row)

    def _add_columns(self, values: Sequence[str | None]) -> None:
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)
            self.held += len(value or "")

    # ------------------------------------------------------------------- batches

    def batch(self, *, last: bool = False) -> Batch:
        """What was taken since the last batch."""
        count, self._count, self.held = self._count, 0, 0
        if self._format == ARROW:
            return self._arrow()
        data = b"".join(self._rows)
        self._rows = []
        if self.binary:
            data = (b"" if self._started else BINARY_HEADER) + data + (BINARY_TRAILER if last else b"")
            self._started = True
        return Batch(self._format, data, count, len(data))

    def _arrow(self) -> Batch:
        import pyarrow as pa

        from dpone_postgres.arrow_text import typed

        columns = [pa.array(c, pa.string()) for c in self._columns]
        self._columns = [[] for _ in self._columns]
        found = typed(columns, [*self._fields, *CHANGE_COLUMNS])
        return Batch(ARROW, found, found.num_rows, found.nbytes)


def _text(value: Value) -> str | None:
    return None if isinstance(value, Sent) else value.decode()


def _binary_row(row: Sequence[Value], seq: int, kind: str, mask: str | None) -> bytes:
    count = struct.pack(">h", len(row) + len(CHANGE_COLUMNS))
    trailing: list[Value] = [struct.pack(">q", seq), kind.encode(), Sent.NULL if mask is None else mask.encode()]
    return count + b"".join(
        _NULL if isinstance(value, Sent) else struct.pack(">i", len(value)) + value for value in [*row, *trailing]
    )


def _text_row(row: Sequence[Value], seq: int, kind: str, mask: str | None) -> bytes:
    texts = [_text(v) for v in row] + [str(seq), kind, mask]
    return ("\t".join("\\N" if t is None else t.translate(_ESCAPES) for t in texts) + "\n").encode()
