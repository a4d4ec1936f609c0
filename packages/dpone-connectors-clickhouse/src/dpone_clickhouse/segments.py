"""Checksums and rows of segments, computed by the server, for `dpone diff`.

Answers come over HTTP as TabSeparated, so that text which is not UTF-8 is compared as it is. There is no snapshot that
several queries share: whether parts of the table changed in between is asked at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from dpone.batch import ARROW
from dpone.connector import ReadRequest
from dpone.schema import Field, Kind
from dpone.segments import Checksum, Extent, Form, Shape, Span, Spelled, fits
from dpone.sql.segments import SegmentQueries
from dpone.strategies import Read
from dpone_clickhouse.bulk import read_bulk
from dpone_clickhouse.catalog import Fingerprint, Name, fingerprint, was_written
from dpone_clickhouse.config import ClickHouseConfig
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.faults import Side
from dpone_clickhouse.native import ENGINE, parse_native
from dpone_clickhouse.selecting import subject_of
from dpone_clickhouse.session import READ_ONLY, session

_PIECE = 1 << 20
_SETTINGS = {"date_time_output_format": "simple"}  # a time as text, without letters in it
_NANOSECONDS = 9


class ClickHouseSpells:
    """The forms of a comparison in ClickHouse's words."""

    def text(self, expression: str, field: Field, form: Form) -> str | None:
        if not fits(field.type.kind, form) or _is_state(field):
            return None
        match form:
            case Form.FLOAT:
                # plus zero: the negative one loses its sign
                bits = f"lower(hex(reverse(reinterpretAsFixedString(toFloat64({expression}) + 0))))"
                return f"if(isNaN({expression}), 'nan', {bits})"
            case Form.TIME:
                return _trimmed(f"toString(toTime64({expression}, {_NANOSECONDS if _is_fine(field) else 6}))")
            case Form.MOMENT:
                digits = _NANOSECONDS if _is_fine(field) else 6
                return _trimmed(f"toString(toDateTime64({expression}, {digits}, 'UTC'))")
            case Form.BYTES:
                return f"lower(hex({expression}))"
            case Form.TEXT | Form.OWN if field.type.kind is Kind.OPAQUE:
                return (
                    f"if(isNull({expression}), NULL, toString({expression}))"  # toString says NULL of a Variant as ''
                )
            case _:
                return f"toString({expression})"

    def measured(self, text: str) -> str:
        return f"concat(toString(length({text})), ':', {text})"

    def joined(self, texts: Sequence[str]) -> str:
        return f"concatWithSeparator('|', {', '.join(texts)})"

    def hashed(self, text: str) -> str:
        return f"toInt64(bitShiftRight(reinterpretAsUInt64(reverse(substring(MD5({text}), 1, 8))), 4))"

    def hashed_alike(self, columns: Sequence[tuple[str, Field, Spelled]]) -> str:
        raise AssertionError(columns)  # nobody asks: there is no other digest

    def divided(self, number: str, step: int) -> str:
        return f"intDiv({number}, {step})"

    def summed(self, number: str) -> str:
        return f"toString(sum(toUInt64({number})))"  # which overflows modulo 2^64


def _is_state(field: Field) -> bool:
    return parse_native(field.native_of(ENGINE) or "").family == "AggregateFunction"


def _is_fine(field: Field) -> bool:
    return (field.type.size or 0) > 6  # noqa: PLR2004 - digits of a microsecond


def _trimmed(text: str) -> str:
    return f"trim(TRAILING '.' FROM trim(TRAILING '0' FROM {text}))"


class ClickHouseSegments:
    """One extent; each question is answered by the parts that there are when it is asked."""

    def __init__(
        self, config: ClickHouseConfig, side: Side, queries: SegmentQueries, written: tuple[Name, Fingerprint] | None
    ) -> None:
        self._config = config
        self._side: Side = side
        self._queries = queries
        self._written = written
        self._settings = {**(queries.extent.dataset.options.get("settings") or {}), **_SETTINGS}
        if queries.extent.timeout is not None:
            self._settings["max_execution_time"] = max(1, round(queries.extent.timeout.total_seconds()))
        self.nbytes = 0
        self.digest = None  # its MD5 is fast

    @property
    def refused(self) -> Mapping[str, str]:
        return self._queries.refused

    def shape(self) -> Shape:
        (rows, null_keys, least, greatest) = next(self._ask(self._queries.shape()))
        return Shape(_number(rows), _number(null_keys), _whole(least), _whole(greatest))

    def checksums(self, spans: Sequence[Span], step: int, *, hashed: bool, own: bool) -> Mapping[int, Checksum]:
        found = self._ask(self._queries.checksums(spans, step, hashed=hashed, own=own))
        return {_number(number): Checksum(_number(rows), _number(total)) for number, rows, total in found}

    def rows(self, spans: Sequence[Span]) -> Iterator[tuple[str | None, ...]]:
        return self._ask(self._queries.rows(spans))

    def is_steady(self) -> bool | None:
        if self._written is None:
            return None  # of a query or a view nobody can tell
        name, before = self._written
        with session(self._config, self._side, settings=READ_ONLY) as own:
            return not was_written(before, fingerprint(own, name))

    def _ask(self, query: str) -> Iterator[tuple[str | None, ...]]:
        rest = b""
        for piece in read_bulk(self._config, f"{query} FORMAT TabSeparated", self._settings, _PIECE, self._side):
            self.nbytes += len(piece)
            *lines, rest = (rest + piece).split(b"\n")
            yield from map(_texts, lines)


_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_MEANT = {b"b": b"\b", b"f": b"\f", b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0"}


def _texts(line: bytes) -> tuple[str | None, ...]:
    return tuple(None if part == rb"\N" else _plain(part) for part in line.split(b"\t"))


def _plain(part: bytes) -> str:
    if b"\\" in part:
        part = _ESCAPED.sub(lambda found: _MEANT.get(found[1], found[1]), part)
    return part.decode("utf-8", "surrogateescape")


def _number(text: str | None) -> int:
    assert text is not None  # counts, numbers of segments and sums over them are never NULL
    return int(text)


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)


@contextmanager
def segmented(config: ClickHouseConfig, side: Side, extent: Extent) -> Iterator[ClickHouseSegments]:
    """The extent, with what tells whether somebody writes to it meanwhile."""
    with session(config, side, settings=READ_ONLY) as own:
        subject = subject_of(own, ReadRequest(extent.dataset, Read.SCAN, (), ARROW), config.database)
        parts = {} if subject.name is None else fingerprint(own, subject.name)
        written = None if subject.name is None or not parts else (subject.name, parts)  # a view has no parts
    queries = SegmentQueries(CLICKHOUSE, ClickHouseSpells(), extent, subject.schema, subject.source)
    yield ClickHouseSegments(config, side, queries, written)
