"""Values of JSON as Arrow columns, each in the type that its column has: the very same value, or a refusal.

What JSON has no type for is text in a form of its own: dates and times as ISO 8601 has them, bytes in base 64, whole
numbers and decimals also as texts, since many an API spares its readers the digits that a double cannot hold.
"""

from __future__ import annotations

import base64
import binascii
import re
import struct
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dpone.arrow import arrow_type
from dpone.schema import Field, Kind, Type
from dpone_rest.answers import kind_of, text_of
from dpone_rest.faults import unfit

Values = Sequence[Any]


_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,6})?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9])(?:\.([0-9]{1,9}))?)?")
_SPECIAL = frozenset({"NaN", "Infinity", "-Infinity"})
_ARROW_BITS, _DECIMAL128, _DECIMAL256, _MICROSECONDS, _NANOSECONDS = 64, 38, 76, 6, 9
_MOST_DIGITS = 200_000  # of a decimal without bounds, written out
_SURE_CHARACTERS = {64: 15, 32: 6, 16: 3}  # a number of fewer is what the float prints
_PACKED = {64: "d", 32: "f", 16: "e"}
_YEARS_OF_NANOSECONDS = ("1678", "2261")


class Unfit(Exception):
    """A value that its type does not hold; the value itself is not kept, only what it is."""

    def __init__(self, value: object) -> None:
        self.found = kind_of(value)
        super().__init__(self.found)


def column_of(values: Values, field: Field, *, inferred: bool = False) -> pa.Array[Any]:
    """The values as a column of this field."""
    try:
        return array_of(values, field.type)
    except Unfit as error:
        found = error.found
    except (pa.ArrowInvalid, pa.ArrowTypeError, ArithmeticError, UnicodeError, RecursionError):
        found = f"{kind_of(next((v for v in values if v is not None), None))} beyond its bounds"
    raise unfit(field.name, str(field.type), found, inferred=inferred)


def array_of(values: Values, of: Type) -> pa.Array[Any]:
    """The values in the Arrow type of this type."""
    return _MAKERS.get(of.kind, _texts)(values, of)


# -------------------------------------------------------------------------- pieces


def _only(values: Values, *allowed: type) -> None:
    """Raises when a value is of another type; bool is none of int here."""
    if others := set(map(type, values)) - {type(None), *allowed}:
        raise Unfit(next(v for v in values if type(v) in others))


def _each(values: Values, turn: Callable[[Any], Any]) -> list[Any]:
    if type(None) not in set(map(type, values)):  # asked so, since a Decimal compared with None costs 0.4 us
        return list(map(turn, values))
    return [None if v is None else turn(v) for v in values]


def _text_array(texts: Sequence[str | None]) -> pa.StringArray:
    return pa.array(texts, pa.string())


# --------------------------------------------------------------------------- kinds


def _digits(value: int | bytes | Decimal | str) -> str:
    """A number as it is written."""
    return value.decode("ascii") if isinstance(value, bytes) else str(value)


def _bools(values: Values, _: Type) -> pa.Array[Any]:
    _only(values, bool)
    return pa.array(values, pa.bool_())


def _whole(value: Any) -> int:
    match value:
        case bool():
            raise Unfit(value)
        case int():
            return value
        case bytes() | Decimal():
            number = Decimal(_digits(value))
            if abs(number.adjusted()) < _MOST_DIGITS and number == number.to_integral_value():
                return int(number)
        case str() if _WHOLE.fullmatch(value) and len(value) < 1000:  # noqa: PLR2004 - far beyond 256 bits
            return int(value)
    raise Unfit(value)


def _integers(values: Values, of: Type) -> pa.Array[Any]:
    if set(map(type, values)) - {int, type(None)}:
        values = _each(values, _whole)
    bits = of.size or _ARROW_BITS
    if bits <= _ARROW_BITS:
        return pa.array(values, arrow_type(of))
    lo, hi = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if of.kind is Kind.INT else (0, 2**bits)

    def text(value: int) -> str:
        if not lo <= value < hi:
            raise Unfit(value)
        return str(value)

    return _text_array(_each(values, text))


def _floats(values: Values, of: Type) -> pa.Array[Any]:
    _only(values, int, bytes, Decimal, str)
    bits = of.size or 64
    sure = _SURE_CHARACTERS[bits]
    if bits == 64 and set(map(type, values)) <= {bytes, type(None)}:  # noqa: PLR2004 - what most APIs give
        texts = pa.array(values, pa.string())
        longest: Any = pc.max(pc.utf8_length(texts))
        powers: Any = pc.match_substring(texts, "e", ignore_case=True)
        if (longest.as_py() or 0) <= sure and not pc.any(powers).as_py():
            return texts.cast(pa.float64())

    def number(value: int | bytes | Decimal | str) -> float:
        text = _digits(value)
        if isinstance(value, str):
            if value not in _SPECIAL:
                raise Unfit(value)
            return float(value)
        if len(text) <= sure and "e" not in text.lower():
            return float(text)
        return _nearest(Decimal(text), bits)

    found = pa.array(_each(values, number), pa.float64())
    return found if bits == 64 else found.cast(arrow_type(of), safe=False)  # noqa: PLR2004 - looked at above


def _nearest(value: Decimal, bits: int) -> float:
    """The float that prints the same digits as the number; other numbers would change on their way."""
    try:
        rounded: float = struct.unpack(_PACKED[bits], struct.pack(_PACKED[bits], float(value)))[0]
    except OverflowError:
        raise Unfit(value) from None
    if Decimal(rounded) == value or (bits == 64 and Decimal(repr(rounded)) == value):  # noqa: PLR2004 - a Python float
        return rounded
    digits = len(value.normalize().as_tuple().digits)
    if digits > 17 or Decimal(f"{rounded:.{digits}g}") != value:  # noqa: PLR2004 - more than a double ever has
        raise Unfit(value)
    return rounded


def _decimals(values: Values, of: Type) -> pa.Array[Any]:
    kinds = set(map(type, values)) - {type(None)}
    if others := kinds - {int, bytes, Decimal, str}:
        raise Unfit(next(v for v in values if type(v) in others))
    bounded = of.size is not None and of.size <= _DECIMAL256
    if str in kinds:
        for value in values:
            if type(value) is str and not _NUMBER.fullmatch(value) and (bounded or value not in _SPECIAL):
                raise Unfit(value)
    if not bounded:
        return _text_array(_each(values, _written_out))
    # as text, since Arrow takes 200 us for each Decimal whose scale it has to change, and 0.1 for its text
    texts = values if kinds <= {bytes} else _each(values, _digits)
    return pa.array(texts, pa.string()).cast(arrow_type(of))


def _written_out(value: int | bytes | Decimal | str) -> str:
    if value in _SPECIAL:
        return str(value)
    number = Decimal(_digits(value))
    if abs(number.adjusted()) > _MOST_DIGITS:
        raise Unfit(number)
    return f"{number:f}"


def _strings(values: Values, of: Type) -> pa.Array[Any]:
    _only(values, str)
    found = _text_array(values)
    if of.size is not None and (pc.max(pc.utf8_length(found)).as_py() or 0) > of.size:
        raise Unfit("")
    return found


def _texts(values: Values, of: Type) -> pa.Array[Any]:
    _only(values, str)
    if of.kind is Kind.UUID and any(v is not None and not _UUID.fullmatch(v) for v in values):
        raise Unfit("")
    return _text_array(values)


def _binary(values: Values, _: Type) -> pa.Array[Any]:
    def decoded(value: Any) -> bytes:
        if not isinstance(value, str):
            raise Unfit(value)
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise Unfit(value) from None

    return pa.array(_each(values, decoded), pa.binary())


def _dates(values: Values, _: Type) -> pa.Array[Any]:
    _only(values, str)
    return _text_array(values).cast(pa.date32())


def _moments(values: Values, of: Type) -> pa.Array[Any]:
    _only(values, str)
    digits = of.size or 0
    if digits > _MICROSECONDS and any(v is not None and not _fits_nanoseconds(v) for v in values):
        raise Unfit("")
    found = _text_array(values).cast(arrow_type(of))
    _refuse_finer(found.cast(pa.int64()), digits)
    return found


def _fits_nanoseconds(text: str) -> bool:
    """64 bits of nanoseconds begin in 1677 and end in 2262; Arrow would wrap around in silence."""
    return _YEARS_OF_NANOSECONDS[0] <= text[:4] <= _YEARS_OF_NANOSECONDS[1]


def _refuse_finer(counted: pa.Array[Any], digits: int) -> None:
    """Raises when a value has more fractional digits than its type; `counted` are micro- or nanoseconds."""
    unit = _MICROSECONDS if digits <= _MICROSECONDS else _NANOSECONDS
    if digits == unit or not len(counted):
        return
    step = 10 ** (unit - digits)
    rest: Any = pc.subtract(counted, pc.multiply(pc.divide(counted, step), step))
    uneven: Any = pc.not_equal(rest, pa.scalar(0))
    if pc.any(uneven).as_py():
        raise Unfit("")


def _times(values: Values, of: Type) -> pa.Array[Any]:
    digits = of.size or 0
    fraction = _MICROSECONDS if digits <= _MICROSECONDS else _NANOSECONDS

    def counted(value: Any) -> int:
        found = _TIME.fullmatch(value) if isinstance(value, str) else None
        if found is None or len((found[4] or "").rstrip("0")) > fraction:
            raise Unfit(value)
        seconds = int(found[1]) * 3600 + int(found[2]) * 60 + int(found[3] or 0)
        return int(seconds * 10**fraction) + int((found[4] or "").ljust(fraction, "0")[:fraction])

    numbers = pa.array(_each(values, counted), pa.int64())
    _refuse_finer(numbers, digits)
    return numbers.cast(arrow_type(of))


def _documents(values: Values, _: Type) -> pa.Array[Any]:
    return _text_array(_each(values, text_of))


# -------------------------------------------------------------------------- nested


def _offsets(sizes: Iterable[int | None]) -> pa.Array[Any]:
    """Where each list begins; a NULL list has no place of its own."""
    offsets: list[int | None] = []
    at = 0
    for size in sizes:
        offsets.append(None if size is None else at)
        at += size or 0
    return pa.array([*offsets, at], pa.int32())


def _lists(values: Values, of: Type) -> pa.Array[Any]:
    _only(values, list)
    items = array_of([v for one in values if one is not None for v in one], of.items[0].type)
    offsets = _offsets(None if one is None else len(one) for one in values)
    lists: Any = pa.ListArray  # its stubs know fewer types of offsets and of results
    found: pa.Array[Any] = lists.from_arrays(offsets, items, type=arrow_type(of))
    return found


def _maps(values: Values, of: Type) -> pa.Array[Any]:
    _only(values, dict)
    keys, items = (item.type for item in of.items)
    offsets = _offsets(None if one is None else len(one) for one in values)
    named = array_of([k for one in values if one is not None for k in one], keys)
    found = array_of([v for one in values if one is not None for v in one.values()], items)
    maps: Any = pa.MapArray  # likewise
    made: pa.Array[Any] = maps.from_arrays(offsets, named, found).cast(arrow_type(of))
    return made


def _structs(values: Values, of: Type) -> pa.Array[Any]:
    _only(values, dict)
    parts = [array_of([None if one is None else one.get(f.name) for one in values], f.type) for f in of.items]
    mask = pa.array([one is None for one in values], pa.bool_())
    of_arrow: Any = arrow_type(of)
    return pa.StructArray.from_arrays(parts, fields=list(of_arrow), mask=mask)


_MAKERS: dict[Kind, Callable[[Values, Type], pa.Array[Any]]] = {
    Kind.BOOL: _bools,
    Kind.INT: _integers,
    Kind.UINT: _integers,
    Kind.FLOAT: _floats,
    Kind.DECIMAL: _decimals,
    Kind.STRING: _strings,
    Kind.BINARY: _binary,
    Kind.DATE: _dates,
    Kind.TIME: _times,
    Kind.TIMESTAMP: _moments,
    Kind.TIMESTAMPTZ: _moments,
    Kind.JSON: _documents,
    Kind.LIST: _lists,
    Kind.MAP: _maps,
    Kind.STRUCT: _structs,
}
