"""Messages of every format: those of confluent's own serializers are read, and those that we write read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema as Registered
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from dpone.batch import ARROW
from dpone.connector import Column, Dataset, ReadRequest, Target
from dpone.errors import DataError, DponeError, PlanError
from dpone.ops import Recreate
from dpone.schema import Field, Schema, parse_type
from dpone.strategies import Read
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.suite.jobs import deliver, programmed
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import FREE
from dpone_kafka import KafkaConfig
from dpone_kafka.source import KafkaSource, connect
from dpone_kafka.testkit import testkit
from dpone_kafka.values import python_rows

Row = dict[str, Any]
NewTopic = Callable[..., str]
NOON = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)


@pytest.fixture
def registry(endpoint: Endpoint) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": f"http://{endpoint.host}:{endpoint.ports['registry']}"}) as client:
        yield client


@contextmanager
def source(endpoint: Endpoint) -> Iterator[KafkaSource]:
    with connect(KafkaConfig.model_validate(dict(testkit.connection(endpoint)))) as found:
        yield found


def read(endpoint: Endpoint, topic: str, wanted: Sequence[str] | None = None, **options: Any) -> list[Row]:
    """All rows of the topic, in the order of its offsets."""
    dataset = Dataset((topic,), None, options)
    with source(endpoint) as connected:
        names = wanted or connected.describe(dataset).names
        request = ReadRequest(dataset, Read.SCAN, tuple(Column(n, n) for n in names), ARROW)
        with connected.open(request) as reading:
            import pyarrow as pa

            found: list[Row] = []
            for split in reading.splits:
                for batch in connected.read(request, split):
                    found += map(dict, python_rows(pa.Table.from_batches([batch.data]), reading.schema.fields))
    return found


def produce(brokers: str, topic: str, *values: bytes | None, key: bytes | None = None) -> None:
    producer = Producer({"bootstrap.servers": brokers, "message.max.bytes": 20_000_000})
    for value in values:
        producer.produce(topic, value, key)
    assert producer.flush(20) == 0


def context(topic: str) -> SerializationContext:
    return SerializationContext(topic, MessageField.VALUE)


# -------------------------------------------------------------------------------- Avro

MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}
INNER = {"type": "record", "name": "inner", "fields": [{"name": "x", "type": "long"}]}
WALL = NOON.replace(tzinfo=None)
IN_MS = NOON.replace(microsecond=5000)
LOGICAL: list[tuple[str, Any, Any, str, Any]] = [
    # name, schema, what is written, the type, what is read
    ("flag", "boolean", True, "bool", True),
    ("small", "int", -7, "int32", -7),
    ("large", "long", 2**62, "int64", 2**62),
    ("half", "float", 0.5, "float32", 0.5),
    ("real", "double", 0.1, "float64", 0.1),
    ("words", "string", "größe \n", "string", "größe \n"),
    ("raw", "bytes", b"\x00\xff", "binary", b"\x00\xff"),
    ("money", MONEY, Decimal("-1.25"), "decimal(12,2)", Decimal("-1.25")),
    ("day", {"type": "int", "logicalType": "date"}, date(2024, 2, 29), "date", date(2024, 2, 29)),
    ("clock_ms", {"type": "int", "logicalType": "time-millis"}, time(1, 2, 3, 4000), "time(3)", time(1, 2, 3, 4000)),
    ("clock", {"type": "long", "logicalType": "time-micros"}, time(1, 2, 3, 4), "time(6)", time(1, 2, 3, 4)),
    ("seen", {"type": "long", "logicalType": "timestamp-micros"}, NOON, "timestamptz(6)", NOON),
    ("seen_ms", {"type": "long", "logicalType": "timestamp-millis"}, IN_MS, "timestamptz(3)", IN_MS),
    ("wall", {"type": "long", "logicalType": "local-timestamp-micros"}, WALL, "timestamp(6)", WALL),
    ("uid", {"type": "string", "logicalType": "uuid"}, UUID(int=7), "uuid", str(UUID(int=7))),
    ("colour", {"type": "enum", "name": "colour", "symbols": ["RED"]}, "RED", "string", "RED"),
    ("fixed", {"type": "fixed", "name": "four", "size": 4}, b"abcd", "binary", b"abcd"),
    ("many", {"type": "array", "items": ["null", "long"]}, [1, None], "list<int64>", [1, None]),
    ("pairs", {"type": "map", "values": "long"}, {"a": 1}, "map<string,int64>", [("a", 1)]),
    ("inner", INNER, {"x": 5}, "struct<x:int64 not null>", {"x": 5}),
    ("either", ["null", "long", "string"], "text", "json", '"text"'),
    ("none", ["null", "long"], None, "int64", None),
]  # fmt: skip


def test_every_type_of_avro_is_read(
    brokers: str, endpoint: Endpoint, new_topic: NewTopic, registry: SchemaRegistryClient
) -> None:
    topic = new_topic()
    fields = [{"name": name, "type": of} for name, of, *_ in LOGICAL]
    write = AvroSerializer(registry, json.dumps({"type": "record", "name": "all", "fields": fields}))
    produce(brokers, topic, write({name: value for name, _, value, *_ in LOGICAL}, context(topic)))
    with source(endpoint) as connected:
        schema = connected.describe(Dataset((topic,), None, {"format": "avro"}))
    assert {f.name: str(f.type) for f in schema} == {name: of for name, _, _, of, _ in LOGICAL}
    (row,) = read(endpoint, topic, format="avro")
    assert row == {name: expected for name, *_, expected in LOGICAL}


def test_an_evolved_schema_in_mid_topic_is_read_as_the_newest(
    brokers: str, endpoint: Endpoint, new_topic: NewTopic, registry: SchemaRegistryClient
) -> None:
    topic = new_topic()
    old = {"type": "record", "name": "r", "fields": [{"name": "id", "type": "int"}, {"name": "gone", "type": "string"}]}
    new = {
        "type": "record",
        "name": "r",
        "fields": [{"name": "id", "type": "long"}, {"name": "added", "type": "string", "default": "unknown"}],
    }
    produce(brokers, topic, AvroSerializer(registry, json.dumps(old))({"id": 1, "gone": "x"}, context(topic)))
    produce(brokers, topic, AvroSerializer(registry, json.dumps(new))({"id": 2**40, "added": "y"}, context(topic)))
    assert read(endpoint, topic, format="avro") == [{"id": 1, "added": "unknown"}, {"id": 2**40, "added": "y"}]


def test_another_format_than_the_registry_says_is_refused(
    brokers: str, endpoint: Endpoint, new_topic: NewTopic, registry: SchemaRegistryClient
) -> None:
    topic = new_topic()
    registry.register_schema(f"{topic}-value", Registered('{"type": "object", "properties": {"a": {}}}', "JSON"))
    with pytest.raises(PlanError) as refused:
        read(endpoint, topic, format="avro")
    assert refused.value.code == "source.other_format"


# ------------------------------------------------------------------------- JSON Schema


def test_the_formats_of_json_schema_are_read(
    brokers: str, endpoint: Endpoint, new_topic: NewTopic, registry: SchemaRegistryClient
) -> None:
    topic = new_topic()
    schema = {
        "title": "r",
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "integer"},
            "price": {"type": "number"},
            "name": {"type": ["string", "null"]},
            "day": {"type": "string", "format": "date"},
            "at": {"type": "string", "format": "date-time"},
            "uid": {"type": "string", "format": "uuid"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "inner": {"type": "object", "properties": {"x": {"$ref": "#/definitions/n"}}},
            "any": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        },
        "definitions": {"n": {"type": "integer"}},
    }
    write = JSONSerializer(json.dumps(schema), registry)
    value: Row = {"id": 1, "price": 0.5, "name": None, "day": "2024-02-29", "at": "2024-02-29T10:00:00+02:00"}
    value |= {"uid": str(UUID(int=1)), "tags": ["a"], "inner": {"x": 3}, "any": 5}
    produce(brokers, topic, write(value, context(topic)))
    (row,) = read(endpoint, topic, format="json_schema")
    assert row == {
        **value,
        "day": date(2024, 2, 29),
        "at": int(datetime(2024, 2, 29, 8, tzinfo=UTC).timestamp()) * 1_000_000_000,
        "any": "5",
    }


# ---------------------------------------------------------------------------- Protobuf


def _protobuf() -> Any:
    """A message with what Protobuf has: optional, oneof, map, repeated, enum, nested, and well-known types."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2, wrappers_pb2

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="all.proto", package="t", syntax="proto3")
    file.dependency.extend([timestamp_pb2.DESCRIPTOR.name, wrappers_pb2.DESCRIPTOR.name])
    message = file.message_type.add(name="All")
    message.field.add(name="id", number=1, type=kinds.TYPE_INT64, label=kinds.LABEL_OPTIONAL)
    message.field.add(
        name="maybe", number=2, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL, proto3_optional=True, oneof_index=1
    )
    for number, name, of in ((3, "left", kinds.TYPE_INT32), (4, "right", kinds.TYPE_STRING)):
        message.field.add(name=name, number=number, type=of, label=kinds.LABEL_OPTIONAL, oneof_index=0)
    message.oneof_decl.add(name="side")
    message.oneof_decl.add(name="_maybe")
    message.field.add(name="many", number=5, type=kinds.TYPE_DOUBLE, label=kinds.LABEL_REPEATED)
    entry = message.nested_type.add(name="PairsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=kinds.TYPE_STRING, label=kinds.LABEL_OPTIONAL)
    entry.field.add(name="value", number=2, type=kinds.TYPE_INT64, label=kinds.LABEL_OPTIONAL)
    pairs = ".t.All.PairsEntry"
    message.field.add(name="pairs", number=6, type=kinds.TYPE_MESSAGE, label=kinds.LABEL_REPEATED, type_name=pairs)
    inner = message.nested_type.add(name="Inner")
    inner.field.add(name="x", number=1, type=kinds.TYPE_INT64, label=kinds.LABEL_OPTIONAL)
    for number, name, of_type in (
        (7, "inner", ".t.All.Inner"),
        (8, "at", ".google.protobuf.Timestamp"),
        (9, "wrapped", ".google.protobuf.Int64Value"),
    ):
        member = message.field.add(name=name, number=number, type=kinds.TYPE_MESSAGE, type_name=of_type)
        member.label = kinds.LABEL_OPTIONAL
    colour = message.enum_type.add(name="Colour")
    colour.value.add(name="RED", number=0)
    colour.value.add(name="BLUE", number=1)
    message.field.add(
        name="colour", number=10, type=kinds.TYPE_ENUM, label=kinds.LABEL_OPTIONAL, type_name=".t.All.Colour"
    )
    pool = descriptor_pool.DescriptorPool()
    for known in (timestamp_pb2, wrappers_pb2):
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.All"))


def test_every_kind_of_protobuf_is_read(
    brokers: str, endpoint: Endpoint, new_topic: NewTopic, registry: SchemaRegistryClient
) -> None:
    topic = new_topic()
    kind = _protobuf()
    write = ProtobufSerializer(kind, registry, {"use.deprecated.format": False})
    full = kind(id=1, maybe="", right="r", many=[0.5, 2.0], pairs={"a": 1}, colour=1)
    full.inner.x = 4
    full.at.seconds, full.at.nanos = 1_700_000_000, 123_456_789
    full.wrapped.value = 0
    produce(brokers, topic, write(full, context(topic)), write(kind(id=2, left=3), context(topic)))
    first, second = read(endpoint, topic, format="protobuf")
    nothing: Row = {"maybe": None, "right": None, "many": [], "pairs": [], "inner": None, "at": None, "wrapped": None}
    assert first == {
        "id": 1,
        "maybe": "",
        "left": None,
        "right": "r",
        "many": [0.5, 2.0],
        "pairs": [("a", 1)],
        "inner": {"x": 4},
        "at": 1_700_000_000_123_456_789,
        "wrapped": 0,
        "colour": "BLUE",
    }
    assert second == {**nothing, "id": 2, "left": 3, "colour": "RED"}


# ------------------------------------------------------------------------------ writing

WRITTEN = Schema(
    tuple(
        Field(name, parse_type(of), nullable=name != "id")
        for name, of in {
            "id": "int64",
            "name": "string",
            "flag": "bool",
            "money": "decimal(18,4)",
            "day": "date",
            "at": "timestamptz(6)",
            "wall": "timestamp(6)",
            "clock": "time(6)",
            "real": "float64",
            "raw": "binary",
            "huge": "int128",
            "uid": "uuid",
            "many": "list<int64>",
            "inner": "struct<a:int64,b:string>",
        }.items()
    )
)
ROWS: list[Row] = [
    {
        "id": 1,
        "name": "größe \n\t\x01",
        "flag": True,
        "money": Decimal("-1.0001"),
        "day": date(1, 1, 1),
        "at": NOON,
        "wall": datetime(2024, 2, 29, 1, 2, 3, 4),  # noqa: DTZ001 - a wall clock
        "clock": time(23, 59, 59, 999_999),
        "real": 1e-300,
        "raw": b"\x00\xff",
        "huge": 2**100,
        "uid": str(UUID(int=9)),
        "many": [1, None],
        "inner": {"a": 1, "b": None},
    },
    {name: 2 if name == "id" else None for name in WRITTEN.names},
]


@pytest.mark.parametrize("form", ["json", "json_schema", "avro", "protobuf"])
def test_rows_are_written_and_read_back_in_every_format(endpoint: Endpoint, form: str) -> None:
    rig = SinkRig("kafka", testkit, endpoint)
    topic = f"w_{form}_{rig.fresh()}"
    job = programmed(rig, (Recreate(FREE),), WRITTEN, target=Target((topic,), {"format": form}))
    deliver(rig, job, ROWS)
    columns = {f.name: str(f.type) for f in WRITTEN}
    if form == "json":
        found = read(endpoint, topic, WRITTEN.names, format=form)
    else:
        dataset = {"format": form}
        with source(endpoint) as connected:
            assert set(connected.describe(Dataset((topic,), None, dataset)).names) == set(columns)
        from dpone_kafka.client import Client
        from dpone_kafka.reading_back import TargetReader
        from dpone_kafka.state import load

        client = Client(KafkaConfig.model_validate(dict(testkit.connection(endpoint))), "sink")
        layout = load(client, topic).layout
        assert layout is not None
        found = [dict(row) for row in TargetReader(client, topic, dataset, layout, layout).rows().values()]
        client.close()
    assert sorted(found, key=lambda r: int(r["id"])) == ROWS


def test_a_schema_that_the_registry_refuses_stops_the_load(endpoint: Endpoint, registry: SchemaRegistryClient) -> None:
    rig = SinkRig("kafka", testkit, endpoint)
    topic = f"refused_{rig.fresh()}"
    name = "".join(c if c.isalnum() else "_" for c in topic)
    before = {
        "type": "record",
        "name": f"{name}_value",
        "namespace": "dpone",
        "fields": [{"name": "id", "type": "string"}],
    }
    registry.register_schema(f"{topic}-value", Registered(json.dumps(before), "AVRO"))
    job = programmed(rig, (Recreate(FREE),), WRITTEN, target=Target((topic,), {"format": "avro"}))
    with pytest.raises(DponeError) as refused:
        deliver(rig, job, ROWS)
    assert refused.value.code == "sink.rejected_rows"
    assert not rig.exists(job.target)


# ----------------------------------------------------------------------- bad and large


COLUMNS = {"id": "int64", "name": "string"}
POISON: list[bytes] = [
    *(b"", b"null", b"[1]", b"{", b'{"id": "x"}', b'{"id": 1}{"id": 2}'),
    *(b"\xff\xfe", b'{"id": 1.5}', b"7"),
]


@pytest.mark.parametrize("poison", POISON, ids=range(len(POISON)))
def test_a_bad_message_in_the_middle_stops_the_run_or_becomes_a_dead_letter(
    brokers: str, endpoint: Endpoint, new_topic: NewTopic, poison: bytes
) -> None:
    topic, letters = new_topic(), f"dead_{new_topic()}"
    good = [json.dumps({"id": n, "name": f"n {n}"}).encode() for n in range(6)]
    produce(brokers, topic, *good[:3], poison, *good[3:])
    with pytest.raises(DataError) as stopped:
        read(endpoint, topic, format="json", columns=COLUMNS)
    assert stopped.value.code == "source.bad_message"
    options = {"format": "json", "on_bad_message": "dead_letter", "dead_letter_topic": letters}
    found = read(endpoint, topic, **options, columns=COLUMNS)
    assert [row["id"] for row in found] == list(range(6))
    (letter,) = read(endpoint, letters, ("key", "value"), format="raw", key_format="raw")
    assert letter == {"key": f"{topic}/0/3".encode(), "value": poison}


def test_messages_of_ten_megabytes_are_read(brokers: str, endpoint: Endpoint, new_topic: NewTopic) -> None:
    topic = new_topic(max_message_bytes="20000000")
    large = "x" * 10_000_000
    produce(brokers, topic, json.dumps({"id": 1, "name": large}).encode(), b'{"id": 2, "name": "small"}')
    found = read(endpoint, topic, format="json", columns=COLUMNS)
    assert [(row["id"], len(row["name"])) for row in found] == [(1, 10_000_000), (2, 5)]
