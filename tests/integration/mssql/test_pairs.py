"""SQL Server with the other engines: every strategy of the matrix through the runner, first, changed and unchanged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import cache

import pytest

from dpone.strategies import STRATEGIES
from dpone.testing.suite.compare import plain_rows
from dpone.testing.suite.plain import NOON, many
from dpone.testing.suite.rig import Rig, SinkRig, SourceRig, rigged
from dpone.testing.suite.running import plan_of, run
from dpone.testing.testkit import PLAIN, Delete, Insert, Update

pytestmark = pytest.mark.integration_mssql
LATER = NOON + timedelta(days=100)
CHANGES = (
    Update({"id": 3}, {"name": "changed", "updated_at": LATER}),
    Delete({"id": 5}),
    Insert({"id": 50, "name": "new", "updated_at": LATER}),
)
WHOLE = frozenset({"full_refresh", "replace", "snapshot_diff", "cdc"})
PAIRS = [
    ("postgres", "mssql"),
    ("clickhouse", "mssql"),
    ("mssql", "mssql"),
    ("mssql", "postgres"),
    ("mssql", "clickhouse"),
]
CASES = [
    (source, sink, strategy)
    for source, sink in PAIRS
    for strategy in (
        "full_refresh",
        "incremental_append",
        "incremental_merge",
        "replace",
        "snapshot_diff",
        "cdc",
        "scd2",
    )
    if strategy != "cdc" or source != "clickhouse"
]


@pytest.fixture(scope="module")
def rigs() -> Iterator[object]:
    """Each engine once, when it is first asked for."""
    with ExitStack() as stack:

        @cache
        def had(name: str) -> Rig:
            return stack.enter_context(rigged(name, None))

        yield had


@pytest.mark.parametrize("source, sink, strategy", CASES)
def test_a_pair_carries_out_a_strategy(rigs: object, source: str, sink: str, strategy: str) -> None:
    assert callable(rigs)
    at, to = rigs(source), rigs(sink)
    reading, writing = SourceRig(at.spec, at.kit, at.endpoint), SinkRig(to.spec, to.kit, to.endpoint)
    rows = many(12)
    seeded = reading.seed(PLAIN, rows, STRATEGIES[strategy].read)
    plan = plan_of(seeded, writing, writing.target(), strategy)
    run(plan, seeded, writing)
    seeded.change(*CHANGES)
    for _ in range(2):
        run(plan, seeded, writing)
    after = {row["id"]: dict(row) for row in rows}
    after[3] |= {"name": "changed", "updated_at": LATER}
    new = {"id": 50, "name": "new", "amount": None, "updated_at": LATER}
    if strategy in WHOLE:
        del after[5]
    if strategy == "incremental_append":
        after[3] = dict(rows[3])  # its key is known already
    if strategy == "scd2":
        assert len(writing.kit.rows(to.endpoint, plan.target)) == len(rows) + 2  # type: ignore[attr-defined]  # a sink's kit
        return
    expected = plain_rows([*after.values(), new], PLAIN.fields)
    assert writing.found(plan.target, PLAIN.fields) == expected
