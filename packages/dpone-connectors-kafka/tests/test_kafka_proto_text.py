"""Protobuf schemas that were registered as text, with references, read through confluent-kafka's own serializers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from dpone.batch import ARROW
from dpone.connector import Column, Dataset, ReadRequest
from dpone.errors import DponeError, MissingPackage, PlanError
from dpone.strategies import Read
from dpone.testing.services.endpoint import Endpoint
from dpone_kafka import KafkaConfig
from dpone_kafka.proto_text import CompilingRegistry, compiled, is_descriptor
from dpone_kafka.protobuf_types import message_class
from dpone_kafka.source import connect
from dpone_kafka.testkit import testkit
from dpone_kafka.values import python_rows

pytest.importorskip("grpc_tools", reason="needs dpone-connectors-kafka[protoc]")

NewTopic = Callable[..., str]
MONEY = """
syntax = "proto3";
package shop.v1;
message Money { string currency = 1; sint64 cents = 2; }
"""
ORDER = """
syntax = "proto3";
package shop.v1;
import "shop/money.proto";
import "google/protobuf/timestamp.proto";
message Order {
  int64 id = 1;  // the key
  optional string note = 2;
  Money total = 3;
  google.protobuf.Timestamp at = 4;
  repeated Money parts = 5;
  map<string, int32> counts = 6;
  enum State { OPEN = 0; PAID = 1; }
  State state = 7;
  message Line { string sku = 1; }
}
message Refund { int64 id = 1; string why = 2; }
"""


@pytest.fixture
def address(endpoint: Endpoint) -> str:
    return f"http://{endpoint.host}:{endpoint.ports['registry']}"


@pytest.fixture
def registry(address: str) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": address}) as client:
        yield client


@pytest.fixture
def topic(new_topic: NewTopic, registry: SchemaRegistryClient) -> str:
    """A topic whose values follow text that refers to other text."""
    name = new_topic()
    registry.register_schema("money", Schema(MONEY, "PROTOBUF"))
    order = Schema(ORDER, "PROTOBUF", [SchemaReference("shop/money.proto", "money", 1)])
    registry.register_schema(f"{name}-value", order)
    return name


def write(brokers: str, address: str, topic: str, name: str, *messages: dict[str, Any]) -> None:
    """By confluent's serializer, which takes the schema that the registry has."""
    with CompilingRegistry({"url": address}) as registry:
        schema = registry.get_latest_version(f"{topic}-value", fmt="serialized").schema
        kind = message_class(registry, schema, name)
        conf = {"auto.register.schemas": False, "use.latest.version": True, "use.deprecated.format": False}
        serialize = ProtobufSerializer(kind, registry, conf)
        producer = Producer({"bootstrap.servers": brokers})
        for message in messages:
            producer.produce(topic, serialize(kind(**message), SerializationContext(topic, MessageField.VALUE)))
        assert producer.flush(20) == 0


def read(endpoint: Endpoint, topic: str, **options: Any) -> list[dict[str, Any]]:
    config = KafkaConfig.model_validate(dict(testkit.connection(endpoint)))
    dataset = Dataset((topic,), None, {"format": "protobuf", **options})
    with connect(config) as source:
        names = source.describe(dataset).names
        request = ReadRequest(dataset, Read.SCAN, tuple(Column(n, n) for n in names), ARROW)
        with source.open(request) as reading:
            found: list[dict[str, Any]] = []
            for split in reading.splits:
                for batch in source.read(request, split):
                    found += map(dict, python_rows(pa.Table.from_batches([batch.data]), reading.schema.fields))
    return found


def test_text_with_references_is_read(brokers: str, endpoint: Endpoint, address: str, topic: str) -> None:
    parts = [{"currency": "EUR", "cents": -5}]
    full: dict[str, Any] = {"id": 1, "note": "", "total": parts[0], "at": {"seconds": 2}, "parts": parts}
    write(brokers, address, topic, "shop.v1.Order", {**full, "counts": {"a": 1}, "state": 1}, {"id": 2})
    empty: dict[str, Any] = {"note": None, "total": None, "at": None, "parts": [], "counts": [], "state": "OPEN"}
    assert read(endpoint, topic) == [
        {**full, "at": 2_000_000_000, "counts": [("a", 1)], "state": "PAID"},
        {**empty, "id": 2},
    ]


def test_a_message_of_another_kind_is_not_taken_for_the_topic_s(
    brokers: str, endpoint: Endpoint, address: str, topic: str
) -> None:
    write(brokers, address, topic, "shop.v1.Refund", {"id": 1, "why": "broken"})
    assert read(endpoint, topic) == [{"id": 1, "why": "broken"}], "a topic of the second message alone"
    write(brokers, address, topic, "shop.v1.Order", {"id": 2, "note": "kept"})
    with pytest.raises(DponeError) as refused:
        read(endpoint, topic)
    assert refused.value.code == "source.bad_message"


def test_a_registry_that_gives_text_is_read_with_our_compiler(
    registry: SchemaRegistryClient, address: str, topic: str
) -> None:
    found = registry.get_latest_version(f"{topic}-value")
    assert found.schema.schema_str == ORDER
    with CompilingRegistry({"url": address}) as compiling:
        for schema in (
            compiling.get_latest_version(f"{topic}-value").schema,
            compiling.get_version(f"{topic}-value", found.version or 1).schema,
            compiling.get_schema(found.schema_id or 0),
        ):
            assert is_descriptor(schema.schema_str or "")
            assert message_class(compiling, schema).DESCRIPTOR.full_name == "shop.v1.Order"


def test_text_that_is_wrong_is_refused_where_it_is_registered(registry: SchemaRegistryClient) -> None:
    for text in ("message {", 'syntax = "proto3"; import "money.proto"; message A { Money m = 1; }'):
        with pytest.raises(SchemaRegistryError) as refused:
            registry.register_schema("wrong-value", Schema(text, "PROTOBUF"))
        assert refused.value.http_status_code == 422


@pytest.mark.parametrize("name", ["../money.proto", "/etc/money.proto", "money.py", "a/../../money.proto"])
def test_an_import_stays_in_its_folder(name: str) -> None:
    with pytest.raises(PlanError) as refused:
        compiled(ORDER, {name: MONEY})
    assert refused.value.code == "source.schema_unreadable"


def test_without_a_compiler_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpone_kafka.proto_text.find_spec", lambda _: None)
    with pytest.raises(MissingPackage) as missing:
        compiled(MONEY, {})
    assert missing.value.hint == "pip install 'dpone-connectors-kafka[protoc]'"
