"""Checksums and rows of segments, computed by the server in one snapshot, for `dpone diff`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dpone.batch import ARROW
from dpone.connector import ReadRequest
from dpone.schema import Field, Kind
from dpone.segments import Checksum, Extent, Form, Shape, Span, Spelled, fits
from dpone.sql.segments import SegmentQueries
from dpone.strategies import Read
from dpone_postgres.connections import Connections
from dpone_postgres.dialect import POSTGRES
from dpone_postgres.faults import translated
from dpone_postgres.reading import subject_of
from dpone_postgres.session import Connection
from dpone_postgres.spelling import parse_spelling
from dpone_postgres.typemap import ENGINE

_MOST_ARGUMENTS = 99  # of a function, beside the separator
# Kinds whose own hash is equal only for what is the same value; 30 days equal a month, and a jsonb 1.0 equals 1.
_BY_VALUE = frozenset(
    {
        *(Kind.BOOL, Kind.INT, Kind.UINT, Kind.FLOAT, Kind.DECIMAL, Kind.STRING, Kind.BINARY, Kind.DATE, Kind.TIME),
        *(Kind.TIMESTAMP, Kind.TIMESTAMPTZ, Kind.UUID),
    }
)
# A row of every such kind: two servers that hash it alike hash all rows alike.
_PROBE = (
    "SELECT hash_record_extended(ROW(true, 1::int2, 2::int4, 3::int8, 4::oid, 5.5::float4, 6.25::float8, "
    "7.125::numeric, 'eight'::text, '\\x09'::bytea, '2010-10-10'::date, '11:11:11'::time, "
    "'2012-12-12 12:12:12'::timestamp, '2013-01-13 13:13:13+00'::timestamptz, "
    "'14141414-1414-1414-1414-141414141414'::uuid, NULL::text), 0)"
)


class PostgresSpells:
    """The forms of a comparison in PostgreSQL's words, under the settings that a session pins."""

    def text(self, expression: str, field: Field, form: Form) -> str | None:
        if not fits(field.type.kind, form):
            return None
        match form:
            case Form.NUMBER if field.type.kind is Kind.DECIMAL:
                return f"trim_scale({expression})::text"
            case Form.FLOAT:
                # plus zero: the negative one loses its sign
                return (
                    f"CASE WHEN {expression} = 'NaN' THEN 'nan' "
                    f"ELSE encode(float8send({expression}::float8 + 0), 'hex') END"
                )
            case Form.MOMENT if field.type.kind is Kind.TIMESTAMPTZ:
                return f"({expression} AT TIME ZONE 'UTC')::text"
            case Form.BYTES if field.type.kind is Kind.BINARY:
                return f"encode({expression}, 'hex')"
            case Form.BYTES:
                return f"encode(convert_to({expression}, 'UTF8'), 'hex')"
            case Form.TEXT | Form.OWN if field.type.kind not in {Kind.STRING, Kind.JSON} or _is_padded(field):
                # as it is printed, and copied: a cast cuts blanks off, and puts a mask behind an inet
                return f"CASE WHEN {expression} IS NOT NULL THEN concat({expression}) END"
            case _:
                return f"{expression}::text"

    def measured(self, text: str) -> str:
        return f"octet_length({text}) || ':' || {text}"

    def joined(self, texts: Sequence[str]) -> str:
        if len(texts) > _MOST_ARGUMENTS:
            parts = [texts[at : at + _MOST_ARGUMENTS] for at in range(0, len(texts), _MOST_ARGUMENTS)]
            return self.joined([self.joined(part) for part in parts])
        return f"concat_ws('|', {', '.join(texts)})"

    def hashed(self, text: str) -> str:
        return f"('x' || left(md5({text}), 15))::bit(60)::bigint"

    def hashed_alike(self, columns: Sequence[tuple[str, Field, Spelled]]) -> str:
        """By the hashes that hash joins use: of 1M rows by 13 columns in 1.2 s, where text and MD5 take 2.6."""
        values = []
        for expression, field, column in columns:
            kind = field.type.kind
            if column.alike and kind in _BY_VALUE and not _is_padded(field):
                values.append(f'{expression} COLLATE "C"' if kind is Kind.STRING else expression)
            else:
                values.append(f'({self.text(expression, field, column.form)}) COLLATE "C"')
        return f"hash_record_extended(ROW({', '.join(values)}), 0)"

    def divided(self, number: str, step: int) -> str:
        return f"(({number}) / {step}::bigint)"

    def summed(self, number: str) -> str:
        return f"sum({number})::text"


def _is_padded(field: Field) -> bool:
    """Blanks at the end are printed, and make no difference to the type's own equality."""
    return parse_spelling(field.native_of(ENGINE) or "").base in {"character", "bpchar"}


class PostgresSegments:
    """One extent in the snapshot of one transaction."""

    def __init__(self, connections: Connections, connection: Connection, queries: SegmentQueries) -> None:
        self._connections = connections
        self._connection = connection
        self._queries = queries
        self.nbytes = 0
        self.digest = f"postgres {self._ask(_PROBE)[0][0]}"

    @property
    def refused(self) -> Mapping[str, str]:
        return self._queries.refused

    def shape(self) -> Shape:
        rows, null_keys, least, greatest = self._ask(self._queries.shape())[0]
        return Shape(int(rows), int(null_keys), _whole(least), _whole(greatest))

    def checksums(self, spans: Sequence[Span], step: int, *, hashed: bool, own: bool) -> Mapping[int, Checksum]:
        found = self._ask(self._queries.checksums(spans, step, hashed=hashed, own=own))
        return {int(number): Checksum(int(rows), int(total)) for number, rows, total in found}

    def rows(self, spans: Sequence[Span]) -> Iterator[tuple[str | None, ...]]:
        yield from self._ask(self._queries.rows(spans))

    def is_steady(self) -> bool:
        return True  # all of it is one snapshot

    def _ask(self, query: str) -> list[tuple[Any, ...]]:
        with translated(self._connections.side, self._connections.label):  # here: both ends are asked at once
            cursor = self._connection.execute(query.encode())
        answer = cursor.pgresult
        assert answer is not None  # the query has been answered
        places = ((row, column) for row in range(answer.ntuples) for column in range(answer.nfields))
        self.nbytes += sum(len(answer.get_value(*place) or b"") for place in places)
        return cursor.fetchall()


def _whole(value: object) -> int | None:
    return None if value is None else int(str(value))


@contextmanager
def segmented(connections: Connections, extent: Extent) -> Iterator[PostgresSegments]:
    """The extent, as it is at one moment."""
    with connections.session(timeout=extent.timeout) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        subject = subject_of(connection, ReadRequest(extent.dataset, Read.SCAN, (), ARROW))
        queries = SegmentQueries(POSTGRES, PostgresSpells(), extent, subject.schema, subject.source)
        yield PostgresSegments(connections, connection, queries)
