"""Replay into a sink without transactions: its marker says what was committed, a stage's comment that it waits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dpone import api
from dpone.connector import Target
from dpone.replay.scope import Range, Whole
from dpone.testing.deaths import killed, patiently
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.shop import AT, MANIFEST, Shop, open_shop
from dpone.testing.testkit import Delete, Update
from dpone_clickhouse.testkit import testkit

pytestmark = pytest.mark.integration_clickhouse
GOOD = {n: f"v{n}" for n in range(10)}
STEPS = ["publish.clone", "publish.build", "publish.mark", "publish.exchange", "publish.record", "publish.drop"]
_numbers = count(1)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with testkit.service(testkit.providers()[0]) as found:
        yield found


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, endpoint: Endpoint) -> Shop:
    """Orders of a store in memory, and a manifest that merges them into a new table of ClickHouse."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DPONE_TESTING", "1")
    found = open_shop(tmp_path)
    connections = tmp_path / "connections.yml"
    given = {k: v for k, v in testkit.connection(endpoint).items() if v is not None}
    dwh = json.dumps({"type": "clickhouse", **given})
    connections.write_text(f"{connections.read_text().splitlines()[0]}\ndwh: {dwh}\n")
    connections.chmod(0o600)
    table = f"{endpoint.database}.orders{next(_numbers)}"
    found.write(
        MANIFEST.replace(
            "{type: memory, connection: dwh, table: raw.orders}",
            f"{{type: clickhouse, connection: dwh, table: {table}}}",
        )
    )
    (stream,) = api.run("orders.yaml", run_id="r0").streams
    assert stream.status == "succeeded", stream.error
    return found


def landed(shop: Shop, endpoint: Endpoint) -> dict[int, str]:
    name = api.loaded("orders.yaml").streams[0].sink.options.target().name
    return {row["id"]: row["v"] for row in testkit.rows(endpoint, Target(name)).to_pylist()}


def leftovers(endpoint: Endpoint) -> list[str]:
    return list(testkit.leftovers(endpoint, api.loaded("orders.yaml").streams[0].sink.options.target()))


@pytest.mark.parametrize("place", ["after_keep", *STEPS])
def test_a_run_that_is_killed_and_killed_while_it_is_resumed_ends_right(
    shop: Shop, endpoint: Endpoint, place: str
) -> None:
    shop.change(Update({"id": 5}, {"v": "changed", "updated_at": AT + timedelta(hours=1)}))
    assert killed("after_keep", lambda: api.run("orders.yaml", run_id="r1"))
    shop.change(Update({"id": 5}, {"v": "later", "updated_at": AT + timedelta(hours=2)}))
    if place != "after_keep":
        assert killed(place, lambda: patiently(lambda: api.resume("r1", yes=True)))
    done = patiently(lambda: api.resume("r1", yes=True))
    assert done.passed
    assert landed(shop, endpoint) == {**GOOD, 5: "changed"}, "from the sealed stage, not from the source"
    assert leftovers(endpoint) == []
    assert api.run("orders.yaml").succeeded
    assert landed(shop, endpoint) == {**GOOD, 5: "later"}


@pytest.mark.parametrize("scope", [Range("id", 2, 6), Whole()], ids=["range", "all"])
def test_rows_are_landed_again(shop: Shop, endpoint: Endpoint, scope: Any) -> None:
    shop.change(
        *(Update({"id": n}, {"v": "back"}) for n in (3, 8)),  # without a new time: no run sees it
        Delete({"id": 4}),
    )
    planned = api.resync("orders.yaml", scope)
    assert landed(shop, endpoint) == GOOD
    assert killed("publish.mark", lambda: api.resync("orders.yaml", scope, yes=True))
    assert landed(shop, endpoint) == GOOD
    done = patiently(lambda: api.resync("orders.yaml", scope, yes=True))
    expected = {**GOOD, 3: "back", 8: "back" if isinstance(scope, Whole) else "v8"}
    del expected[4]
    assert landed(shop, endpoint) == expected
    assert done.effects == planned.effects
    assert leftovers(endpoint) == []
