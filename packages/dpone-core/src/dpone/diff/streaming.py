"""The comparison for ends that compute no checksums, or whose values have no common text: all rows pass through here.

They are read in Arrow, as a load would read them, spelled on this side, and kept as digests in a database of SQLite on
disk that nobody else sees and that is gone with the process. So memory stays bounded, and the order of rows is no
matter. Of a value nothing is kept but 16 bytes of its BLAKE2; keys are kept as they are, since they are reported.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import pyarrow as pa

from dpone.batch import ARROW, Batch
from dpone.connector import Column, Connector, Dataset, ReadRequest, Source
from dpone.diff.spelling import speller
from dpone.diff.subject import Compared, Difference, Subject, Texts
from dpone.errors import PlanError
from dpone.plan import PlannedColumn
from dpone.prepare import within_bounds
from dpone.strategies import Read
from dpone.transform import through_core
from dpone.where import Where

_DIGEST = 16
_ABSENT = b"\0" * _DIGEST


class Rows:
    """The rows of both ends by their keys: 0 is the source, 1 the target."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._key_places = subject.key_places
        self._kept = sqlite3.connect("", isolation_level=None)  # a file without a name, readable by its owner alone
        self._kept.execute("CREATE TABLE rows (side INTEGER, key TEXT, digests BLOB)")
        self.counts = [0, 0]
        self.null_keys = [0, 0]
        self.nbytes = [0, 0]

    def close(self) -> None:
        self._kept.close()

    def take(self, side: int, batches: Iterator[Batch]) -> None:
        """The rows of one end are kept."""
        self._kept.execute("BEGIN")
        for batch in batches:
            texts = spelled(batch.data, self._subject.columns)
            self._kept.executemany("INSERT INTO rows VALUES (?, ?, ?)", (self._entry(side, row) for row in texts))
            self.counts[side] += batch.data.num_rows
            self.nbytes[side] += batch.nbytes
        self._kept.execute("COMMIT")

    def _entry(self, side: int, row: Texts) -> tuple[int, str, bytes]:
        key = tuple(row[i] for i in self._key_places)
        self.null_keys[side] += self._subject.keyed and None in key
        return side, json.dumps(key, ensure_ascii=True), b"".join(map(_digest, row))

    def differences(self) -> Iterator[Difference]:
        """The keys whose rows are not equal."""
        self._kept.execute("CREATE INDEX by_key ON rows (key)")
        unlike = self._kept.execute(
            "SELECT DISTINCT key FROM "
            "(SELECT key FROM rows GROUP BY key, digests HAVING SUM(side = 0) <> SUM(side = 1))"
        )
        for (key,) in unlike:
            found: tuple[Counter[Texts], Counter[Texts]] = Counter(), Counter()
            for side, digests in self._kept.execute("SELECT side, digests FROM rows WHERE key = ?", (key,)):
                found[side][_cut(digests)] += 1
            difference = self._subject.difference(tuple(json.loads(key)), *found)
            if difference is not None:
                yield difference


def _digest(text: str | None) -> bytes:
    if text is None:
        return _ABSENT
    return blake2b(text.encode("utf-8", "surrogateescape"), digest_size=_DIGEST).digest()


def _cut(digests: bytes) -> Texts:
    pieces = (digests[at : at + _DIGEST] for at in range(0, len(digests), _DIGEST))
    return tuple(None if piece == _ABSENT else piece.hex() for piece in pieces)


def spelled(data: pa.RecordBatch, columns: Sequence[Compared]) -> Iterator[Texts]:
    """The rows of a batch as texts, in the order of the columns."""
    texts = [map(speller(c.type), _values(data.column(c.name))) for c in columns]
    return zip(*texts, strict=True)


def _values(column: pa.Array[Any]) -> list[Any]:
    """Times finer than Python's own as whole nanoseconds."""
    of = column.type
    if (pa.types.is_timestamp(of) or pa.types.is_time64(of)) and of.unit == "ns":
        return column.cast(pa.int64()).to_pylist()
    return column.to_pylist()


# -------------------------------------------------------------------------- reading


def source_batches(subject: Subject, source: Source, connector: Connector[Any]) -> Iterator[Batch]:
    """The rows that a full load would land, changed on their way as it would change them."""
    assert connector.source is not None  # the plan was compiled for it
    load = subject.plan.load
    filters = () if connector.source.pushes_where else (*load.where, *within_bounds(load))
    needed = {condition.column for condition in filters}
    planned = [c.planned for c in subject.columns]
    planned += [c for c in subject.plan.columns if c.field.name in needed - {p.field.name for p in planned}]
    where = () if filters else subject.source_where
    request = _scan(connector, subject.plan.dataset, [c.column for c in planned], where)
    _refuse_untravelled(connector, planned)
    return through_core(_read(source, request), planned, filters)


def target_batches(subject: Subject, source: Source, connector: Connector[Any]) -> Iterator[Batch]:
    """The rows that the target holds, read by its connector's own source."""
    columns = [Column(c.name, c.name) for c in subject.columns]
    request = _scan(connector, Dataset(subject.plan.target.name), columns, subject.target_where)
    return _read(source, request)


def _scan(connector: Connector[Any], dataset: Dataset, columns: Sequence[Column], where: Where) -> ReadRequest:
    if connector.source is None or Read.SCAN not in connector.source.reads:
        raise unreadable(connector.name)
    if where and not connector.source.pushes_where:
        raise unreadable(connector.name)
    return ReadRequest(dataset, Read.SCAN, tuple(columns), ARROW, where=where)


def unreadable(name: str) -> PlanError:
    return PlanError(
        f"the rows of a table of {name} cannot be read back, so there is nothing to compare",
        code="diff.not_readable",
        hint="compare counts by the report of the run: `dpone runs show`",
    )


def _refuse_untravelled(connector: Connector[Any], columns: Sequence[PlannedColumn]) -> None:
    """Raises when a column has no form in Arrow."""
    assert connector.source is not None
    arrow = next(wire for wire in connector.source.emits if wire.format == ARROW)
    for column in columns:
        if why := arrow.refuses(column.found, column.landing):
            raise PlanError(
                f"column {column.field.name} cannot be compared: {why}",
                code="diff.column_not_comparable",
                hint=f"leave it out: --skip {column.field.name}",
            )


def _read(source: Source, request: ReadRequest) -> Iterator[Batch]:
    with source.open(request) as reading:
        for split in reading.splits:
            yield from source.read(request, split)
