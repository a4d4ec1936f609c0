"""Stages: rows as they came, on this machine's disk, and after sealing what they amount to."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from dpone.arrow import arrow_type
from dpone.batch import ARROW, Batch
from dpone.connector import CHANGE_FIELDS, Staged, StageRef, StageSpec
from dpone.errors import DataError, RemoteError
from dpone.probes import Measurement, Probe
from dpone.schema import INT64, STRING, Field, Kind, Schema
from dpone.stage import ChangeKind, Duplicates, OnTruncate, duplicate_key, same, standing, truncated
from dpone_kafka.json_text import json_objects
from dpone_kafka.measuring import measure
from dpone_kafka.spills import Spill
from dpone_kafka.values import python_rows

_TAGS = tuple(Field(name, of) for name, of in zip(CHANGE_FIELDS, (INT64, STRING, STRING), strict=True))
_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a stage amounts to. Keys are encoded, one for each row of `live`; none where the load has no key."""

    live: pa.Table
    keys: list[bytes]
    dead: frozenset[bytes]
    present: frozenset[bytes]
    cleared: bool
    null_keys: int  # of dead and present entries


def wire_schema(spec: StageSpec) -> pa.Schema:
    """What batches of this stage look like: the incoming columns, and behind them the change fields."""
    fields = [spec.layout.schema[name] for name in spec.columns]
    tags = _TAGS if spec.sealing.changes or spec.present else ()
    return pa.schema([(f.name, arrow_type(f.type)) for f in (*fields, *tags)])


def new_ref(spill: Spill, spec: StageSpec) -> StageRef:
    schema = wire_schema(spec).serialize().to_pybytes().hex()
    limits = {
        f.name: f.type.size
        for f in spec.layout.schema
        if f.type.kind in {Kind.STRING, Kind.BINARY} and f.type.size is not None and f.name in spec.columns
    }
    return StageRef(spill.name, {"path": str(spill.path), "schema": schema, "limits": limits})


class SpillWriter:
    """Takes the batches of one split; they are in the stage when the writer's context ends without an error."""

    def __init__(self, ref: StageRef, split: str) -> None:
        payload = bytes.fromhex(ref.payload["schema"])
        self._schema = pa.ipc.read_schema(pa.py_buffer(payload))
        self._limits = dict(ref.payload["limits"])
        self._final = Spill(Path(ref.payload["path"])).part(split)
        self._path = self._final.with_name(f"{uuid4().hex}.open")
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(handle, "wb")
        self._writer = pa.ipc.new_file(self._file, self._schema)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = 0

    def write(self, batch: Batch) -> None:
        if batch.format != ARROW:
            raise RemoteError(f"a batch of {batch.format} came, a stage takes Arrow", code="sink.wrong_format")
        data: pa.RecordBatch = batch.data
        if data.num_columns != len(self._schema):
            raise RemoteError(
                f"a batch of {data.num_columns} columns came, the stage has {len(self._schema)}",
                code="sink.rejected_rows",
            )
        arrays = [self._fitted(data.column(i), self._schema.field(i)) for i in range(data.num_columns)]
        self._waiting.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._rows += data.num_rows
        if self._rows >= _ROWS_AT_ONCE:  # a file of many small pieces is slow to read
            self._flush()

    def _fitted(self, column: Any, field: pa.Field[Any]) -> Any:
        try:
            fitted = column if column.type == field.type else pc.cast(column, field.type)
        except pa.ArrowInvalid:
            raise _unfit(field.name) from None
        limit = self._limits.get(field.name)
        if limit is not None:
            length = pc.utf8_length(fitted) if pa.types.is_string(fitted.type) else pc.binary_length(fitted)
            if (pc.max(length).as_py() or 0) > limit:
                raise _unfit(field.name)
        return fitted

    def _flush(self) -> None:
        if self._waiting:
            table = pa.Table.from_batches(self._waiting).combine_chunks()
            self._writer.write_table(table)
            self._waiting, self._rows = [], 0

    def close(self) -> None:
        """The split is what was written, and nothing that an earlier writer of it wrote."""
        self._flush()
        self._writer.close()
        self._file.close()
        self._path.replace(self._final)

    def abandon(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


def _unfit(name: str) -> RemoteError:
    return RemoteError(
        f"column {name}: a value does not fit the target's",
        code="sink.rejected_rows",
        hint="cast the column under `columns:`, or widen the target's",
    )


class SpillStage:
    """A stage, and after sealing what its entries amount to."""

    def __init__(self, spill: Spill, spec: StageSpec) -> None:
        self.spill = spill
        self.spec = spec
        self._ref = new_ref(spill, spec)
        self._sealed: Sealed | None = None
        self.schema = Schema(tuple(spec.layout.schema[name] for name in spec.columns))

    @property
    def ref(self) -> StageRef:
        return self._ref

    @property
    def sealed(self) -> Sealed:
        if self._sealed is None:
            raise DataError("the stage was not sealed", code="stage.unsealed", hint="seal() comes before publishing")
        return self._sealed

    def seal(self) -> Staged:
        table = self.spill.table(wire_schema(self.spec))
        self._sealed = found = seal(table, self.spec, self.schema)
        return Staged(table.num_rows, found.live.num_rows, len(found.dead), len(found.present), cleared=found.cleared)

    def measure(self, probe: Probe) -> Measurement:
        return measure(self.sealed.live, self.schema, probe)


# --------------------------------------------------------------------------- sealing


def seal(table: pa.Table, spec: StageSpec, schema: Schema) -> Sealed:
    """The stage that these entries amount to, as `dpone.stage.seal` has it."""
    how = spec.sealing
    if not (how.changes or spec.present):
        keys, whole = encoded(table, schema, how.key)
        live = _last_rows(table, keys, whole, spec, schema) if how.key else table
        kept = keys if live is table else [keys[i] for i in _positions(live)]
        return Sealed(_without_positions(live), kept, frozenset(), frozenset(), cleared=False, null_keys=0)
    return _sealed_changes(table, spec, schema)


_POSITION = "_dpone_position"


def _positions(live: pa.Table) -> list[int]:
    found: Any = live.column(_POSITION).to_pylist()
    return list(found)


def _without_positions(live: pa.Table) -> pa.Table:
    return live.drop_columns([_POSITION]) if _POSITION in live.column_names else live


def encoded(table: pa.Table, schema: Schema, key: tuple[str, ...]) -> tuple[list[bytes], Any]:
    """The keys of rows as messages have them, and which rows have a whole one; nothing where there is no key."""
    if not key:
        return [], None
    columns = [table.column(name).combine_chunks() for name in key]
    whole: Any = pa.array([True] * table.num_rows, pa.bool_())
    for column in columns:
        whole = pc.and_(whole, pc.is_valid(column))
    texts = json_objects(columns, [schema[name] for name in key])
    found: Any = pc.cast(texts, pa.binary()).to_pylist()
    return list(found), whole


def _last_rows(table: pa.Table, keys: list[bytes], whole: Any, spec: StageSpec, schema: Schema) -> pa.Table:
    """One row for each key, as the sealing says; rows with a NULL in it are left for the domain to refuse."""
    how = spec.sealing
    if len(set(keys)) == len(keys):
        return table
    groups: dict[bytes, list[int]] = {}
    loose: list[int] = []
    for at, (key, is_whole) in enumerate(zip(keys, whole.to_pylist(), strict=True)):
        groups.setdefault(key, []).append(at) if is_whole else loose.append(at)
    chosen = [*loose]
    several = {key: ats for key, ats in groups.items() if len(ats) > 1}
    if several and how.duplicates is Duplicates.FAIL:
        key, ats = next(iter(several.items()))
        (row,) = python_rows(taken(table, ats[:1]), schema.fields)
        raise duplicate_key(tuple(row[c] for c in how.key), how.key)
    chosen += [ats[0] if len(ats) == 1 else _last_of(table, ats, spec, schema) for ats in groups.values()]
    chosen.sort()
    return taken(table, chosen).append_column(_POSITION, pa.array(chosen, pa.int64()))


def _last_of(table: pa.Table, ats: Sequence[int], spec: StageSpec, schema: Schema) -> int:
    how = spec.sealing
    rows = python_rows(taken(table, list(ats)), schema.fields)
    ranks = [tuple(standing(row[c]) for c in how.order) for row in rows]
    greatest = max(ranks)
    last, *ties = [n for n, rank in enumerate(ranks) if rank == greatest]
    if any(not same(rows[last], rows[tie], how.columns) for tie in ties):
        raise duplicate_key(tuple(rows[last][c] for c in how.key), how.key)
    return ats[last]


_KINDS = tuple(k.value for k in (ChangeKind.UPSERT, ChangeKind.DELETE, ChangeKind.TRUNCATE, ChangeKind.PRESENT))


def _with_present(columns: pa.Table, kinds: list[str], spec: StageSpec, schema: Schema) -> Sealed:
    """Plain rows, and beside them the keys of all rows that the source has."""
    upsert, _, _, there = _KINDS
    rows = taken(columns, [i for i, kind in enumerate(kinds) if kind == upsert])
    sealed = seal(rows, replace(spec, present=False), schema)
    keys, whole = encoded(columns, schema, spec.sealing.key)
    present = [(key, ok) for key, ok, kind in zip(keys, whole.to_pylist(), kinds, strict=True) if kind == there]
    null_keys = sum(not ok for _, ok in present)
    return replace(sealed, present=frozenset(key for key, _ in present), null_keys=null_keys)


def _sealed_changes(table: pa.Table, spec: StageSpec, schema: Schema) -> Sealed:
    how = spec.sealing
    seq_name, kind_name, kept_name = CHANGE_FIELDS
    partial: Any = pc.match_substring(table.column(kept_name), "1")
    if pc.any(partial).as_py():
        raise DataError(
            "a change keeps columns of a row, and a message is the whole value of its key",
            code="stage.partial_without_base",
            hint="set REPLICA IDENTITY FULL on the source table",
        )
    columns = table.select(list(spec.columns))
    kinds: Any = table.column(kind_name).to_pylist()
    numbers = [n or 0 for n in table.column(seq_name).to_pylist()]
    upsert, delete, truncate, present_ = _KINDS
    if not how.changes:
        return _with_present(columns, kinds, spec, schema)
    entries = sorted(range(len(kinds)), key=numbers.__getitem__)
    cleared = False
    for at in range(len(entries) - 1, -1, -1):
        if kinds[entries[at]] == truncate:
            if how.on_truncate is OnTruncate.STOP:
                raise truncated()
            entries, cleared = entries[at + 1 :], True
            break
    if not how.key:
        rows = [i for i in entries if kinds[i] == upsert]
        return Sealed(taken(columns, rows), [], frozenset(), frozenset(), cleared=cleared, null_keys=0)
    keys, whole = encoded(columns, schema, how.key)
    is_whole = whole.to_pylist()
    present = [i for i in entries if kinds[i] == present_]
    last: dict[bytes, int] = {}
    loose: list[int] = []
    null_keys = sum(not is_whole[i] for i in present)
    for i in entries:
        if kinds[i] not in {upsert, delete}:
            continue
        if not is_whole[i]:
            if kinds[i] == delete:
                null_keys += 1
            else:
                loose.append(i)
            continue
        key = keys[i]
        if key in last and numbers[last[key]] == numbers[i]:
            (row,) = python_rows(taken(columns, [i]), schema.fields)
            raise duplicate_key(tuple(row[c] for c in how.key), how.key)
        last.pop(key, None)
        last[key] = i
    live = [*loose, *(i for i in last.values() if kinds[i] == upsert)]
    dead = frozenset(key for key, i in last.items() if kinds[i] == delete)
    return Sealed(
        taken(columns, live),
        [keys[i] for i in live],
        dead,
        frozenset(keys[i] for i in present),
        cleared=cleared,
        null_keys=null_keys,
    )


def taken(table: pa.Table, rows: Sequence[int]) -> pa.Table:
    """These rows of the table, in this order; there may be none."""
    found: pa.Table = table.take(pa.array(rows, pa.int64()))
    return found
