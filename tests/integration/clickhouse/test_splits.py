"""A table read in pieces is read as it was when the reading opened, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any
from urllib.request import Request, urlopen

import pytest
from msgspec.structs import replace

from dpone.batch import ARROW
from dpone.connector import Column, Dataset, ReadRequest
from dpone.errors import DponeError
from dpone.strategies import Read
from dpone.testing.suite.rig import SourceRig
from dpone_clickhouse.testkit import testkit

pytestmark = pytest.mark.integration_clickhouse
_numbers = count(1)
PARTS, ROWS = 5, 100
Ask = Callable[[str], str]


@pytest.fixture(scope="module")
def rig() -> Iterator[SourceRig]:
    with testkit.service(testkit.providers()[0]) as endpoint:
        yield SourceRig("clickhouse", testkit, endpoint)


@pytest.fixture
def ask(rig: SourceRig) -> Ask:
    def asked(statement: str) -> str:
        endpoint = rig.endpoint
        assert endpoint.password is not None
        login = {"X-ClickHouse-User": endpoint.user or "", "X-ClickHouse-Key": endpoint.password.reveal()}
        url = f"http://{endpoint.host}:{endpoint.ports['http']}/?database={endpoint.database}"
        with urlopen(Request(url, data=statement.encode(), headers=login), timeout=60) as answer:
            return str(answer.read().decode().strip())

    return asked


@pytest.fixture
def table(ask: Ask) -> str:
    """Five parts of a hundred rows, which nobody merges."""
    name = f"split{next(_numbers)}"
    ask(f"CREATE TABLE {name} (id Int64, note String) ENGINE = MergeTree ORDER BY id")
    ask(f"SYSTEM STOP MERGES {name}")
    for part in range(PARTS):
        ask(f"INSERT INTO {name} SELECT number + {part * ROWS}, 'x' FROM numbers({ROWS})")
    return name


def request_of(table: str, **more: Any) -> ReadRequest:
    return ReadRequest(Dataset((table,)), Read.SCAN, (Column("id", "id"),), ARROW, **more)


def ids(rig: SourceRig, request: ReadRequest, between: Callable[[], object] = lambda: None) -> tuple[int, list[int]]:
    """How many pieces there are, and what they hold; `between` happens after the first one."""
    found: list[int] = []
    with rig.source() as source, source.open(request) as reading:
        for number, split in enumerate(reading.splits):
            if number == 1:
                between()
            for batch in source.read(request, split):
                found += batch.data.column("id").to_pylist()
        return len(reading.splits), sorted(found)


ALL = list(range(PARTS * ROWS))


@pytest.mark.parametrize("wanted, pieces", [(1, 1), (2, 2), (5, 5), (64, 5)])
def test_pieces_are_the_whole(rig: SourceRig, table: str, wanted: int, pieces: int) -> None:
    assert ids(rig, request_of(table, splits=wanted)) == (pieces, ALL)
    declared = replace(request_of(table), dataset=Dataset((table,), options={"splits": wanted}))
    assert ids(rig, declared) == (pieces, ALL)


def test_what_comes_later_is_in_no_piece(rig: SourceRig, table: str, ask: Ask) -> None:
    later = lambda: ask(f"INSERT INTO {table} SELECT 10000 + number, 'x' FROM numbers(7)")  # noqa: E731 - a step
    assert ids(rig, request_of(table, splits=3), later) == (3, ALL)


@pytest.mark.parametrize(
    "statements",
    [
        ("SYSTEM START MERGES {0}", "OPTIMIZE TABLE {0} FINAL"),
        ("SYSTEM START MERGES {0}", "ALTER TABLE {0} DELETE WHERE id = 450 SETTINGS mutations_sync = 2"),
        ("TRUNCATE TABLE {0}",),
        (
            "CREATE TABLE {0}_other AS {0}",
            "INSERT INTO {0}_other SELECT * FROM {0} WHERE id % 2 = 0",
            "EXCHANGE TABLES {0} AND {0}_other",
        ),
    ],
)
def test_parts_that_are_gone_are_missed(rig: SourceRig, table: str, ask: Ask, statements: tuple[str, ...]) -> None:
    def change() -> None:
        for statement in statements:
            ask(statement.format(table))

    with pytest.raises(DponeError) as found:
        ids(rig, request_of(table, splits=3), change)
    assert found.value.code == "source.parts_merged"


def test_a_view_and_merged_versions_are_read_in_one_piece(rig: SourceRig, table: str, ask: Ask) -> None:
    ask(f"CREATE VIEW {table}_view AS SELECT * FROM {table}")
    assert ids(rig, request_of(f"{table}_view", splits=3)) == (1, ALL)
    ask(f"CREATE TABLE {table}_final (id Int64) ENGINE = ReplacingMergeTree ORDER BY id")
    for _ in range(2):
        ask(f"INSERT INTO {table}_final VALUES (1), (2)")
    final = ReadRequest(Dataset((f"{table}_final",), options={"final": True}), Read.SCAN, (Column("id", "id"),), ARROW)
    assert ids(rig, replace(final, splits=3)) == (1, [1, 2])
