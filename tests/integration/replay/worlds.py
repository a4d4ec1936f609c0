"""A shop in each world: a table of orders, a target, a manifest, and hands that break and mend things between runs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import psycopg
from msgspec.structs import replace

from dpone import failpoints
from dpone.connector import Target
from dpone.errors import DataError
from dpone.schema import DATE, INT64, STRING, Field, Schema, timestamptz
from dpone.strategies import Read
from dpone.testing import deaths
from dpone.testing.memory.cell import Cell
from dpone.testing.memory.config import MemoryConfig
from dpone.testing.memory.publication import TransactionPublication
from dpone.testing.memory.sink import MemorySink
from dpone.testing.memory.staging import MemoryStage
from dpone.testing.memory.store import forget_store, open_store
from dpone.testing.memory.testkit import testkit
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.testkit import Delete, SeedTable, Update
from dpone_postgres.publishing import PostgresPublication
from dpone_postgres.sink import PostgresSink
from dpone_postgres.staging import PostgresStage

ROWS = 10_000
DAYS = 10
BEGIN = date(2026, 1, 1)
AT = datetime(2026, 6, 1, tzinfo=UTC)
MERGE = "{mode: incremental_merge, key: [id], cursor: {column: updated_at, lag: 5m}}"
SCHEMA = Schema(
    (
        Field("id", INT64, nullable=False),
        Field("day", DATE, nullable=False),
        Field("v", STRING),
        Field("updated_at", timestamptz(6), nullable=False),
    ),
    ("id",),
)


def day_of(number: int) -> date:
    return BEGIN + timedelta(days=number % DAYS)


@dataclass
class World:
    """`rows` is what the source has."""

    name: ClassVar[str]
    recorded: ClassVar[Sequence[tuple[type, Sequence[str]]]]
    folder: Path
    changes: int = field(default=0, init=False)

    @property
    def roles(self) -> Mapping[type, str]:
        return dict(zip((kind for kind, _ in self.recorded), ("sink", "stage", "publication"), strict=True))

    @property
    def manifest(self) -> Path:
        return self.folder / "orders.yaml"

    def write(self, strategy: str = MERGE, target: str = "orders", name: str = "orders") -> None:
        """The manifest loads the orders by this strategy."""
        source, sink = self.ends(target)
        text = f"version: 1\nname: {name}\nsource: {source}\nsink: {sink}\nstrategy: {strategy}\n"
        self.manifest.write_text(text, encoding="utf-8")

    def change(self, number: int, value: str) -> None:
        """The order has this value, and was changed after all others."""
        self.changes += 1
        self.set_source(number, value, AT + timedelta(days=1, minutes=self.changes))

    @abstractmethod
    def ends(self, target: str) -> tuple[str, str]: ...
    @abstractmethod
    def seed(self, rows: int = ROWS) -> None: ...
    @abstractmethod
    def set_source(self, number: int, value: str, at: datetime) -> None: ...
    @abstractmethod
    def delete_source(self, number: int) -> None: ...
    @abstractmethod
    def spoil(self, *numbers: int) -> None: ...
    @abstractmethod
    def landed(self) -> dict[int, str]: ...
    @abstractmethod
    def versions(self) -> dict[int, Any]: ...
    @abstractmethod
    def broken(self) -> Any: ...
    @abstractmethod
    def leftovers(self) -> int: ...


@dataclass
class MemoryWorld(World):
    """Both ends are stores of this process, which keep themselves in a folder and write down what they are asked."""

    name = "injected"
    recorded = (
        (MemorySink, ("lease", "stage", "adopt_stage", "keep_stage")),
        (MemoryStage, ("seal", "measure")),
        (TransactionPublication, ("ensure", "apply", "measure", "save_position", "commit")),
    )

    def __post_init__(self) -> None:
        (self.folder / "store").mkdir()
        (self.folder / "connections.yml").write_text(
            "".join(f"{name}: {{type: memory, path: {self.folder / 'store'}}}\n" for name in ("shop", "dwh")),
            encoding="utf-8",
        )

    @property
    def _endpoint(self) -> Endpoint:
        extra = {"path": str(self.folder / "store")}
        return Endpoint("memory", "localhost", {}, Provider.EMBEDDED, Fidelity.CONTRACT, extra=extra)

    @property
    def _table(self) -> SeedTable:
        return SeedTable("orders", SCHEMA, (), frozenset(Read))

    def ends(self, target: str) -> tuple[str, str]:
        return (
            "{type: memory, connection: shop, table: public.orders}",
            f"{{type: memory, connection: dwh, table: raw.{target}}}",
        )

    def seed(self, rows: int = ROWS) -> None:
        seeded = tuple(
            {"id": n, "day": day_of(n), "v": f"v{n}", "updated_at": AT + timedelta(seconds=n)} for n in range(rows)
        )
        testkit.seed(self._endpoint, replace(self._table, rows=seeded))

    def set_source(self, number: int, value: str, at: datetime) -> None:
        testkit.change(self._endpoint, self._table, [Update({"id": number}, {"v": value, "updated_at": at})])

    def delete_source(self, number: int) -> None:
        testkit.change(self._endpoint, self._table, [Delete({"id": number})])

    def _cell(self, change: Callable[[Cell], Cell] | None = None) -> Cell:
        store = open_store(MemoryConfig(path=self.folder / "store"))
        return store.transact(("raw", "orders"), change) if change else store.current(("raw", "orders"))

    def spoil(self, *numbers: int) -> None:
        def spoilt(now: Cell) -> Cell:
            assert now.table is not None
            rows = tuple((x, {**r, "v": "spoilt"} if r["id"] in numbers else r) for x, r in now.table.rows)
            return replace(now, table=replace(now.table, rows=rows))

        self._cell(spoilt)

    def landed(self) -> dict[int, str]:
        rows = testkit.rows(self._endpoint, Target(("raw", "orders"))).to_pylist()
        return {row["id"]: row["v"] for row in rows}

    def versions(self) -> dict[int, Any]:
        table = self._cell().table
        assert table is not None
        return {row["id"]: xid for xid, row in table.rows}  # type: ignore[misc]  # ids are numbers

    @contextmanager
    def broken(self) -> Iterator[None]:
        def fail() -> None:
            raise DataError("planted", code="test.planted")

        with failpoints.arm("after_ensure", fail):
            yield

    def leftovers(self) -> int:
        return len(self._cell().ledger)


@dataclass
class PostgresWorld(World):
    """Both ends are tables of one schema in a server."""

    name = "postgres"
    recorded = (
        (PostgresSink, ("lease", "stage", "adopt_stage", "keep_stage")),
        (PostgresStage, ("seal", "measure")),
        (PostgresPublication, ("ensure", "apply", "measure", "save_position", "commit")),
    )
    db: psycopg.Connection[Any]
    endpoint: Endpoint
    schema: str

    def __post_init__(self) -> None:
        self.db.execute(f"SET search_path = {self.schema}".encode())
        (self.folder / "connections.yml").write_text(
            "".join(f"{name}: {self.endpoint.url()}\n" for name in ("shop", "dwh")), encoding="utf-8"
        )
        (self.folder / "connections.yml").chmod(0o600)

    def ends(self, target: str) -> tuple[str, str]:
        return (
            f"{{type: postgres, connection: shop, table: {self.schema}.source}}",
            f"{{type: postgres, connection: dwh, table: {self.schema}.{target}}}",
        )

    def seed(self, rows: int = ROWS) -> None:
        self.db.execute(
            "CREATE TABLE source (id bigint PRIMARY KEY, day date NOT NULL, v text, updated_at timestamptz NOT NULL)"
        )
        self.db.execute(
            "INSERT INTO source SELECT n, %s + n::int %% %s, 'v' || n, %s + n * interval '1 second' "
            "FROM generate_series(0::bigint, %s) n",
            (BEGIN, DAYS, AT, rows - 1),
        )

    def set_source(self, number: int, value: str, at: datetime) -> None:
        self.db.execute("UPDATE source SET v = %s, updated_at = %s WHERE id = %s", (value, at, number))

    def delete_source(self, number: int) -> None:
        self.db.execute("DELETE FROM source WHERE id = %s", (number,))

    def spoil(self, *numbers: int) -> None:
        self.db.execute("UPDATE orders SET v = 'spoilt' WHERE id = ANY (%s)", (list(numbers),))

    def landed(self) -> dict[int, str]:
        return dict(self.db.execute("SELECT id, v FROM orders").fetchall())

    def versions(self) -> dict[int, Any]:
        return {n: (xmin, ctid) for n, xmin, ctid in self.db.execute("SELECT id, xmin::text, ctid::text FROM orders")}

    @contextmanager
    def broken(self) -> Iterator[None]:
        """A rule of the target itself refuses what is merged."""
        self.db.execute("ALTER TABLE orders ADD CONSTRAINT no_news CHECK (v NOT LIKE 'changed%') NOT VALID")
        try:
            yield
        finally:
            self.db.execute("ALTER TABLE orders DROP CONSTRAINT no_news")

    def leftovers(self) -> int:
        row = self.db.execute(
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relkind = 'r' AND c.relname ~ '^_dpone_[0-9a-f]{20}_'",
            (self.schema,),
        ).fetchone()
        assert row is not None
        return int(row[0])


def killed(place: str, act: Callable[[], object], world: World) -> bool:
    was_killed = deaths.killed(place, act)
    if isinstance(world, MemoryWorld):
        forget_store(MemoryConfig(path=world.folder / "store"))
    return was_killed
