"""The cells of a store as files of a folder: one small file a name, replaced at once, and a file per version of a
table.

A commit writes the tables that changed under new names and then replaces the cell, so that a process killed at any
moment leaves either the old cell or the new one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary, WeakValueDictionary

from msgspec.structs import asdict

from dpone.books import read_stored, stored_json
from dpone.connector import Chunk, Json, KeptStage, Layout, Role, SystemColumn
from dpone.schema import Field, Schema, parse_type
from dpone.stage import Change, ChangeKind
from dpone.testing.memory.cell import Cell, Leftover, Marker, Name, Table
from dpone.testing.memory.encoding import decode, encode
from dpone.where import Row


class Disk:
    """The files of one store; a table that is the same object as before is not written again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: WeakKeyDictionary[Table, str] = WeakKeyDictionary()
        self._tables: WeakValueDictionary[str, Table] = WeakValueDictionary()

    def path(self, name: Name) -> Path:
        """Where the cell of this name is."""
        return self.folder / f"cell-{digest(json.dumps(list(name)))}.json"

    def stamp(self, name: Name) -> tuple[int, int] | None:
        """What tells one version of a cell from another without reading it."""
        try:
            found = self.path(name).stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns

    def names(self) -> list[Name]:
        """The names of all cells."""
        return [tuple(json.loads(path.read_text("utf-8"))["name"]) for path in self.folder.glob("cell-*.json")]

    def load(self, path: Path) -> Cell:
        found = json.loads(path.read_text("utf-8"))
        return Cell(
            name=tuple(found["name"]),
            xid=found["xid"],
            lsn=found["lsn"],
            table=None if found["table"] is None else self._read(found["table"]),
            shadows={n: self._read(f) for n, f in found["shadows"].items()},
            stored={p: read_stored(s) for p, s in found["stored"].items()},
            loads=frozenset(found["loads"]),
            chunks={plan: frozenset(ids) for plan, ids in found["chunks"].items()},
            slots=found["slots"],
            records=tuple(found["records"]),
            ledger=tuple(map(_leftover_of, found["ledger"])),
        )

    def save(self, cell: Cell) -> None:
        """The cell is the committed one."""
        found = {
            "name": list(cell.name),
            "xid": cell.xid,
            "lsn": cell.lsn,
            "table": None if cell.table is None else self._write(cell.table),
            "shadows": {n: self._write(t) for n, t in cell.shadows.items()},
            "stored": {p: stored_json(s) for p, s in cell.stored.items()},
            "loads": sorted(cell.loads),
            "chunks": {plan: sorted(ids) for plan, ids in cell.chunks.items()},
            "slots": dict(cell.slots),
            "records": list(cell.records),
            "ledger": [[e.id, e.kind, e.at.isoformat(), e.kept and asdict(e.kept)] for e in cell.ledger],
        }
        replace_file(self.path(cell.name), json.dumps(found))

    def _write(self, table: Table) -> str:
        if table not in self._files:
            name = f"table-{uuid4().hex}.json"
            replace_file(self.folder / name, json.dumps(_table_json(table)))
            self._remember(table, name)
        return self._files[table]

    def _read(self, name: str) -> Table:
        table = self._tables.get(name)
        if table is None:
            table = _table_of(json.loads((self.folder / name).read_text("utf-8")))
            self._remember(table, name)
        return table

    def _remember(self, table: Table, name: str) -> None:
        self._files[table] = name
        self._tables[name] = table


def digest(text: str) -> str:
    """A name of any characters as one of a file."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def replace_file(path: Path, text: str) -> None:
    """The file holds the text, or what it held before; never a part of it."""
    beside = path.with_name(f"{path.name}.{uuid4().hex}")
    beside.write_text(text, "utf-8")
    beside.replace(path)


def _leftover_of(found: Json) -> Leftover:
    name, kind, at, kept = found
    return Leftover(name, kind, datetime.fromisoformat(at), KeptStage(**kept) if kept else None)


def _field_json(field: Field) -> Json:
    return [field.name, str(field.type), field.nullable, field.native]


def _field_of(found: Json) -> Field:
    name, kind, nullable, native = found
    return Field(name, parse_type(kind), nullable, native)


def _row_of(columns: tuple[str, ...], values: list[Json]) -> Row:
    return {c: decode(v) for c, v in zip(columns, values, strict=True)}


def _table_json(table: Table) -> Json:
    columns = table.columns
    marker = table.marker
    return {
        "fields": [_field_json(f) for f in table.schema],
        "key": list(table.schema.key),
        "system": [[c.role.value, _field_json(c.field)] for c in table.layout.system],
        "rows": [[xid, [encode(row.get(c)) for c in columns]] for xid, row in table.rows],
        "appended": sorted(table.appended),
        "marker": None if marker is None else _marker_json(marker),
        "logged": table.logged,
        "log": [[c.seq, c.kind.value, sorted(c.kept), {k: encode(v) for k, v in c.row.items()}] for c in table.log],
    }


def _table_of(found: Mapping[str, Any]) -> Table:
    layout = Layout(
        Schema(tuple(map(_field_of, found["fields"])), tuple(found["key"])),
        tuple(SystemColumn(Role(role), _field_of(f)) for role, f in found["system"]),
    )
    columns = Table(layout).columns
    return Table(
        layout,
        tuple((xid, _row_of(columns, values)) for xid, values in found["rows"]),
        frozenset(found["appended"]),
        None if found["marker"] is None else _marker_of(found["marker"]),
        found["logged"],
        tuple(
            Change({k: decode(v) for k, v in row.items()}, ChangeKind(kind), seq, frozenset(kept))
            for seq, kind, kept, row in found["log"]
        ),
    )


def _marker_json(marker: Marker) -> Json:
    return {
        "stored": {p: stored_json(s) for p, s in marker.stored.items()},
        "pipeline": marker.pipeline,
        "run_id": marker.run_id,
        "chunk": None if marker.chunk is None else asdict(marker.chunk),
    }


def _marker_of(found: Json) -> Marker:
    return Marker(
        {p: read_stored(s) for p, s in found["stored"].items()},
        found["pipeline"],
        found["run_id"],
        None if found["chunk"] is None else Chunk(**found["chunk"]),
    )
