"""What the drivers are given: every way of saying where the server is, who we are, and how the way to it is kept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dpone.errors import MissingPackage
from dpone_mssql import drivers
from dpone_mssql.config import MssqlConfig
from dpone_mssql.drivers import Driver, connection_string, driver_for

AWKWARD = "p;w}d{=' \"é"


def said(**given: object) -> dict[str, str]:
    """The pairs of the connection string, read as ODBC reads them."""
    config = MssqlConfig.model_validate({"host": "db.example.org", "database": "sh;op", **given})
    text = connection_string(config)
    pairs = re.findall(r"(\w+)=\{((?:[^}]|\}\})*)\};", text)
    assert "".join(f"{name}={{{value}}};" for name, value in pairs) == text, "nothing stands beside the pairs"
    return {name: value.replace("}}", "}") for name, value in pairs}


def by_login(**given: object) -> dict[str, str]:
    return said(user="me", password=AWKWARD, **given)


def test_a_login_arrives_whole_whatever_is_in_it() -> None:
    found = by_login()
    assert (found["UID"], found["PWD"], found["Database"]) == ("me", AWKWARD, "sh;op")
    assert not {"Trusted_Connection", "Authentication"} & set(found)


def test_windows_and_kerberos_need_no_name() -> None:
    found = said(auth="windows")
    assert found["Trusted_Connection"] == "yes"
    assert not {"UID", "PWD", "Authentication"} & set(found)


@pytest.mark.parametrize(
    "auth, given, authentication",
    [
        ("entra_password", {"user": "me@example.org", "password": AWKWARD}, "ActiveDirectoryPassword"),
        ("entra_service_principal", {"user": "app", "password": AWKWARD}, "ActiveDirectoryServicePrincipal"),
        ("entra_managed_identity", {}, "ActiveDirectoryMsi"),
        ("entra_managed_identity", {"user": "client"}, "ActiveDirectoryMsi"),
        ("entra_default", {}, "ActiveDirectoryDefault"),
    ],
)
def test_entra_is_named_as_microsofts_drivers_name_it(auth: str, given: dict[str, str], authentication: str) -> None:
    found = said(auth=auth, **given)
    assert found["Authentication"] == authentication
    assert (found.get("UID"), found.get("PWD")) == (given.get("user"), given.get("password"))
    assert "Trusted_Connection" not in found


def test_a_port_an_instance_and_neither() -> None:
    assert by_login()["Server"] == "db.example.org,1433"
    assert by_login(port=1444)["Server"] == "db.example.org,1444"
    assert by_login(instance="SQL2")["Server"] == "db.example.org\\SQL2"


def test_an_intent_to_read_reaches_a_secondary_and_all_addresses_are_tried() -> None:
    assert by_login()["ApplicationIntent"] == "ReadWrite"
    assert "MultiSubnetFailover" not in by_login()
    found = by_login(intent="read_only", multi_subnet_failover=True)
    assert (found["ApplicationIntent"], found["MultiSubnetFailover"]) == ("ReadOnly", "yes")


@pytest.mark.parametrize(
    "given, encrypt, trust",
    [
        ({}, "yes", "no"),
        ({"tls": "strict"}, "strict", "no"),
        ({"tls": "trust"}, "yes", "yes"),
        ({"tls": "off"}, "no", "no"),
        ({"host": "localhost"}, "yes", "yes"),
    ],
)
def test_the_way_is_kept_private_as_the_connection_says(given: dict[str, object], encrypt: str, trust: str) -> None:
    found = by_login(**given)
    assert (found["Encrypt"], found["TrustServerCertificate"]) == (encrypt, trust)


def test_a_certificate_is_compared_with_what_the_connection_names() -> None:
    found = by_login(certificate="/pinned.pem", certificate_host="sql.internal")
    assert (found["ServerCertificate"], found["HostNameInCertificate"]) == (str(Path("/pinned.pem")), "sql.internal")


def test_a_lost_session_is_not_replaced_behind_our_back() -> None:
    assert by_login()["ConnectRetryCount"] == "0"


def test_pyodbc_is_told_its_driver_and_the_name_of_the_session() -> None:
    config = MssqlConfig.model_validate({"host": "h", "database": "d", "auth": "windows", "application_name": "a;b"})
    made = Driver("pyodbc", "", lambda *_: None, Exception, "Driver={ODBC Driver 18 for SQL Server};")
    text = connection_string(config, made)
    assert text.startswith("Driver={ODBC Driver 18 for SQL Server};Server=")
    assert "APP={a;b};" in text


def test_a_connection_that_insists_on_pyodbc_is_told_why_it_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    config = MssqlConfig.model_validate({"host": "h", "database": "d", "auth": "windows", "driver": "odbc"})
    monkeypatch.setattr(drivers, "_odbc", lambda: (None, "libodbc.so.2 is not there"))
    for side in ("source", "sink"):
        with pytest.raises(MissingPackage) as caught:
            driver_for(config, side)
        assert "libodbc.so.2 is not there" in str(caught.value)
        assert "unixodbc" in (caught.value.hint or "")


def test_without_pyodbc_a_sink_goes_by_the_other_driver_and_a_source_always_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = MssqlConfig.model_validate({"host": "h", "database": "d", "auth": "windows"})
    monkeypatch.setattr(drivers, "_odbc", lambda: (None, "libodbc.so.2 is not there"))
    assert "libodbc.so.2 is not there" in driver_for(config, "sink").why
    made = Driver("pyodbc", "it is installed", lambda *_: None, Exception)
    monkeypatch.setattr(drivers, "_odbc", lambda: (made, ""))
    assert driver_for(config, "sink") is made
    assert "Arrow" in driver_for(config, "source").why
