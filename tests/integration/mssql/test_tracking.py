"""Change Tracking: chosen where CDC is not on, read by versions, and an end by name where its changes are gone."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from dpone.connector import ReadRequest, Remarks
from dpone.errors import DponeError
from dpone.schema import INT64, Field, Schema
from dpone.stage import ChangeKind
from dpone.strategies import Read
from dpone.testing.suite.plain import many
from dpone.testing.suite.readings import gather, request_of, since
from dpone.testing.suite.rig import Seeded, SourceRig
from dpone.testing.testkit import PLAIN, Delete, Insert, Update
from dpone_mssql.session import Connection

pytestmark = pytest.mark.integration_mssql
TESTKIT = "dpone_mssql.testkit:tracking"
UP, GONE = ChangeKind.UPSERT, ChangeKind.DELETE


def _with(request: ReadRequest, **options: str) -> ReadRequest:
    return replace(request, dataset=replace(request.dataset, options={**request.dataset.options, **options}))


def _capture(connection: Connection, seeded: Seeded) -> None:
    connection.run(
        f"EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'{seeded.table.label}', "
        "@role_name = NULL"
    )


def test_each_key_that_changed_is_read_once_as_it_is_now(seeded: Seeded) -> None:
    request = request_of(seeded, Read.CHANGES)
    first = gather(seeded, request)
    assert {(e.kind, e.row["id"]) for e in first.entries} == {(UP, n) for n in range(5)}
    seeded.change(Update({"id": 1}, {"name": "once"}), Delete({"id": 2}))
    seeded.change(Update({"id": 1}, {"name": "twice"}), Insert(many(8)[7]), Delete({"id": 7}))
    seeded.change(Insert({**many(3)[2], "name": "back"}), Update({"id": 4}, {"id": 40}))
    second = gather(seeded, since(request, first.upto))
    assert sorted((e.row["id"], e.kind, e.row["name"]) for e in second.entries) == [
        (1, UP, "twice"),
        (2, UP, "back"),
        (4, GONE, None),
        (7, GONE, None),
        (40, UP, many(5)[4]["name"]),
    ]
    assert gather(seeded, since(request, second.upto)).entries == ()


def test_a_truncated_table_is_an_error_and_never_a_silent_snapshot(seeded: Seeded, connection: Connection) -> None:
    request = request_of(seeded, Read.CHANGES)
    first = gather(seeded, request)
    connection.run(f"TRUNCATE TABLE dbo.[{seeded.table.label}]")
    with pytest.raises(DponeError) as caught:
        gather(seeded, since(request, first.upto))
    assert caught.value.code == "source.changes_lost"
    assert "resync" in (caught.value.hint or "")


def test_tracking_that_was_switched_off_and_on_again_has_lost_changes(seeded: Seeded, connection: Connection) -> None:
    request = request_of(seeded, Read.CHANGES)
    first = gather(seeded, request)
    table = f"dbo.[{seeded.table.label}]"
    connection.run(f"ALTER TABLE {table} DISABLE CHANGE_TRACKING")
    with pytest.raises(DponeError) as off:
        gather(seeded, since(request, first.upto))
    assert off.value.code == "source.no_capture"
    seeded.rig.seed(PLAIN, many(1), Read.CHANGES).change(Delete({"id": 0}))  # versions are the database's
    connection.run(f"ALTER TABLE {table} ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)")
    with pytest.raises(DponeError) as lost:
        gather(seeded, since(request, first.upto))
    assert lost.value.code == "source.changes_lost"


def test_which_way_is_chosen_and_why(seeded: Seeded, connection: Connection) -> None:
    request = request_of(seeded, Read.CHANGES)
    first = gather(seeded, request)

    def said(asked: ReadRequest) -> str:
        with seeded.rig.source() as opened:
            assert isinstance(opened, Remarks)
            (remark,) = opened.remarks(asked)
            return remark

    assert "Change Tracking: it is enabled for the table, and CDC is not" in said(request)
    _capture(connection, seeded)
    assert "CDC: it is enabled for the table" in said(request)
    assert "Change Tracking: the stored position is one of it" in said(since(request, first.upto))
    assert "Change Tracking: the manifest says so" in said(_with(request, changes="change_tracking"))
    with pytest.raises(DponeError) as switched:
        gather(seeded, _with(since(request, first.upto), changes="cdc"))
    assert switched.value.code == "source.other_changes"


def test_a_table_without_either_is_refused(source: SourceRig) -> None:
    seeded = source.seed(PLAIN, many(1), Read.SCAN)
    for options in ({}, {"changes": "cdc"}, {"changes": "change_tracking"}):
        with pytest.raises(DponeError) as caught:
            gather(seeded, _with(request_of(seeded, Read.CHANGES), **options))
        assert caught.value.code == "source.no_capture"


def test_deleted_rows_are_known_by_the_primary_key_alone(seeded: Seeded) -> None:
    with pytest.raises(DponeError) as caught:
        gather(seeded, replace(request_of(seeded, Read.CHANGES), key=("name",)))
    assert caught.value.code == "source.tracked_key"


def test_a_manifest_can_do_without_snapshot_isolation(seeded: Seeded) -> None:
    request = _with(request_of(seeded, Read.CHANGES), isolation="read_committed")
    first = gather(seeded, request)
    seeded.change(Delete({"id": 3}))
    assert [(e.kind, e.row["id"]) for e in gather(seeded, since(request, first.upto)).entries] == [(GONE, 3)]


def test_a_computed_column_is_read_as_the_table_has_it(seeded: Seeded, connection: Connection) -> None:
    connection.run(f"ALTER TABLE dbo.[{seeded.table.label}] ADD twice AS (id * 2)")
    wide = seeded.with_schema(Schema((*PLAIN.fields, Field("twice", INT64)), PLAIN.key))
    request = request_of(wide, Read.CHANGES)
    first = gather(wide, request)
    wide.change(Update({"id": 4}, {"name": "x"}))
    assert [e.row["twice"] for e in gather(wide, since(request, first.upto)).entries] == [8]


def test_the_emulator_asks_for_a_primary_key_and_tracks_a_table_once(seeded: Seeded, connection: Connection) -> None:
    for statement, number in (
        (f"ALTER TABLE dbo.[{seeded.table.label}] ENABLE CHANGE_TRACKING", 4996),
        ("ALTER TABLE dbo.keyless ENABLE CHANGE_TRACKING", 4997),
        ("ALTER TABLE dbo.keyless DISABLE CHANGE_TRACKING", 4998),
    ):
        connection.run("DROP TABLE IF EXISTS dbo.keyless; CREATE TABLE dbo.keyless (a int NULL)")
        with pytest.raises(DponeError) as caught:
            connection.run(statement)
        assert caught.value.context["number"] == number
