"""How tests drive a store in memory: it is seeded, changed and read behind the connector's back, and can lose what it
must.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from dpone.batch import ARROW
from dpone.connector import AddColumn, Connector, Dataset, Json, Layout, RelaxColumn, Target, WidenColumn
from dpone.schema import Field, Kind, Schema
from dpone.strategies import Read
from dpone.testing.losing import losing_answers
from dpone.testing.memory import connector, publish_connector
from dpone.testing.memory.cell import LONGEST_NAME, Cell, Table
from dpone.testing.memory.changes import mutate
from dpone.testing.memory.config import MemoryConfig
from dpone.testing.memory.publication import COMMITTED
from dpone.testing.memory.publishing import EXCHANGE
from dpone.testing.memory.samples import SAMPLES
from dpone.testing.memory.staging import target_digest
from dpone.testing.memory.store import Store, forget_store, open_store
from dpone.testing.memory.typemap import widened
from dpone.testing.memory.wire import pack
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.testkit import (
    Alteration,
    Delete,
    Deviation,
    DropColumn,
    Identity,
    Insert,
    Mutation,
    Names,
    Sample,
    SeedTable,
    Truncate,
    Update,
    values_read,
)

if TYPE_CHECKING:
    import pyarrow as pa

_CURSORS = frozenset({Kind.INT, Kind.DATE, Kind.TIMESTAMP, Kind.TIMESTAMPTZ})


_NAMES = Names(longest="n" * LONGEST_NAME, too_long="n" * (LONGEST_NAME + 1))


class MemoryTestkit(Struct, frozen=True):
    """The testkit of both connectors: their stores are alike."""

    connector: Connector[Any]
    deviations: Sequence[Deviation] = ()
    tables: Names = _NAMES
    columns: Names = _NAMES
    cursors: frozenset[Kind] = _CURSORS
    storable: frozenset[Kind] = frozenset(Kind)
    mutations: frozenset[type[Mutation]] = frozenset({Insert, Update, Delete, Truncate})
    alterations: frozenset[type[Alteration]] = frozenset({AddColumn, WidenColumn, RelaxColumn, DropColumn})

    # ------------------------------------------------------------------- service

    def providers(self) -> Sequence[Provider]:
        return (Provider.EMBEDDED,)

    @contextmanager
    def service(self, provider: Provider) -> Iterator[Endpoint]:
        """A store in a folder of its own, so that a process that is killed leaves behind what it would."""
        shared = Path("/dev/shm")  # noqa: S108 - only where to put a private folder: a file here costs 20 us, on a disk 300
        with tempfile.TemporaryDirectory(prefix="dpone-memory-", dir=shared if shared.is_dir() else None) as folder:
            extra = {"path": folder}
            yield Endpoint(self.connector.name, "localhost", {}, provider, Fidelity.CONTRACT, extra=extra)
            forget_store(MemoryConfig(path=Path(folder)))

    def identify(self, endpoint: Endpoint) -> Identity:
        return Identity("dpone memory", version("dpone-core"), genuine=False, evidence=f"a store in {endpoint.host}")

    def connection(self, endpoint: Endpoint) -> Mapping[str, Json]:
        return dict(endpoint.extra)

    def _store(self, endpoint: Endpoint) -> Store:
        return open_store(MemoryConfig(path=Path(endpoint.extra["path"])))

    # -------------------------------------------------------------------- source

    @property
    def samples(self) -> Sequence[Sample]:
        return SAMPLES

    def dataset(self, endpoint: Endpoint, table: SeedTable) -> Dataset:
        return Dataset(("public", table.label))

    def seed(self, endpoint: Endpoint, table: SeedTable) -> None:
        fields = tuple(self._native(f) for f in table.schema)
        names = table.schema.names
        rows = [{name: values_read(row).get(name) for name in names} for row in table.rows]
        logged = Read.CHANGES in table.reads

        def change(cell: Cell) -> Cell:
            layout = Layout(Schema(fields, table.schema.key))
            stored = Table(layout, tuple((cell.xid, row) for row in rows), logged=logged)
            return replace(cell, xid=cell.xid + 1, slots={}, table=stored)

        self._store(endpoint).transact(("public", table.label), change)

    def _native(self, field: Field) -> Field:
        engine = self.connector.name
        return replace(field, native=f"{engine}:{field.native_of(engine) or field.type}")

    def change(self, endpoint: Endpoint, table: SeedTable, mutations: Sequence[Mutation]) -> None:
        mutate(self._store(endpoint), ("public", table.label), mutations)

    def alter(self, endpoint: Endpoint, table: SeedTable, alteration: Alteration) -> None:
        def change(cell: Cell) -> Cell:
            assert cell.table is not None  # it was seeded
            return replace(cell, table=self._altered(cell.table, alteration))

        self._store(endpoint).transact(("public", table.label), change)

    def _altered(self, table: Table, alteration: Alteration) -> Table:
        fields, rows = list(table.schema), [dict(row) for row in table.content]
        match alteration:
            case AddColumn(field=added):
                fields.append(self._native(added))
                rows = [{**row, added.name: None} for row in rows]
            case DropColumn(name=name):
                fields = [f for f in fields if f.name != name]
                rows = [{k: v for k, v in row.items() if k != name} for row in rows]
            case WidenColumn(field=wide):
                fields = [self._native(wide) if f.name == wide.name else f for f in fields]
                rows = [{**row, wide.name: widened(row[wide.name], wide.type)} for row in rows]
            case RelaxColumn(name=name):
                fields = [replace(f, nullable=True) if f.name == name else f for f in fields]
        layout = Layout(Schema(tuple(fields), table.schema.key))
        return replace(table, layout=layout, rows=tuple((x, r) for (x, _), r in zip(table.rows, rows, strict=True)))

    # ---------------------------------------------------------------------- sink

    def target(self, endpoint: Endpoint, label: str) -> Target:
        return Target(("public", label))

    def rows(self, endpoint: Endpoint, target: Target) -> pa.Table:
        return _arrow(self._store(endpoint).current(target.name))

    @contextmanager
    def snapshot(self, endpoint: Endpoint, target: Target) -> Iterator[Callable[[], pa.Table]]:
        cell = self._store(endpoint).current(target.name)
        yield lambda: _arrow(cell)

    # --------------------------------------------------------------- what goes wrong

    def crash(self, endpoint: Endpoint) -> None:
        forget_store(MemoryConfig(path=Path(endpoint.extra["path"])))

    def lose_commit_answer(self, endpoint: Endpoint) -> AbstractContextManager[None]:
        return losing_answers(endpoint, COMMITTED, EXCHANGE)

    def forget_state(self, endpoint: Endpoint, target: Target) -> None:
        self._store(endpoint).transact(target.name, lambda cell: replace(cell, stored={}, loads=frozenset(), chunks={}))

    def forget_marker(self, endpoint: Endpoint, target: Target) -> None:
        def change(cell: Cell) -> Cell:
            assert cell.table is not None  # it was published
            return replace(cell, table=replace(cell.table, marker=None))

        self._store(endpoint).transact(target.name, change)

    def remove(self, endpoint: Endpoint, target: Target) -> None:
        self._store(endpoint).transact(target.name, lambda cell: replace(cell, table=None))

    def leftovers(self, endpoint: Endpoint, target: Target) -> Sequence[str]:
        cell = self._store(endpoint).current(target.name)
        folder, mine = Path(endpoint.extra["path"]), target_digest(target.name)
        files = {part.name.partition(".")[0] for part in folder.glob(f"*-{mine}-*.part")}
        noted = {entry.id for entry in cell.ledger}
        return sorted({*cell.shadows, *noted, *files})


def _arrow(cell: Cell) -> pa.Table:
    import pyarrow as pa

    table = cell.table
    if table is None:
        raise LookupError(cell.name)
    system = {c.field.name: c.field for c in table.layout.system}
    fields = [system[c] if c in system else table.schema[c] for c in table.columns]
    batch = pack([tuple(row.get(c) for c in table.columns) for row in table.content], fields, ARROW)
    return pa.Table.from_batches([batch.data])


testkit = MemoryTestkit(connector)
publish_testkit = MemoryTestkit(publish_connector)
