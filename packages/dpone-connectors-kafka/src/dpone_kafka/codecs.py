"""What turns keys and values of messages into columns: JSON, text and bytes; the registry's formats are beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

import pyarrow as pa

from dpone.schema import BINARY, STRING, Field, Kind
from dpone_kafka.json_rows import UnfitError, column_of, read_objects

Data = Sequence[bytes]


class Codec(Protocol):
    """Reads whole batches. `fields` are the columns that it gives; UnfitError says that one of the values is bad."""

    @property
    def fields(self) -> tuple[Field, ...]: ...
    def columns(self, data: Data) -> list[pa.Array[Any]]: ...


class JsonCodec:
    """Objects; where there is one column, a value that is no object is that column's."""

    def __init__(self, fields: Sequence[Field], *, scalars: bool = False) -> None:
        self.fields = tuple(fields)
        self._scalars = scalars and len(self.fields) == 1

    def columns(self, data: Data) -> list[pa.Array[Any]]:
        if self._scalars and any(value[:1] != b"{" for value in data):
            (field,) = self.fields
            return [column_of([_scalar(value, field.name) for value in data], field)]
        return read_objects(data, self.fields)


def _scalar(value: bytes, name: str) -> Any:
    try:
        found = json.loads(value, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise UnfitError("it is no JSON") from None
    return found.get(name) if isinstance(found, dict) else found


class TextCodec:
    """One column: text, or what text says of a value of another type."""

    def __init__(self, field: Field) -> None:
        self.fields = (field,)

    def columns(self, data: Data) -> list[pa.Array[Any]]:
        (field,) = self.fields
        try:
            texts = [value.decode() for value in data]
        except UnicodeDecodeError:
            raise UnfitError("it is no UTF-8") from None
        if field.type.kind is Kind.BOOL:
            return [column_of([{"true": True, "false": False}.get(text) for text in texts], field)]
        if field.type.kind is Kind.FLOAT:
            return [column_of([_number(text) for text in texts], field)]
        return [column_of(texts, field)]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UnfitError("it is no number") from None


class RawCodec:
    """One column of bytes, as they are."""

    def __init__(self, name: str) -> None:
        self.fields = (Field(name, BINARY, native=f"kafka:{BINARY}"),)

    def columns(self, data: Data) -> list[pa.Array[Any]]:
        return [pa.array(data, pa.binary())]


def text_field(name: str) -> Field:
    return Field(name, STRING, native=f"kafka:{STRING}")
