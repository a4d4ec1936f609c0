"""Stages: rows as they came, on this machine's disk, and after sealing what they amount to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from dpone.arrow import arrow_type
from dpone.batch import ARROW, Batch, refuse_format
from dpone.connector import CHANGE_COLUMNS, Staged, StageRef, StageSpec
from dpone.errors import RemoteError
from dpone.probes import Measurement, Probe
from dpone.schema import Kind, Schema
from dpone_kafka.measuring import adds_up, measure, measured
from dpone_kafka.piles import batches
from dpone_kafka.plain_rows import PlainRows, plain_rows
from dpone_kafka.prepared import Preparation, preparation_for, preparation_of
from dpone_kafka.sealing import Sealed, seal, taken
from dpone_kafka.spills import Spill

_ROWS_AT_ONCE, _BYTES_AT_ONCE = 32_768, 16 << 20


def wire_schema(spec: StageSpec) -> pa.Schema:
    """What batches of this stage look like: the incoming columns, and behind them the change fields."""
    tags = CHANGE_COLUMNS if spec.is_tagged else ()
    return pa.schema([(f.name, arrow_type(f.type)) for f in (*spec.content, *tags)])


def new_ref(spill: Spill, spec: StageSpec) -> StageRef:
    schema = wire_schema(spec).serialize().to_pybytes().hex()
    limits = {
        f.name: f.type.size
        for f in spec.layout.schema
        if f.type.kind in {Kind.STRING, Kind.BINARY} and f.type.size is not None and f.name in spec.columns
    }
    made = preparation_for(spec)
    prepared = None if made is None else made.to_json()
    return StageRef(spill.name, {"path": str(spill.path), "schema": schema, "limits": limits, "prepared": prepared})


class SpillWriter:
    """Takes the batches of one split; they are in the stage when the writer's context ends without an error.

    They are prepared and written in a thread of its own, while the next ones are read.
    """

    def __init__(self, ref: StageRef, split: str) -> None:
        payload = bytes.fromhex(ref.payload["schema"])
        self._schema = pa.ipc.read_schema(pa.py_buffer(payload))
        self._limits = dict(ref.payload["limits"])
        self._prepared = preparation_of(ref.payload["prepared"])
        self._final = Spill(Path(ref.payload["path"])).part(split)
        self._path = self._final.with_name(f"{uuid4().hex}.open")
        handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(handle, "wb")
        self._writer = pa.ipc.new_file(self._file, stored_schema(self._schema, self._prepared))
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0
        self._thread = ThreadPoolExecutor(1, "dpone-kafka-stage")
        self._storing: Future[None] | None = None  # one at a time, so that memory holds what waits and what is written

    def write(self, batch: Batch) -> None:
        refuse_format(batch, ARROW)
        data: pa.RecordBatch = batch.data
        if data.num_columns != len(self._schema):
            raise RemoteError(
                f"a batch of {data.num_columns} columns came, the stage has {len(self._schema)}",
                code="sink.rejected_rows",
            )
        arrays = [self._fitted(data.column(i), self._schema.field(i)) for i in range(data.num_columns)]
        self._waiting.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._rows += data.num_rows
        self._bytes += data.nbytes
        if self._rows >= _ROWS_AT_ONCE or self._bytes >= _BYTES_AT_ONCE:  # many small pieces would be slow to read
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
            self._await_stored()
            self._storing = self._thread.submit(self._store, self._waiting)
            self._waiting, self._rows, self._bytes = [], 0, 0

    def _await_stored(self) -> None:
        """What was handed over is in the file, or its error is raised."""
        if self._storing is not None:
            self._storing.result()

    def _store(self, found: list[pa.RecordBatch]) -> None:
        schema = stored_schema(self._schema, self._prepared)
        for batch in pa.Table.from_batches(found).combine_chunks().to_batches():
            beside = [] if self._prepared is None else self._prepared.columns(batch)
            self._writer.write_batch(pa.RecordBatch.from_arrays([*batch.columns, *beside], schema=schema))

    def close(self) -> None:
        """The split is what was written, and nothing that an earlier writer of it wrote."""
        try:
            self._flush()
            self._await_stored()
        except BaseException:
            self.abandon()
            raise
        self._thread.shutdown()
        self._writer.close()
        self._file.close()
        self._path.replace(self._final)

    def abandon(self) -> None:
        self._thread.shutdown()
        self._file.close()
        self._path.unlink(missing_ok=True)


def _unfit(name: str) -> RemoteError:
    return RemoteError(
        f"column {name}: a value does not fit the target's",
        code="sink.rejected_rows",
        hint="cast the column under `columns:`, or widen the target's",
    )


def stored_schema(incoming: pa.Schema, prepared: Preparation | None) -> pa.Schema:
    """What a stage's files hold."""
    fields: list[Any] = [*incoming, *(() if prepared is None else prepared.schema)]
    return pa.schema(fields)


class SpillStage:
    """A stage, and after sealing what its entries amount to."""

    def __init__(self, spill: Spill, spec: StageSpec) -> None:
        self.spill = spill
        self.spec = spec
        self._ref = new_ref(spill, spec)
        self.prepared = preparation_of(self._ref.payload["prepared"])
        self._schema = stored_schema(wire_schema(spec), self.prepared)
        self.plain: PlainRows | None = None  # after sealing: prepared rows that need not be looked at together
        self._sealed: Sealed | None = None
        self.schema = Schema(spec.content)

    @property
    def ref(self) -> StageRef:
        return self._ref

    @property
    def sealed(self) -> Sealed:
        """All of it in memory, save what lies mapped on disk."""
        if self._sealed is None:
            raw = self.spill.table(self._schema).select(wire_schema(self.spec).names)
            self._sealed = seal(raw, self.spec, self.schema)
        return self._sealed

    def seal(self) -> Staged:
        self.plain = plain_rows(self)
        if self.plain is not None:
            rows = self.plain
            dead, present = (0 if found is None else found.rows for found in (rows.dead, rows.present))
            return Staged(rows.received, rows.live, dead, present, cleared=rows.cleared)
        found = self.sealed
        received = self.spill.rows()
        return Staged(received, found.live.num_rows, len(found.dead), len(found.present), cleared=found.cleared)

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """These columns of every entry, a batch at a time."""
        indexes = [self._schema.get_field_index(name) for name in names]
        for part in self.spill.parts():
            yield from batches(part, sorted(indexes))

    def rows_at(self, numbers: Sequence[int]) -> pa.Table:
        """These entries, which are looked up in the mapped files."""
        table = self.spill.table(self._schema).select(list(self.spec.columns))
        return taken(table, numbers)

    def measure(self, probe: Probe) -> Measurement:
        if self.plain is None or not adds_up(probe):
            return measure(self.sealed.live, self.schema, probe)
        return measured(self.plain.batches(self.schema.names), self.schema, probe)
