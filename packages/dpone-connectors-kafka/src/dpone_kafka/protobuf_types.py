"""Protobuf's messages and core's types: what a column of a topic is, and the messages that a target gets.

Schemas come as descriptors, which is how confluent's Python client registers them; `proto_text` makes descriptors of
those that were registered as text.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from dpone.errors import PlanError
from dpone.schema import (
    BINARY,
    BOOL,
    FLOAT32,
    FLOAT64,
    INT32,
    INT64,
    JSON,
    STRING,
    Field,
    Kind,
    Type,
    list_of,
    map_of,
    parse_type,
    timestamptz,
)
from dpone_kafka.avro_types import legal_name
from dpone_kafka.json_text import plain_value
from dpone_kafka.proto_text import FORMAT

FieldProto = descriptor_pb2.FieldDescriptorProto
_UINT32, _UINT64 = parse_type("uint32"), parse_type("uint64")
_WRAPPERS = {
    "BoolValue": BOOL,
    "Int32Value": INT32,
    "Int64Value": INT64,
    "UInt32Value": _UINT32,
    "UInt64Value": _UINT64,
    "FloatValue": FLOAT32,
    "DoubleValue": FLOAT64,
    "StringValue": STRING,
    "BytesValue": BINARY,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def message_class(registry: Any, schema: Any, name: str | None = None) -> Any:
    """The class of a registered schema's message of this full name; of its first message where there is none such."""
    pool = descriptor_pool.DescriptorPool()
    proto = _add(registry, schema, "main.proto", pool)
    try:
        found = pool.FindMessageTypeByName(name or "")
    except KeyError:
        found = pool.FindMessageTypeByName(name_at(proto, (0,)))
    return message_factory.GetMessageClass(found)


def name_at(proto: Any, indexes: Sequence[int]) -> str:
    """The full name of the message that stands there in a file, each index within the message before it."""
    names, within = [proto.package], proto.message_type
    for index in indexes:
        names.append(within[index].name)
        within = within[index].nested_type
    return ".".join(names).lstrip(".")


def indexes_of(data: bytes) -> tuple[tuple[int, ...], int]:
    """Which message of its schema a value is, as it says behind the schema's number, and where its content begins."""
    count, at = _varint(data, 0)
    if not count:
        return (0,), at
    found = []
    for _ in range(count):
        index, at = _varint(data, at)
        found.append(index)
    return tuple(found), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        shift += 7
        at += 1
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a number
            return (value >> 1) ^ -(value & 1), at


def _add(registry: Any, schema: Any, name: str, pool: Any) -> Any:
    """The schema and what it refers to are in the pool."""
    proto = descriptor_of(schema)
    known = {reference.name: reference for reference in schema.references or ()}
    for dependency in proto.dependency:
        if dependency in known:
            reference = known[dependency]
            version = registry.get_version(reference.subject, reference.version, fmt=FORMAT)
            _add(registry, version.schema, dependency, pool)
        else:
            _add_known(dependency, pool)
    proto.name = name
    pool.Add(proto)
    return proto


def _add_known(name: str, pool: Any) -> None:
    """One of Google's own files, which every runtime has."""
    from google.protobuf import (
        any_pb2,
        duration_pb2,
        empty_pb2,
        field_mask_pb2,
        struct_pb2,
        timestamp_pb2,
        wrappers_pb2,
    )

    modules = (any_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
    for module in modules:
        if module.DESCRIPTOR.name == name:
            pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
            return
    raise PlanError(
        f"the schema needs {name}, which the registry does not name as its reference",
        code="source.schema_unreadable",
        hint="register the schema with its references",
    )


def descriptor_of(schema: Any) -> Any:
    return descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(schema.schema_str or ""))


def fields_of(descriptor: Any) -> tuple[tuple[str, Type, bool], ...]:
    """The columns of a message: name, type, and whether it may be NULL."""
    return tuple((f.name, _type_of(f, (descriptor.full_name,)), _may_be_null(f)) for f in descriptor.fields)


def _is_repeated(field: Any) -> bool:
    return bool(field.is_repeated)


def _may_be_null(field: Any) -> bool:
    return not _is_repeated(field) and bool(field.has_presence)


def _type_of(field: Any, within: tuple[str, ...]) -> Type:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        return map_of(_single(key, within), _single(value, within))
    of = _single(field, within)
    return list_of(of) if _is_repeated(field) else of


def _single(field: Any, within: tuple[str, ...]) -> Type:
    kinds = FieldProto
    match field.type:
        case kinds.TYPE_BOOL:
            return BOOL
        case kinds.TYPE_INT32 | kinds.TYPE_SINT32 | kinds.TYPE_SFIXED32:
            return INT32
        case kinds.TYPE_INT64 | kinds.TYPE_SINT64 | kinds.TYPE_SFIXED64:
            return INT64
        case kinds.TYPE_UINT32 | kinds.TYPE_FIXED32:
            return _UINT32
        case kinds.TYPE_UINT64 | kinds.TYPE_FIXED64:
            return _UINT64
        case kinds.TYPE_FLOAT:
            return FLOAT32
        case kinds.TYPE_DOUBLE:
            return FLOAT64
        case kinds.TYPE_BYTES:
            return BINARY
        case kinds.TYPE_MESSAGE | kinds.TYPE_GROUP:
            return _message(field.message_type, within)
        case _:
            return STRING  # text, and enums by their names


def _message(descriptor: Any, within: tuple[str, ...]) -> Type:
    name = descriptor.full_name
    if name == "google.protobuf.Timestamp":
        return timestamptz(9)
    if name.startswith("google.protobuf.") and descriptor.name in _WRAPPERS:
        return _WRAPPERS[descriptor.name]
    if name == "google.protobuf.Duration":
        return STRING
    if name.startswith("google.protobuf.") or name in within or not descriptor.fields:
        return JSON
    fields = tuple(Field(f.name, _type_of(f, (*within, name))) for f in descriptor.fields)
    return Type(Kind.STRUCT, items=fields)


# --------------------------------------------------------------------------- reading


def row_of(message: Any) -> Mapping[str, Any] | None:
    """The values of a message, NULL where a field that may be absent is."""
    return None if message is None else {f.name: _value(message, f) for f in message.DESCRIPTOR.fields}


def _value(message: Any, field: Any) -> Any:
    held = getattr(message, field.name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        value = field.message_type.fields_by_name["value"]
        return {_map_key(key): _one(held[key], value) for key in held}
    if _is_repeated(field):
        return [_one(item, field) for item in held]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _one(held, field)


def _map_key(key: Any) -> Any:
    return ("true" if key else "false") if isinstance(key, bool) else key


def _one(held: Any, field: Any) -> Any:
    if field.type == FieldProto.TYPE_ENUM:
        found = field.enum_type.values_by_number.get(held)
        return str(held) if found is None else found.name
    if field.message_type is None:
        return _finite(held)
    name = field.message_type.full_name
    if name == "google.protobuf.Timestamp":
        at = _EPOCH + timedelta(seconds=held.seconds)
        return f"{at:%Y-%m-%dT%H:%M:%S}.{held.nanos:09}Z"
    if name.startswith("google.protobuf."):
        if field.message_type.name in _WRAPPERS:
            return _finite(held.value)
        return json_format.MessageToDict(held)
    return row_of(held)


def _finite(held: Any) -> Any:
    if isinstance(held, float) and (held != held or held in {float("inf"), float("-inf")}):  # noqa: PLR0124 -- NaN is unequal to itself
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(held)]
    return held


# --------------------------------------------------------------------------- writing


def written_class(name: str, fields: Sequence[Field]) -> Any:
    """A message with these columns, each of which may be absent. What Protobuf has no type for is text, lists among it:
    they may hold NULL, which a repeated field may not.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package="dpone", syntax="proto3")
    message = file.message_type.add(name=name)
    for number, field in enumerate(fields, 1):
        member = message.field.add(name=legal_name(field.name), number=number, type=_written(field.type))
        member.label = FieldProto.LABEL_OPTIONAL
        member.proto3_optional = True
        member.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name=f"_{field.name}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"dpone.{name}"))


_LONG, _INT = 64, 32
_TYPES: dict[tuple[Kind, bool], Any] = {
    (Kind.INT, False): FieldProto.TYPE_INT32,
    (Kind.INT, True): FieldProto.TYPE_INT64,
    (Kind.UINT, False): FieldProto.TYPE_UINT32,
    (Kind.UINT, True): FieldProto.TYPE_UINT64,
}


def _written(of: Type) -> Any:
    match of.kind:
        case Kind.BOOL:
            return FieldProto.TYPE_BOOL
        case Kind.INT | Kind.UINT if (of.size or 0) <= _LONG:
            return _TYPES[of.kind, (of.size or 0) > _INT]
        case Kind.FLOAT:
            return FieldProto.TYPE_FLOAT if of.size == _INT else FieldProto.TYPE_DOUBLE
        case Kind.BINARY:
            return FieldProto.TYPE_BYTES
        case _:
            return FieldProto.TYPE_STRING


def message_of(kind: Any, fields: Sequence[Field], row: Mapping[str, Any]) -> Any:
    """The message that holds the row."""
    values = {f.name: _said(row[f.name], f.type) for f in fields if row.get(f.name) is not None}
    return kind(**values)


def _said(value: Any, of: Type) -> Any:
    if _written(of) != FieldProto.TYPE_STRING:
        return value
    if of.kind in {Kind.STRING, Kind.JSON, Kind.UUID, Kind.INTERVAL, Kind.OPAQUE}:
        return str(value)
    import json

    from dpone_kafka.registered import clocked

    held = plain_value(clocked(value, of), of)
    return held if isinstance(held, str) else json.dumps(held, ensure_ascii=False)
