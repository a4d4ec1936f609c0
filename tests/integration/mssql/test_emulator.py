"""The emulator says what it is, refuses what it does not know by name, and answers by SQL Server's numbers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dpone.errors import DponeError
from dpone.testing.services.endpoint import Endpoint, Fidelity
from dpone_mssql import connector
from dpone_mssql.emulator.service import EmulatedMssql
from dpone_mssql.session import Connection
from dpone_mssql.testkit import testkit

pytestmark = pytest.mark.integration_mssql


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with EmulatedMssql() as found:
        yield found


@pytest.fixture
def connection(endpoint: Endpoint) -> Iterator[Connection]:
    made = Connection(connector.config.model_validate(dict(testkit.connection(endpoint))), "sink")
    yield made
    made.close()


def test_it_is_never_taken_for_the_vendors_engine(endpoint: Endpoint, connection: Connection) -> None:
    (said,) = connection.one("SELECT @@VERSION AS v")
    assert "emulator" in said
    assert "not Microsoft SQL Server" in said
    assert endpoint.fidelity is Fidelity.EMULATED
    assert testkit.identify(endpoint).genuine is False


@pytest.mark.parametrize(
    "statement, number",
    [
        ("SELECT a FROM dbo.nothing", 208),
        ("SELECT 1 / 0 AS a", 8134),
        ("SELECT CAST(N'x' AS date) AS a", 241),
        ("EXEC sp_nothing", 2812),
        ("BACKUP DATABASE dpone TO DISK = N'x'", 40514),
        ("SELECT CONVERT(nvarchar(30), SYSUTCDATETIME(), 109) AS a", 40514),
        ("GRANT SELECT ON dbo.t TO public", 40514),
    ],
)
def test_what_fails_fails_by_its_number(connection: Connection, statement: str, number: int) -> None:
    with pytest.raises(DponeError) as caught:
        connection.run(statement)
    assert caught.value.context["number"] == number


def test_an_error_under_xact_abort_leaves_no_transaction(connection: Connection) -> None:
    connection.run("BEGIN TRANSACTION")
    with pytest.raises(DponeError):
        connection.run("SELECT 1 / 0 AS a")
    assert connection.one("SELECT @@TRANCOUNT AS n") == (0,)


def test_text_is_compared_without_case_and_by_code_points_where_a_collation_says_so(connection: Connection) -> None:
    query = "SELECT CASE WHEN N'A' {0}= N'a ' THEN 1 ELSE 0 END AS same"
    assert connection.one(query.format("")) == (1,)
    assert connection.one(query.format("COLLATE Latin1_General_100_BIN2 ")) == (0,)


def test_money_is_printed_with_two_digits_whatever_its_size(connection: Connection) -> None:
    query = "SELECT CAST(CAST(214748.3647 AS {0}) AS nvarchar(30)) AS printed"
    assert [connection.one(query.format(of)) for of in ("money", "smallmoney")] == [("214748.36",)] * 2


def test_a_certificate_that_nobody_vouches_for_is_refused(endpoint: Endpoint) -> None:
    given = {**testkit.connection(endpoint), "login_timeout": 5}
    with pytest.raises(DponeError) as caught:
        Connection(connector.config.model_validate({**given, "tls": "verify"}), "sink")
    assert caught.value.code == "sink.not_trusted"
    assert str(given["password"]) not in str(caught.value)
    known = {**given, "tls": "verify", "certificate": Path(endpoint.extra["certificate"])}
    Connection(connector.config.model_validate(known), "sink").close()


def test_a_wrong_password_and_a_missing_database_have_their_own_codes(endpoint: Endpoint) -> None:
    given = dict(testkit.connection(endpoint))
    with pytest.raises(DponeError) as caught:
        Connection(connector.config.model_validate({**given, "password": "wrong"}), "source")
    assert caught.value.code == "source.login_refused"
