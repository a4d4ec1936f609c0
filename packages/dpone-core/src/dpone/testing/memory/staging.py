"""Stages of a store: rows by split, outside of every table, named in the ledger before they exist."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from msgspec.structs import replace

from dpone.batch import Batch, Format, refuse_format
from dpone.connector import CHANGE_COLUMNS, Fate, Role, Staged, StageRef, StageSpec
from dpone.errors import RemoteError
from dpone.probes import Measurement, Probe
from dpone.schema import Field, parse_type
from dpone.stage import Change, ChangeKind, Sealed, seal, unsealed
from dpone.testing.memory.cell import Name
from dpone.testing.memory.disk import digest, replace_file
from dpone.testing.memory.encoding import decode, encode
from dpone.testing.memory.measures import measure
from dpone.testing.memory.store import Store
from dpone.testing.memory.typemap import unfit
from dpone.testing.memory.wire import unpack

_CONSTANT = frozenset({Role.LOAD_ID, Role.LOADED_AT})

Rows = list[tuple[Any, ...]]


class Parts:
    """The rows of one stage by split: in the process, or as one file per split that replaces an earlier one."""

    def __init__(self, store: Store, stage: str) -> None:
        # a stage of the DIRECT fate lives in its transaction alone, whatever the store keeps on disk
        self._folder: Path | None = None if stage.startswith("direct-") else store.folder
        self._memory = store.parts
        self._stage = stage

    def put(self, split: str, rows: Rows) -> None:
        if self._folder is None:
            self._memory.setdefault(self._stage, {})[split] = rows
        else:
            path = self._folder / f"{self._stage}.{digest(split)}.part"
            replace_file(path, json.dumps([list(map(encode, row)) for row in rows]))

    def all(self) -> Rows:
        if self._folder is None:
            return [row for rows in self._memory.get(self._stage, {}).values() for row in rows]
        parts = sorted(self._folder.glob(f"{self._stage}.*.part"))
        return [tuple(map(decode, row)) for part in parts for row in json.loads(part.read_text("utf-8"))]

    def drop(self) -> None:
        self._memory.pop(self._stage, None)
        if self._folder is not None:
            for part in self._folder.glob(f"{self._stage}.*"):
                part.unlink(missing_ok=True)


def target_digest(name: Name) -> str:
    """What the files of a target's stages have in their names."""
    return digest(json.dumps(list(name)))


def new_ref(spec: StageSpec) -> StageRef:
    """A stage for this load, as plain JSON that a worker elsewhere can write by."""
    kind = "direct" if spec.fate is Fate.DIRECT else "stage"
    fields = [[f.name, str(f.type)] for f in spec.content]
    changes = spec.is_tagged
    return StageRef(
        f"{kind}-{target_digest(spec.target.name)}-{uuid4().hex}",
        {"fields": fields, "changes": changes, "format": spec.format},
    )


class MemoryWriter:
    """Takes the batches of one split; they are in the stage when the writer's context ends without an error."""

    def __init__(self, ref: StageRef) -> None:
        self._columns = tuple(Field(name, parse_type(kind)) for name, kind in ref.payload["fields"])
        self._fields = (*self._columns, *CHANGE_COLUMNS) if ref.payload["changes"] else self._columns
        self._format = Format(ref.payload["format"])
        self.rows: Rows = []

    def write(self, batch: Batch) -> None:
        refuse_format(batch, self._format)
        rows = unpack(batch, self._fields)
        for row in rows:
            if len(row) != len(self._fields):
                raise RemoteError(
                    f"a row of {len(row)} values came, the stage has {len(self._fields)} columns",
                    code="sink.rejected_rows",
                )
            for field, value in zip(self._columns, row, strict=False):
                if why := unfit(value, field.type):
                    raise RemoteError(
                        f"column {field.name}: {why} ({field.type})",
                        code="sink.rejected_rows",
                        hint="cast the column under `columns:`, or widen the target's",
                    )
        self.rows += rows


class MemoryStage:
    """A stage, and after sealing what its entries amount to."""

    def __init__(self, store: Store, spec: StageSpec, ref: StageRef) -> None:
        self.spec = spec
        self._ref = ref
        self.parts = Parts(store, ref.id)
        self.is_kept = False
        self._sealed: Sealed | None = None

    @property
    def ref(self) -> StageRef:
        return self._ref

    @property
    def sealed(self) -> Sealed:
        if self._sealed is None:
            raise unsealed()
        return self._sealed

    def seal(self) -> Staged:
        entries = _entries(self.parts.all(), self.spec)
        sealed = seal(entries, self.spec.sealing)
        constants = {c.field.name: c.value for c in self.spec.layout.system if c.role in _CONSTANT}
        self._sealed = replace(sealed, stamps=constants)
        return Staged(len(entries), len(sealed.live), len(sealed.dead), len(sealed.present), cleared=sealed.cleared)

    def measure(self, probe: Probe) -> Measurement:
        return measure(self.sealed.rows, probe)


def _entries(rows: Rows, spec: StageSpec) -> Sequence[Change]:
    names = spec.columns
    if not spec.is_tagged:
        return [Change(dict(zip(names, row, strict=True))) for row in rows]
    entries = []
    for row in rows:
        *values, seq, kind, kept = row
        absent = frozenset(n for n, mark in zip(names, kept or "", strict=False) if mark == "1")
        entries.append(Change(dict(zip(names, values, strict=True)), ChangeKind(kind), seq or 0, absent))
    return entries
