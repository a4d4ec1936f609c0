"""What is sent to a server, as text: definitions by the options, a cluster among them, literals and markers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from msgspec.structs import replace

from dpone.batch import ARROW
from dpone.connector import Chunk, Commit, CreateTarget, Layout, Position, StageSpec, Stored, Target
from dpone.errors import DponeError
from dpone.ops import DeleteKeys, Hard, Program, Recreate, Upsert
from dpone.schema import FLOAT32, UUID, Field, Schema, decimal, timestamptz
from dpone.stage import Sealing
from dpone.strategies import Read
from dpone_clickhouse import ClickHouseConfig, ClickHouseSink, catalog
from dpone_clickhouse.arrow_stream import fitted
from dpone_clickhouse.catalog import was_written
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.marker import Marker, read_marker
from dpone_clickhouse.sink import ClickHouseSink as Sink
from dpone_clickhouse.storage import create_new
from dpone_clickhouse.typemap import read

LAYOUT = Layout(
    Schema(
        (
            Field("id", read("Int64"), nullable=False, native="clickhouse:Int64"),
            Field("state", read("String"), native="clickhouse:String"),
            Field("at", read("DateTime64(6, 'UTC')"), nullable=False, native="clickhouse:DateTime64(6, 'UTC')"),
        ),
        key=("id",),
    )
)
OPTIONS: dict[str, Any] = {
    "table": "raw.orders",
    "partition_by": {"column": "at"},
    "ttl": {"column": "at", "after": "90d"},
    "codecs": {"state": "ZSTD(3)"},
    "low_cardinality": ("state",),
}


def made(**more: object) -> str:
    target = ClickHouseSink.model_validate({**OPTIONS, **more}).target()
    return create_new(("raw", "orders"), LAYOUT, target.options)


def test_a_new_table_is_stored_as_the_options_say() -> None:
    assert made() == (
        "CREATE TABLE `raw`.`orders` (`id` Int64, `state` LowCardinality(Nullable(String)) CODEC(ZSTD(3)), "
        "`at` DateTime64(6, 'UTC')) ENGINE = MergeTree PARTITION BY toYYYYMM(`at`, 'UTC') ORDER BY (`id`) "
        "TTL toDateTime(`at`) + toIntervalSecond(7776000)"
    )
    assert create_new(("raw", "orders"), LAYOUT, {}).endswith("ENGINE = MergeTree ORDER BY (`id`)")


def test_a_replicated_table_of_a_cluster_is_rendered() -> None:
    text = made(replicated=True, cluster="my`c", order_by=("state", "id"))
    assert text.startswith("CREATE TABLE `raw`.`orders` ON CLUSTER `my\\`c` (")
    assert "ENGINE = ReplicatedMergeTree PARTITION BY" in text
    assert text.endswith("SETTINGS allow_nullable_key = 1")


def test_a_table_that_keeps_versions_is_rendered() -> None:
    text = made(engine="replacing", ttl=None, partition_by=None)
    assert text.endswith(
        "`_dpone_version` UInt64 DEFAULT 1, `_dpone_deleted` UInt8 DEFAULT 0) "
        "ENGINE = ReplacingMergeTree(`_dpone_version`, `_dpone_deleted`) ORDER BY (`id`)"
    )
    replicated = made(engine="replacing", replicated=True)
    assert "ENGINE = ReplicatedReplacingMergeTree(`_dpone_version`, `_dpone_deleted`) PARTITION BY" in replicated
    unkeyed = replace(LAYOUT, schema=replace(LAYOUT.schema, key=()))
    fields = (*LAYOUT.schema, replace(LAYOUT.schema["id"], name="_dpone_deleted"))
    taken = replace(LAYOUT, schema=Schema(fields, ("id",)))
    options: list[tuple[Layout, dict[str, Any], str]] = [
        (unkeyed, {}, "sink.versions_need_key"),
        (LAYOUT, {"order_by": ("state",)}, "sink.versions_need_key"),
        (taken, {}, "plan.reserved_column"),
    ]
    for layout, more, code in options:
        with pytest.raises(DponeError) as refused:
            create_new(("raw", "orders"), layout, {"engine": "replacing", **more})
        assert refused.value.code == code


@pytest.mark.parametrize(
    "storage, is_versioned",
    [
        ("ReplacingMergeTree(_dpone_version, _dpone_deleted) ORDER BY id", True),
        ("ReplicatedReplacingMergeTree('/p', '{replica}', _dpone_version, _dpone_deleted) ORDER BY id", True),
        ("ReplacingMergeTree(ver) ORDER BY id", False),
        ("MergeTree ORDER BY (_dpone_version, _dpone_deleted)", False),
    ],
)
def test_a_table_is_known_by_the_arguments_of_its_engine(storage: str, *, is_versioned: bool) -> None:
    added = (Field(name, read("UInt64"), nullable=False) for name in ("_dpone_version", "_dpone_deleted"))
    columns = tuple(catalog.Stored(field, "", "") for field in (*LAYOUT.schema, *added))
    table = catalog.Table(("d", "t"), "u", storage.partition("(")[0].partition(" ")[0], storage, "", columns)
    assert table.keeps_versions is is_versioned
    assert len(table.fields) == (3 if is_versioned else 5)


def explained(program: Program, *, new: bool, **options: object) -> list[str]:
    target = Target(("raw", "orders"), options)
    names = LAYOUT.schema.names
    spec = StageSpec(target, "l", "p", LAYOUT, names, ARROW, Sealing(names, ("id",), changes=True), program)
    return list(Sink(ClickHouseConfig(host="localhost")).explain(spec, [CreateTarget()] if new else []))


def test_every_definition_of_a_publication_goes_to_the_cluster() -> None:
    for program in ((Recreate(),), (Upsert(("id",)), DeleteKeys(("id",), Hard()))):
        for new in (True, False):
            lines = explained(program, new=new, cluster="c")
            definitions = [li for li in lines if li.startswith(("CREATE", "ALTER", "EXCHANGE", "RENAME", "DROP"))]
            assert len(definitions) == 3, lines
            assert all("ON CLUSTER `c`" in line for line in definitions)
    told = explained((Upsert(("id",)),), new=True, engine="replacing")
    assert any(line.startswith("-- the table keeps versions: newer ones are added") for line in told)
    *_, why, last = explained((Upsert(("id",)),), new=False)
    assert last == "EXCHANGE TABLES `raw`.`shadow` AND `raw`.`orders`"
    assert why.startswith("-- shown by one exchange: all rows at once, with the marker")
    assert not any("-- shown" in line for line in explained((Upsert(("id",)),), new=True))


@pytest.mark.parametrize(
    "options, code",
    [
        ({"order_by": ("nope",)}, "sink.unknown_column"),
        ({"low_cardinality": ("id",)}, "sink.not_text"),
    ],
)
def test_options_that_do_not_fit_the_columns_are_refused(options: dict[str, Any], code: str) -> None:
    with pytest.raises(DponeError) as refused:
        create_new(("raw", "orders"), LAYOUT, options)
    assert refused.value.code == code


def test_literals_keep_every_digit() -> None:
    lit = CLICKHOUSE.literal
    assert lit("it's \\ \0") == "'it\\'s \\\\ \\0'"
    assert lit(Decimal("1.50"), decimal(9, 2)) == "toDecimal256('1.50', 2)"
    assert lit(2**200) == f"toUInt256('{2**200}')"
    assert lit(0.1, FLOAT32) == "toFloat32('0.1')"
    assert lit(date(2300, 1, 1)) == "toDate32('2300-01-01')"
    assert lit(datetime(2024, 1, 1, microsecond=1, tzinfo=UTC), timestamptz(6)) == (
        "toDateTime64('2024-01-01 00:00:00.000001', 6, 'UTC')"
    )
    assert lit("x", UUID) == "toUUID('x')"
    assert CLICKHOUSE.quote("a`b\\") == "`a\\`b\\\\`"


def test_a_marker_is_read_as_it_was_printed_and_leaves_a_persons_comment() -> None:
    position = Position(Read.SINCE, {"größe": "it's \n dpone marker", "n": 2**63})
    commit = Commit(None, Stored(position, 3, "load"), "run", Chunk("plan", "c", last=True))
    marker = Marker(text="Orders\nof the shop").after("p'ipe", commit, ("other",))
    assert read_marker(marker.print()) == marker
    assert marker.print().startswith("Orders\nof the shop\n")
    for unreadable in ("", "a comment", marker.print()[:-5], marker.print().replace('"version":1', '"version":2')):
        assert read_marker(unreadable).entries == {}


def test_a_merge_in_the_background_is_not_a_writer() -> None:
    before = {"all": (2, 2, 10)}
    assert not was_written(before, {"all": (2, 1, 10)})
    assert was_written(before, {"all": (3, 2, 11)})  # an insert
    assert was_written(before, {"all": (2, 3, 10)})  # a mutation
    assert was_written(before, {"all": (2, 2, 9)})
    assert was_written(before, {})
    assert was_written({}, before)


@pytest.mark.parametrize(
    "native, values",
    [
        ("Int8", pa.array([300])),
        ("UInt8", pa.array([-1])),
        ("DateTime", pa.array([datetime(2120, 1, 1, tzinfo=UTC)])),
        ("DateTime", pa.array([datetime(2020, 1, 1, microsecond=1, tzinfo=UTC)])),
        ("DateTime64(1, 'UTC')", pa.array([datetime(2020, 1, 1, microsecond=1000, tzinfo=UTC)])),
        ("Decimal(9, 2)", pa.array([Decimal("1.555")])),
        ("Nullable(Int8)", pa.array([1000, None])),
    ],
)
def test_what_the_server_would_wrap_or_cut_is_refused_before(native: str, values: pa.Array[Any]) -> None:
    with pytest.raises(DponeError) as refused:
        fitted(values, Field("c", read(native)), native)
    assert refused.value.code == "source.value_unfit"
