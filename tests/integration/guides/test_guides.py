"""Every manifest of the 25 guides runs between the best services of this machine, and leaves what the page says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from ruamel.yaml import YAML

import dpone
from dpone.integration_matrix import DEFAULT_INTEGRATION_MATRIX
from dpone.manifest.options import Pattern, Template
from dpone.manifest.templates import marked
from dpone.names import print_name
from dpone.schema import INT64, STRING, Field, Schema, decimal, timestamptz
from dpone.strategies import STRATEGIES
from dpone.testing.services import Endpoint
from dpone.testing.testkit import Delete, Insert, SeedTable, Update
from dpone_certify.guides import page_name

GUIDES = Path(__file__).parents[3] / "docs/how-to"
ORDERS = Schema(
    (
        Field("id", INT64, nullable=False),
        Field("state", STRING, nullable=False),
        Field("amount", decimal(12, 2), nullable=False),
        Field("note", STRING),
        Field("updated_at", timestamptz(6), nullable=False),
    ),
    key=("id",),
)
EVENTS = Schema((Field("id", INT64, nullable=False), Field("what", STRING, nullable=False)), key=("id",))
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 7, 1, tzinfo=UTC)
# the rows of the target at first, after the changes, and after the source was emptied; None: the last run is refused
AFTER: dict[str, tuple[int, int, int | None]] = {
    "full_refresh": (100, 99, None),
    "replace": (33, 33, None),
    "incremental_append": (100, 101, 101),
    "incremental_merge": (100, 101, 101),
    "snapshot_diff": (100, 101, None),
    "scd2": (100, 111, None),
    "partition_replace": (100, 99, 99),
    "backfill": (100, 99, None),
    "xmin": (100, 99, None),
    "cdc": (100, 99, 0),
}
AFTER_A_LOG = {**AFTER, "incremental_merge": (100, 99, 0)}  # which says what was deleted
WHOLE = {"full_refresh", "partition_replace", "backfill", "xmin", "cdc"}  # the target is the source, row by row


def order(number: int, *, more: int = 0, at: datetime | None = None) -> dict[str, Any]:
    note = None if number == 5 else f"it's\t\\ {number}"
    state = "paid" if number % 3 else "open"
    amount = Decimal(number * 25) / 100 + more
    return {"id": number, "state": state, "amount": amount, "note": note, "updated_at": at or NOON + number * HOUR}


HOUR = timedelta(hours=1)
BEFORE = [order(n) for n in range(1, 101)]
NEW = {"id": 500, "state": "open", "amount": Decimal("1.00"), "note": None, "updated_at": LATER}
CHANGED = [
    *(order(n, more=1, at=LATER) for n in range(1, 11)),
    *(order(n) for n in range(11, 101) if n not in {20, 21}),
    NEW,
]
SEEN = [{"id": n, "what": "seen"} for n in range(1, 101)]
CHANGES = {
    "orders": [
        *(Update({"id": r["id"]}, {"amount": r["amount"], "updated_at": LATER}) for r in CHANGED[:10]),
        *(Delete({"id": n}) for n in (20, 21)),
        Insert(NEW),
    ],
    "events": [Insert({"id": 101, "what": "new"})],
}


def manifests(pair: tuple[str, str]) -> dict[str, str]:
    page = (GUIDES / page_name(*pair)).read_text("utf-8")
    texts = re.findall(r"```yaml\n(version: 1\n.*?)```", page, re.DOTALL)
    return {match[1]: text for text in texts if (match := re.search(r"mode: (\w+)", text))}


KITS = {point.name: point for point in entry_points(group="dpone.testkits")}
MARKS = {"postgres", "mssql", "clickhouse", "kafka"}  # a service that is not among them is quick, and always runs
CASES = [
    pytest.param(
        pair,
        mode,
        id=f"{'-to-'.join(pair)}-{mode}",
        marks=[getattr(pytest.mark, f"integration_{end}") for end in dict.fromkeys(pair) if end in MARKS],
    )
    for pair in DEFAULT_INTEGRATION_MATRIX.pairs
    for mode in manifests(pair)
]


class End:
    """One end of a pair: its testkit, its service, and the line of connections.yml that reaches it."""

    def __init__(self, name: str, kit: Any, endpoint: Endpoint) -> None:
        self.name, self.kit, self.endpoint = name, kit, endpoint

    def connection(self, alias: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
        """The connection, its secrets by reference."""
        found = {"type": self.name}
        for key, value in self.kit.connection(self.endpoint).items():
            if SecretStr in _types_of(self.kit.connector.config.model_fields[key].annotation):
                variable = f"{alias}_{key}".upper()
                monkeypatch.setenv(variable, str(value))
                found[key] = f"${{env:{variable}}}"
            else:
                found[key] = value
        return found


def _types_of(annotation: Any) -> set[Any]:
    return {annotation, *getattr(annotation, "__args__", ())}


def _value(column: str, found: Any) -> Any:
    """What an independent reader says, which may be the text of a number."""
    return Decimal(str(found)) if column == "amount" else found


@pytest.fixture(scope="module")
def ends() -> Iterator[Any]:
    """Each service is started when a page first needs it, and lives as long as the module."""
    running: dict[str, End] = {}
    with ExitStack() as stack:

        def end(name: str) -> End:
            if name not in running:
                if name not in KITS:
                    pytest.skip(f"dpone-connectors-{name} has no testkit, so that nothing can be run against it")
                kit = KITS[name].load()
                if not (providers := kit.providers()):
                    pytest.skip(f"no service for {name} here: pip install 'dpone-connectors-{name}[local]'")
                running[name] = End(name, kit, stack.enter_context(kit.service(providers[0])))
            return running[name]

        yield end


def named(options: type[Any], mark: type, name: tuple[str, ...]) -> dict[str, str]:
    """The option that names a table, a topic or a path, and its value."""
    return {next(iter(marked(options, mark))): print_name(name)}


@pytest.mark.parametrize("pair", DEFAULT_INTEGRATION_MATRIX.pairs, ids="-to-".join)
def test_every_strategy_of_the_pair_has_its_manifest(pair: tuple[str, str]) -> None:
    cases = [c.strategy for c in DEFAULT_INTEGRATION_MATRIX.cases if (c.source, c.sink) == pair]
    assert list(manifests(pair)) == cases
    assert AFTER.keys() == STRATEGIES.keys()


@pytest.mark.parametrize("pair, mode", CASES)
def test_the_manifest_runs_again_and_again(
    pair: tuple[str, str], mode: str, ends: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, sink = ends(pair[0]), ends(pair[1])
    text = YAML(typ="safe").load(manifests(pair)[mode])
    monkeypatch.chdir(tmp_path)
    kind = "events" if text["name"] == "events" else "orders"
    label = f"{kind}_{uuid4().hex[:8]}"
    schema, rows = (EVENTS, SEEN) if kind == "events" else (ORDERS, BEFORE)
    reads = frozenset({STRATEGIES[mode].read})
    table = SeedTable(label, schema, tuple(rows), reads)
    target = sink.kit.target(sink.endpoint, f"{text['name']}_{uuid4().hex[:8]}")
    source.kit.seed(source.endpoint, table)
    text["source"] |= named(
        source.kit.connector.source.options, Pattern, source.kit.dataset(source.endpoint, table).name
    )
    text["sink"] |= named(sink.kit.connector.sink.options, Template, target.name)
    Path("orders.yaml").write_text(json.dumps(text, default=str), "utf-8")
    connections = {
        "shop": source.connection("shop", monkeypatch),
        "dwh": sink.connection("dwh", monkeypatch),
    }
    Path("connections.yml").write_text(json.dumps(connections, default=str), "utf-8")
    first, second, third = (AFTER_A_LOG if pair[0] == "kafka" else AFTER)[mode]

    def landed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = sink.kit.rows(sink.endpoint, target).to_pylist()
        return [{name: _value(name, row[name]) for name in schema.names} for row in found]

    def by_id(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted(found, key=lambda row: int(row["id"]))

    report = dpone.run("orders.yaml")
    assert report.succeeded, report.streams[0].error
    assert len(landed()) == first
    if mode not in {"replace", "incremental_append"}:
        assert by_id(landed()) == rows
    source.kit.change(source.endpoint, table, CHANGES[kind])
    for _ in range(2):
        report = dpone.run("orders.yaml")
        assert report.succeeded, report.streams[0].error
        assert len(landed()) == second
    if mode in WHOLE:
        assert by_id(landed()) == CHANGED
    left = [row["id"] for row in (CHANGED if kind == "orders" else SEEN)]
    source.kit.change(source.endpoint, table, [Delete({"id": n}) for n in left])
    report = dpone.run("orders.yaml")
    assert report.succeeded is (third is not None), "an emptied source emptied the target"
    assert len(landed()) == (second if third is None else third)
