"""What this machine has of what the SQL Server connector needs: a driver that loads, and Microsoft's own programs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from dpone.connector import Finding
from dpone.doctor.clients import client


def examine_machine() -> Sequence[Finding]:
    """Which driver is taken and why, whether bulk copy can be had, and bcp and sqlcmd."""
    return [
        _driver(),
        _bulk(),
        client("bcp", "-v", needed_for="the profile mssql_live, and for bulk copy by hand"),
        client("sqlcmd", "-?", needed_for="looking into a server by hand"),
    ]


def _driver() -> Finding:
    """By pyodbc where it loads, which wants the system's unixODBC; otherwise by mssql-python, which does not."""
    why_not = _unloadable("pyodbc")
    if why_not is None:
        return Finding("driver", ok=True, found=f"pyodbc {version('pyodbc')}, since it loads")
    if _unloadable("mssql_python") is None:
        return Finding(
            "driver", ok=True, found=f"mssql-python {version('mssql-python')}, since pyodbc does not: {why_not}"
        )
    return Finding(
        "driver", ok=False, found=f"none loads; pyodbc: {why_not}", action="install unixODBC and ODBC Driver 18"
    )


def _bulk() -> Finding:
    why_not = _unloadable("mssql_python")
    found = f"mssql-python {version('mssql-python')}" if why_not is None else f"mssql-python does not load: {why_not}"
    action = "pip install --upgrade dpone-connectors-mssql; until then rows are inserted, slowly"
    return Finding("bulk copy", ok=why_not is None, found=found, action=action, unless="warning")


def _unloadable(module: str) -> str | None:
    """Why the module cannot be imported; a driver without its library says so by ImportError."""
    try:
        import_module(module)
    except ImportError as error:
        return str(error)
    return None
