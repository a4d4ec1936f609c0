"""A small shop in a folder: a table of orders in the memory connector, and a manifest that loads it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from dpone.connector import Target
from dpone.schema import INT64, STRING, Field, Schema, timestamptz
from dpone.strategies import Read
from dpone.testing.memory.testkit import testkit
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.testkit import Mutation, SeedTable

AT = datetime(2026, 6, 1, tzinfo=UTC)
SCHEMA = Schema(
    (
        Field("id", INT64, nullable=False),
        Field("v", STRING),
        Field("updated_at", timestamptz(6), nullable=False),
    ),
    ("id",),
)
MANIFEST = """\
version: 1
name: orders
source: {type: memory, connection: shop, table: public.orders}
sink: {type: memory, connection: dwh, table: raw.orders}
strategy:
  mode: incremental_merge
  key: [id]
  cursor: {column: updated_at, lag: 5m}
"""
STREAMS = """\
version: 1
name: shop
parallel: 2
defaults:
  source: {type: memory, connection: shop}
  sink: {type: memory, connection: dwh, table: "raw.{table}"}
  strategy: {mode: full_refresh}
streams:
  - source: {table: public.*}
"""


class Answer(Struct, frozen=True):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


Dpone = Callable[..., Answer]


class Shop(Struct, frozen=True):
    """A source with `orders`, and a manifest that merges them into raw.orders of the same store."""

    folder: Path
    table: SeedTable

    @property
    def endpoint(self) -> Endpoint:
        extra = {"path": str(self.folder / "store")}
        return Endpoint("memory", "localhost", {}, Provider.EMBEDDED, Fidelity.CONTRACT, extra=extra)

    @property
    def manifest(self) -> Path:
        return self.folder / "orders.yaml"

    def write(self, text: str) -> None:
        """The manifest is this text."""
        self.manifest.write_text(text, encoding="utf-8")

    def change(self, *mutations: Mutation) -> None:
        """The source's table after these changes."""
        testkit.change(self.endpoint, self.table, mutations)

    def landed(self, *name: str) -> list[dict[str, Any]]:
        """The rows of a target, by default raw.orders, ordered by id."""
        rows: list[dict[str, Any]] = testkit.rows(self.endpoint, Target(name or ("raw", "orders"))).to_pylist()
        return sorted(rows, key=lambda row: int(row["id"]))


def open_shop(folder: Path, orders: int = 10) -> Shop:
    """A shop in this folder, with connections.yml and orders.yaml beside its store."""
    (folder / "store").mkdir()
    rows = tuple({"id": n, "v": f"v{n}", "updated_at": AT + timedelta(minutes=n)} for n in range(orders))
    shop = Shop(folder, SeedTable("orders", SCHEMA, rows, frozenset(Read)))
    testkit.seed(shop.endpoint, shop.table)
    store = folder / "store"
    connections = f"shop: {{type: memory, path: {store}}}\ndwh: {{type: memory, path: {store}}}\n"
    (folder / "connections.yml").write_text(connections, encoding="utf-8")
    shop.write(MANIFEST)
    return shop
