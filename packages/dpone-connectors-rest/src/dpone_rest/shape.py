"""The columns of a collection, declared or inferred, and its records as Arrow batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import pyarrow as pa
from msgspec import Struct
from msgspec.structs import replace

from dpone.arrow import arrow_schema
from dpone.connector import Json
from dpone.readings import refuse_unknown
from dpone.schema import Field, Schema, parse_type
from dpone_rest.answers import Record
from dpone_rest.client import Client
from dpone_rest.faults import drifted, field_missing, nothing_to_infer, place_of
from dpone_rest.flattening import flattened
from dpone_rest.inferring import Sample
from dpone_rest.options import Declared, RestSource
from dpone_rest.paging import pages
from dpone_rest.typemap import ENGINE
from dpone_rest.values import column_of


class Shape(Struct, frozen=True):
    """What records are read as. `known` are all fields of the sample; None where columns are declared."""

    schema: Schema
    known: frozenset[str] | None = None
    separator: str | None = None  # of flattened names; None leaves objects as they are

    def only(self, names: Sequence[str]) -> Shape:
        """The same records, of which these columns alone are wanted."""
        refuse_unknown(names, self.schema)
        return replace(self, schema=Schema(tuple(self.schema[name] for name in dict.fromkeys(names))))

    def batch(self, records: Sequence[Record]) -> pa.RecordBatch:
        """The records as a batch of the wanted columns; one that does not fit is refused."""
        if self.separator is not None:
            records = [flattened(record, self.separator) for record in records]
        if self.known is not None and (new := set[str]().union(*set(map(tuple, records))) - self.known):
            raise drifted(
                f"a record has the field {min(new)}, which none of the sample had",
                "declare `columns:`, raise `sample`, or say `drift: evolve`",
            )
        fields = self.schema.fields
        arrays = []
        for field, values in zip(fields, _columns(records, self.schema.names), strict=True):
            if not field.nullable and type(None) in set(map(type, values)):
                raise field_missing(field.name)
            arrays.append(column_of(values, field, inferred=self.known is not None))
        return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(fields))

    def plain(self) -> Json:
        """The shape as JSON, for a split."""
        return {
            "fields": [[f.name, str(f.type), f.nullable, f.native] for f in self.schema],
            "known": None if self.known is None else sorted(self.known),
            "separator": self.separator,
        }


def shape_of(plain: Json) -> Shape:
    """The shape that `plain` made."""
    fields = tuple(Field(name, parse_type(of), nullable, native) for name, of, nullable, native in plain["fields"])
    known = plain["known"]
    return Shape(Schema(fields), None if known is None else frozenset(known), plain["separator"])


def _columns(records: Sequence[Record], names: Sequence[str]) -> Sequence[Sequence[Any]]:
    """The values of each field; one that a record leaves out is NULL."""
    try:
        if len(names) > 1 and records:  # four times as fast as asking each record for each field
            return list(zip(*map(itemgetter(*names), records), strict=True))
    except KeyError:
        pass
    return [[record.get(name) for record in records] for name in names]


def declared(options: RestSource) -> Shape | None:
    """The shape that the manifest declares; None when it leaves that to a sample."""
    if options.columns is None:
        return None
    fields = []
    for name, given in options.columns.items():
        spelled, nullable = (given.type, given.nullable) if isinstance(given, Declared) else (given, True)
        fields.append(Field(name, parse_type(spelled), nullable, f"{ENGINE}:{spelled}"))
    key = options.key or ()
    return Shape(Schema(tuple(fields), key).not_null(key), None, _separator(options))


def inferred(client: Client, options: RestSource) -> Shape:
    """The shape of the first records, or of all where the manifest lets columns come and go."""
    sample, separator = Sample(), _separator(options)
    for page in pages(client, options, {}):
        records = page.records if options.drift == "evolve" else page.records[: options.sample - sample.records]
        sample.add(records if separator is None else [flattened(record, separator) for record in records])
        if options.drift == "refuse" and sample.records >= options.sample:
            break
    if not sample.records:
        raise nothing_to_infer(place_of(client.address(options.path)))
    schema = sample.schema(options.key)
    return Shape(schema, frozenset(schema.names), separator)


def _separator(options: RestSource) -> str | None:
    return options.separator if options.nested == "flatten" else None
