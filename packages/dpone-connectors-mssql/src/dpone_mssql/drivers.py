"""The driver that a connection goes through: which one loads on this machine, and why it was taken.

Statements need one of two: pyodbc with Microsoft's ODBC driver, installed or out of the wheel mssql-python-odbc; or
mssql-python, which needs no unixODBC, and where not even the ODBC driver loads, brings one of its own that wants
OpenSSL alone. Bulk copy is mssql-python's in any case, and so are sessions that read rows, since it alone makes Arrow.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from struct import unpack
from typing import Any

from msgspec import Struct

from dpone.errors import MissingPackage
from dpone_mssql.config import MssqlConfig
from dpone_mssql.faults import Side

INSTALLED = "ODBC Driver 18 for SQL Server"
_SS_TIME2, _SS_TIMESTAMPOFFSET = -154, -155  # types of Microsoft's own, which pyodbc leaves to a converter
_RUST = "mssql-odbc"
_LTDL = "libltdl.so.7"


class Driver(Struct, frozen=True):
    """A way to connect: `open` takes a connection string and the seconds to wait for the login."""

    name: str
    why: str
    open: Callable[[str, int], Any]
    error: type[Exception]
    keyword: str = ""  # that the connection string must have in front
    sizes: Callable[[Sequence[bool]], list[Any]] | None = None  # of parameters, told which are bytes and which are text


def driver_for(config: MssqlConfig, side: Side = "sink") -> Driver:
    """The driver that the connection asks for, or the first one that loads; a source takes the one that makes Arrow."""
    if config.driver == "auto" and side == "source":
        return _mssql_python("it makes Arrow of the rows that it reads")
    if config.driver != "mssql_python":
        found, why_not = _odbc()
        if found is not None:
            return found
        if config.driver == "odbc":
            raise MissingPackage(f"pyodbc cannot be used here: {why_not}", install="unixodbc, or use `driver: auto`")
        return _mssql_python(f"pyodbc cannot be used: {why_not}")
    return _mssql_python("the connection asks for it")


@cache
def _odbc() -> tuple[Driver | None, str]:
    """Pyodbc with a driver, or why not."""
    try:
        import pyodbc
    except ImportError as error:
        return None, str(error)
    pyodbc.pooling = False
    if INSTALLED in pyodbc.drivers():
        return _pyodbc(INSTALLED, "it is installed"), ""
    library = _library()
    if library is None:
        return None, "no ODBC Driver 18 is installed, and mssql-python-odbc has none for this system"
    if (broken := _unloadable(library)) is not None:
        return None, broken
    return _pyodbc(str(library), "it comes with mssql-python-odbc"), ""


def _pyodbc(driver: str, why: str) -> Driver:
    import pyodbc

    def connect(text: str, seconds: int) -> Any:
        raw = pyodbc.connect(text, autocommit=True, timeout=seconds)
        raw.add_output_converter(_SS_TIME2, _time)
        raw.add_output_converter(_SS_TIMESTAMPOFFSET, _moment)
        return raw

    def sizes(are_bytes: Sequence[bool]) -> list[Any]:
        """Said beforehand: what a driver takes for granted of a parameter is not always the column's own type."""
        return [(pyodbc.SQL_VARBINARY if is_bytes else pyodbc.SQL_WVARCHAR, 0, 0) for is_bytes in are_bytes]

    return Driver("pyodbc with ODBC Driver 18", why, connect, pyodbc.Error, f"Driver={{{driver}}};", sizes)


def _time(raw: bytes) -> int:
    """A time of day as nanoseconds: Python's own would lose the seventh digit."""
    hours, minutes, seconds, fraction = map(int, unpack("<HHHxxI", raw))
    return ((hours * 60 + minutes) * 60 + seconds) * 10**9 + fraction


def _moment(raw: bytes) -> datetime:
    """A datetimeoffset of no more than six digits; one of seven is asked for as text."""
    year, month, day, hour, minute, second, fraction, *offset = map(int, unpack("<hHHHHHIhh", raw))
    zone = timezone(timedelta(hours=offset[0], minutes=offset[1]))
    return datetime(year, month, day, hour, minute, second, fraction // 1000, zone)


def _library() -> Path | None:
    """The ODBC driver inside of Microsoft's wheel, for the system that most resembles this one."""
    found = find_spec("mssql_python_odbc")
    if found is None or found.origin is None:
        return None
    libraries = sorted(Path(found.origin).parent.glob("libs/linux/debian_ubuntu/*/lib/libmsodbcsql-18*.so*"))
    return libraries[0] if libraries else None


def _unloadable(library: Path) -> str | None:
    try:
        ctypes.CDLL(str(library))
    except OSError as error:
        return str(error)
    return None


@cache
def _mssql_python(why: str) -> Driver:
    try:
        import mssql_python
    except ImportError as error:
        raise MissingPackage(
            f"no driver for SQL Server loads: {why}; {error}", install="dpone-connectors-mssql"
        ) from None
    mssql_python.pooling(enabled=False)  # a session holds locks: its end must be its end
    name = "mssql-python with Microsoft's ODBC driver"
    if sys.platform == "linux" and (missing := _unloadable(Path(_LTDL))) is not None:
        if find_spec("mssql_py_core") is None:
            raise MissingPackage(f"Microsoft's ODBC driver cannot be loaded: {missing}", install="mssql-python-rs")
        mssql_python.native_provider = _RUST  # type: ignore[attr-defined]  # a property of the module
        name, why = "mssql-python with its own driver", f"{why}; Microsoft's ODBC driver cannot be loaded: {missing}"

    def connect(text: str, seconds: int) -> Any:
        return mssql_python.connect(text, autocommit=True, timeout=seconds)

    return Driver(name, why, connect, mssql_python.Error)


# ----------------------------------------------------------------- the connection string

_AUTHENTICATION = {
    "entra_password": "ActiveDirectoryPassword",
    "entra_service_principal": "ActiveDirectoryServicePrincipal",
    "entra_managed_identity": "ActiveDirectoryMsi",
    "entra_default": "ActiveDirectoryDefault",
}
_ENCRYPT = {"verify": "yes", "strict": "strict", "trust": "yes", "off": "no"}


def connection_string(config: MssqlConfig, driver: Driver | None = None) -> str:
    """What the driver is given, the secret among it: it is never an argument of a process, nor printed."""
    place = f"{config.host}\\{config.instance}" if config.instance else f"{config.host},{config.port or 1433}"
    said = {
        "Server": place,
        "Database": config.database,
        "Encrypt": _ENCRYPT[config.tls_mode],
        "TrustServerCertificate": "yes" if config.tls_mode == "trust" else "no",
        "ApplicationIntent": "ReadOnly" if config.intent == "read_only" else "ReadWrite",
        "ConnectRetryCount": "0",  # a session that comes back has lost its locks and its transaction
    }
    if config.multi_subnet_failover:
        said["MultiSubnetFailover"] = "yes"
    if config.certificate is not None:
        said["ServerCertificate"] = str(config.certificate)
    if config.certificate_host is not None:
        said["HostNameInCertificate"] = config.certificate_host
    if config.auth == "windows":
        said["Trusted_Connection"] = "yes"
    elif config.auth in _AUTHENTICATION:
        said["Authentication"] = _AUTHENTICATION[config.auth]
    if config.user is not None:
        said["UID"] = config.user
    if config.password is not None:
        said["PWD"] = config.password.get_secret_value()
    head = driver.keyword if driver is not None else ""
    if head:
        said["APP"] = config.application_name
    else:  # at 4096 a bulk copy can fail; pyodbc would say of a refused login that the size is not supported
        said["PacketSize"] = "8192"
    return head + "".join(f"{name}={_braced(value)};" for name, value in said.items())


def _braced(value: str) -> str:
    """Whole, whatever is in it."""
    return "{" + value.replace("}", "}}") + "}"
