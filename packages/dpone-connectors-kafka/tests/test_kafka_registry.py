"""The registry of our own, through confluent's client: what the formats rely on holds."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from confluent_kafka.schema_registry import Schema, SchemaReference, SchemaRegistryClient
from confluent_kafka.schema_registry.error import SchemaRegistryError

from dpone.testing.services.endpoint import Endpoint


@pytest.fixture(scope="module")
def registry(endpoint: Endpoint) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": f"http://{endpoint.host}:{endpoint.ports['registry']}"}) as client:
        yield client


def avro(*fields: object) -> Schema:
    return Schema(json.dumps({"type": "record", "name": "r", "fields": list(fields)}), "AVRO")


ID = {"name": "id", "type": "long"}


def test_a_schema_has_one_id_and_a_version_in_each_subject(registry: SchemaRegistryClient) -> None:
    first = registry.register_schema("one-value", avro(ID))
    assert registry.register_schema("one-value", avro(ID)) == first
    assert registry.register_schema("two-value", avro(ID)) == first
    later = registry.register_schema("one-value", avro(ID, {"name": "a", "type": "int", "default": 0}))
    assert later != first
    assert registry.get_versions("one-value") == [1, 2]
    assert registry.get_latest_version("one-value").schema_id == later
    assert registry.lookup_schema("one-value", avro(ID)).version == 1
    assert {"one-value", "two-value"} <= set(registry.get_subjects())
    assert json.loads(registry.get_schema(first).schema_str or "")["fields"] == [ID]


def test_a_schema_that_cannot_read_what_is_there_is_refused(registry: SchemaRegistryClient) -> None:
    registry.register_schema("strict-value", avro(ID))
    with pytest.raises(SchemaRegistryError) as refused:
        registry.register_schema("strict-value", avro(ID, {"name": "a", "type": "int"}))
    assert refused.value.http_status_code == 409
    assert not registry.test_compatibility("strict-value", avro({"name": "id", "type": "string"}))
    registry.set_compatibility("strict-value", "NONE")
    registry.register_schema("strict-value", avro({"name": "id", "type": "string"}))


def test_what_is_no_schema_is_refused(registry: SchemaRegistryClient) -> None:
    for text in ("{", json.dumps({"type": "record", "name": "r"})):
        with pytest.raises(SchemaRegistryError) as refused:
            registry.register_schema("wrong-value", Schema(text, "AVRO"))
        assert refused.value.http_status_code == 422
    with pytest.raises(SchemaRegistryError) as missing:
        registry.get_latest_version("never-value")
    assert missing.value.http_status_code == 404


def test_schemas_refer_to_one_another(registry: SchemaRegistryClient) -> None:
    pytest.importorskip("grpc_tools", reason="needs dpone-connectors-kafka[protoc]")
    registry.register_schema("inner", avro(ID))
    outer = Schema(
        json.dumps({"type": "record", "name": "o", "fields": [{"name": "inner", "type": "r"}]}),
        "AVRO",
        [SchemaReference("r", "inner", 1)],
    )
    number = registry.register_schema("outer-value", outer)
    found = registry.get_schema(number)
    assert [(r.name, r.subject, r.version) for r in found.references or []] == [("r", "inner", 1)]
    for kind, text in (("PROTOBUF", 'syntax = "proto3"; message A { int64 id = 1; }'), ("JSON", '{"type": "object"}')):
        number = registry.register_schema(f"{kind}-value", Schema(text, kind))
        assert registry.get_schema(number).schema_type == kind


def test_a_deleted_subject_is_gone(registry: SchemaRegistryClient) -> None:
    registry.register_schema("gone-value", avro(ID))
    assert registry.delete_subject("gone-value") == [1]
    assert "gone-value" not in registry.get_subjects()
