"""The columns of a topic as a source: by declaration, by the registry, by what dpone wrote there, or by a sample."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from dpone.connector import Dataset
from dpone.errors import DataError, UsageError
from dpone.schema import (
    BINARY,
    BOOL,
    FLOAT64,
    INT64,
    JSON,
    STRING,
    Field,
    Schema,
    Type,
    list_of,
    parse_type,
    struct_of,
    timestamptz,
)
from dpone_kafka.codecs import Codec, JsonCodec, RawCodec, TextCodec, text_field
from dpone_kafka.consuming import messages, refuse_none
from dpone_kafka.json_rows import UnfitError, parse_object
from dpone_kafka.layouts import columns_of
from dpone_kafka.state import known_layout
from dpone_kafka.typemap import ENGINE

if TYPE_CHECKING:
    from dpone_kafka.client import Client

METADATA = (
    Field("_topic", STRING),
    Field("_partition", parse_type("int32")),
    Field("_offset", INT64),
    Field("_timestamp", timestamptz(3)),
    Field("_headers", list_of(struct_of(name=STRING, value=BINARY))),
)
_SAMPLE = 1_000  # messages
_LEAST, _GREATEST = -(2**63), 2**63 - 1


class Shape(Struct, frozen=True):
    """How the messages of a topic become rows. `key` reads the key of a message, where that is a column."""

    topic: str
    value: Codec
    key: Codec | None
    fields: tuple[Field, ...]
    unique: tuple[str, ...]  # what tells rows apart

    @property
    def schema(self) -> Schema:
        return Schema(self.fields, self.unique)

    @property
    def key_names(self) -> tuple[str, ...]:
        return () if self.key is None else tuple(f.name for f in self.key.fields)


def shape_of(client: Client, dataset: Dataset) -> Shape:
    """The shape of the topic now; what is found here holds for the whole reading."""
    if dataset.query is not None:
        raise UsageError("Kafka runs no queries", code="source.no_queries", hint="name a topic")
    (topic,) = dataset.name
    options = dataset.options
    refuse_none(client.partitions(topic), topic)
    declared = _declared(options)
    written = None
    if declared is None and options.get("format", "json") == "json":
        written = known_layout(client, topic)
        declared = None if written is None else {f.name: f for f in columns_of(written)}
    key_names = tuple(options.get("key_columns") or ())
    if not key_names and written is not None and written.schema.key:
        key_names = written.schema.key
    key_format = options.get("key_format", "text")
    if written is not None and not options.get("key_columns"):
        key_format = "json"  # what dpone writes, unless the manifest says otherwise of both ends
    value = _value_codec(client, topic, options, declared)
    key = _key_codec(client, topic, key_format, key_names, {f.name: f for f in value.fields} | (declared or {}))
    if options.get("view") == "table" and key is None:
        raise UsageError(
            f"{topic} is to be read as a table, and nothing says what its key is",
            code="source.no_key",
            hint="set `key_columns` (and `key_format`)",
        )
    fields = list(value.fields)
    names = {f.name for f in fields}
    fields += [f for f in (key.fields if key is not None else ()) if f.name not in names]
    if options.get("metadata"):
        fields += [Field(f.name, f.type, nullable=False, native=f"{ENGINE}:{f.type}") for f in METADATA]
    unique = _unique(options, key, raw=options.get("format") == "raw")
    return Shape(topic, value, key, Schema(tuple(fields)).not_null(unique).fields, unique)


def _unique(options: Mapping[str, Any], key: Codec | None, *, raw: bool) -> tuple[str, ...]:
    if options.get("view") == "table" and key is not None:
        return tuple(f.name for f in key.fields)
    if options.get("metadata"):
        return ("_topic", "_partition", "_offset")
    return () if key is None or raw else tuple(f.name for f in key.fields)


def _declared(options: Mapping[str, Any]) -> dict[str, Field] | None:
    columns = options.get("columns")
    return None if columns is None else {name: _field(name, parse_type(of)) for name, of in columns.items()}


def _field(name: str, of: Type) -> Field:
    return Field(name, of, native=f"{ENGINE}:{of}")


def _value_codec(client: Client, topic: str, options: Mapping[str, Any], declared: Mapping[str, Field] | None) -> Codec:
    match options.get("format", "json"):
        case "raw":
            return RawCodec("value")
        case "json":
            found = _sampled(client, topic) if declared is None else tuple(declared.values())
            return JsonCodec(found)
        case form:
            from dpone_kafka.registered import RegisteredCodec  # brings what the registry's formats need

            return RegisteredCodec.of_value(client, topic, form, declared)


def _key_codec(client: Client, topic: str, form: str, names: Sequence[str], known: Mapping[str, Field]) -> Codec | None:
    if form == "raw":
        return RawCodec(names[0] if names else "key")
    if not names:
        return None
    fields = [known.get(name) or text_field(name) for name in names]
    match form:
        case "text":
            if len(fields) != 1:
                raise UsageError(
                    f"a key of text is one column, and {len(fields)} are named",
                    code="source.no_key",
                    hint="set `key_format: json`, or name one column",
                )
            return TextCodec(fields[0])
        case "json":
            return JsonCodec(fields, scalars=True)
        case other:
            from dpone_kafka.registered import RegisteredCodec  # likewise

            return RegisteredCodec.of_key(client, topic, other, fields)


# --------------------------------------------------------------------------- samples


def _sampled(client: Client, topic: str) -> tuple[Field, ...]:
    """The columns of the newest messages; those that have nothing in common are JSON, which holds whatever comes."""
    kinds: dict[str, set[str]] = {}
    seen = 0
    for value in _newest(client, topic):
        try:
            found = parse_object(value)
        except UnfitError:
            continue  # whether such a message stops the run is asked when it is read
        seen += 1
        for name, held in found.items():
            kinds.setdefault(name, set()).add(_kind(held))
    if not kinds:
        raise DataError(
            f"{topic} holds {seen} messages that are objects, so its columns are not known",
            code="source.no_columns",
            hint="declare them: `columns: {id: int64, name: string}`",
        )
    return tuple(_field(name, _common(found - {"null"})) for name, found in kinds.items())


def _newest(client: Client, topic: str) -> Iterable[bytes]:
    count = refuse_none(client.partitions(topic), topic)
    for found in client.ranges(topic, range(count)).values():
        low = max(found.low, found.high - max(1, _SAMPLE // count))
        for batch in messages(client, topic, type(found)(found.partition, low, found.high)):
            yield from (value for m in batch if (value := m.value()) is not None)


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int():
            return "int" if _LEAST <= value <= _GREATEST else "json"
        case Decimal():
            return "float"
        case str():
            return "string"
        case _:
            return "json"


def _common(kinds: set[str]) -> Type:
    if kinds == {"int", "float"}:
        return FLOAT64
    of = {"bool": BOOL, "int": INT64, "float": FLOAT64, "string": STRING}
    return of.get(next(iter(kinds)), JSON) if len(kinds) == 1 else JSON
