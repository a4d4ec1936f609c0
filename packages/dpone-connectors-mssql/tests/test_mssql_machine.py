"""What `dpone doctor` says of the drivers on this machine."""

from __future__ import annotations

import pytest

from dpone.errors import MissingPackage
from dpone_mssql import machine
from dpone_mssql.config import MssqlConfig
from dpone_mssql.drivers import driver_for


def test_the_driver_that_is_named_is_the_one_that_is_taken() -> None:
    (finding, reading, *others) = machine.examine_machine()
    taken = driver_for(MssqlConfig(database="master", auth="windows"))
    assert (finding.status, finding.found) == ("ok", f"{taken.name}: {taken.why}")
    taken = driver_for(MssqlConfig(database="master", auth="windows"), "source")
    assert (reading.status, reading.found) == ("ok", f"{taken.name}: {taken.why}")
    assert [other.name for other in others] == ["bulk copy", "client bcp", "client sqlcmd"]
    assert all(other.status in {"ok", "warning"} for other in others)


def test_no_driver_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: MssqlConfig, side: str) -> None:
        raise MissingPackage("no driver loads", install="dpone-connectors-mssql")

    monkeypatch.setattr(machine, "driver_for", nothing)
    finding = machine.examine_machine()[0]
    assert (finding.status, finding.action) == ("failed", "pip install dpone-connectors-mssql")
