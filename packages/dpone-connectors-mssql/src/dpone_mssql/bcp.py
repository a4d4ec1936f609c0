"""Bulk load by Microsoft's `bcp`: rows go into a file of our own, and the program brings them to the server.

No secret is ever an argument or in the environment. Windows and Kerberos need none; a password is typed where bcp asks
for it, on a pseudo-terminal; Entra's other ways give it the name of a file that holds an access token.
"""

from __future__ import annotations

import os
import re
import selectors
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from msgspec import Struct

from dpone.errors import MissingPackage, PlanError, RemoteError
from dpone_mssql.arrow_text import spelled
from dpone_mssql.config import MssqlConfig
from dpone_mssql.faults import rejected, translate
from dpone_mssql.session import Connection

_NULL = struct.pack("<q", -1)
_ENCRYPTION = {"verify": "-Ym", "strict": "-Ys", "trust": "-Ym", "off": "-Yo"}
_SCOPE = "https://database.windows.net/.default"
_PATIENCE = 30.0  # seconds until bcp asks for the password
_COPIED = re.compile(rb"(\d+) rows copied")
_NUMBER = re.compile(rb"NativeError = (\d+)")
# a session leader takes its terminal, so that a program that asks there finds it, and becomes bcp
_ON_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


class Login(Struct, frozen=True):
    """How bcp says who we are: its arguments, and what is typed when it asks."""

    arguments: tuple[str, ...]
    typed: str | None = None


def program() -> str:
    """Where bcp is."""
    found = shutil.which("bcp")
    if found is None:
        raise MissingPackage("bcp is not on the PATH", install="mssql-tools18 of Microsoft, or use `bulk: auto`")
    return found


def login(config: MssqlConfig, folder: Path) -> Login:
    """The way of this connection; what must be a file is in the folder, for us alone."""
    match config.auth:
        case "windows":
            return Login(("-T",))
        case "sql" | "entra_password":
            assert config.password is not None  # the config says so
            if sys.platform == "win32":
                raise PlanError(
                    "bcp asks for a password at a console, which cannot be answered here",
                    code="sink.no_bcp",
                    hint="use `auth: windows`, or `bulk: bulk_copy`",
                )
            entra = ("-G",) if config.auth == "entra_password" else ()
            return Login((*entra, "-U", str(config.user)), config.password.get_secret_value())
        case _:
            token = folder / "token"
            _write_private(token, _token(config).encode("utf-16-le"))
            return Login(("-G", "-P", str(token)))  # with -G and no -U this names a file


def _token(config: MssqlConfig) -> str:
    """An access token of Entra, by the package that mssql-python brings."""
    from azure import identity

    user = config.user
    match config.auth:
        case "entra_managed_identity":
            credential: Any = identity.ManagedIdentityCredential(client_id=user)
        case "entra_service_principal":
            raise PlanError(
                "a service principal's secret is not given to bcp, which does not know its tenant",
                code="sink.no_bcp",
                hint="use `auth: entra_default` with AZURE_CLIENT_ID and the like, or `bulk: bulk_copy`",
            )
        case _:
            credential = identity.DefaultAzureCredential()
    return str(credential.get_token(_SCOPE).token)


def command(config: MssqlConfig, table: str, folder: Path, known: Login) -> list[str]:
    """The arguments behind the program's name: nothing secret is among them."""
    if config.certificate is not None or config.certificate_host is not None:
        raise PlanError(
            "bcp does not compare the server's certificate with a given one",
            code="sink.no_bcp",
            hint="use `bulk: bulk_copy`",
        )
    place = f"{config.host}\\{config.instance}" if config.instance else f"{config.host},{config.port or 1433}"
    trusting = ["-u"] if config.tls_mode == "trust" else []
    return [
        table,
        "in",
        str(folder / "rows"),
        *("-S", place, "-d", config.database, *known.arguments),
        *(_ENCRYPTION[config.tls_mode], *trusting),
        *("-f", str(folder / "format"), "-e", str(folder / "errors")),
        *("-q", "-k", "-m", "0", "-b", "0", "-a", "32767", "-l", str(config.login_timeout)),
    ]


def format_file(binary: Sequence[bool]) -> str:
    """Each column with its length before it, so that nothing in a value can end it; NULL is the length -1."""
    lines = [
        f'{n} {"SQLBINARY" if is_binary else "SQLNCHAR"} 8 0 "" {n} c{n} ""' for n, is_binary in enumerate(binary, 1)
    ]
    return "\n".join(["13.0", str(len(lines)), *lines, ""])


def _write_private(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


class _Filed:
    """Rows on their way into the file."""

    def __init__(self, connection: Connection, file: BinaryIO) -> None:
        self._connection = connection
        self._file = file
        self.binary: list[bool] | None = None
        self.rows = 0

    def send(self, batch: Any) -> None:
        try:
            columns = [[_framed(value) for value in spelled(column)] for column in batch.columns]
        except ValueError as error:
            raise rejected("sink", self._connection.label, error) from None
        self.binary = self.binary or ["binary" in str(column.type) for column in batch.columns]
        self._file.writelines(b"".join(row) for row in zip(*columns, strict=True))
        self.rows += batch.num_rows


def _framed(value: str | bytes | None) -> bytes:
    if value is None:
        return _NULL
    data = value.encode("utf-16-le") if isinstance(value, str) else value
    return struct.pack("<q", len(data)) + data


@contextmanager
def bcp_copy(connection: Connection, table: str, names: Sequence[str]) -> Iterator[_Filed]:
    """A file that grows, and is brought to the server when the context ends; then it is gone."""
    del names  # the table's own order, which is that of the columns
    found = program()
    with TemporaryDirectory(prefix="dpone-bcp-") as made:
        folder = Path(made)
        with (folder / "rows").open("wb") as file:
            filed = _Filed(connection, file)
            yield filed
        if filed.binary is None:
            return
        _write_private(folder / "format", format_file(filed.binary).encode())
        # its lock lets heaps be filled with little logging; bcp's own hint for it is not there on every system
        connection.run(
            f"EXEC sp_tableoption N'{table.replace(chr(39), chr(39) * 2)}', N'table lock on bulk load', N'ON'"
        )
        known = login(connection.config, folder)
        code, said = _run([found, *command(connection.config, table, folder, known)], known.typed)
        _refuse(connection, filed.rows, code, said)


def _refuse(connection: Connection, rows: int, code: int, said: bytes) -> None:
    """Raises unless all rows arrived. What bcp says may hold values, or what was typed: only numbers leave here."""
    copied = _COPIED.search(said)
    if code == 0 and copied is not None and int(copied[1]) == rows:
        return
    number = next((int(n) for n in _NUMBER.findall(said) if int(n)), None)
    if number is not None:
        raise translate(RuntimeError("bcp"), "sink", connection.label, number)
    raise RemoteError(
        f"bcp did not bring all rows to {connection.label}",
        code="sink.bulk_copy_failed",
        hint="run again; `bulk: bulk_copy` does without bcp",
        retryable=True,
        exit=code,
        rows=rows,
        copied=None if copied is None else int(copied[1]),
    )


def _run(arguments: Sequence[str], typed: str | None) -> tuple[int, bytes]:
    """Its exit code and what it said."""
    if typed is None:
        done = subprocess.run(arguments, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603 - the program on the PATH, with arguments of our own
        return done.returncode, done.stdout + done.stderr
    import pty

    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(  # noqa: S603 - as above
            [sys.executable, "-c", _ON_TERMINAL, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        said = _answered(ours, typed)
        try:
            return process.wait(_PATIENCE), said
        except subprocess.TimeoutExpired:  # it never asked
            process.kill()
            return process.wait(), said
    finally:
        os.close(ours)


def _answered(terminal: int, typed: str) -> bytes:
    """What was said on the terminal until its end; the password is typed when it is asked for."""
    said, asked = b"", False
    with selectors.DefaultSelector() as waiting:  # select itself knows no file beyond the 1024th
        waiting.register(terminal, selectors.EVENT_READ)
        while True:
            if not waiting.select(None if asked else _PATIENCE):
                return said
            try:
                piece = os.read(terminal, 4096)
            except OSError:  # nobody is at the other end any more
                return said
            if not piece:
                return said
            said = (said + piece)[-65536:]
            if not asked and b"assword" in said:
                asked = True
                os.write(terminal, typed.encode() + b"\n")
