"""The rows of a target, read back from its topic: for programs that must look at values, and for questions about them.

The topic is read to its end, and of each key the last message counts; a message without a value removes its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from msgspec import Struct

from dpone.connector import Layout
from dpone.where import Row
from dpone_kafka.codecs import Codec, JsonCodec
from dpone_kafka.consuming import messages
from dpone_kafka.layouts import columns_of
from dpone_kafka.values import python_rows

if TYPE_CHECKING:
    from dpone_kafka.client import Client

_AT_ONCE = 20_000


class TargetReader(Struct, frozen=True):
    """`written` is the layout of the stored messages, `wanted` that of the rows that are given."""

    client: Client
    topic: str
    options: Mapping[str, Any]
    written: Layout
    wanted: Layout

    def rows(self) -> dict[bytes, Row]:
        """Each row by its key as the index has it."""
        last: dict[bytes, bytes] = {}
        for found in self.client.ranges(self.topic, range(self.client.partitions(self.topic) or 0)).values():
            for batch in messages(self.client, self.topic, found):
                for message in batch:
                    key, value = bytes(message.key() or b""), message.value()
                    if value is None:
                        last.pop(key, None)
                    else:
                        last[key] = bytes(value)
        codec = self._codec()
        keys = list(last)
        rows: dict[bytes, Row] = {}
        for at in range(0, len(keys), _AT_ONCE):
            part = keys[at : at + _AT_ONCE]
            columns = codec.columns([last[key] for key in part])
            table = pa.table(dict(zip([f.name for f in codec.fields], columns, strict=True)))
            rows |= zip(part, python_rows(table, codec.fields), strict=True)
        return rows

    def _codec(self) -> Codec:
        fields = {f.name: f for f in (*columns_of(self.written), *columns_of(self.wanted))}
        if self.options.get("format", "json") == "json":
            return JsonCodec(tuple(fields.values()))
        from dpone_kafka.registered import RegisteredCodec  # brings what the registry's formats need

        return RegisteredCodec.of_value(self.client, self.topic, self.options["format"], fields)
