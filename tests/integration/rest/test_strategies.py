"""Every strategy from a REST API into memory, PostgreSQL and ClickHouse: first, changed, unchanged and emptied.

Real runs of real manifests; the target is read by the testkit and judged by the strategy's postcondition, which knows
neither operations nor SQL. The API pages by offset and is narrowed by the cursor.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import dpone
from dpone.diff.comparing import diff
from dpone.schema import INT64, STRING, Field, Schema, decimal, timestamptz
from dpone.strategies import Read
from dpone.testing.memory.testkit import testkit as memory
from dpone.testing.testkit import Delete, Insert, SeedTable, Truncate, Update
from dpone_certify.postconditions.judge import violations
from dpone_certify.postconditions.options import Options
from dpone_clickhouse.testkit import testkit as clickhouse
from dpone_postgres.testkit import testkit as postgres
from dpone_rest.testkit import testkit as rest

SINKS: dict[str, Any] = {"memory": memory, "postgres": postgres, "clickhouse": clickhouse}
SINK = pytest.mark.parametrize(
    "kind",
    [
        "memory",
        pytest.param("postgres", marks=pytest.mark.integration_postgres),
        pytest.param("clickhouse", marks=pytest.mark.integration_clickhouse),
    ],
)
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
}
UNSEEN = {"incremental_merge", "partition_replace"}  # deletions that the strategy does not see
GUARDED = {"full_refresh", "replace", "snapshot_diff", "backfill", "scd2"}  # an emptied source is no order to empty


@pytest.fixture(scope="module")
def services() -> Iterator[Any]:
    running: dict[str, Any] = {}
    with ExitStack() as stack:

        def endpoint(name: str) -> Any:
            kit = {**SINKS, "rest": rest}[name]
            if name not in running:
                running[name] = stack.enter_context(kit.service(kit.providers()[0]))
            return running[name]

        yield endpoint


class Pipeline:
    """One strategy from an API into a sink."""

    def __init__(self, kind: str, strategy: str, services: Any) -> None:
        self.kind, self.strategy = kind, strategy
        self.sink, self.written, self.read = SINKS[kind], services(kind), services("rest")
        self.table = SeedTable(f"orders_{strategy}_{kind}", ORDERS, tuple(BEFORE), frozenset({Read.SCAN, Read.SINCE}))
        self.target = self.sink.target(self.written, f"landed_{strategy}_from_rest")
        rest.seed(self.read, self.table)

    def manifest(self) -> str:
        dataset = rest.dataset(self.read, self.table)
        source = {"type": "rest", "connection": "api", "path": dataset.name[0], **dataset.options}
        if self.strategy == "backfill":
            source["params"] = {"by": "id"}
            source["since"] = {**source["since"], "column": "id"}
        sink = {"type": self.kind, "connection": "dwh", "table": ".".join(self.target.name)}
        strategy = {"mode": self.strategy, **STRATEGIES[self.strategy][0]}
        return json.dumps({"version": 1, "name": "orders", "source": source, "sink": sink, "strategy": strategy})

    def write(self, folder: Path) -> None:
        (folder / "orders.yaml").write_text(self.manifest())
        ends = {
            "api": {"type": "rest", **rest.connection(self.read)},
            "dwh": {"type": self.kind, **self.sink.connection(self.written)},
        }
        secrets = {}
        for name, fields in ends.items():
            for key in {"token", "password"} & fields.keys():
                secrets[f"{name}_{key}".upper()] = fields[key]
                fields[key] = f"${{env:{name}_{key}}}".upper().replace("ENV:", "env:")
        (folder / "connections.yml").write_text(json.dumps(ends, default=str))
        self.secrets = secrets

    def rows(self) -> list[Row]:
        found: list[Row] = self.sink.rows(self.written, self.target).to_pylist()
        return [{**r, "amount": None if r["amount"] is None else Decimal(str(r["amount"]))} for r in found]

    def asked(self, rows: Sequence[Row], *, first: bool) -> Options:
        from dataclasses import replace

        asked = replace(STRATEGIES[self.strategy][1], first=first)
        if not first:
            greatest = max(r["updated_at"] for r in BEFORE)
            since = {"incremental_append": greatest, "incremental_merge": greatest - timedelta(hours=1)}
            asked = replace(asked, since=since.get(self.strategy), touched=TOUCHED)
        if self.strategy == "scd2":
            asked = replace(asked, at=max(r["valid_from"] for r in rows))
        return asked


def ordered(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda r: (r["id"], str(r.get("valid_from"))))


@SINK
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_first_changed_unchanged_and_emptied(
    kind: str, strategy: str, services: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DPONE_TESTING", "1")
    pipeline = Pipeline(kind, strategy, services)
    pipeline.write(tmp_path)
    for name, value in pipeline.secrets.items():
        monkeypatch.setenv(name, value)

    def load(old: Sequence[Row], new: Sequence[Row], before: Sequence[Row], *, first: bool) -> list[Row]:
        report = dpone.run("orders.yaml")
        assert report.succeeded, report.streams[0].error
        after = pipeline.rows()
        assert violations(strategy, old, new, before, after, pipeline.asked(after, first=first)) == []
        return after

    one = load([], BEFORE, [], first=True)
    compared = diff("orders.yaml").streams[0]
    assert (compared.equal, compared.method, compared.rows.source) == (True, "rows", len(BEFORE)), compared
    rest.change(pipeline.read, pipeline.table, MUTATIONS)
    two = load(BEFORE, AFTER, one, first=False)
    compared = diff("orders.yaml").streams[0]
    kept = set(GONE) if strategy in UNSEEN else set()
    assert {key["id"] for key in compared.extra} | {key["id"] for key in compared.missing} <= kept, compared
    report = dpone.run("orders.yaml")
    assert report.succeeded, report.streams[0].error
    assert ordered(pipeline.rows()) == ordered(two)
    rest.change(pipeline.read, pipeline.table, [Truncate()])
    report = dpone.run("orders.yaml")
    assert report.succeeded is (strategy not in GUARDED), "an emptied source emptied the target"
    assert ordered(pipeline.rows()) == ordered(two)
    written = " ".join(p.read_text() for p in tmp_path.rglob("*") if p.is_file())
    assert all(secret not in written for secret in pipeline.secrets.values())
