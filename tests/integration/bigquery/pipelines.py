"""Pipelines into BigQuery for tests: a seeded source of any kind, a manifest, and the rows that a stranger reads."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dpone
from dpone.connector import AddColumn
from dpone.schema import INT64, STRING, Field, Schema, decimal, timestamptz
from dpone.strategies import Read
from dpone.testing.memory.testkit import testkit as memory
from dpone.testing.testkit import Delete, Insert, SeedTable, Update
from dpone_bigquery.testkit import testkit as bigquery
from dpone_certify.postconditions.options import Options
from dpone_clickhouse.testkit import testkit as clickhouse
from dpone_postgres.testkit import testkit as postgres
from dpone_rest.testkit import testkit as rest

KITS: dict[str, Any] = {
    "memory": memory,
    "postgres": postgres,
    "clickhouse": clickhouse,
    "rest": rest,
    "bigquery": bigquery,
}
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=40)
Row = dict[str, Any]
ORDERS = Schema(
    (
        Field("id", INT64, nullable=False),
        Field("name", STRING),
        Field("amount", decimal(18, 4)),
        Field("updated_at", timestamptz(6), nullable=False),
    ),
    key=("id",),
)


def row(number: int, at: datetime | None = None, amount: str = "1.0001") -> Row:
    name = None if number % 7 == 0 else "" if number % 11 == 0 else f"it's Ω \\N\t{number}"
    moment = NOON + timedelta(hours=number, microseconds=number) if at is None else at
    return {"id": number, "name": name, "amount": Decimal(amount) * number, "updated_at": moment}


BEFORE = [row(n) for n in range(1, 251)]
CHANGED = [row(n, LATER, "2.5") for n in range(11, 31)]
NEW = [row(n, LATER) for n in range(251, 261)]
GONE = range(1, 11)
AFTER = [*[r for r in BEFORE if r["id"] not in {*GONE, *(c["id"] for c in CHANGED)}], *CHANGED, *NEW]
MUTATIONS: list[Update | Delete | Insert] = [
    *(Update({"id": r["id"]}, {"amount": r["amount"], "updated_at": r["updated_at"]}) for r in CHANGED),
    *(Delete({"id": n}) for n in GONE),
    *(Insert(r) for r in NEW),
]
TOUCHED = frozenset((m.key["id"],) for m in MUTATIONS if not isinstance(m, Insert)) | {(r["id"],) for r in NEW}
CONTENT = ORDERS.names
STRATEGIES: dict[str, tuple[dict[str, Any], Options]] = {
    "full_refresh": ({"key": ["id"]}, Options(CONTENT, ("id",))),
    "incremental_append": (
        {"key": ["id"], "cursor": {"column": "updated_at"}},
        Options(CONTENT, ("id",), cursor="updated_at"),
    ),
    "incremental_merge": (
        {"key": ["id"], "cursor": {"column": "updated_at", "lag": "1h"}},
        Options(CONTENT, ("id",), cursor="updated_at"),
    ),
    "replace": ({"key": ["id"]}, Options(CONTENT, ("id",))),
    "partition_replace": (
        {"column": "updated_at", "grain": "day"},
        Options(CONTENT, slice_column="updated_at", grain="day"),
    ),
    "snapshot_diff": ({"key": ["id"]}, Options(CONTENT, ("id",))),
    "scd2": ({"key": ["id"]}, Options(CONTENT, ("id",))),
    "backfill": (
        {"column": "id", "bounds": {"from": 0, "to": 1000}, "chunk": 100},
        Options(CONTENT, slice_column="id", bounds=(0, 1000)),
    ),
    "xmin": ({"key": ["id"], "reconcile": True}, Options(CONTENT, ("id",), reconcile=True)),
    "cdc": ({"key": ["id"]}, Options(CONTENT, ("id",))),
}
# An emptied source is no order to empty the target.
GUARDED = {"full_refresh", "replace", "snapshot_diff", "backfill", "scd2", "xmin"}
_READS = {"xmin": Read.XMIN, "cdc": Read.CHANGES}
EXTRA = Field("extra", STRING)


@contextmanager
def running() -> Iterator[Any]:
    """A function that answers the endpoint of a service, started when it is first asked for."""
    found: dict[str, Any] = {}
    with ExitStack() as stack:

        def endpoint(name: str) -> Any:
            if name not in found:
                kit = KITS[name]
                found[name] = stack.enter_context(kit.service(kit.providers()[0]))
            return found[name]

        yield endpoint


@dataclass
class Pipeline:
    """One strategy from a source of this kind into BigQuery."""

    kind: str
    strategy: str
    services: Any
    label: str = ""

    def __post_init__(self) -> None:
        self.kit = KITS[self.kind]
        self.read, self.written = self.services(self.kind), self.services("bigquery")
        reads = frozenset({Read.SCAN, Read.SINCE, _READS.get(self.strategy, Read.SCAN)})
        self.table = SeedTable(f"orders_{self.strategy}{self.label}", ORDERS, tuple(BEFORE), reads)
        self.target = bigquery.target(self.written, f"{self.kind}_{self.strategy}{self.label}")
        self.secrets: dict[str, str] = {}
        self.kit.seed(self.read, self.table)

    @property
    def source(self) -> dict[str, Any]:
        dataset = self.kit.dataset(self.read, self.table)
        if self.kind != "rest":
            return {"type": self.kind, "connection": "there", "table": ".".join(dataset.name)}
        source = {"type": "rest", "connection": "there", "path": dataset.name[0], **dataset.options}
        if self.strategy == "backfill":
            source["params"] = {"by": "id"}
            source["since"] = {**source["since"], "column": "id"}
        return source

    def write(self, folder: Path, **sink: Any) -> None:
        """The manifest and its connections are in the folder; secrets are told apart."""
        given = {
            "version": 1,
            "name": "orders",
            "source": self.source,
            "sink": {"type": "bigquery", "connection": "dwh", "table": ".".join(self.target.name), **sink},
            "strategy": {"mode": self.strategy, **STRATEGIES[self.strategy][0]},
        }
        (folder / "orders.yaml").write_text(json.dumps(given))
        there = {"type": self.kind, **self.kit.connection(self.read)}
        for key in {"token", "password"} & there.keys():
            self.secrets[f"THERE_{key}".upper()] = there[key]
            there[key] = f"${{env:THERE_{key.upper()}}}"
        here = {"type": "bigquery", **bigquery.connection(self.written)}
        (folder / "connections.yml").write_text(json.dumps({"there": there, "dwh": here}, default=str))

    def change(self, *mutations: Any) -> None:
        self.kit.change(self.read, self.table, mutations)

    def widen(self) -> None:
        """The source has one column more."""
        self.kit.alter(self.read, self.table, AddColumn(EXTRA))
        self.table = replace(self.table, schema=replace(ORDERS, fields=(*ORDERS.fields, EXTRA)))

    def rows(self) -> list[Row]:
        found: list[Row] = bigquery.rows(self.written, self.target).to_pylist()
        return found

    def asked(self, rows: Sequence[Row], *, first: bool) -> Options:
        """What the load was asked for, given the rows that it left."""
        asked = replace(STRATEGIES[self.strategy][1], first=first)
        if not first:
            greatest = max(r["updated_at"] for r in BEFORE)
            since = {"incremental_append": greatest, "incremental_merge": greatest - timedelta(hours=1)}
            asked = replace(asked, since=since.get(self.strategy), touched=TOUCHED)
        if self.strategy == "scd2":
            asked = replace(asked, at=max(r["valid_from"] for r in rows))
        return asked


def load() -> None:
    """The manifest of this folder was carried out."""
    report = dpone.run("orders.yaml")
    assert report.succeeded, report.streams[0].error


def ordered(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda r: (r["id"], str(r.get("valid_from"))))
