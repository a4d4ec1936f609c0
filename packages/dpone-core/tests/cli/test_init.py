"""`dpone init`, by its options and by answering its questions at a terminal."""

from __future__ import annotations

import sys

import pytest
from msgspec.structs import replace

from dpone.connector import Size
from dpone.propose import propose
from dpone.propose import told as told_size
from dpone.schema import INT64, STRING, Field, Schema, timestamptz
from dpone.testing.memory import connector
from dpone.testing.memory.testkit import testkit
from dpone.testing.shop import Dpone, Shop
from dpone.testing.terminal import answered
from dpone.testing.testkit import SeedTable


def with_names(shop: Shop) -> Shop:
    """Beside the orders there is a table without a key."""
    seeded = SeedTable("names", Schema((Field("name", STRING),)), ({"name": "a"}, {"name": "b"}))
    testkit.seed(shop.endpoint, seeded)
    return shop


COMMAND = [sys.executable, "-c", "from dpone.cli import main; main()", "init"]


def test_a_pattern_becomes_a_list_of_streams_that_run_twice(shop: Shop, dpone: Dpone) -> None:
    with_names(shop)
    asked = ("init", "--source", "shop", "--table", "public.*", "--sink", "dwh", "--into", "raw.{table}")
    written = dpone(*asked)
    assert written.code == 0, written.err
    assert "public.orders, about 10 rows, " in written.out
    assert ": incremental_merge, because it has the key id, and updated_at tells what changed" in written.out
    assert ": full_refresh, because it has no key, so the target is rebuilt: all 2 rows are read" in written.out
    for inserted in (10, 0):
        answer = dpone("run", "shop.yaml", "--quiet")
        assert answer.code == 0, answer.err
        (told,) = (line for line in answer.out.splitlines() if line.startswith("public.orders: succeeded; "))
        assert f", inserted {inserted}, updated 0, deleted 0; 10 rows" in told
    assert len(shop.landed()) == 10


def test_it_asks_at_a_terminal_for_what_is_not_given(shop: Shop, dpone: Dpone) -> None:
    with_names(shop).manifest.unlink()
    code, said = answered(COMMAND, ["shop", "2", "dwh"])
    assert code == 0, said
    assert "Read from which connection (dwh, shop): " in said
    assert "   1  public.names, about 2 rows, " in said
    assert "   2  public.orders, about 10 rows, " in said
    assert (shop.folder / "orders.yaml").read_text().count("table: ") == 2
    assert 'table: "public.orders"' in (shop.folder / "orders.yaml").read_text()
    code, said = answered(COMMAND, ["shop", "1, public.o*", "dwh"])
    assert code == 0, said
    assert dpone("check", "shop.yaml").code == 0
    assert "mode: full_refresh" in (shop.folder / "shop.yaml").read_text()


def test_what_cannot_be_is_refused_and_writes_nothing(shop: Shop, dpone: Dpone) -> None:
    with_names(shop)
    before = sorted(shop.folder.iterdir())
    ends = ("init", "--source", "shop", "--sink", "dwh")
    for more, code in (
        (("--table", "public.z*"), "manifest.nothing_matched"),
        (("--table", "public.*", "--into", "raw.all"), "usage.one_target"),
        (("--table", "public.orders", "--output", "orders.yaml"), "usage.file_exists"),
        ((), "usage.missing_option"),
    ):
        answer = dpone(*ends, *more)
        assert answer.code == 2
        assert code in answer.err
    assert sorted(shop.folder.iterdir()) == before


@pytest.mark.parametrize(
    "schema, mode, reason",
    [
        (Schema((Field("id", INT64, nullable=False),), ("id",)), "snapshot_diff", "nothing tells what changed: all "),
        (
            Schema((Field("id", INT64, nullable=False), Field("updated_at", timestamptz(6))), ("id",)),
            "snapshot_diff",
            "updated_at may be NULL",
        ),
        (Schema((Field("id", INT64),)), "full_refresh", "all 20,000,000 rows are read; with so many, a column"),
    ],
)
def test_the_reason_names_the_key_the_columns_and_the_size(schema: Schema, mode: str, reason: str) -> None:
    found = propose(schema, connector, connector, Size(20_000_000, 10**9))
    assert found.mode == mode
    assert reason in found.reason
    small = propose(schema, connector, connector, None)
    assert "with so many" not in small.reason


def test_a_size_is_told_as_far_as_it_is_known() -> None:
    size = Size(1_234_567, 2_600_000)
    assert told_size(size) == "about 1,234,567 rows, 3 MB"
    assert told_size(replace(size, rows=None, bytes=12)) == "12 bytes"
    assert told_size(None) == "size unknown"


def test_a_log_without_a_key_is_gone_on_with() -> None:
    assert connector.source is not None
    log = replace(connector, source=replace(connector.source, by_cursor=False))
    schema = Schema((Field("name", STRING),))
    assert propose(schema, log, connector).mode == "incremental_append"
    assert propose(schema, connector, connector).mode == "full_refresh"
