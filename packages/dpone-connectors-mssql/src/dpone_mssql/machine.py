"""What this machine has of what the SQL Server connector needs: a driver that loads, and Microsoft's own programs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from dpone.connector import Finding
from dpone.doctor.clients import client
from dpone.errors import MissingPackage
from dpone_mssql.config import MssqlConfig
from dpone_mssql.drivers import driver_for
from dpone_mssql.faults import Side


def examine_machine() -> Sequence[Finding]:
    """Which driver is taken and why, whether bulk copy can be had, and bcp and sqlcmd."""
    return [
        _driver("driver", "sink"),
        _driver("driver for reading", "source"),
        _bulk(),
        client("bcp", "-v", needed_for="`bulk: bcp` and the profile mssql_live"),
        client("sqlcmd", "-?", needed_for="looking into a server by hand"),
    ]


def _driver(name: str, side: Side) -> Finding:
    """The one that a connection would take that does not ask for another."""
    try:
        taken = driver_for(MssqlConfig(database="master", auth="windows"), side)
    except MissingPackage as error:
        return Finding(name, ok=False, found=error.message, action=error.hint or "")
    return Finding(name, ok=True, found=f"{taken.name}: {taken.why}")


def _bulk() -> Finding:
    action = "pip install --upgrade dpone-connectors-mssql; until then rows are inserted, slowly"
    try:
        import_module("mssql_python")
    except ImportError as error:
        found = f"mssql-python does not load: {error}"
        return Finding("bulk copy", ok=False, found=found, action=action, unless="warning")
    return Finding("bulk copy", ok=True, found=f"mssql-python {version('mssql-python')}")
