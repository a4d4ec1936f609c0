"""One client from its first packet to its last: login, then requests one after another."""
# ruff: noqa: PLR2004 - the numbers are those of the protocol

from __future__ import annotations

import ssl
import struct
from collections.abc import Callable
from hmac import compare_digest
from typing import ClassVar

import psycopg
from msgspec import Struct

from dpone_mssql.emulator import procedures, tds
from dpone_mssql.emulator.backend import Backend, Interrupted
from dpone_mssql.emulator.batches import tokens_of
from dpone_mssql.emulator.collations import BYTES, DEFAULT, received
from dpone_mssql.emulator.definitions import Cursor
from dpone_mssql.emulator.faults import Fault, Refused
from dpone_mssql.emulator.names import LongNames, quoted
from dpone_mssql.emulator.packets import HANDSHAKE, Packets
from dpone_mssql.emulator.parameters import Incoming, read_type
from dpone_mssql.emulator.session import Scope, Session, Variable, environment_of, failure, finished
from dpone_mssql.emulator.tds import DONE, DONE_IN_PROC, DONE_PROC, Reader, done
from dpone_mssql.emulator.typenames import type_name

_LOGIN, _BATCH, _RPC, _BULK, _ATTENTION, _MANAGER = 16, 1, 3, 7, 6, 14
_NO_ENCRYPTION = b"\x02"
_SMALLEST, _LARGEST = 512, 32767
_PROCEDURES = {
    1: "sp_cursor",
    10: "sp_executesql",
    11: "sp_prepare",
    12: "sp_execute",
    13: "sp_prepexec",
    15: "sp_unprepare",
}


class Served(Struct, frozen=True):
    """What all clients share."""

    dsn: Callable[[str], str]
    has_database: Callable[[str], bool]
    create_database: Callable[[str], None]
    user: str
    password: str
    tls: ssl.SSLContext
    names: Callable[[str], LongNames]


class Parameter(Struct, frozen=True):
    name: str
    of: Incoming
    value: str | None


class Prepared(Struct, frozen=True):
    text: str
    declared: tuple[tuple[str, str], ...]  # names and types


class Client:
    def __init__(self, packets: Packets, served: Served) -> None:
        self._packets = packets
        self._served = served
        self._session: Session | None = None
        self._prepared: dict[int, Prepared] = {}

    def serve(self) -> None:
        """Until the client leaves."""
        try:
            self._greet()
            if self._log_in():
                while True:
                    self._answer(*self._packets.message())
        except (ConnectionError, OSError, ssl.SSLError):
            pass
        finally:
            if self._session is not None:
                self._session.backend.close()

    def _greet(self) -> None:
        kind, data = self._packets.message()
        if kind != HANDSHAKE:
            raise ConnectionError
        wanted, at = b"\x02", 0
        while data[at] != 0xFF:
            option, start, length = struct.unpack_from(">BHH", data, at)
            if option == 1:
                wanted = data[start : start + length]
            at += 5
        encrypts = wanted[:1] not in {b"\x02", b"\x00"}
        answers = [
            (0, bytes([16, 0, 0x10, 0x5B, 0, 0])),
            (1, b"\x01" if encrypts else _NO_ENCRYPTION),
            (2, b"\0"),
            (3, b""),
            (4, b"\0"),
        ]
        head, body = b"", b""
        for option, value in answers:
            head += struct.pack(">BHH", option, 5 * len(answers) + 1 + len(body), len(value))
            body += value
        self._packets.send(head + b"\xff" + body)
        if encrypts:
            self._packets.encrypt(self._served.tls)

    def _log_in(self) -> bool:
        kind, data = self._packets.message()
        if kind != _LOGIN:
            raise ConnectionError

        def field(at: int) -> bytes:
            start, length = struct.unpack_from("<HH", data, at)
            return data[start : start + length * 2]

        user = field(40).decode("utf-16-le")
        hidden = (byte ^ 0xA5 for byte in field(44))
        password = bytes(((byte << 4) & 0xF0) | (byte >> 4) for byte in hidden).decode("utf-16-le")
        database = field(68).decode("utf-16-le") or "master"
        known = user == self._served.user and compare_digest(password.encode(), self._served.password.encode())
        if not known:
            return self._turn_away(Fault(18456, f"Login failed for user '{user}'.", 14))
        if not self._served.has_database(database):
            return self._turn_away(Fault(4060, f'Cannot open database "{database}" requested by the login.', 11))
        backend = Backend(
            self._served.dsn(database), self._served.names(database), encrypted=self._packets.is_encrypted
        )
        backend.client, backend.is_interrupted = self._packets.fileno, self._packets.is_interrupted
        self._session = Session(backend, self._served.create_database)
        wanted = struct.unpack_from("<I", data, 8)[0]
        size = wanted if _SMALLEST <= wanted <= _LARGEST else 4096
        out = tds.environment(1, tds.short_text(database), tds.short_text("master"))
        out += tds.environment(7, b"\x05" + BYTES[DEFAULT]) + tds.environment(2, tds.short_text("us_english"))
        out += tds.acknowledgement() + tds.environment(
            4, tds.short_text(str(size)), tds.short_text(str(self._packets.size))
        )
        self._packets.send(out + done())
        self._packets.size = size
        return True

    def _turn_away(self, fault: Fault) -> bool:
        self._packets.send(tds.error(fault.number, fault.message, fault.severity) + done(status=tds.ERROR))
        return False

    # ------------------------------------------------------------------------ requests

    @property
    def session(self) -> Session:
        assert self._session is not None  # nobody asks before the login
        return self._session

    def _answer(self, kind: int, data: bytes) -> None:
        try:
            match kind:
                case 1:
                    out = self._batch(tds.without_headers(data))
                case 3:
                    out = self._calls(tds.without_headers(data))
                case 7:
                    out = self._bulk(data)
                case 14:
                    out = self._manage(tds.without_headers(data))
                case 6:
                    out = done(status=tds.ATTENTION)
                case -1:
                    out = done(status=tds.ERROR)
                case _:
                    raise ConnectionError
        except Interrupted:
            self.session.failed(Fault(3617, "attention"))
            out = done(status=tds.ATTENTION)
        self._packets.send(out)

    def _batch(self, data: bytes) -> bytes:
        scope = Scope()
        return self._guarded(scope, lambda: self.session.batch(received(data), scope), DONE) or finished(scope)

    def _guarded(self, scope: Scope, act: Callable[[], None], token: int) -> bytes:
        """Empty when all went well; else everything up to the error, and the error."""
        try:
            act()
        except Fault as fault:
            self.session.failed(fault)
            return bytes(scope.out) + tds.error(fault.number, fault.message, fault.severity) + failure(token)
        except psycopg.Error:
            raise ConnectionError from None
        return b""

    def _calls(self, data: bytes) -> bytes:
        reader = Reader(data)
        out = bytearray()
        while reader.left:
            length = reader.number(2)
            name = (
                _PROCEDURES.get(reader.number(2), "?")
                if length == 0xFFFF
                else reader.take(length * 2).decode("utf-16-le")
            )
            reader.take(2)
            given = self._parameters(reader)
            if reader.left:
                reader.take(1)
            scope = Scope(token=DONE_IN_PROC)
            handle: list[int] = []
            ended = self._guarded(scope, lambda n=name, g=given, s=scope, h=handle: self._call(n, g, s, h), DONE_PROC)  # type: ignore[misc]  # bound in the loop
            if ended:
                out += ended
                if reader.left:
                    out[-12] |= tds.MORE | tds.IN_BATCH
                continue
            out += scope.out + tds.returned_status(scope.returned)
            for number in handle:
                out += tds.returned_handle(number)
            out += done(DONE_PROC, tds.MORE | tds.IN_BATCH if reader.left else 0, tds.CALL)
        return bytes(out)

    @staticmethod
    def _parameters(reader: Reader) -> list[Parameter]:
        found = []
        while reader.left and reader.peek() not in {0xFF, 0x80}:
            name = reader.short_text().lstrip("@").lower()
            reader.take(1)
            of = read_type(reader)
            found.append(Parameter(name, of, of.decode(reader)))
        return found

    def _call(self, name: str, given: list[Parameter], scope: Scope, handle: list[int]) -> None:
        match name.rpartition(".")[2].lower():
            case "sp_executesql":
                declared = _declared(given[1].value or "") if len(given) > 1 else ()
                self._run(Prepared(given[0].value or "", declared), given[2:], scope)
            case "sp_prepexec" | "sp_prepare" as which:
                number = len(self._prepared) + 1
                self._prepared[number] = Prepared(given[2].value or "", _declared(given[1].value or ""))
                handle.append(number)
                if which == "sp_prepexec":
                    self._run(self._prepared[number], given[3:], scope)
            case "sp_execute":
                found = self._prepared.get(int(given[0].value or 0))
                if found is None:
                    raise Fault(8179, f"Could not find prepared statement with handle {given[0].value}.")
                self._run(found, given[1:], scope)
            case "sp_unprepare":
                pass
            case other:
                arguments = {p.name or str(n): p.value for n, p in enumerate(given)}
                scope.returned = procedures.call(self.session, other, arguments, scope)

    def _run(self, prepared: Prepared, given: list[Parameter], scope: Scope) -> None:
        for number, parameter in enumerate(given):
            name, of = prepared.declared[number] if number < len(prepared.declared) else (parameter.name, "")
            known = next(((n, t) for n, t in prepared.declared if n == parameter.name), (name, of))
            scope.variables[known[0]] = _variable(parameter, known[1])
        self.session.batch(prepared.text, scope)

    def _manage(self, data: bytes) -> bytes:
        """The transactions of a client that does not begin them by statements."""
        kind = struct.unpack_from("<H", data)[0]
        scope = Scope()
        began, committed, undone = 5, 7, 8
        if kind == began:
            return self._guarded(scope, self.session.begin, DONE) or environment_of(8, began=True) + done()
        if kind == committed:
            return self._guarded(scope, self.session.commit, DONE) or environment_of(9, began=False) + done()
        if kind == undone:
            self.session.rollback()
            return environment_of(10, began=False) + done()
        return done()

    # ----------------------------------------------------------------------------- bulk

    def _bulk(self, data: bytes) -> bytes:
        scope = Scope()
        counted: list[int] = []
        failed = self._guarded(scope, lambda: counted.append(self._copy(data)), DONE)
        return failed or done(DONE, tds.COUNT, tds.BULK, counted[0])

    def _copy(self, data: bytes) -> int:
        assert self.session.bulk is not None
        table, names = self.session.bulk
        reader = Reader(data)
        if reader.number(1) != tds.METADATA:
            raise Refused("the emulator misses the description of bulk rows")
        decoders = []
        for _ in range(reader.number(2)):
            reader.take(6)
            decoders.append(read_type(reader).decode)
            reader.short_text()
        if self.session.implicit and not self.session.depth:
            self.session.begin()
        sizes = self._sizes(table, names)
        columns = ", ".join(map(quoted, names))
        rows = 0
        try:
            with (
                self.session.backend.connection.cursor() as cursor,
                cursor.copy(f"COPY {table} ({columns}) FROM STDIN".encode()) as copy,
            ):
                while reader.left and reader.number(1) == tds.ROW:
                    row = [decode(reader) for decode in decoders]
                    for place, fit in sizes:
                        row[place] = fit(row[place])
                    copy.write_row(row)
                    rows += 1
        except psycopg.Error as error:
            from dpone_mssql.emulator.faults import from_postgres

            raise from_postgres(error.sqlstate or "", error.diag.message_primary or "") from None
        return rows

    def _sizes(self, table: str, names: list[str]) -> list[tuple[int, Callable[[str | None], str | None]]]:
        """For the columns whose values PostgreSQL would neither measure nor pad as SQL Server does."""
        found = self.session.backend.run(
            "SELECT a.attname, t.typname, a.atttypmod FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
            "WHERE a.attrelid = CAST($1 AS regclass) AND a.attnum > 0",
            [table],
        )
        types = {
            (found.get_value(i, 0) or b"").decode(): (
                (found.get_value(i, 1) or b"").decode(),
                int(found.get_value(i, 2) or -1),
            )
            for i in range(found.ntuples)
        }
        fits = []
        for place, name in enumerate(names):
            of, modifier = types.get(name, ("", -1))
            fit = _fit(of, modifier - 4)
            if fit is not None:
                fits.append((place, fit))
        return fits

    kinds: ClassVar[frozenset[int]] = frozenset({_BATCH, _RPC, _BULK, _ATTENTION, _MANAGER})


def _fit(of: str, size: int) -> Callable[[str | None], str | None] | None:
    stem = of.removesuffix("_bin").removesuffix("_cyr")
    if size < 0 or stem not in {"nvarchar", "nchar", "varchar", "char", "varbinary", "binary"}:
        return None
    pads, width = stem in {"nchar", "char", "binary"}, 2 if stem[0] == "n" else 1

    def fit(value: str | None) -> str | None:
        if value is None:
            return None
        if "binary" in stem:
            length = len(value) // 2 - 1
            if length > size:
                raise Fault(4815, "Received an invalid column length from the bcp client.")
            return value + "00" * (size - length) if pads else value
        length = len(value) if width == 1 or value.isascii() else len(value.encode("utf-16-le")) // 2
        if length > size:
            raise Fault(4815, "Received an invalid column length from the bcp client.")
        return value + " " * (size - length) if pads else value

    return fit


def _declared(text: str) -> tuple[tuple[str, str], ...]:
    """@P1 int, @P2 nvarchar(4000), ..."""
    cursor = Cursor([t for t in tokens_of(text) if t.kind != "space"])
    found = []
    while not cursor.is_through:
        name = cursor.take().text.lstrip("@").lower()
        written = cursor.take().name
        if cursor.sees("("):
            written += "(" + "".join(t.text for t in cursor.enclosed()) + ")"
        cursor.accept("OUTPUT")
        found.append((name, type_name(written)))
        cursor.accept_sign(",")
    return tuple(found)


def _variable(parameter: Parameter, declared: str) -> Variable:
    """The client's own type decides how the value is read, but for bits, which may come as small numbers."""
    if declared in {"tsql.bit", "numeric"} and parameter.of.name != declared:
        return Variable(declared, parameter.value)
    return Variable(parameter.of.name, parameter.value)
