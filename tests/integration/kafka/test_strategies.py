"""Every strategy of the matrix into a topic and out of one: first, changed, unchanged and emptied.

Real runs of real manifests; both ends are filled and read by their testkits, a topic by another client library, and the
target is judged by the strategy's postcondition, which knows neither operations nor messages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import dpone
from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX
from dpone.names import print_name
from dpone.schema import INT64, STRING, Field, Schema, decimal, timestamptz
from dpone.strategies import STRATEGIES as RULES
from dpone.strategies import Read
from dpone.testing.services.endpoint import Provider
from dpone.testing.testkit import Delete, Insert, SeedTable, Update
from dpone_certify.postconditions.judge import violations
from dpone_certify.postconditions.options import Options
from dpone_clickhouse.testkit import testkit as clickhouse
from dpone_kafka.testkit import testkit as kafka
from dpone_postgres.testkit import testkit as postgres
from dpone_rest.testkit import testkit as rest

pytestmark = pytest.mark.integration_kafka

KITS: dict[str, Any] = {"postgres": postgres, "clickhouse": clickhouse, "rest": rest, "kafka": kafka}
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


BEFORE = [row(n) for n in range(1, 101)]
CHANGED = [row(n, LATER, "2.5") for n in range(11, 21)]
NEW = [row(n, LATER) for n in range(101, 106)]
GONE = range(1, 6)
AFTER = [*[r for r in BEFORE if r["id"] not in {*GONE, *(c["id"] for c in CHANGED)}], *CHANGED, *NEW]
MUTATIONS: list[Update | Delete | Insert] = [
    *(Update({"id": r["id"]}, {"amount": r["amount"], "updated_at": r["updated_at"]}) for r in CHANGED),
    *(Delete({"id": n}) for n in GONE),
    *(Insert(r) for r in NEW),
]
TOUCHED = frozenset((m.key["id"],) for m in MUTATIONS if not isinstance(m, Insert)) | {(r["id"],) for r in NEW}
CONTENT = ORDERS.names
SETTINGS: dict[str, tuple[dict[str, Any], Options]] = {
    "full_refresh": ({"key": ["id"]}, Options(CONTENT, ("id",))),
    "incremental_append": ({"key": ["id"]}, Options(CONTENT, ("id",), cursor="updated_at")),
    "incremental_merge": ({"key": ["id"]}, Options(CONTENT, ("id",), cursor="updated_at")),
    "replace": ({"key": ["id"]}, Options(CONTENT, ("id",))),
    "partition_replace": (
        {"column": "updated_at", "grain": "day"},
        Options(CONTENT, slice_column="updated_at", grain="day"),
    ),
    "snapshot_diff": ({"key": ["id"]}, Options(CONTENT, ("id",))),
    "scd2": ({"key": ["id"]}, Options(CONTENT, ("id",))),
    "backfill": (
        {"column": "id", "bounds": {"from": 0, "to": 1000}, "chunk": 500},
        Options(CONTENT, slice_column="id", bounds=(0, 1000)),
    ),
    "xmin": ({"key": ["id"]}, Options(CONTENT, ("id",))),
    "cdc": ({"key": ["id"]}, Options(CONTENT, ("id",))),
}
GUARDED = {"full_refresh", "replace", "snapshot_diff", "backfill", "scd2"}  # an emptied source is no order to empty
PAIRS = [(s, "kafka") for s in ("postgres", "clickhouse", "rest", "kafka")]
PAIRS += [("kafka", s) for s in ("postgres", "clickhouse")]
CASES = [
    pytest.param(case.source, case.sink, case.strategy, id=case.id)
    for case in DEFAULT_INTEGRATION_MATRIX.cases
    if (case.source, case.sink) in PAIRS
]


@pytest.fixture(scope="module")
def services(request: pytest.FixtureRequest) -> Iterator[Any]:
    asked = request.config.getoption("provider")  # of Kafka alone: `--provider embedded` is Apache's own
    running: dict[str, Any] = {}
    with ExitStack() as stack:

        def endpoint(name: str) -> Any:
            if name not in running:
                kit = KITS[name]
                provider = Provider(asked) if asked and name == "kafka" else kit.providers()[0]
                running[name] = stack.enter_context(kit.service(provider))
            return running[name]

        yield endpoint


class Pipeline:
    """One strategy between two ends."""

    def __init__(self, source: str, sink: str, strategy: str, services: Any) -> None:
        self.names, self.strategy = (source, sink), strategy
        self.source, self.sink = KITS[source], KITS[sink]
        self.read, self.written = services(source), services(sink)
        reads = frozenset({Read.SCAN, RULES[strategy].read})
        self.table = SeedTable(f"orders_{strategy}_{source}_{sink}", ORDERS, tuple(BEFORE), reads)
        self.target = self.sink.target(self.written, f"landed_{strategy}_{source}_{sink}")
        self.source.seed(self.read, self.table)

    def manifest(self) -> str:
        dataset = self.source.dataset(self.read, self.table)
        named = {"kafka": "topic", "rest": "path"}.get(self.names[0], "table")
        name = dataset.name[0] if named != "table" else print_name(dataset.name)
        source = {"type": self.names[0], "connection": "api", named: name, **dataset.options}
        if self.names[0] == "rest" and self.strategy == "backfill":
            source["params"] = {"by": "id"}
            source["since"] = {**source["since"], "column": "id"}
        if self.names[0] == "kafka" and self.strategy == "incremental_append":
            source["tombstones"] = "ignore"
        to = {"topic": self.target.name[0]} if self.names[1] == "kafka" else {"table": print_name(self.target.name)}
        sink = {"type": self.names[1], "connection": "dwh", **to}
        strategy = {"mode": self.strategy, **SETTINGS[self.strategy][0]}
        if RULES[self.strategy].read is Read.SINCE and self.names[0] != "kafka":
            lag = {"lag": "1h"} if self.strategy == "incremental_merge" else {}
            strategy["cursor"] = {"column": "updated_at", **lag}
        return json.dumps({"version": 1, "name": "orders", "source": source, "sink": sink, "strategy": strategy})

    def write(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "orders.yaml").write_text(self.manifest())
        ends = {
            "api": {"type": self.names[0], **self.source.connection(self.read)},
            "dwh": {"type": self.names[1], **self.sink.connection(self.written)},
        }
        for name, fields in ends.items():
            for key in {"token", "password"} & fields.keys():
                variable = f"{name}_{key}".upper()
                monkeypatch.setenv(variable, fields[key])
                fields[key] = f"${{env:{variable}}}"
        (folder / "connections.yml").write_text(json.dumps(ends, default=str))

    def rows(self) -> list[Row]:
        found: list[Row] = self.sink.rows(self.written, self.target).to_pylist()
        return [{**r, "amount": None if r["amount"] is None else Decimal(str(r["amount"]))} for r in found]

    def asked(self, rows: Sequence[Row], *, first: bool) -> Options:
        asked = replace(SETTINGS[self.strategy][1], first=first)
        by_cursor = self.names[0] != "kafka"
        if not first:
            greatest = max(r["updated_at"] for r in BEFORE)
            since = {"incremental_append": greatest, "incremental_merge": greatest - timedelta(hours=1)}
            asked = replace(asked, since=since.get(self.strategy), touched=TOUCHED)
        if self.strategy == "incremental_merge" and not by_cursor:
            asked = replace(asked, names_deletes=True, cursor=None, since=None)
        if self.strategy == "scd2":
            asked = replace(asked, at=max(r["valid_from"] for r in rows))
        return asked

    def empty(self) -> None:
        self.source.change(self.read, self.table, [Delete({"id": r["id"]}) for r in AFTER])


def ordered(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda r: (r["id"], str(r.get("valid_from"))))


@pytest.mark.parametrize("source, sink, strategy", CASES)
def test_first_changed_unchanged_and_emptied(
    source: str, sink: str, strategy: str, services: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DPONE_TESTING", "1")
    pipeline = Pipeline(source, sink, strategy, services)
    pipeline.write(tmp_path, monkeypatch)

    def load(old: Sequence[Row], new: Sequence[Row], before: Sequence[Row], *, first: bool) -> list[Row]:
        report = dpone.run("orders.yaml")
        assert report.succeeded, report.streams[0].error
        after = pipeline.rows()
        assert violations(strategy, old, new, before, after, pipeline.asked(after, first=first)) == []
        return after

    one = load([], BEFORE, [], first=True)
    pipeline.source.change(pipeline.read, pipeline.table, MUTATIONS)
    two = load(BEFORE, AFTER, one, first=False)
    report = dpone.run("orders.yaml")
    assert report.succeeded, report.streams[0].error
    assert ordered(pipeline.rows()) == ordered(two)
    pipeline.empty()
    report = dpone.run("orders.yaml")
    assert report.succeeded is (strategy not in GUARDED), "an emptied source emptied the target"
    if strategy in GUARDED:
        assert ordered(pipeline.rows()) == ordered(two)
