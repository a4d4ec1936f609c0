"""A column that comes under CDC: the reading goes over to the second capture instance, and loses no change."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from dpone.connector import AddColumn, Column, ReadRequest
from dpone.errors import DponeError
from dpone.schema import INT64, STRING, Field, Schema
from dpone.stage import ChangeKind
from dpone.strategies import Read
from dpone.testing.suite.plain import many
from dpone.testing.suite.readings import Gathered, gather, request_of, since
from dpone.testing.suite.rig import Seeded, SourceRig
from dpone.testing.testkit import PLAIN, Delete, Insert, Update
from dpone_mssql.session import Connection
from dpone_mssql.testkit import testkit

pytestmark = pytest.mark.integration_mssql
NOTE = Field("note", STRING)


def _widened(seeded: Seeded) -> tuple[Seeded, ReadRequest]:
    """The table has the column now, and so has the second capture instance."""
    testkit.alter(seeded.rig.endpoint, seeded.table, AddColumn(NOTE))
    wide = seeded.with_schema(Schema((*PLAIN.fields, NOTE), PLAIN.key))
    return wide, request_of(wide, Read.CHANGES)


def _told(gathered: Gathered) -> list[tuple[object, ...]]:
    return [(e.kind, e.row["id"], e.row["note"], e.kept) for e in gathered.entries]


def test_changes_of_both_instances_are_read_in_one_order(seeded: Seeded) -> None:
    first = gather(seeded, request_of(seeded, Read.CHANGES))
    seeded.change(Update({"id": 1}, {"name": "before"}), Insert({**many(8)[7]}), Delete({"id": 2}))
    wide, request = _widened(seeded)
    wide.change(Update({"id": 1}, {"note": "after"}), Insert({**many(9)[8], "note": "new"}))
    gathered = gather(wide, since(request, first.upto))
    up, gone, note = ChangeKind.UPSERT, ChangeKind.DELETE, frozenset({"note"})
    assert _told(gathered) == [
        (gone, 1, None, frozenset()),
        (up, 1, None, note),  # the first instance does not know the column, so the target keeps what it has
        (up, 7, None, frozenset()),
        (gone, 2, None, frozenset()),
        (gone, 1, None, frozenset()),
        (up, 1, "after", frozenset()),
        (up, 8, "new", frozenset()),
    ]
    assert [e.seq for e in gathered.entries] == sorted(e.seq for e in gathered.entries)
    assert gathered.upto is not None
    assert str(gathered.upto.token["capture"]).startswith("dbo_again_")
    assert gather(wide, since(request, gathered.upto)).entries == ()


def test_the_first_instance_can_be_dropped_when_the_reading_has_gone_over(
    seeded: Seeded, connection: Connection
) -> None:
    first = gather(seeded, request_of(seeded, Read.CHANGES))
    wide, request = _widened(seeded)
    wide.change(Update({"id": 3}, {"note": "x"}))
    second = gather(wide, since(request, first.upto))
    connection.run(
        f"EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'{seeded.table.label}', "
        f"@capture_instance = N'dbo_{seeded.table.label}'"
    )
    wide.change(Update({"id": 4}, {"note": "y"}))
    assert [e.row["note"] for e in gather(wide, since(request, second.upto)).entries] == [None, "y"]


def test_a_first_instance_that_was_dropped_too_early_is_a_named_error(seeded: Seeded, connection: Connection) -> None:
    first = gather(seeded, request_of(seeded, Read.CHANGES))
    seeded.change(Update({"id": 3}, {"name": "nobody read this"}))
    wide, request = _widened(seeded)
    connection.run(
        f"EXEC sys.sp_cdc_disable_table @source_schema = N'dbo', @source_name = N'{seeded.table.label}', "
        f"@capture_instance = N'dbo_{seeded.table.label}'"
    )
    with pytest.raises(DponeError) as caught:
        gather(wide, since(request, first.upto))
    assert caught.value.code == "source.changes_lost"


def test_without_a_second_instance_the_error_says_what_to_do(seeded: Seeded, connection: Connection) -> None:
    first = gather(seeded, request_of(seeded, Read.CHANGES))
    connection.run(f"ALTER TABLE dbo.[{seeded.table.label}] ADD note nvarchar(max) NULL")
    wide = seeded.with_schema(Schema((*PLAIN.fields, NOTE), PLAIN.key))
    with pytest.raises(DponeError) as caught:
        gather(wide, since(request_of(wide, Read.CHANGES), first.upto))
    assert caught.value.code == "source.capture_outdated"
    named = replace(seeded.dataset, options={**seeded.dataset.options, "capture_instance": "elsewhere"})
    with pytest.raises(DponeError) as missing:
        gather(seeded, replace(request_of(seeded, Read.CHANGES), dataset=named))
    assert missing.value.code == "source.no_capture"


def test_the_emulator_allows_two_instances_and_no_name_twice(seeded: Seeded, connection: Connection) -> None:
    table = f"@source_schema = N'dbo', @source_name = N'{seeded.table.label}'"
    enable = f"EXEC sys.sp_cdc_enable_table {table}, @role_name = NULL"
    with pytest.raises(DponeError) as same:
        connection.run(enable)
    assert same.value.context["number"] == 22926
    connection.run(f"{enable}, @capture_instance = N'{seeded.table.label}_b'")
    with pytest.raises(DponeError) as third:
        connection.run(f"{enable}, @capture_instance = N'{seeded.table.label}_c'")
    assert third.value.context["number"] == 22962


def test_a_computed_column_is_not_captured(source: SourceRig, connection: Connection) -> None:
    seeded = source.seed(PLAIN, many(2), Read.CHANGES)
    connection.run(f"ALTER TABLE dbo.[{seeded.table.label}] ADD twice AS (id * 2)")
    wide = seeded.with_schema(Schema((*PLAIN.fields, Field("twice", INT64)), PLAIN.key))
    request = request_of(wide, Read.CHANGES)
    with pytest.raises(DponeError) as caught:
        gather(wide, request)
    assert caught.value.code == "source.not_captured"
    gather(seeded, replace(request, columns=tuple(Column(n, n) for n in PLAIN.names)))
