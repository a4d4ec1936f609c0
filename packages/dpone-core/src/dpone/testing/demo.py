"""`make demo`: a shop in a real PostgreSQL, loaded by five strategies while its rows change, and what became of each.

Where ClickHouse, Kafka and the mock API are installed too, the shop goes over to ClickHouse: directly, from the API,
and by way of a topic, which PostgreSQL's changes are written to and ClickHouse is loaded from.

Everything stays in `.dpone/demo`; nothing outside this machine is contacted.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console
from rich.table import Table

from dpone import api
from dpone.connector import Json
from dpone.manifest.configs import is_secret
from dpone.observe.progress import ProgressBars
from dpone.observe.record import RunReport, StreamReport
from dpone.schema import INT64, STRING, Field, Schema, decimal, timestamptz
from dpone.strategies import Read
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import Delete, Insert, Mutation, SeedTable, Update

ORDERS = 25_000
FOLDER = Path(".dpone/demo")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SCHEMA = Schema(
    (
        Field("id", INT64, nullable=False),
        Field("customer", STRING, nullable=False),
        Field("amount", decimal(12, 2), nullable=False),
        Field("note", STRING),
        Field("updated_at", timestamptz(6), nullable=False),
    ),
    ("id",),
)
STRATEGIES = {
    "full_refresh": "{mode: full_refresh, key: [id]}",
    "incremental_merge": "{mode: incremental_merge, key: [id], cursor: {column: updated_at, lag: 45m}}",
    "snapshot_diff": "{mode: snapshot_diff, key: [id]}",
    "scd2": "{mode: scd2, key: [id]}",
    "cdc": "{mode: cdc, key: [id]}",
}
CONNECTOR = "postgres"
RECORDS = 2_000  # of the shop's API
# Streams between engines: source, sink, strategy. Each is shown where both are installed.
BEYOND = {
    "to_clickhouse": (CONNECTOR, "clickhouse", STRATEGIES["incremental_merge"]),
    "api_to_clickhouse": ("rest", "clickhouse", STRATEGIES["snapshot_diff"]),
    "to_kafka": (CONNECTOR, "kafka", STRATEGIES["cdc"]),
    "kafka_to_clickhouse": ("kafka", "clickhouse", "{mode: incremental_merge, key: [id]}"),
}
RELAYED = {"kafka_to_clickhouse": "to_kafka"}  # what such a stream reads is what that one wrote, in the same run


@dataclass(frozen=True, slots=True)
class Place:
    """An engine that answers; manifests know its connection by its connector's name."""

    testkit: Any
    endpoint: Endpoint

    @property
    def name(self) -> str:
        return str(self.testkit.connector.name)

    def source(self, table: SeedTable) -> dict[str, Json]:
        """What a manifest says under `source:` to read the table."""
        dataset = self.testkit.dataset(self.endpoint, table)
        key = "table" if "table" in self.testkit.connector.source.options.model_fields else "path"
        return {"type": self.name, "connection": self.name, key: ".".join(dataset.name), **dataset.options}

    def sink(self, label: str) -> dict[str, Json]:
        """What a manifest says under `sink:` to write a table, or a topic."""
        name = ".".join(self.testkit.target(self.endpoint, label).name)
        key = "table" if "table" in self.testkit.connector.sink.options.model_fields else "topic"
        return {"type": self.name, "connection": self.name, key: name}

    def relay(self, label: str) -> dict[str, Json]:
        """What a manifest says under `source:` to read the topic that another stream writes, by the table's key."""
        columns = {f.name: str(f.type) for f in SCHEMA}
        keyed = {"key_columns": list(SCHEMA.key), "key_format": "json", "columns": columns}
        return {**self.sink(label), "view": "table", **keyed}

    def connection(self) -> dict[str, Json]:
        """The connection without its secrets, which stand in the environment."""
        fields = {n: v for n, v in self.testkit.connection(self.endpoint).items() if v is not None}
        for name, value in list(fields.items()):
            if is_secret(self.testkit.connector.config, name):
                variable = f"DPONE_DEMO_{self.name}_{name}".upper()
                os.environ[variable] = str(value)
                fields[name] = f"${{env:{variable}}}"
        return {"type": self.name, **fields}


def order(number: int, at: datetime, note: str | None = None) -> dict[str, Any]:
    cents = Decimal(number * 37 % 100_000) / 100
    return {"id": number, "customer": f"customer {number % 997}", "amount": cents, "note": note, "updated_at": at}


def orders() -> SeedTable:
    rows = tuple(order(n, NOON + timedelta(seconds=n % 3600)) for n in range(1, ORDERS + 1))
    return SeedTable("orders", SCHEMA, rows, frozenset(Read))


def changes() -> list[Mutation]:
    """Two hundred orders change, fifty are deleted, fifty are new, and ten of these carry a time in the past."""
    later = NOON + timedelta(hours=2)
    found: list[Mutation] = [Update({"id": n}, {"note": "it's paid", "updated_at": later}) for n in range(1, 201)]
    found += [Delete({"id": n}) for n in range(301, 351)]
    found += [Insert(order(ORDERS + n, later)) for n in range(1, 41)]
    found += [Insert(order(ORDERS + n, NOON + timedelta(minutes=30), "late")) for n in range(41, 51)]
    return found


def main() -> int:
    """Zero when every run of the demo succeeded."""
    console = Console(stderr=True, highlight=False)
    begun = monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    table = orders()
    tables = {CONNECTOR: table, "rest": replace(table, rows=table.rows[:RECORDS], reads=frozenset({Read.SCAN}))}
    with ExitStack() as stack:
        places = {name: _up(name, stack, console) for name in _installed()}
        sources = [places[name] for name in tables if name in places]
        console.print(f"a shop of {ORDERS:,} orders is being made")
        for place in sources:
            place.testkit.seed(place.endpoint, tables[place.name])
        manifest, streams = _manifest(places, tables)
        first = _run(manifest, console, "first", "Every strategy loads the shop for the first time.")
        for place in sources:
            place.testkit.change(place.endpoint, tables[place.name], changes())
        second = _run(manifest, console, "second", "200 orders changed, 50 are gone, 50 are new, 10 of them late.")
        third = _run(manifest, console, "third", "Nothing changed since.")
    console.print(_summary(streams, (first, second, third)))
    console.print(
        f"incremental_merge finds the late orders by its lag of 45 minutes, and keeps the 50 deleted ones: "
        f"a cursor does not see what is gone; snapshot_diff, scd2 and cdc do, and a topic carries it on.\n"
        f"manifest {manifest}, reports {FOLDER}/runs/{{first,second,third}}.md, {monotonic() - begun:.0f} s in all"
    )
    return 0 if all(report.succeeded for report in (first, second, third)) else 1


def _installed() -> list[str]:
    """The engines that the demo shows and that can be had here, the shop's own first."""
    known = {point.name for point in entry_points(group="dpone.testkits")}
    if CONNECTOR not in known:
        sys.exit(f"the demo needs dpone-connectors-{CONNECTOR}: pip install 'dpone-connectors-{CONNECTOR}[local]'")
    wanted = dict.fromkeys([CONNECTOR, *(end for source, sink, _ in BEYOND.values() for end in (source, sink))])
    return [name for name in wanted if name in known and (name == CONNECTOR or _testkit(name).providers())]


def _testkit(name: str) -> Any:
    """The testkit of a connector that the demo shows, had as any connector's is: by its entry point."""
    return next(point for point in entry_points(group="dpone.testkits") if point.name == name).load()


def _up(name: str, stack: ExitStack, console: Console) -> Place:
    testkit = _testkit(name)
    endpoint = stack.enter_context(testkit.service(testkit.providers()[0]))
    server = testkit.identify(endpoint)
    how = f"{endpoint.provider.value}, {endpoint.fidelity.name.lower()}"
    console.print(f"[bold]{server.product} {server.version}[/] is up ({how})")
    return Place(testkit, endpoint)


def _manifest(places: Mapping[str, Place], tables: Mapping[str, SeedTable]) -> tuple[Path, list[str]]:
    """The manifest of all streams, with its connections beside it; the streams by name."""
    home = places[CONNECTOR]
    streams = [(name, home, home, strategy) for name, strategy in STRATEGIES.items()]
    streams += [
        (name, places[source], places[sink], strategy)
        for name, (source, sink, strategy) in BEYOND.items()
        if source in places and sink in places
    ]
    lines = ["version: 1", "name: demo", "streams:"]
    for name, source, sink, strategy in streams:
        lines.append(f"  - name: {name}")
        relayed = source.relay(f"orders_{RELAYED[name]}") if name in RELAYED else source.source(tables[source.name])
        lines.append(f"    source: {json.dumps(relayed)}")
        lines.append(f"    sink: {json.dumps(sink.sink(f'orders_{name}'))}")
        lines.append(f"    strategy: {strategy}")
    path = FOLDER / "demo.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    connections = {place.name: place.connection() for place in places.values()}
    (FOLDER / "connections.yml").write_text(json.dumps(connections, indent=2) + "\n", encoding="utf-8")
    return path, [name for name, *_ in streams]


def _run(manifest: Path, console: Console, name: str, says: str) -> RunReport:
    console.print(f"\n{says}")
    if not console.is_terminal:
        return api.run(manifest, run_id=name, runs=FOLDER / "runs")
    with ProgressBars(console) as bars:
        return api.run(manifest, run_id=name, runs=FOLDER / "runs", observers=[bars])


_COLUMNS: dict[str, Callable[[StreamReport], int]] = {
    "read": lambda s: s.rows_staged,
    "inserted": lambda s: s.inserted,
    "updated": lambda s: s.updated,
    "deleted": lambda s: s.deleted,
    "after": lambda s: s.rows_after,
}


def _summary(streams: Sequence[str], reports: tuple[RunReport, ...]) -> Table:
    table = Table(title="What happened")
    table.add_column("stream", no_wrap=True)
    table.add_column("run", no_wrap=True)
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for name in streams:
        for report in reports:
            stream = next(s for s in report.streams if s.name == name)
            if stream.nothing_new:
                table.add_row(name, report.run_id, "nothing new", *[""] * (len(_COLUMNS) - 1))
            elif stream.error:
                table.add_row(name, report.run_id, f"[red]{stream.error_code}[/]", *[""] * (len(_COLUMNS) - 1))
            else:
                table.add_row(name, report.run_id, *(f"{count(stream):,}" for count in _COLUMNS.values()))
        table.add_section()
    return table


if __name__ == "__main__":
    sys.exit(main())
