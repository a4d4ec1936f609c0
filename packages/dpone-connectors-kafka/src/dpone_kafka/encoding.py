"""Keys and values of messages in the format of the manifest. Inside dpone a key is the JSON of its columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from dpone.connector import Layout
from dpone.errors import PlanError
from dpone_kafka.client import plain
from dpone_kafka.json_text import json_objects
from dpone_kafka.layouts import columns_of

if TYPE_CHECKING:
    from dpone_kafka.client import Client

ROW = "_dpone_row"  # what stands for a key where rows have none


class Encoder(Protocol):
    """`keys` turns keys as dpone has them into those of messages; `row_key` makes one for a row without."""

    def keys(self, keys: Sequence[bytes]) -> Sequence[bytes]: ...
    def values(self, table: pa.Table) -> Sequence[bytes]: ...
    def row_key(self, name: str) -> bytes: ...


class JsonEncoder:
    """Objects of JSON; the key is one too, or the text of its one column."""

    def __init__(self, layout: Layout, *, text_keys: bool) -> None:
        self._fields = columns_of(layout)
        self._text_keys = text_keys
        if text_keys and len(layout.schema.key) > 1:
            raise PlanError(
                f"a key of {len(layout.schema.key)} columns cannot be written as text",
                code="sink.key_format",
                hint="set `key_format: json`",
            )

    def keys(self, keys: Sequence[bytes]) -> Sequence[bytes]:
        return [text_of(key) for key in keys] if self._text_keys else keys

    def values(self, table: pa.Table) -> Sequence[bytes]:
        columns = [_whole(table.column(f.name)) for f in self._fields]
        found: Any = pc.cast(json_objects(columns, self._fields), pa.binary()).to_pylist()
        return list(found)

    def row_key(self, name: str) -> bytes:
        return plain({ROW: name}).encode()


def text_of(key: bytes) -> bytes:
    """The text of the one column that a key holds."""
    (value,) = json.loads(key, parse_float=str, parse_int=str).values()
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def _whole(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def writes_json(options: Mapping[str, Any]) -> bool:
    """Whether a value is the JSON of its row, and a key JSON or text."""
    return options.get("format", "json") == "json" and options.get("key_format", "json") in {"json", "text"}


def encoder_of(client: Client, topic: str, options: Mapping[str, Any], layout: Layout) -> Encoder:
    """The encoder of a target, by its options."""
    if writes_json(options):
        return JsonEncoder(layout, text_keys=options.get("key_format") == "text")
    from dpone_kafka.registered import RegisteredEncoder  # brings what the registry's formats need

    return RegisteredEncoder(client, topic, options, layout)
