from __future__ import annotations

import struct
from typing import Any

import pytest

from dpone.batch import PG_TEXT
from dpone.connector import Column, Dataset, ReadRequest
from dpone.schema import Field, parse_type
from dpone.strategies import Read
from dpone_postgres.changed_rows import ChangedRows
from dpone_postgres.pgoutput import (
    Begin,
    CommitMessage,
    Deleted,
    Inserted,
    RelationColumn,
    RelationMessage,
    Sent,
    Truncated,
    Updated,
    parse_message,
)
from dpone_postgres.slots import parse_lsn, print_lsn


def row(*values: bytes | Sent | None) -> bytes:
    parts = [struct.pack(">H", len(values))]
    for value in values:
        if isinstance(value, bytes):
            parts.append(b"t" + struct.pack(">i", len(value)) + value)
        else:
            parts.append(b"u" if value is Sent.UNCHANGED else b"n")
    return b"".join(parts)


def test_each_message_is_read() -> None:
    assert parse_message(b"B" + struct.pack(">QqI", 7, 0, 9)) == Begin(7)
    assert parse_message(b"C" + struct.pack(">BQQq", 0, 7, 8, 0)) == CommitMessage(8)
    columns = b"\x01id\0" + struct.pack(">Ii", 23, -1) + b"\x00v\0" + struct.pack(">Ii", 25, -1)
    described = b"R" + struct.pack(">I", 5) + b"s\0t\0" + b"d" + struct.pack(">H", 2) + columns
    assert parse_message(described) == RelationMessage(
        5, ("s", "t"), (RelationColumn("id", 23, -1, in_key=True), RelationColumn("v", 25, -1, in_key=False))
    )
    oid = struct.pack(">I", 5)
    assert parse_message(b"I" + oid + b"N" + row(b"1", None)) == Inserted(5, (b"1", Sent.NULL))
    assert parse_message(b"U" + oid + b"N" + row(b"1", Sent.UNCHANGED)) == Updated(5, None, (b"1", Sent.UNCHANGED))
    keyed = b"U" + oid + b"K" + row(b"1", None) + b"N" + row(b"2", b"x")
    assert parse_message(keyed) == Updated(5, (b"1", Sent.NULL), (b"2", b"x"))
    assert parse_message(b"D" + oid + b"K" + row(b"1", None)) == Deleted(5, (b"1", Sent.NULL))
    assert parse_message(b"T" + struct.pack(">IBII", 2, 0, 5, 6)) == Truncated((5, 6))
    assert parse_message(b"Y whatever") is None


@pytest.mark.parametrize("text", ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"])
def test_a_place_in_the_log_is_printed_as_it_is_read(text: str) -> None:
    assert print_lsn(parse_lsn(text)) == text


def test_only_transactions_that_end_inside_the_window_count() -> None:
    request = ReadRequest(Dataset(), Read.CHANGES, (Column("id", "id"),), PG_TEXT, key=("id",))
    payload = {"relation": 5, "after": 10, "upto": 20, "types": [[23, None]]}
    caster: Any = None  # nothing is cast here
    rows = ChangedRows(request, [Field("id", parse_type("int32"))], payload, caster)
    rows.take(RelationMessage(5, ("s", "t"), (RelationColumn("id", 23, -1, in_key=True),)))
    for end in (10, 11, 20, 21):
        rows.take(Begin(end))
        rows.take(Inserted(5, (str(end).encode(),)))
        rows.take(CommitMessage(end))
    rows.take(Begin(15))
    rows.take(Inserted(5, (b"not committed",)))
    assert rows.batch(last=True).data == b"11\t1\tU\t\\N\n20\t2\tU\t\\N\n"
