"""Columns of results: the type that TDS is told, and values as bytes, made of the text that PostgreSQL prints."""
# ruff: noqa: PLR2004 - the numbers are those of the protocol

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import date
from decimal import Context, Decimal
from uuid import UUID

from msgspec import Struct

from dpone_mssql.emulator.collations import BINARY, BYTES, CYRILLIC, DEFAULT, page, sent
from dpone_mssql.emulator.faults import Fault
from dpone_mssql.emulator.typenames import OFFSET_DIGITS

Encode = Callable[[bytes | None], bytes]

_DAYS_1900 = 693595  # from the first day of year one to that of 1900
_EXACT = Context(prec=80)
_LIMIT = 1 << 128  # what its sixteen bytes hold: a little more than the 38 digits of SQL Server
TICKS_PER_DAY = 864_000_000_000
_MAX = 0xFFFF
_NULL_TEXT, _NULL_MAX = b"\xff\xff", b"\xff" * 8


class ColumnType(Struct, frozen=True):
    """TYPE_INFO, and a value as it stands in a row."""

    info: bytes
    encode: Encode


def column_type(name: str, modifier: int, scale: int | None = None) -> ColumnType:
    """Of a type of `types.py` or of PostgreSQL; `scale` is that of a number without modifier."""
    plain = _PLAIN.get(name)
    if plain is not None:
        return plain
    match name:
        case "numeric" | "decimal":
            if modifier < 0:
                return _decimal(38, scale or 0)
            return _decimal((modifier - 4) >> 16, (modifier - 4) & 0x7FF)
        case "datetimeoffset":
            return _clock(name, 7 if modifier < 0 else ((modifier - 4) >> 16) - OFFSET_DIGITS)
        case "time" | "datetime2":
            return _clock(name, 7 if modifier < 0 else modifier - 5)
        case "binary" | "varbinary" | "rowversion" | "image" | "geography" | "geometry":
            return _bytes(8 if name == "rowversion" else modifier - 4, fixed=name in {"binary", "rowversion"})
        case _:
            return _text(name, modifier - 4)


def small(name: str) -> bytes:
    """COLMETADATA's entry before the name: no user type, nullable."""
    return struct.pack("<IH", 0, 9) + column_type(name, -1).info


def _sized(encode: Callable[[bytes], bytes]) -> Encode:
    """A value of at most 255 bytes behind its length."""

    def framed(value: bytes | None) -> bytes:
        if value is None:
            return b"\0"
        data = encode(value)
        return bytes([len(data)]) + data

    return framed


def _integer(size: int, form: str) -> ColumnType:
    packer = struct.Struct(form)
    return ColumnType(bytes([0x26, size]), _sized(lambda v: packer.pack(int(v))))


def _float(size: int, form: str) -> ColumnType:
    packer = struct.Struct(form)
    return ColumnType(bytes([0x6D, size]), _sized(lambda v: packer.pack(float(v))))


def _decimal(precision: int, scale: int) -> ColumnType:
    size = 4 if precision <= 9 else 8 if precision <= 19 else 12 if precision <= 28 else 16

    def encode(value: bytes) -> bytes:
        number = int(Decimal(value.decode()).scaleb(scale, _EXACT))
        if abs(number) >= _LIMIT:
            raise Fault(8115, "Arithmetic overflow error converting expression to data type numeric.")
        return bytes([number >= 0]) + abs(number).to_bytes(size, "little")

    return ColumnType(bytes([0x6C, size + 1, precision, scale]), _sized(encode))


def _money(size: int) -> ColumnType:
    def encode(value: bytes) -> bytes:
        number = int(Decimal(value.decode()).scaleb(4, _EXACT))
        return struct.pack("<i", number) if size == 4 else struct.pack("<iI", number >> 32, number & 0xFFFFFFFF)

    return ColumnType(bytes([0x6E, size]), _sized(encode))


def _date(value: bytes) -> bytes:
    return (date.fromisoformat(value.decode()).toordinal() - 1).to_bytes(3, "little")


def _datetime(value: bytes) -> bytes:
    days, rest = divmod(int(value), 86400 * 300)
    return struct.pack("<iI", days - _DAYS_1900, rest)


def _smalldatetime(value: bytes) -> bytes:
    days, rest = divmod(int(value), 1440)
    return struct.pack("<HH", days - _DAYS_1900, rest)


def clock_size(digits: int) -> int:
    """The bytes of a time of day with so many digits of a second."""
    return 3 if digits <= 2 else 4 if digits <= 4 else 5


def _clock(name: str, digits: int) -> ColumnType:
    size, unit = clock_size(digits), 10 ** (7 - digits)

    def moment(ticks: int) -> bytes:
        days, rest = divmod(ticks, TICKS_PER_DAY)
        clock: bytes = (rest // unit).to_bytes(size, "little")
        return clock + days.to_bytes(3, "little")

    def with_offset(value: bytes) -> bytes:
        ticks, minutes = divmod(int(value), 10000)
        return moment(ticks) + struct.pack("<h", minutes - 5000)

    if name == "time":
        return ColumnType(bytes([0x29, digits]), _sized(lambda v: (int(v) // unit).to_bytes(size, "little")))
    if name == "datetime2":
        return ColumnType(bytes([0x2A, digits]), _sized(lambda v: moment(int(v))))
    return ColumnType(bytes([0x2B, digits]), _sized(with_offset))


def _chunked(data: bytes) -> bytes:
    body = struct.pack("<I", len(data)) + data if data else b""
    return struct.pack("<Q", len(data)) + body + b"\0\0\0\0"


def _framed(convert: Callable[[bytes], bytes], *, unbounded: bool) -> Encode:
    def short(value: bytes | None) -> bytes:
        if value is None:
            return _NULL_TEXT
        data = convert(value)
        return struct.pack("<H", len(data)) + data

    def long(value: bytes | None) -> bytes:
        return _NULL_MAX if value is None else _chunked(convert(value))

    return long if unbounded else short


def _text(name: str, size: int) -> ColumnType:
    stem, _, kind = name.partition("_")
    collation = BYTES[{"bin": BINARY, "cyr": CYRILLIC}.get(kind, DEFAULT)]
    if stem == "sysname":
        size = 128
    if stem in {"varchar", "char", "text"}:
        code_page = page(collation)
        token, most, width = (0xAF if stem == "char" else 0xA7), 8000, 1
        convert = lambda v: sent(v.decode()).decode("utf-16-le", "replace").encode(code_page, "replace")  # noqa: E731 - one of three, chosen here
    else:
        token, most, width = (0xEF if stem == "nchar" else 0xE7), 4000, 2
        convert = lambda v: sent(v.decode())  # noqa: E731 - one of three, chosen here
    unbounded = not 0 < size <= most
    length = _MAX if unbounded else size * width
    if unbounded:
        token = 0xE7 if width == 2 else 0xA7
    return ColumnType(bytes([token]) + struct.pack("<H", length) + collation, _framed(convert, unbounded=unbounded))


def _bytes(size: int, *, fixed: bool) -> ColumnType:
    unbounded = not 0 < size <= 8000
    length = _MAX if unbounded else size
    token = 0xAD if fixed and not unbounded else 0xA5
    return ColumnType(
        bytes([token]) + struct.pack("<H", length),
        _framed(lambda v: bytes.fromhex(v[2:].decode()), unbounded=unbounded),
    )


_PLAIN = {
    "bool": ColumnType(b"\x68\x01", _sized(lambda v: b"\1" if v == b"t" else b"\0")),
    "bit": ColumnType(b"\x68\x01", _sized(lambda v: b"\1" if v != b"0" else b"\0")),
    "tinyint": _integer(1, "<B"),
    "int2": _integer(2, "<h"),
    "int4": _integer(4, "<i"),
    "int8": _integer(8, "<q"),
    "oid": _integer(4, "<i"),
    "float4": _float(4, "<f"),
    "float8": _float(8, "<d"),
    "money": _money(8),
    "smallmoney": _money(4),
    "date": ColumnType(b"\x28", _sized(_date)),
    "datetime": ColumnType(b"\x6f\x08", _sized(_datetime)),
    "smalldatetime": ColumnType(b"\x6f\x04", _sized(_smalldatetime)),
    "uuid": ColumnType(b"\x24\x10", _sized(lambda v: UUID(v.decode()).bytes_le)),
}
