"""Plain rows, made ready for their topic while they come: key, content and its hash stand beside them in the stage.

A content that is JSON is encoded once, and is the message. A load whose rows are prepared so is published a batch at a
time; one whose program looks at values, or whose changes have no key, is rendered in memory.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from dpone.connector import Json, StageSpec
from dpone.ops import Append
from dpone.schema import Field, parse_type
from dpone_kafka.difference import column_of_load
from dpone_kafka.encoding import writes_json
from dpone_kafka.index import content_hashes
from dpone_kafka.json_text import json_objects
from dpone_kafka.rendering import Need, need_of

KEY, CONTENT, HASH = "_dpone_key", "_dpone_content", "_dpone_hash"


class Preparation(Struct, frozen=True):
    """What is made of a row: the fields of its content, the columns of its key, and which of the two others is kept."""

    fields: tuple[Field, ...]
    key: tuple[str, ...]
    content: bool
    hash: bool

    @property
    def schema(self) -> pa.Schema:
        wanted = ((KEY, bool(self.key)), (CONTENT, self.content), (HASH, self.hash))
        return pa.schema([(name, pa.binary()) for name, is_wanted in wanted if is_wanted])

    def columns(self, batch: pa.RecordBatch) -> list[pa.Array[Any]]:
        """The columns that stand beside those of the batch."""
        found: list[Any] = []
        by_name = {f.name: f for f in self.fields}
        if self.key:
            columns = [column_of_load(batch, by_name[name]) for name in self.key]
            found.append(pc.cast(json_objects(columns, [by_name[name] for name in self.key]), pa.binary()))
        if self.content or self.hash:
            texts = json_objects([column_of_load(batch, f) for f in self.fields], self.fields)
            found += [pc.cast(texts, pa.binary())] if self.content else []
            found += [content_hashes(texts)] if self.hash else []
        return found

    def to_json(self) -> Json:
        fields = [[f.name, str(f.type)] for f in self.fields]
        return {"fields": fields, "key": list(self.key), "content": self.content, "hash": self.hash}


def preparation_of(found: Json) -> Preparation | None:
    if found is None:
        return None
    fields = tuple(Field(name, parse_type(of)) for name, of in found["fields"])
    return Preparation(fields, tuple(found["key"]), found["content"], found["hash"])


def preparation_for(spec: StageSpec) -> Preparation | None:
    """How the rows of this load are made ready; None when they have to be looked at together."""
    schema = spec.layout.schema
    how, options = spec.sealing, spec.target.options
    if how.key != schema.key and (how.key or how.changes or spec.present):
        return None
    if (how.changes or spec.present) and not how.key:
        return None
    if need_of(spec.program, spec.layout, spec.columns) is Need.VALUES:
        return None
    if sum(isinstance(op, Append) for op in spec.program) > 1:
        return None
    if any(column.field.name in schema for column in spec.layout.system):
        return None  # the content is not all that the load says
    return Preparation(tuple(schema), schema.key, content=writes_json(options), hash=bool(options.get("index", True)))
