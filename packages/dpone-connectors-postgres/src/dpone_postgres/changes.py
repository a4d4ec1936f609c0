"""Reading by CHANGES: a first load in the slot's own snapshot, then the log from the stored position to a fixed end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from dpone.batch import Batch
from dpone.connector import Json, Position, ReadRequest, Split
from dpone.errors import PlanError, StateError
from dpone.readings import OpenReading, filtered_changes, requested
from dpone.schema import Field as CoreField
from dpone.schema import parse_type
from dpone.strategies import Read
from dpone_postgres.catalog import Relation
from dpone_postgres.changed_rows import ChangedRows
from dpone_postgres.connections import Connections
from dpone_postgres.copying import BINARY_HEADER, copy_out
from dpone_postgres.pgoutput import parse_message
from dpone_postgres.reading import Held, row_splits, subject_of
from dpone_postgres.selecting import Subject, select
from dpone_postgres.session import Connection
from dpone_postgres.slots import (
    Feed,
    confirm,
    ensure_publication,
    feed_of,
    flushed,
    fresh_slot,
    print_lsn,
    publication_mark,
    usable_slot,
)
from dpone_postgres.typemap import widens
from dpone_postgres.xmin import identity, same_server


@contextmanager
def open_changes(connections: Connections, request: ReadRequest, held: Held) -> Iterator[OpenReading]:
    """A reading of what changed after the stored position, or of everything when there is none."""
    if request.where:
        raise filtered_changes()
    with connections.session(timeout=request.timeout) as connection:
        subject = subject_of(connection, request)
        relation = subject.table("cdc")
        _refuse_unseen(connection, request, relation)
        feed = feed_of(request)
        if request.since is None or not request.since.token:
            with _first(connections, connection, request, subject, feed, held) as reading:
                yield reading
            return
        yield _following(connection, request, subject, feed, request.since)


def _refuse_unseen(connection: Connection, request: ReadRequest, relation: Relation) -> None:
    """Raises when the log would not say which row was deleted, or leaves out a requested column."""
    if not set(request.key) <= set(relation.identity_columns):
        identified = ", ".join(relation.identity_columns) or "nothing"
        raise PlanError(
            f"the log identifies rows of {'.'.join(relation.name)} by {identified}, not by {', '.join(request.key)}",
            code="source.replica_identity",
            hint="key the load by those columns, or set REPLICA IDENTITY FULL (or USING INDEX) on the table",
        )
    generated = {a.field.name for a in relation.attributes if a.generated}
    unseen = [c.source for c in request.columns if c.source in generated]
    if unseen and (connection.info.server_version < 180000 or request.dataset.options.get("publication")):  # noqa: PLR2004 - since 18 they are published
        raise PlanError(
            f"the log does not hold the generated column {', '.join(unseen)}",
            code="source.generated_column",
            hint="leave it out under `columns:`",
        )


@contextmanager
def _first(
    connections: Connections,
    connection: Connection,
    request: ReadRequest,
    subject: Subject,
    feed: Feed,
    held: Held,
) -> Iterator[OpenReading]:
    """All rows as they are where the new slot begins."""
    relation = subject.table("cdc")
    ensure_publication(connection, feed, relation)
    mark = publication_mark(connection, feed, relation)
    with fresh_slot(connections.config, connection, feed) as (snapshot, begins):
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'".encode())
        subject = subject_of(connection, request)  # once more, as it is in the snapshot
    upto = _position(connection, begins, mark, subject.table("cdc"))
    schema = requested(subject.schema, request.columns)
    reading = OpenReading(schema, upto, row_splits(connection, request, subject, schema.fields, []))
    with held.holding(request, connection, reading, select(subject, request, [])):
        yield reading


def _following(
    connection: Connection, request: ReadRequest, subject: Subject, feed: Feed, since: Position
) -> OpenReading:
    relation = subject.table("cdc")
    token = since.token
    same_server({k: token.get(k) for k in ("system", "timeline")}, identity(connection))
    begins = int(token["lsn"])
    usable_slot(connection, feed, begins)
    mark = publication_mark(connection, feed, relation)
    if mark != token["publication"]:
        raise StateError(
            f"the publication {feed.publication} was changed since the last load",
            code="source.publication_changed",
            hint="changes may have gone unrecorded meanwhile; run `dpone resync`",
        )
    _refuse_redefined(token["columns"], relation, [c.source for c in request.columns])
    upto = max(begins, flushed(connection))
    schema = requested(subject.schema, request.columns)
    payload = {
        "slot": feed.slot,
        "publication": feed.publication,
        "after": begins,
        "upto": upto,
        "relation": relation.oid,
        "fields": [[f.name, str(f.type), f.native] for f in schema],
        "types": _types(relation, request),
    }
    position = _position(connection, upto, mark, relation)
    return OpenReading(schema, position, (Split("changes", payload),), changes=True)


def _types(relation: Relation, request: ReadRequest) -> list[Json]:
    """Per requested column its type's number, and the text of the value that rows older than the column have."""
    by_name = {a.field.name: a for a in relation.attributes}
    return [[by_name[c.source].type_oid, by_name[c.source].missing] for c in request.columns]


def _position(connection: Connection, lsn: int, mark: Json, relation: Relation) -> Position:
    columns = {str(a.number): [a.field.name, a.field.native] for a in relation.attributes}
    token = {"lsn": lsn, "publication": mark, "columns": columns, "table": relation.oid, **identity(connection)}
    return Position(Read.CHANGES, token)


def _refuse_redefined(before: Mapping[str, Sequence[str]], relation: Relation, requested: Sequence[str]) -> None:
    """Raises when stored rows got other values by DDL, of which the log says nothing."""
    for attribute in relation.attributes:
        name, native = attribute.field.name, attribute.field.native or ""
        if name not in requested:
            continue
        known = before.get(str(attribute.number))
        if known is None:
            if attribute.missing is not None or attribute.has_default or attribute.generated:
                raise _redefined(f"the column {name} was added with a default")
        elif known[0] != name:
            raise _redefined(f"the column {known[0]} was renamed to {name}")
        elif known[1] != native and not widens(known[1], native):
            raise _redefined(f"the column {name} was changed from {known[1]} to {native}")


def _redefined(what: str) -> StateError:
    return StateError(
        f"{what}, and the log does not say what that made of the rows that were there",
        code="source.schema_changed",
        hint="run `dpone resync`",
    )


# ---------------------------------------------------------------------------- reading


def read_changes(connections: Connections, request: ReadRequest, split: Split) -> Iterator[Batch]:
    """The changes of the window, in the order of their commits, each with its number."""
    payload = split.payload
    fields = [CoreField(name, parse_type(of), native=native) for name, of, native in payload["fields"]]
    with (
        connections.session(timeout=request.timeout) as connection,
        connections.session(timeout=request.timeout) as caster,
    ):
        rows = ChangedRows(request, fields, payload, caster)
        for data in _peek(connection, payload, binary=rows.binary):
            message = parse_message(data)
            if message is not None:
                rows.take(message)
            if rows.held >= request.batch_bytes:
                yield rows.batch()
        yield rows.batch(last=True)


def _peek(connection: Connection, payload: Mapping[str, Json], *, binary: bool) -> Iterator[bytes]:
    """Messages of the slot, which keeps them; COPY streams them where a query would gather them first."""
    literal = "'" + str(payload["publication"]).replace("'", "''").replace('"', '""') + "'"
    quoted = "'\"" + literal[1:-1] + "\"'"
    options = ["'proto_version', '1'", f"'publication_names', {quoted}", *(["'binary', 'true'"] if binary else [])]
    query = (
        "SELECT data FROM pg_catalog.pg_logical_slot_peek_binary_changes("  # noqa: S608 - literals encoded above
        f"'{payload['slot']}', '{print_lsn(int(payload['upto']))}', NULL, {', '.join(options)})"
    )
    rest = b""
    skipped = len(BINARY_HEADER)
    for piece, _ in copy_out(connection, f"COPY ({query}) TO STDOUT (FORMAT binary)", 1 << 16):
        data = rest + piece
        at = skipped
        skipped = 0
        while (end := _field_end(data, at)) is not None:
            yield data[at + 6 : end]
            at = end
        rest = data[at:]


def _field_end(data: bytes, at: int) -> int | None:
    """Where the row of one field that begins at `at` ends; None at the trailer or where the data end before it."""
    if len(data) < at + 6:
        return None
    end = at + 6 + int.from_bytes(data[at + 2 : at + 6], "big")
    return end if len(data) >= end else None


def settle_changes(connections: Connections, request: ReadRequest, position: Position) -> None:
    """The slot is confirmed up to a position that is committed at the sink."""
    with connections.session(timeout=request.timeout) as connection:
        same_server({k: position.token.get(k) for k in ("system", "timeline")}, identity(connection))
        confirm(connection, feed_of(request), int(position.token["lsn"]))
