from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from dpone.batch import ARROW, negotiate
from dpone.connector import lazy
from dpone.errors import DponeError, MissingPackage, PlanError
from dpone.integration_matrix import SPECIFIED, capabilities
from dpone.manifest.connections import from_url
from dpone.schema import Field, Landing, timestamptz
from dpone_mssql import MssqlConfig, MssqlSink, MssqlSource, connector
from dpone_mssql.typemap import TYPES
from dpone_mssql.wires import ACCEPTS, EMITS, MSSQL_ARROW

CANARY = "cAnArY-71"


def config(**given: object) -> MssqlConfig:
    return MssqlConfig.model_validate({"host": "db.example.org", "database": "shop", **given})


def by_login(**given: object) -> MssqlConfig:
    return config(user="me", password=CANARY, **given)


def test_it_declares_what_the_matrix_specifies() -> None:
    assert capabilities(connector) == next(c for c in SPECIFIED if c.name == "mssql")


def test_declaring_needs_no_driver_and_no_arrow() -> None:
    code = "import sys, dpone_mssql; print({'pyodbc', 'mssql_python', 'pyarrow', 'sqlglot'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


# ------------------------------------------------------------------------ connection


def test_tls_is_verified_unless_the_server_is_this_machine() -> None:
    assert by_login().tls_mode == "verify"
    assert by_login(host="127.0.0.1").tls_mode == by_login(host="::1").tls_mode == "trust"
    assert by_login(host="localhost.example.org").tls_mode == "verify"
    assert by_login(host="localhost", certificate="/pinned.pem").tls_mode == "verify"
    assert by_login(tls="off").tls_mode == "off"


def test_a_password_is_never_shown() -> None:
    found = by_login()
    assert CANARY not in repr(found) + str(found) + found.model_dump_json() + found.label
    with pytest.raises(ValidationError) as refused:
        by_login(auth="windows")
    with pytest.raises(ValidationError) as unknown:
        by_login(passwrd=CANARY)
    assert CANARY not in str(refused.value) + repr(refused.value) + str(unknown.value)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"user": "me"},
        {"auth": "windows", "user": "me"},
        {"auth": "entra_service_principal", "user": "app"},
        {"auth": "entra_managed_identity", "password": CANARY},
        {"user": "me", "password": CANARY, "port": 1433, "instance": "SQL2"},
        {"user": "me", "password": CANARY, "tls": "trust", "certificate": "/pinned.pem"},
        {"user": "me", "password": CANARY, "port": 0},
    ],
)
def test_what_does_not_go_together_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        config(**given)


@pytest.mark.parametrize(
    "given",
    [
        {"auth": "windows"},
        {"auth": "entra_default"},
        {"auth": "entra_managed_identity"},
        {"auth": "entra_managed_identity", "user": "client-id"},
        {"auth": "entra_service_principal", "user": "app", "password": CANARY},
        {"user": "me", "password": CANARY, "instance": "SQL2", "tls": "strict", "certificate": "/pinned.pem"},
    ],
)
def test_every_way_of_saying_who_we_are_can_be_written(given: dict[str, object]) -> None:
    assert config(**given).label.startswith("db.example.org")


def test_every_field_says_what_it_is() -> None:
    for model in (MssqlConfig, MssqlSource, MssqlSink):
        assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_a_url_says_the_same_as_its_parts() -> None:
    url = "mssql://me:p%40ss@db.example.org:1444/sh%20op?tls=trust&intent=read_only&login_timeout=5"
    found = from_url(url, connector).resolve({})
    assert found == MssqlConfig(
        host="db.example.org",
        port=1444,
        database="sh op",
        user="me",
        password=SecretStr("p@ss"),
        tls="trust",
        intent="read_only",
        login_timeout=5,
    )
    with pytest.raises(DponeError) as wrong:
        from_url(f"mssql://me:{CANARY}@h/d?tls=trustt", connector)
    assert CANARY not in str(wrong.value)
    assert "trust" in str(wrong.value)


# ---------------------------------------------------------------------------- options


def test_a_table_without_schema_is_that_of_dbo() -> None:
    assert MssqlSource(table="orders").dataset().name == ("dbo", "orders")
    assert MssqlSink(table='raw."or.ders"').target().name == ("raw", "or.ders")
    assert MssqlSource(query="select 1").dataset().query == "select 1"


def test_a_name_of_three_parts_is_refused() -> None:
    for model in (MssqlSource, MssqlSink):
        with pytest.raises(ValidationError, match="named schema"):
            model.model_validate({"table": "db.dbo.orders"})


def test_several_splits_are_taken_where_they_need_no_common_snapshot() -> None:
    for isolation in ("auto", "snapshot"):
        assert MssqlSource.model_validate({"table": "orders", "isolation": isolation, "splits": 1}).splits == 1
        with pytest.raises(ValidationError, match="set isolation: read_committed"):
            MssqlSource.model_validate({"table": "orders", "isolation": isolation, "splits": 2})
    assert MssqlSource.model_validate({"table": "orders", "isolation": "read_committed", "splits": 2}).splits == 2


# -------------------------------------------------------------------------------- wire


def test_an_offset_travels_between_two_sql_servers_and_nowhere_else() -> None:
    own = Field("c", TYPES.read("datetimeoffset(7)"), native="mssql:datetimeoffset(7)")
    assert negotiate(EMITS, ACCEPTS, [(own, TYPES.land(own))]).format == MSSQL_ARROW
    with pytest.raises(PlanError, match="offset"):
        negotiate(EMITS, ACCEPTS, [(own, TYPES.land(own))], in_core="masked")
    foreign = Field("c", timestamptz(6), native="postgres:timestamp with time zone")
    assert negotiate(EMITS, ACCEPTS, [(foreign, TYPES.land(foreign))]).format == ARROW
    assert negotiate(EMITS[1:], EMITS[1:], [(own, Landing("timestamp with time zone"))]).format == ARROW


# ---------------------------------------------------------------------- not there (yet)


def test_what_is_only_declared_says_so() -> None:
    assert connector.source is not None
    assert connector.sink is not None
    opener = lazy("dpone_mssql.not_there_yet:connect")
    with pytest.raises(PlanError) as answer:
        opener(by_login())
    assert answer.value.code == "connector.not_built"
    assert "dpone-connectors-mssql" in answer.value.message
    assert answer.value.__context__ is None


def test_a_missing_driver_answers_with_its_pip_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "acme_connector"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "source.py").write_text("import acme_driver.deep\n")
    (package / "broken.py").write_text("import acme_connector.forgotten\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MissingPackage) as answer:
        lazy("acme_connector.source:connect")()
    assert "acme_driver" in answer.value.message
    assert answer.value.install == "acme_connector"
    with pytest.raises(ModuleNotFoundError):  # a fault of the connector itself is not dressed up
        lazy("acme_connector.broken:connect")()


def test_what_is_there_is_called() -> None:
    assert lazy("dpone_mssql.typemap:parse")("bit").name == "bit"


def test_an_address_of_ipv6_is_told_from_its_port() -> None:
    assert by_login(host="::1").label.startswith("[::1]:1433/")
