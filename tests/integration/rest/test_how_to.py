"""Every manifest of the guides from a REST API runs, and leaves what the page says; every pagination in them is one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

import dpone
from dpone_clickhouse.testkit import testkit as clickhouse
from dpone_postgres.testkit import testkit as postgres
from dpone_rest import RestSource
from dpone_rest.mock.guard import Credentials
from dpone_rest.mock.server import MockApi, serving

GUIDES = Path(__file__).parents[3] / "docs/how-to"
SINKS: dict[str, Any] = {"postgres": postgres, "clickhouse": clickhouse}
# the target's table, its rows at first, after the changes, and after the API was emptied; None: the run is refused
AFTER: dict[str, tuple[str, int, int, int | None]] = {
    "full_refresh": ("orders", 100, 99, None),
    "replace": ("open_orders", 33, 33, None),
    "incremental_append": ("events", 100, 101, 101),
    "incremental_merge": ("orders_merged", 100, 101, 101),
    "snapshot_diff": ("orders_mirrored", 100, 101, None),
    "scd2": ("orders_history", 100, 111, None),
    "partition_replace": ("orders_by_day", 100, 99, 99),
    "backfill": ("orders_backfilled", 100, 99, None),
}
WHOLE = {"full_refresh", "partition_replace", "backfill"}


def manifests(sink: str) -> dict[str, str]:
    texts = re.findall(r"```yaml\n(.*?)```", (GUIDES / f"rest-to-{sink}.md").read_text("utf-8"), re.DOTALL)
    return {match[1]: text for text in texts if (match := re.search(r"mode: (\w+)", text))}


CASES = [
    pytest.param(sink, mode, marks=getattr(pytest.mark, f"integration_{sink}"), id=f"{sink}-{mode}")
    for sink in SINKS
    for mode in manifests(sink)
]


def order(number: int, *, at: str | None = None, more: Decimal = Decimal(0)) -> dict[str, Any]:
    moment = at or f"2026-06-{number // 24 + 1:02}T{number % 24:02}:00:00Z"
    state, note = ("paid" if number % 3 else "open"), (None if number == 5 else f"it's\t\\ {number}")
    return {"id": number, "state": state, "amount": Decimal(number) / 4 + more, "note": note, "updated_at": moment}


def text(found: dict[str, Any]) -> str:
    return json.dumps({**found, "amount": str(found["amount"])}) if "amount" in found else json.dumps(found)


BEFORE = [order(n) for n in range(1, 101)]
LATER = "2026-07-01T00:00:00Z"
CHANGED = [
    *(order(n, at=LATER, more=Decimal(1)) for n in range(1, 11)),
    *(order(n) for n in range(11, 101) if n not in {20, 21}),
    {**order(500, at=LATER), "state": "open", "note": None},
]
EVENTS = [{"id": n, "what": "seen"} for n in range(1, 101)]


@pytest.fixture(scope="module")
def endpoints() -> Iterator[Any]:
    running: dict[str, Any] = {}
    with ExitStack() as stack:

        def endpoint(name: str) -> Any:
            if name not in running:
                kit = SINKS[name]
                running[name] = stack.enter_context(kit.service(kit.providers()[0]))
            return running[name]

        yield endpoint


@pytest.mark.parametrize("sink", SINKS)
def test_every_strategy_has_its_manifest(sink: str) -> None:
    assert manifests(sink).keys() == AFTER.keys()


def test_every_pagination_of_the_page_is_one() -> None:
    page = (GUIDES / "rest-to-postgres.md").read_text("utf-8")
    found = re.findall(r"`(pagination: \{.*?\})`", page)
    kinds = [RestSource.model_validate({"path": "x", **YAML(typ="safe").load(one)}).pagination for one in found]
    assert [kind.type for kind in kinds if kind is not None] == ["page", "offset", "cursor", "link", "header"]


@pytest.mark.parametrize("sink, mode", CASES)
def test_the_manifest_runs_again_and_again(
    sink: str, mode: str, endpoints: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kit, endpoint = SINKS[sink], endpoints(sink)
    name, first, second, third = AFTER[mode]
    target = kit.target(endpoint, f"{name}_from_rest")
    manifest = manifests(sink)[mode].replace(f"table: raw.{name}", f"table: {'.'.join(target.name)}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_TOKEN", "a-token")
    Path("orders.yaml").write_text(manifest, "utf-8")
    with serving(MockApi(Credentials("bearer", secret="a-token"))) as api:
        connection = {key: value for key, value in kit.connection(endpoint).items() if key != "password"}
        monkeypatch.setenv("DWH_PASSWORD", endpoint.password.reveal())
        ends = {
            "shop": {"type": "rest", "url": f"{api.url}/cursor", "token": "${env:SHOP_TOKEN}"},
            "dwh": {"type": sink, **connection, "password": "${env:DWH_PASSWORD}"},
        }
        Path("connections.yml").write_text(json.dumps(ends, default=str), "utf-8")

        def rows() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = kit.rows(endpoint, target).to_pylist()
            return found

        api.tables.put("orders", [text(o) for o in BEFORE])
        api.tables.put("events", [text(e) for e in EVENTS])
        report = dpone.run("orders.yaml")
        assert report.succeeded, report.streams[0].error
        assert len(rows()) == first
        api.tables.put("orders", [text(o) for o in CHANGED])
        api.tables.put("events", [text(e) for e in [*EVENTS, {"id": 101, "what": "new"}]])
        for _ in range(2):
            report = dpone.run("orders.yaml")
            assert report.succeeded, report.streams[0].error
            assert len(rows()) == second
        if mode in WHOLE:
            found = {r["id"]: (r["state"], Decimal(str(r["amount"])), r["note"]) for r in rows()}
            assert found == {o["id"]: (o["state"], o["amount"], o["note"]) for o in CHANGED}
        api.tables.put("orders", [])
        api.tables.put("events", [])
        assert dpone.run("orders.yaml").succeeded is (third is not None)
        assert len(rows()) == second
