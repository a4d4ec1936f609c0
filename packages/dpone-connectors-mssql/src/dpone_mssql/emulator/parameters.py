"""Values that clients send, in parameters and in bulk copy, as text that PostgreSQL reads as the same value."""
# ruff: noqa: PLR2004 - the numbers are those of the protocol

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import date
from decimal import Context, Decimal
from uuid import UUID

from msgspec import Struct

from dpone_mssql.emulator.collations import kept, page, received
from dpone_mssql.emulator.columns import TICKS_PER_DAY
from dpone_mssql.emulator.faults import Refused
from dpone_mssql.emulator.tds import Reader
from dpone_mssql.emulator.typenames import OFFSET_DIGITS

_DAYS_1900 = 693595
_EXACT = Context(prec=80)
Decode = Callable[[Reader], str | None]


class Incoming(Struct, frozen=True):
    """A type as a client names it: what it is here, its length where it has one, and how its values are read."""

    name: str
    decode: Decode


def read_type(reader: Reader) -> Incoming:
    """TYPE_INFO."""
    token = reader.number(1)
    if token in _FIXED:
        name, size, convert = _FIXED[token]
        return Incoming(name, lambda r: convert(r.take(size)))
    if token == 0x1F:
        return Incoming("tsql.nvarchar", lambda _: None)
    if token in {0x26, 0x68, 0x6D, 0x6E, 0x6F, 0x24}:
        return _nullable(token, reader.number(1))
    if token in {0x6A, 0x6C}:
        _, precision, scale = reader.number(1), reader.number(1), reader.number(1)
        return Incoming(f"numeric({precision}, {scale})", _sized(lambda b: _decimal(b, scale)))
    if token == 0x28:
        return Incoming("date", _sized(lambda b: date.fromordinal(int.from_bytes(b, "little") + 1).isoformat()))
    if token in {0x29, 0x2A, 0x2B}:
        return _clock(token, reader.number(1))
    if token in {0xE7, 0xEF, 0xA7, 0xAF, 0xA5, 0xAD}:
        return _long(token, reader)
    if token == 0xF1:
        reader.number(1)
        return Incoming("tsql.xml", lambda r: None if (data := r.chunks()) is None else received(data))
    message = f"the emulator reads no values of the TDS type {token:#x}"
    raise Refused(message)


def _sized(convert: Callable[[bytes], str]) -> Decode:
    def decode(reader: Reader) -> str | None:
        """A byte says how long it is. Bulk copy brings millions of them, most of them NULL: one call for each."""
        first = reader.at + 1
        reader.at = first + reader.data[reader.at]
        return convert(reader.data[first : reader.at]) if reader.at > first else None

    return decode


def _signed(data: bytes) -> str:
    return str(int.from_bytes(data, "little", signed=len(data) > 1))


def _money(data: bytes) -> str:
    if len(data) == 4:
        number: int = struct.unpack("<i", data)[0]
    else:
        high, low = struct.unpack("<iI", data)
        number = (high << 32) | low
    return format(Decimal(number).scaleb(-4, _EXACT), "f")


def _datetime(data: bytes) -> str:
    if len(data) == 4:
        days, minutes = struct.unpack("<HH", data)
        return str((days + _DAYS_1900) * 1440 + minutes)
    days, parts = struct.unpack("<iI", data)
    return str((days + _DAYS_1900) * 86400 * 300 + parts)


def _decimal(data: bytes, scale: int) -> str:
    number = int.from_bytes(data[1:], "little")
    signed = Decimal(number if data[0] else -number)
    return format(signed.scaleb(-scale, _EXACT), "f")


def _nullable(token: int, size: int) -> Incoming:
    match token:
        case 0x26:
            names = {1: "tsql.tinyint", 2: "int2", 4: "int4", 8: "int8"}
            return Incoming(names[size], _sized(_signed))
        case 0x68:
            return Incoming("tsql.bit", _sized(lambda b: str(b[0])))
        case 0x6D:
            forms = {4: "<f", 8: "<d"}
            return Incoming(f"float{size}", _sized(lambda b: repr(struct.unpack(forms[len(b)], b)[0])))
        case 0x6E:
            return Incoming("tsql.money" if size == 8 else "tsql.smallmoney", _sized(_money))
        case 0x6F:
            return Incoming("tsql.datetime" if size == 8 else "tsql.smalldatetime", _sized(_datetime))
        case _:
            return Incoming("uuid", _sized(lambda b: str(UUID(bytes_le=b))))


def _clock(token: int, digits: int) -> Incoming:
    unit = 10 ** (7 - digits)

    def moment(data: bytes) -> int:
        clock: int = int.from_bytes(data[:-3], "little") * unit
        return int.from_bytes(data[-3:], "little") * TICKS_PER_DAY + clock

    if token == 0x29:
        return Incoming(f"tsql.time({digits + 1})", _sized(lambda b: str(int.from_bytes(b, "little") * unit)))
    if token == 0x2A:
        return Incoming(f"tsql.datetime2({digits + 1})", _sized(lambda b: str(moment(b))))
    return Incoming(
        f"tsql.datetimeoffset({digits + OFFSET_DIGITS})",
        _sized(lambda b: str(moment(b[:-2]) * 10000 + struct.unpack("<h", b[-2:])[0] + 5000)),
    )


def _long(token: int, reader: Reader) -> Incoming:
    size = reader.number(2)
    convert: Callable[[bytes], str]
    if token in {0xE7, 0xEF}:
        reader.take(5)
        name, convert = ("tsql.nvarchar" if token == 0xE7 else "tsql.nchar"), received
    elif token in {0xA7, 0xAF}:
        code_page = page(reader.take(5))
        name = "tsql.varchar" if token == 0xA7 else "tsql.char"
        convert = lambda b: kept(b.decode(code_page, "replace"))  # noqa: E731 - one of three, chosen here
    else:
        name = "tsql.varbinary"
        convert = lambda b: "\\x" + b.hex()  # noqa: E731 - one of three, chosen here
    if size == 0xFFFF:
        return Incoming(name, lambda r: None if (data := r.chunks()) is None else convert(data))

    def decode(given: Reader) -> str | None:
        length = given.number(2)
        return None if length == 0xFFFF else convert(given.take(length))

    return Incoming(name, decode)


_FIXED: dict[int, tuple[str, int, Callable[[bytes], str]]] = {
    0x30: ("tsql.tinyint", 1, _signed),
    0x32: ("tsql.bit", 1, lambda b: str(int(b[0] != 0))),
    0x34: ("int2", 2, _signed),
    0x38: ("int4", 4, _signed),
    0x7F: ("int8", 8, _signed),
    0x3E: ("float8", 8, lambda b: repr(struct.unpack("<d", b)[0])),
    0x3B: ("float4", 4, lambda b: repr(struct.unpack("<f", b)[0])),
    0x3C: ("tsql.money", 8, _money),
    0x7A: ("tsql.smallmoney", 4, _money),
    0x3D: ("tsql.datetime", 8, _datetime),
    0x3A: ("tsql.smalldatetime", 4, _datetime),
}
