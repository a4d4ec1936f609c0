"""`make demo`: a shop in a real PostgreSQL, loaded by five strategies while its rows change, and what became of each.

Everything stays in `.dpone/demo`; nothing outside this machine is contacted.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console
from rich.table import Table

from dpone import api
from dpone.observe.progress import ProgressBars
from dpone.observe.record import RunReport, StreamReport
from dpone.schema import INT64, STRING, Field, Schema, decimal, timestamptz
from dpone.strategies import Read
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.testkit import Delete, Insert, Mutation, SeedTable, Update

ORDERS = 50_000
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
    testkit = _testkit()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    table = orders()
    with testkit.service(testkit.providers()[0]) as endpoint:
        server = testkit.identify(endpoint)
        console.print(
            f"[bold]{server.product} {server.version}[/] is up ({endpoint.provider.value}, "
            f"{endpoint.fidelity.name.lower()}); a shop of {ORDERS:,} orders is being made"
        )
        testkit.seed(endpoint, table)
        manifest = _manifest(testkit, endpoint, table)
        with _connection(endpoint):
            first = _run(manifest, console, "first", "Every strategy loads the shop for the first time.")
            testkit.change(endpoint, table, changes())
            second = _run(manifest, console, "second", "200 orders changed, 50 are gone, 50 are new, 10 of them late.")
            third = _run(manifest, console, "third", "Nothing changed since.")
    console.print(_summary((first, second, third)))
    console.print(
        f"incremental_merge finds the late orders by its lag of 45 minutes, and keeps the 50 deleted ones: "
        f"a cursor does not see what is gone; snapshot_diff, scd2 and cdc do.\n"
        f"manifest {manifest}, reports {FOLDER}/runs/{{first,second,third}}.md, {monotonic() - begun:.0f} s in all"
    )
    return 0 if all(report.succeeded for report in (first, second, third)) else 1


def _testkit() -> Any:
    """The testkit of the connector that the demo shows, had as any connector's is: by its entry point."""
    for point in entry_points(group="dpone.testkits"):
        if point.name == CONNECTOR:
            return point.load()
    sys.exit(f"the demo needs dpone-connectors-{CONNECTOR}: pip install 'dpone-connectors-{CONNECTOR}[local]'")


def _manifest(testkit: Any, endpoint: Endpoint, table: SeedTable) -> Path:
    source = ".".join(testkit.dataset(endpoint, table).name)
    lines = ["version: 1", "name: demo", "defaults:"]
    lines += [f"  source: {{type: {CONNECTOR}, connection: demo, table: {source}}}", "streams:"]
    for name, strategy in STRATEGIES.items():
        target = ".".join(testkit.target(endpoint, f"orders_{name}").name)
        lines.append(f"  - name: {name}")
        lines.append(f"    sink: {{type: {CONNECTOR}, connection: demo, table: {target}}}")
        lines.append(f"    strategy: {strategy}")
    path = FOLDER / "demo.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@contextmanager
def _connection(endpoint: Endpoint) -> Iterator[None]:
    os.environ["DPONE_CONN_DEMO"] = endpoint.url()
    try:
        yield
    finally:
        del os.environ["DPONE_CONN_DEMO"]


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


def _summary(reports: tuple[RunReport, ...]) -> Table:
    table = Table(title="What happened")
    table.add_column("strategy", no_wrap=True)
    table.add_column("run", no_wrap=True)
    for column in _COLUMNS:
        table.add_column(column, justify="right")
    for name in STRATEGIES:
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
