"""Columns that the server writes itself: identity, computed and rowversion, in a target and in a source."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dpone.connector import Dataset
from dpone.errors import DponeError
from dpone.schema import Field, Schema
from dpone.strategies import Read
from dpone.testing.suite.plain import NOON, many
from dpone.testing.suite.rig import SinkRig, SourceRig
from dpone.testing.suite.running import plan_of, run
from dpone.testing.testkit import PLAIN, Update
from dpone_mssql.session import Connection

pytestmark = pytest.mark.integration_mssql
COLUMNS = (
    "id bigint IDENTITY(100, 1) NOT NULL PRIMARY KEY, name nvarchar(max) NULL, amount decimal(18, 4) NULL, "
    "updated_at datetimeoffset(6) NULL"
)


@pytest.mark.parametrize("strategy", ["incremental_merge", "snapshot_diff", "full_refresh"])
def test_an_identity_takes_the_keys_that_it_is_given_and_goes_on(
    source: SourceRig, sink: SinkRig, connection: Connection, strategy: str
) -> None:
    target = sink.target()
    table = f"[dbo].[{target.name[1]}]"
    connection.run(f"CREATE TABLE {table} ({COLUMNS}, stamped rowversion, twice AS (amount * 2))")
    seeded = source.seed(PLAIN, many(4), Read.SCAN)
    plan = plan_of(seeded, sink, target, strategy)
    run(plan, seeded, sink)
    before = _versions(connection, table)
    assert set(before) == {0, 1, 2, 3}
    seeded.change(Update({"id": 2}, {"amount": 7, "updated_at": NOON + timedelta(days=100)}))
    run(plan, seeded, sink)
    after = _versions(connection, table)
    assert after[2] > before[2], "a row that was changed has a new version"
    (twice,) = connection.one(f"SELECT twice FROM {table} WHERE id = 2")
    assert twice == 14, "the server computes it"
    with pytest.raises(DponeError) as caught:
        connection.run(f"UPDATE {table} SET twice = 1")
    assert caught.value.context["number"] == 271


def _versions(connection: Connection, table: str) -> dict[int, str]:
    rows = connection.rows(f"SELECT id, CONVERT(nvarchar(50), stamped, 1) AS v FROM {table}")
    return {int(number): str(version) for number, version in rows}


def test_a_target_without_rows_of_the_servers_own_columns_is_described_without_them(
    sink: SinkRig, connection: Connection
) -> None:
    target = sink.target()
    connection.run(f"CREATE TABLE [dbo].[{target.name[1]}] ({COLUMNS}, stamped rowversion, twice AS (amount * 2))")
    with sink.sink() as opened:
        layout = opened.inspect(target)
    assert layout is not None
    assert layout.schema.names == PLAIN.names


def test_a_source_has_them_as_columns_like_any_other(source: SourceRig, connection: Connection) -> None:
    table = source.fresh("own")
    connection.run(f"CREATE TABLE dbo.{table} ({COLUMNS}, stamped rowversion, twice AS (amount * 2))")
    connection.run(f"INSERT INTO dbo.{table} (name, amount) VALUES (N'a', 1.5), (N'b', NULL)")
    with source.source() as opened:
        schema: Schema = opened.describe(Dataset(("dbo", table)))
    assert schema.names == (*PLAIN.names, "stamped", "twice")
    stamped: Field = schema["stamped"]
    assert stamped.native_of("mssql") == "rowversion"
    assert connection.rows(f"SELECT id, twice FROM dbo.{table} ORDER BY id")[0][0] == 100
