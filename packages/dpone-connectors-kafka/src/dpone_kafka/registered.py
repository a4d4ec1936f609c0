"""The formats of the schema registry, through confluent-kafka's own serializers: Avro, JSON Schema and Protobuf."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

from confluent_kafka.schema_registry import (
    record_subject_name_strategy,
    topic_record_subject_name_strategy,
    topic_subject_name_strategy,
)
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

from dpone.connector import Layout
from dpone.errors import DponeError, PlanError, RemoteError, UsageError
from dpone.schema import Field, Kind, Type
from dpone_kafka.client import plain
from dpone_kafka.encoding import ROW, text_of
from dpone_kafka.json_rows import UnfitError, column_of, json_text
from dpone_kafka.json_text import plain_value
from dpone_kafka.layouts import columns_of
from dpone_kafka.proto_text import FORMAT
from dpone_kafka.typemap import ENGINE
from dpone_kafka.values import python_rows

if TYPE_CHECKING:
    import pyarrow as pa
    from confluent_kafka.schema_registry import RegisteredSchema, Schema

    from dpone_kafka.client import Client

Read = Callable[[bytes], Mapping[str, Any] | None]
Write = Callable[[Mapping[str, Any]], bytes]
_STRATEGIES = {
    "topic": topic_subject_name_strategy,
    "record": record_subject_name_strategy,
    "topic_record": topic_record_subject_name_strategy,
}
_HEAD = 5  # a zero, and the number of the schema
_FORMATS = {"protobuf": FORMAT}  # what the registry is asked for: a descriptor, though it may have been text
_KINDS = {"avro": "AVRO", "json_schema": "JSON", "protobuf": "PROTOBUF"}


class RegisteredCodec:
    """Reads messages by the schema that each of them names, as the one that the reading began with."""

    def __init__(self, fields: Sequence[Field], read: Read) -> None:
        self.fields = tuple(fields)
        self._read = read

    @classmethod
    def of_value(cls, client: Client, topic: str, form: str, declared: Mapping[str, Field] | None) -> Self:
        fields, read = _reader(client, topic, form, MessageField.VALUE)
        if declared is not None:
            fields = tuple(declared.values())
        return cls(fields, read)

    @classmethod
    def of_key(cls, client: Client, topic: str, form: str, wanted: Sequence[Field]) -> Self:
        fields, read = _reader(client, topic, form, MessageField.KEY)
        known = {f.name: f for f in fields}
        return cls([known.get(f.name, f) for f in wanted], read)

    def columns(self, data: Sequence[bytes]) -> list[pa.Array[Any]]:
        rows = [self._row(value) for value in data]
        return [column_of([jsonish(row.get(f.name), f.type) for row in rows], f) for f in self.fields]

    def _row(self, value: bytes) -> Mapping[str, Any]:
        try:
            found = self._read(value)
        except (DponeError, UnfitError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a decoder says of bytes, they are bad
            raise UnfitError(f"it does not follow its schema ({type(error).__name__})") from None
        if not isinstance(found, Mapping):
            raise UnfitError("it is no record")
        return found


def jsonish(value: Any, of: Type) -> Any:
    """A decoded value as JSON has it, which is what columns are made of."""
    match value:
        case datetime() if value.tzinfo is not None:
            return value.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"
        case datetime() | date() | time():
            return value.isoformat()
        case UUID():
            return str(value)
        case bytes() if of.kind is not Kind.BINARY:
            return value.decode("latin-1")
        case list() if of.kind is Kind.LIST:
            return [jsonish(v, of.items[0].type) for v in value]
        case dict() if of.kind is Kind.MAP:
            return {k: jsonish(v, of.items[1].type) for k, v in value.items()}
        case dict() if of.kind is Kind.STRUCT:
            return {f.name: jsonish(value.get(f.name), f.type) for f in of.items}
        case list():
            return [jsonish(v, of) for v in value]
        case dict():
            return {k: jsonish(v, of) for k, v in value.items()}
        case str() if of.kind is Kind.JSON:
            return _parsed(value)
        case _:
            return value


def _parsed(text: str) -> Any:
    """JSON that travelled as text; text that is no JSON is a value itself."""
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        return text


def _reader(client: Client, topic: str, form: str, part: MessageField) -> tuple[tuple[Field, ...], Read]:
    schema = _latest(client, topic, form, part)
    context = SerializationContext(topic, part)
    registry = _registry(client)
    match form:
        case "avro":
            from confluent_kafka.schema_registry.avro import AvroDeserializer

            from dpone_kafka.avro_types import fields_of

            found = fields_of(json.loads(schema.schema_str or ""))
            avro = AvroDeserializer(registry, schema)
            return _native(found), lambda value: avro(value, context)
        case "json_schema":
            from confluent_kafka.schema_registry.json_schema import JSONDeserializer

            from dpone_kafka.json_schema_types import fields_of as properties_of

            found = properties_of(json.loads(schema.schema_str or ""))
            parse = {"json_decode": lambda text: json.loads(text, parse_float=Decimal)}
            by_schema = JSONDeserializer(schema, schema_registry_client=registry, **parse)
            return _native(found), lambda value: by_schema(value, context)
        case _:
            from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer

            from dpone_kafka.protobuf_types import fields_of as members_of
            from dpone_kafka.protobuf_types import message_class, row_of

            names = MessageNames(registry)
            named = (names.known(value) for value in _naming(client, topic, part))
            kind = message_class(registry, schema, next(filter(None, named), None))
            protobuf = ProtobufDeserializer(kind, {"use.deprecated.format": False}, registry)

            def of_one_kind(value: bytes) -> Mapping[str, Any] | None:
                if (name := names.of(value)) != kind.DESCRIPTOR.full_name:
                    raise UnfitError(f"it is a {name}, and the topic is read as {kind.DESCRIPTOR.full_name}")
                return row_of(protobuf(value, context))

            return _native(members_of(kind.DESCRIPTOR)), of_one_kind


class MessageNames:
    """Which message of its schema each value is: the deserializer itself takes it for the one that it is given."""

    def __init__(self, registry: Any) -> None:
        self._registry = registry
        self._known: dict[tuple[bytes, tuple[int, ...]], str] = {}

    def of(self, value: bytes) -> str:
        """The full name of the message that the value says it is."""
        from dpone_kafka.protobuf_types import descriptor_of, indexes_of, name_at

        head = bytes(value[:_HEAD])
        indexes, _ = indexes_of(bytes(value[_HEAD : _HEAD + 64]))
        if (head, indexes) not in self._known:
            schema = self._registry.get_schema(int.from_bytes(head[1:], "big"), fmt=FORMAT)
            self._known[head, indexes] = name_at(descriptor_of(schema), indexes)
        return self._known[head, indexes]

    def known(self, value: bytes) -> str | None:
        """The same; None where the registry has no schema of its number, or one that is none of Protobuf."""
        try:
            return self.of(value)
        except DponeError:
            raise
        except Exception:  # noqa: BLE001 - whatever a decoder says of bytes, they name nothing
            return None


def _native(found: Sequence[tuple[str, Type, bool]]) -> tuple[Field, ...]:
    return tuple(Field(name, of, nullable, f"{ENGINE}:{of}") for name, of, nullable in found)


def _registry(client: Client) -> Any:
    if client.config.registry is None:
        raise UsageError(
            "the format needs a schema registry, and the connection names none",
            code="kafka.no_registry",
            hint="set `registry` of the connection",
        )
    return client.registry()


def _latest(client: Client, topic: str, form: str, part: str) -> Schema:
    """The newest schema of the topic's subject, or the one that the newest message names."""
    registry = _registry(client)
    try:
        found: RegisteredSchema = registry.get_latest_version(f"{topic}-{part}", fmt=_FORMATS.get(form))
        schema = found.schema
    except SchemaRegistryError:  # it knows none of that name
        schema = _named_by_a_message(client, topic, form, part)
    if schema.schema_type != _KINDS[form]:
        raise PlanError(
            f"the {part}s of {topic} are {schema.schema_type}, and the manifest says {form}",
            code="source.other_format",
            hint="say so under `format` (or `key_format`)",
        )
    return schema


def _naming(client: Client, topic: str, part: str) -> Iterator[bytes]:
    """Of the last values of each partition the first for every schema that they name."""
    from dpone_kafka.consuming import messages

    named = set()
    for found in client.ranges(topic, range(client.partitions(topic) or 0)).values():
        last = type(found)(found.partition, max(found.low, found.high - 100), found.high)
        for batch in messages(client, topic, last):
            for message in batch:
                data = message.value() if part == MessageField.VALUE else message.key()
                if data is not None and len(data) > _HEAD and data[:1] == b"\0" and bytes(data[:_HEAD]) not in named:
                    named.add(bytes(data[:_HEAD]))
                    yield bytes(data)


def _named_by_a_message(client: Client, topic: str, form: str, part: str) -> Schema:
    unknown = []
    for data in _naming(client, topic, part):
        number = int.from_bytes(data[1:_HEAD], "big")
        try:
            schema: Schema = _registry(client).get_schema(number, fmt=_FORMATS.get(form))
        except SchemaRegistryError:  # it has none of that number
            unknown.append(str(number))
        else:
            return schema
    if unknown:
        raise PlanError(
            f"the registry knows no schema of {topic}, and none of the numbers that its messages name: "
            + ", ".join(unknown),
            code="source.no_columns",
            hint="name the registry that the messages were written with, or read them with `format: raw`",
        )
    raise PlanError(
        f"the registry knows no schema of {topic}, and no message of it names one",
        code="source.no_columns",
        hint="check the address of the registry, or read it with `format: json` or `raw`",
    )


# --------------------------------------------------------------------------- writing


class RegisteredEncoder:
    """Keys and values by the registry's serializers, where the manifest says so; schemas follow from the layout."""

    def __init__(self, client: Client, topic: str, options: Mapping[str, Any], layout: Layout) -> None:
        self._client = client
        self._topic = topic
        self._options = options
        self._fields = columns_of(layout)
        self._key_fields = [layout.schema[name] for name in layout.schema.key]
        form, key_form = options.get("format", "json"), options.get("key_format", "json")
        name = "".join(c if c.isalnum() else "_" for c in topic)
        self._write = self._writer(form, f"{name}_value", self._fields, MessageField.VALUE)
        self._text_keys = key_form == "text"
        self._write_key = (
            self._writer(key_form, f"{name}_key", self._key_fields, MessageField.KEY)
            if key_form in _KINDS and self._key_fields
            else None
        )

    def _writer(self, form: str, name: str, fields: Sequence[Field], part: MessageField) -> Write:
        context = SerializationContext(self._topic, part)
        if form == "json":
            return lambda row: plain({f.name: _json_value(row.get(f.name), f.type) for f in fields}).encode()
        registers = bool(self._options.get("register_schemas", True))
        conf = {
            "auto.register.schemas": registers,
            "use.latest.version": not registers,
            "subject.name.strategy": _STRATEGIES[self._options.get("subjects", "topic")],
        }
        registry = _registry(self._client)
        serialize: Callable[[Any, SerializationContext], bytes | None]
        made: Callable[[Mapping[str, Any]], Any]
        match form:
            case "avro":
                from confluent_kafka.schema_registry.avro import AvroSerializer

                from dpone_kafka.avro_types import record_of

                serialize = AvroSerializer(registry, record_of(name, fields), conf=conf)
                made = lambda row: {f.name: _avro_value(row.get(f.name), f.type) for f in fields}  # noqa: E731 - one of three
            case "json_schema":
                from confluent_kafka.schema_registry.json_schema import JSONSerializer

                from dpone_kafka.json_schema_types import object_of

                serialize = JSONSerializer(object_of(name, fields), registry, conf=conf)
                made = lambda row: {f.name: _json_value(row.get(f.name), f.type) for f in fields}  # noqa: E731 - likewise
            case _:
                from confluent_kafka.schema_registry.protobuf import ProtobufSerializer

                from dpone_kafka.protobuf_types import message_of, written_class

                kind = written_class(name, fields)
                serialize = ProtobufSerializer(kind, registry, conf={**conf, "use.deprecated.format": False})
                made = lambda row: message_of(kind, fields, row)  # noqa: E731 - likewise
        return lambda row: self._said(serialize, made(row), context)

    def _said(
        self, serialize: Callable[[Any, SerializationContext], bytes | None], value: Any, context: SerializationContext
    ) -> bytes:
        try:
            return serialize(value, context) or b""
        except (SerializationError, SchemaRegistryError) as error:
            status = getattr(error, "http_status_code", None)
            raise RemoteError(
                f"{self._topic}: a row cannot be written by its schema ({type(error).__name__}"
                + (f", the registry says {status})" if status else ")"),
                code="sink.rejected_rows",
                hint="a schema that the registry refuses is incompatible with those before it",
            ) from None

    def keys(self, keys: Sequence[bytes]) -> Sequence[bytes]:
        if self._text_keys:
            return [text_of(key) for key in keys]
        if self._write_key is None:
            return keys
        return [self._write_key(self._key_row(key)) for key in keys]

    def _key_row(self, key: bytes) -> Mapping[str, Any]:
        """The values that a key holds, as those of rows."""
        from dpone_kafka.json_rows import parse_object
        from dpone_kafka.values import python_values

        found = parse_object(key)
        return {f.name: python_values(column_of([found.get(f.name)], f), f.type)[0] for f in self._key_fields}

    def values(self, table: pa.Table) -> Sequence[bytes]:
        return [self._write(row) for row in python_rows(table, self._fields)]

    def row_key(self, name: str) -> bytes:
        return plain({ROW: name}).encode()


def _json_value(value: Any, of: Type) -> Any:
    if value is not None and of.kind is Kind.DECIMAL:
        return str(value)
    return plain_value(clocked(value, of), of)


def clocked(value: Any, of: Type) -> Any:
    """Nanoseconds as text; all else as it is."""
    if not isinstance(value, int) or of.kind not in {Kind.TIME, Kind.TIMESTAMP, Kind.TIMESTAMPTZ}:
        return value
    from dpone_kafka.json_text import json_values
    from dpone_kafka.values import arrow_column

    return json.loads(json_values(arrow_column([value], of), Field("value", of))[0].as_py())


def _avro_value(value: Any, of: Type) -> Any:
    """A value as fastavro takes it for the schema that `record_of` makes."""
    if value is None:
        return None
    match of.kind:
        case Kind.INT | Kind.UINT:
            return value if _fits_long(of) else str(value)
        case Kind.DECIMAL:
            return value if of.size is not None and 0 <= (of.scale or 0) <= of.size else str(value)
        case Kind.TIME | Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
            return clocked(value, of)
        case Kind.LIST:
            return [_avro_value(v, of.items[0].type) for v in value]
        case Kind.MAP:
            if of.items[0].type.kind is not Kind.STRING:
                return json_text(plain_value(value, of))
            return {k: _avro_value(v, of.items[1].type) for k, v in dict(value).items()}
        case Kind.STRUCT:
            return {f.name: _avro_value(value.get(f.name), f.type) for f in of.items}
        case _:
            return value


def _fits_long(of: Type) -> bool:
    return (of.size or 0) <= (64 if of.kind is Kind.INT else 32)
