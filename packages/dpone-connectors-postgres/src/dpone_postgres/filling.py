"""Writers: one split on its way into a stage, in one COPY of one transaction."""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import pq

from dpone.batch import ARROW, PG_BINARY, PG_TEXT, Batch
from dpone.connector import StageRef, Target
from dpone.stage import null_key
from dpone_postgres.connections import Connections
from dpone_postgres.copying import CopyIn
from dpone_postgres.dialect import POSTGRES
from dpone_postgres.faults import translated
from dpone_postgres.staging import PostgresStage, begin_private
from dpone_postgres.state import books_of, remember_split, split_writer

_FORMATS = {PG_BINARY: "binary", PG_TEXT: "text", ARROW: "csv"}


class PostgresWriter:
    """One split on its way into the raw stage, in one COPY of one transaction."""

    def __init__(self, copy: CopyIn, natives: list[str]) -> None:
        self._copy = copy
        self._natives = natives

    def write(self, batch: Batch) -> None:
        if batch.format == ARROW:
            from dpone_postgres.arrow_csv import write_csv

            self._copy.send(write_csv(batch.data, self._natives))
        else:
            self._copy.send(batch.data)


@contextmanager
def writing(
    connections: Connections, ref: StageRef, split: str, stage: PostgresStage | None
) -> Iterator[PostgresWriter]:
    """A writer of one split. Rows of an earlier attempt are found by the transaction that wrote them, and replaced.

    With a stage that only this writer writes, its connection is used.
    """
    payload = ref.payload
    target = Target(tuple(payload["target"]), payload["options"])
    books, load_id = books_of(target), str(payload["load_id"])
    table = POSTGRES.table((books.name[0], str(payload["table"])))
    columns = ", ".join(POSTGRES.quote(name) for name, _ in payload["columns"])
    options = f"FORMAT {_FORMATS[payload['format']]}"
    natives = [native for _, native in payload["columns"]]
    if stage is not None and stage.is_private:
        with _null_keys_named(payload["key"]), translated("sink", connections.label):
            _forget_earlier(stage, split)
            copy = CopyIn(stage.connection, f"COPY {table} ({columns}) FROM STDIN ({options}, FREEZE)")
            with _finished(copy, natives) as writer:
                yield writer
            stage.written[split] = copy.rows
        return
    with connections.session() as connection:
        connection.execute("BEGIN")
        earlier = split_writer(connection, books, load_id, split)
        if earlier is not None:
            connection.execute(f"DELETE FROM {table} WHERE xmin = '{int(earlier)}'::xid".encode())
        copy = CopyIn(connection, f"COPY {table} ({columns}) FROM STDIN ({options})")
        with _null_keys_named(payload["key"]), _finished(copy, natives) as writer:
            yield writer
        remember_split(connection, books, load_id, split)
        connection.execute("COMMIT")


@contextmanager
def _finished(copy: CopyIn, natives: list[str]) -> Iterator[PostgresWriter]:
    try:
        yield PostgresWriter(copy, natives)
    except BaseException:
        copy.abandon()
        raise
    copy.finish()


@contextmanager
def _null_keys_named(key: Sequence[str]) -> Iterator[None]:
    """A NULL that a required column of the key refuses is what it would be in a stage without required columns."""
    try:
        yield
    except psycopg.errors.NotNullViolation as error:
        if error.diag.column_name in key:
            raise null_key(str(error.diag.column_name)) from None
        raise


def _forget_earlier(stage: PostgresStage, split: str) -> None:
    """The private stage holds nothing of an earlier attempt of its one writer, which came to an end or to none."""
    if stage.connection.pgconn.transaction_status == pq.TransactionStatus.INERROR:
        stage.connection.execute("ROLLBACK")
        begin_private(stage)
    elif split in stage.written:
        stage.connection.execute(f"TRUNCATE {stage.raw}".encode())
        stage.written.clear()
