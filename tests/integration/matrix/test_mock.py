"""One case per strategy and end: every connector that has a service here, opposite the memory connector.

Real runs: a first load, a changed source, a rerun without changes. The target is read by the testkit and judged by
the strategy's postcondition, which knows neither operations nor SQL.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from dpone import api, registry
from dpone.connector import Dataset, Target
from dpone.integration_matrix import Case, capabilities, derive
from dpone.manifest import Manifest, SinkEnd, SourceEnd, Stream
from dpone.manifest.connections import ConnectionRef, inline
from dpone.manifest.document import node_of
from dpone.manifest.modes import MODELS
from dpone.manifest.options import Pattern, Template
from dpone.manifest.templates import marked
from dpone.names import print_name
from dpone.strategies import Read
from dpone.testing.memory.testkit import testkit as memory
from dpone.testing.services import Endpoint
from dpone.testing.testkit import PLAIN, Delete, Insert, SeedTable, Update
from dpone_certify.postconditions.judge import violations
from dpone_certify.postconditions.options import Options

pytestmark = pytest.mark.integration_matrix_mock

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
Row = dict[str, Any]


def _testkits() -> dict[str, Any]:
    """The testkits that ship with the installed connectors, and memory's."""
    shipped = {}
    for point in entry_points(group="dpone.testkits"):
        try:
            shipped[point.name] = point.load()
        except ModuleNotFoundError as error:  # declared for a service that its connector does not have yet
            if not (error.name or "").endswith(".testkit"):
                raise
    return {"memory": memory, **shipped}


TESTKITS = _testkits()
ENDS = [capabilities(kit.connector) for kit in TESTKITS.values()]
CASES = [case for case in derive(ENDS).cases if "memory" in (case.source, case.sink)]


def row(number: int, at: datetime, amount: str = "1.0000") -> Row:
    name = None if number % 7 == 0 else "" if number % 11 == 0 else f"it's Ω {number}"
    return {"id": number, "name": name, "amount": Decimal(amount) * number, "updated_at": at}


BEFORE = [row(n, NOON + timedelta(hours=n)) for n in range(1, 201)]
LATER = NOON + timedelta(days=30)
CHANGED = [row(n, LATER, "2.0000") for n in range(11, 31)]
NEW = [row(n, LATER) for n in range(201, 211)]
GONE = range(1, 11)
AFTER = [*[r for r in BEFORE if r["id"] not in {*GONE, *(c["id"] for c in CHANGED)}], *CHANGED, *NEW]
MUTATIONS: list[Update | Delete | Insert] = [
    *(Update({"id": r["id"]}, {"amount": r["amount"], "updated_at": r["updated_at"]}) for r in CHANGED),
    *(Delete({"id": n}) for n in GONE),
    *(Insert(r) for r in NEW),
]

STRATEGIES: dict[str, dict[str, Any]] = {
    "full_refresh": {"key": ["id"]},
    "incremental_append": {"cursor": {"column": "id"}},
    "incremental_merge": {"key": ["id"], "cursor": {"column": "updated_at"}},
    "replace": {"key": ["id"]},
    "partition_replace": {"column": "updated_at", "grain": "day"},
    "snapshot_diff": {"key": ["id"]},
    "scd2": {"key": ["id"]},
    "backfill": {"column": "id", "bounds": {"from": 0, "to": 1000}, "chunk": 500},
    "xmin": {"key": ["id"]},
    "cdc": {"key": ["id"]},
}
CONTENT = ("id", "name", "amount", "updated_at")
TOUCHED = frozenset((m.key["id"],) for m in MUTATIONS if not isinstance(m, Insert)) | {(r["id"],) for r in NEW}
OPTIONS: dict[str, Options] = {
    "full_refresh": Options(CONTENT, ("id",)),
    "incremental_append": Options(CONTENT, cursor="id"),
    "incremental_merge": Options(CONTENT, ("id",), cursor="updated_at"),
    "replace": Options(CONTENT, ("id",)),
    "partition_replace": Options(CONTENT, slice_column="updated_at", grain="day"),
    "snapshot_diff": Options(CONTENT, ("id",)),
    "scd2": Options(CONTENT, ("id",)),
    "backfill": Options(CONTENT, slice_column="id", bounds=(0, 1000)),
    "xmin": Options(CONTENT, ("id",)),
    "cdc": Options(CONTENT, ("id",)),
}


class Services(Struct):
    """Each service is started when a case first needs it, and lives as long as the module."""

    stack: ExitStack
    running: dict[str, Endpoint]

    def endpoint(self, name: str) -> Endpoint:
        if name not in self.running:
            kit = TESTKITS[name]
            providers = kit.providers()
            if not providers:
                pytest.skip(f"no service for {name} on this machine: pip install 'dpone-connectors-{name}[local]'")
            self.running[name] = self.stack.enter_context(kit.service(providers[0]))
        return self.running[name]


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    with ExitStack() as stack:
        yield Services(stack, {})


def connection(kit: Any, endpoint: Endpoint) -> ConnectionRef[Any]:
    """The testkit's connection; its fields are plain values, and a secret among them is this machine's own."""
    config = json.loads(json.dumps(dict(kit.connection(endpoint)), default=str))
    return inline(node_of(config), kit.connector, "test", Path.cwd())[0]


def option(mark: type, options: type[Any], named: Dataset | Target) -> Any:
    field = next(iter(marked(options, mark)))
    return options.model_validate({**named.options, field: print_name(named.name)})


def by_cursor(case: Case) -> bool:
    """The source reads what came since by a cursor; one with positions of its own takes none."""
    return bool(TESTKITS[case.source].connector.source.by_cursor)


def settings(case: Case) -> dict[str, Any]:
    found = {"mode": case.strategy, **STRATEGIES[case.strategy]}
    return {name: value for name, value in found.items() if name != "cursor" or by_cursor(case)}


def stream(case: Case, services: Services, table: SeedTable) -> Stream:
    source, sink = TESTKITS[case.source], TESTKITS[case.sink]
    read, written = services.endpoint(case.source), services.endpoint(case.sink)
    target = sink.target(written, f"landed_{case.strategy}_{case.source}")
    return Stream(
        name=case.id,
        source=SourceEnd(
            connector=source.connector,
            connection=connection(source, read),
            options=option(Pattern, source.connector.source.options, source.dataset(read, table)),
        ),
        sink=SinkEnd(
            connector=sink.connector,
            connection=connection(sink, written),
            options=option(Template, sink.connector.sink.options, target),
        ),
        strategy=MODELS[case.strategy].model_validate(settings(case)),
    )


def landed(case: Case, services: Services) -> list[Row]:
    kit, endpoint = TESTKITS[case.sink], services.endpoint(case.sink)
    rows: list[Row] = kit.rows(endpoint, kit.target(endpoint, f"landed_{case.strategy}_{case.source}")).to_pylist()
    return [{**r, "amount": Decimal(str(r["amount"]))} for r in rows]  # a testkit may read a decimal as its text


def options(case: Case, rows: Sequence[Row], *, first: bool) -> Options:
    """What the load was asked for, as the postcondition wants to hear it."""
    asked = replace(OPTIONS[case.strategy], first=first)
    if case.strategy == "incremental_merge" and not by_cursor(case):
        return replace(asked, cursor=None, names_deletes=True, touched=frozenset() if first else TOUCHED)
    if not first:
        since = {"incremental_append": 201, "incremental_merge": BEFORE[-1]["updated_at"]}.get(case.strategy)
        asked = replace(asked, since=since, touched=TOUCHED)
    if case.strategy == "scd2":  # the time of the load is the runner's; the newest version tells it
        asked = replace(asked, at=max(r["valid_from"] for r in rows))
    return asked


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_case(case: Case, services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DPONE_TESTING", "1")
    kit, endpoint = TESTKITS[case.source], services.endpoint(case.source)
    reads = frozenset(Read) & kit.connector.source.reads
    table = SeedTable(f"orders_{case.strategy}_{case.sink}", PLAIN, tuple(BEFORE), reads)
    kit.seed(endpoint, table)
    manifest = Manifest(name="case", streams=(stream(case, services, table),))

    def load(
        source_before: Sequence[Row], source_after: Sequence[Row], before: Sequence[Row], *, first: bool
    ) -> list[Row]:
        report = api.run(manifest)
        assert report.succeeded, report.streams[0].error
        after = landed(case, services)
        asked = options(case, after, first=first)
        assert violations(case.strategy, source_before, source_after, before, after, asked) == []
        return after

    # a log that says what was changed and deleted cannot be appended
    grows = case.strategy == "incremental_append" and not by_cursor(case)
    one = load([], BEFORE, [], first=True)
    kit.change(endpoint, table, [m for m in MUTATIONS if isinstance(m, Insert) or not grows])
    two = load(BEFORE, [*BEFORE, *NEW] if grows else AFTER, one, first=False)
    report = api.run(manifest)
    assert report.succeeded, report.streams[0].error
    order = lambda r: (r["id"], r["updated_at"], str(r.get("valid_from")))  # noqa: E731 -- a few words
    assert sorted(landed(case, services), key=order) == sorted(two, key=order)


def test_every_strategy_and_every_end_is_there() -> None:
    assert {case.strategy for case in CASES} == set(STRATEGIES)
    assert {case.source for case in CASES} | {case.sink for case in CASES} >= {"memory", "postgres"}
    assert registry.TESTKITS == "dpone.testkits"
