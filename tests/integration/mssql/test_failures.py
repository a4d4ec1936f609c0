"""Failures over the wire, by each driver that loads here: the server's number arrives, and has its code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from dpone.errors import DponeError, MissingPackage
from dpone.testing.services.endpoint import Endpoint
from dpone_mssql import connector
from dpone_mssql.config import MssqlConfig
from dpone_mssql.drivers import driver_for
from dpone_mssql.emulator.service import EmulatedMssql
from dpone_mssql.session import Connection
from dpone_mssql.testkit import testkit

pytestmark = pytest.mark.integration_mssql
TABLE = (
    "DROP TABLE IF EXISTS dbo.f; CREATE TABLE dbo.f (a int NOT NULL PRIMARY KEY, t nvarchar(3) NULL, n tinyint NULL, "
    "b int NULL, CONSTRAINT f_b CHECK (b > 0)); CREATE UNIQUE INDEX f_t ON dbo.f (t); "
    "INSERT INTO dbo.f VALUES (1, N'x', 1, 1)"
)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with EmulatedMssql() as found:
        yield found


def config(endpoint: Endpoint, driver: str, **given: object) -> MssqlConfig:
    made: MssqlConfig = connector.config.model_validate({**testkit.connection(endpoint), "driver": driver, **given})
    try:
        driver_for(made)
    except MissingPackage as missing:
        pytest.skip(f"pyodbc does not load on this machine: {missing}")
    return made


@pytest.fixture(params=["mssql_python", "odbc"])
def driver(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def connection(endpoint: Endpoint, driver: str) -> Iterator[Connection]:
    made = Connection(config(endpoint, driver), "sink")
    yield made
    made.close()


@pytest.mark.parametrize(
    "statement, number, code",
    [
        ("INSERT INTO dbo.f (a) VALUES (1)", 2627, "sink.rejected_rows"),
        ("INSERT INTO dbo.f (a, t) VALUES (2, N'x')", 2601, "sink.rejected_rows"),
        ("INSERT INTO dbo.f (t) VALUES (N'y')", 515, "sink.rejected_rows"),
        ("INSERT INTO dbo.f (a, b) VALUES (2, -1)", 547, "sink.rejected_rows"),
        ("INSERT INTO dbo.f (a, t) VALUES (2, N'long')", 2628, "sink.rejected_rows"),
        ("INSERT INTO dbo.f (a) VALUES (CAST(99999999999 AS bigint))", 8115, "sink.rejected_rows"),
        ("SELECT CAST(N'x' AS int) AS a", 245, "sink.rejected_rows"),
        ("SELECT CAST(N'x' AS date) AS a", 241, "sink.rejected_rows"),
        ("SELECT 1 / 0 AS a", 8134, "sink.rejected_rows"),
        ("SELECT a FROM dbo.nothing", 208, "sink.table_missing"),
        ("SELECT nothing FROM dbo.f", 207, "sink.missing_object"),
        ("EXEC sp_nothing", 2812, "sink.missing_object"),
        ("CREATE TABLE dbo.f (a int NULL)", 2714, "sink.refused"),
        ("CREATE TABLE nowhere.f (a int NULL)", 2760, "sink.table_missing"),
        ("EXEC sp_rename N'dbo.nothing', N'other', N'OBJECT'", 15225, "sink.table_missing"),
        ("SELECT FROM WHERE", 102, "sink.refused"),
        ("THROW 50990, N'another position', 1", 50990, "state.conflict"),
    ],
)
def test_a_statement_fails_by_its_number(connection: Connection, statement: str, number: int, code: str) -> None:
    connection.run(TABLE)
    with pytest.raises(DponeError) as caught:
        connection.run(statement)
    assert (caught.value.context["number"], caught.value.code) == (number, code)
    assert caught.value.hint
    assert connection.one("SELECT COUNT_BIG(*) AS n FROM dbo.f AS f") == (1,), "the session goes on"


def test_a_lock_that_is_not_had_in_time(endpoint: Endpoint, connection: Connection, driver: str) -> None:
    connection.run(TABLE)
    other = Connection(config(endpoint, driver), "sink")
    try:
        other.run("BEGIN TRANSACTION")
        other.rows("SELECT TOP (0) 1 AS one FROM dbo.f WITH (TABLOCKX, HOLDLOCK)")
        connection.run("SET LOCK_TIMEOUT 200")
        with pytest.raises(DponeError) as caught:
            connection.run("UPDATE dbo.f SET n = 2")
        assert (caught.value.context["number"], caught.value.code) == (1222, "sink.locked")
    finally:
        other.close()


def test_two_that_wait_for_each_other(endpoint: Endpoint, connection: Connection, driver: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    connection.run(f"{TABLE}; INSERT INTO dbo.f (a) VALUES (2)")
    other = Connection(config(endpoint, driver), "sink")
    try:
        for one, row in ((connection, 1), (other, 2)):
            one.run("BEGIN TRANSACTION")
            one.run(f"UPDATE dbo.f SET n = 3 WHERE a = {row}")
        with ThreadPoolExecutor() as threads:
            waits = [
                threads.submit(one.run, f"UPDATE dbo.f SET n = 4 WHERE a = {a}")
                for one, a in ((connection, 2), (other, 1))
            ]
            errors = [error for wait in waits if isinstance(error := wait.exception(60), DponeError)]
        (victim,) = errors
        assert (victim.context["number"], victim.code) == (1205, "sink.serialization")
        assert getattr(victim, "retryable", False)
    finally:
        other.close()


def test_a_statement_that_takes_too_long(endpoint: Endpoint, driver: str) -> None:
    made = Connection(config(endpoint, driver), "sink", timedelta(seconds=1))
    try:
        with pytest.raises(DponeError) as caught:
            made.run("WAITFOR DELAY '00:00:20'")
        assert caught.value.code == "sink.timeout"
    finally:
        made.close()


@pytest.mark.parametrize(
    "given, code",
    [
        ({"password": "wr}ong;"}, "source.login_refused"),
        ({"user": "nobody"}, "source.login_refused"),
        ({"database": "nothing"}, "source.database_missing"),
        ({"tls": "verify", "login_timeout": 5}, "source.not_trusted"),
        ({"port": 1, "login_timeout": 3}, "source.unreachable"),
    ],
)
def test_a_login_that_fails(endpoint: Endpoint, driver: str, given: dict[str, object], code: str) -> None:
    wanted = config(endpoint, driver, **given)
    with pytest.raises(DponeError) as caught:
        Connection(wanted, "source")
    assert caught.value.code == code
    assert caught.value.hint
    assert "wr}ong" not in f"{caught.value} {caught.value!r} {caught.value.context}"
