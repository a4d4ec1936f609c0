"""What prepared changes amount to after sealing, as `sealing` has it: found in buckets, so that memory stays small."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from dpone.connector import CHANGE_FIELDS
from dpone.stage import ChangeKind, OnTruncate, truncated
from dpone_kafka.piles import Buckets, buckets_for, whole_numbers
from dpone_kafka.plain_rows import ENTRIES, PlainRows
from dpone_kafka.prepared import HASH, KEY
from dpone_kafka.sealing import chosen, refuse_partial, several_at_once

if TYPE_CHECKING:
    from dpone_kafka.staging import SpillStage

_SEQ, _KIND, _KEPT = CHANGE_FIELDS
_UPSERT, _DELETE, _TRUNCATE, _PRESENT = (
    k.value for k in (ChangeKind.UPSERT, ChangeKind.DELETE, ChangeKind.TRUNCATE, ChangeKind.PRESENT)
)
_CHANGES = ENTRIES.append(pa.field("seq", pa.int64())).append(pa.field("kind", pa.string()))
_KEYS = pa.schema([("key", pa.binary())])

Place = tuple[int, int]  # of a change: its number, and where it stands among all


def changed_rows(stage: SpillStage) -> PlainRows | None:
    """The rows that the changes of a stage amount to; None where one of them must be looked at beside the others."""
    schema, prepared = stage.spec.layout.schema, stage.prepared
    assert prepared is not None  # asked for only then
    received = stage.spill.rows()
    count = buckets_for(received)
    folder = stage.spill.path
    changes = Buckets(folder, "changes", _CHANGES, count)
    required = [f.name for f in schema if f.name in stage.spec.columns and not f.nullable and f.name not in schema.key]
    beside = [*CHANGE_FIELDS, KEY, *([HASH] if prepared.hash else [])]
    clearing: Place | None = None
    number = 0
    for batch in stage.batches([*schema.key, *required, *beside]):
        refuse_partial(batch.column(_KEPT))
        kinds = batch.column(_KIND)
        if _lacks(batch, schema.key, pc.not_equal(kinds, pa.scalar(_TRUNCATE))):
            return None
        if _lacks(batch, required, pc.equal(kinds, pa.scalar(_UPSERT))):
            return None
        size = batch.num_rows
        numbers = whole_numbers(array("q", range(number, number + size)), pa.int64())
        hashes = batch.column(HASH) if prepared.hash else pa.nulls(size, pa.binary())
        columns = [batch.column(KEY), hashes, numbers, batch.column(_SEQ).fill_null(0), kinds]
        found = pa.table(columns, schema=_CHANGES)
        clearing = _last_truncation(found, clearing)
        changes.add(found)
        number += size
    if clearing is not None and stage.spec.sealing.on_truncate is OnTruncate.STOP:
        raise truncated()
    live, dead, present = (
        Buckets(folder, name, of, count) for name, of in (("live", ENTRIES), ("dead", _KEYS), ("present", _KEYS))
    )
    dropped = bytearray(b"\1") * received
    rows = PlainRows(stage, received, 0, dict.fromkeys((*schema.key, *required), 0), live, dropped, dead, present)
    rows.cleared = clearing is not None
    for bucket in changes:
        _seal(rows, bucket, clearing)
    return rows


def _lacks(batch: pa.RecordBatch, names: Sequence[str], where: Any) -> bool:
    """Whether one of the columns is NULL in one of these rows."""
    return any(pc.any(pc.and_(where, pc.is_null(batch.column(name)))).as_py() for name in names)


def _last_truncation(found: pa.Table, before: Place | None) -> Place | None:
    truncations = found.filter(pc.equal(found.column("kind"), pa.scalar(_TRUNCATE)))
    places: Any = zip(truncations.column("seq").to_pylist(), truncations.column("number").to_pylist(), strict=True)
    return max((*places, *([before] if before else [])), default=None)


def _seal(rows: PlainRows, bucket: pa.Table, clearing: Place | None) -> None:
    """What one bucket's changes amount to is among the rows."""
    assert rows.entries is not None
    assert rows.dead is not None
    assert rows.present is not None
    assert rows.dropped is not None  # all four were made for this
    if clearing is None and len(pc.unique(bucket.column("key"))) == bucket.num_rows:
        live, dead, present = (_of_kind(bucket, kind) for kind in (_UPSERT, _DELETE, _PRESENT))
    else:
        decide = _last_changes if rows.stage.spec.sealing.changes else _rows_and_present
        ats, gone, there = decide(rows, bucket, clearing)
        live = bucket.take(pa.array(ats, pa.int64()))
        dead, present = (pa.table([pa.array(keys, pa.binary())], schema=_KEYS) for keys in (gone, there))
    numbers: Any = live.column("number").to_pylist()
    for number in numbers:
        rows.dropped[number] = 0
    rows.live += live.num_rows
    rows.entries.add(live.select(ENTRIES.names))
    rows.dead.add(dead.select(_KEYS.names))
    rows.present.add(present.select(_KEYS.names))


def _of_kind(bucket: pa.Table, kind: str) -> pa.Table:
    return bucket.filter(pc.equal(bucket.column("kind"), pa.scalar(kind)))


Found = tuple[list[int], list[bytes], list[bytes]]  # where the rows are that count, keys that are dead, and present


def _last_changes(rows: PlainRows, bucket: pa.Table, clearing: Place | None) -> Found:
    """Of the changes behind the last truncation the last of each key."""
    columns: Any = [bucket.column(name).to_pylist() for name in ("key", "number", "seq", "kind")]
    keys, numbers, seqs, kinds = columns
    present: set[bytes] = set()
    last: dict[bytes, int] = {}
    for at in sorted(range(len(keys)), key=seqs.__getitem__):
        if clearing is not None and (seqs[at], numbers[at]) <= clearing:
            continue
        if kinds[at] == _PRESENT:
            present.add(keys[at])
        elif kinds[at] in {_UPSERT, _DELETE}:
            before = last.get(keys[at])
            if before is not None and seqs[before] == seqs[at]:
                stage = rows.stage
                raise several_at_once(stage.rows_at([numbers[at]]), 0, stage.spec, stage.schema)
            last[keys[at]] = at
    live = sorted(at for at in last.values() if kinds[at] == _UPSERT)
    return live, [key for key, at in last.items() if kinds[at] == _DELETE], list(present)


def _rows_and_present(rows: PlainRows, bucket: pa.Table, _: Place | None) -> Found:
    """Plain rows, one of each key, and beside them the keys of all rows that the source has."""
    columns: Any = [bucket.column(name).to_pylist() for name in ("key", "number", "kind")]
    keys, numbers, kinds = columns
    stage = rows.stage
    ats = [at for at, kind in enumerate(kinds) if kind == _UPSERT]
    held = [keys[at] for at in ats]
    if len(set(held)) < len(held):
        table = stage.rows_at([numbers[at] for at in ats])
        ats = sorted(ats[place] for place in chosen(table, held, stage.spec, stage.schema))
    return ats, [], list({key for key, kind in zip(keys, kinds, strict=True) if kind == _PRESENT})
