"""A registry that is away, or refuses us, is said to be so: no message is bad for it, or becomes a dead letter."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from msgspec import Struct, field

from dpone.batch import ARROW
from dpone.connector import Column, Dataset, ReadRequest
from dpone.errors import DataError, DponeError, PlanError, RemoteError, UsageError
from dpone.strategies import Read
from dpone.testing.certificates import Authority
from dpone.testing.doors import tls_door
from dpone.testing.services.endpoint import Endpoint
from dpone_kafka import KafkaConfig
from dpone_kafka.source import connect
from dpone_kafka.testkit import testkit

NewTopic = Callable[..., str]
SCHEMA = json.dumps({"type": "record", "name": "r", "fields": [{"name": "id", "type": "long"}]})


class Way(Struct):
    """What lies before the registry: it passes questions on, and answers some of them by itself."""

    address: str
    answers: dict[str, int] = field(default_factory=dict)  # by a pattern of the path: the status


@pytest.fixture
def way(endpoint: Endpoint) -> Iterator[Way]:
    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = next((status for pattern, status in found.answers.items() if re.search(pattern, self.path)), None)
            body = b'{"error_code": 1, "message": "not now"}'
            if status is None:
                asked = Request(f"http://{endpoint.host}:{endpoint.ports['registry']}{self.path}")
                try:
                    with urlopen(asked, timeout=10) as answer:  # noqa: S310 -- a server of this test
                        status, body = answer.status, answer.read()
                except HTTPError as error:
                    status, body = error.code, error.read()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is told."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        found = Way(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found
        server.shutdown()


@pytest.fixture
def topic(endpoint: Endpoint, brokers: str, new_topic: NewTopic) -> str:
    """Three messages of a schema that the registry knows."""
    name = new_topic()
    with SchemaRegistryClient({"url": registry_of(endpoint)}) as registry:
        write = AvroSerializer(registry, Schema(SCHEMA, "AVRO"))
        produce(brokers, name, *(write({"id": n}, SerializationContext(name, MessageField.VALUE)) for n in range(3)))
    return name


def produce(brokers: str, topic: str, *values: bytes | None) -> None:
    producer = Producer({"bootstrap.servers": brokers})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(20) == 0


def registry_of(endpoint: Endpoint) -> str:
    return f"http://{endpoint.host}:{endpoint.ports['registry']}"


def read(endpoint: Endpoint, topic: str, registry: str, more: dict[str, Any] | None = None, **options: Any) -> int:
    """How many rows were read."""
    given = {**testkit.connection(endpoint), "registry": registry, **(more or {})}
    dataset = Dataset((topic,), None, {"format": "avro", **options})
    with connect(KafkaConfig.model_validate(given)) as source:
        request = ReadRequest(dataset, Read.SCAN, (Column("id", "id"),), ARROW)
        with source.open(request) as reading:
            return sum(batch.data.num_rows for split in reading.splits for batch in source.read(request, split))


@pytest.mark.parametrize(
    "status, code", [(401, "source.login_refused"), (403, "source.login_refused"), (501, "source.registry")]
)
def test_what_it_refuses_is_said(endpoint: Endpoint, way: Way, topic: str, status: int, code: str) -> None:
    assert read(endpoint, topic, way.address) == 3
    way.answers["."] = status
    with pytest.raises(DponeError, match=f"{way.address}.*HTTP {status}") as refused:
        read(endpoint, topic, way.address)
    assert refused.value.code == code


def test_one_that_is_away_is_said(endpoint: Endpoint, topic: str) -> None:
    with pytest.raises(RemoteError, match="does not answer") as refused:
        read(endpoint, topic, "http://127.0.0.1:1")
    assert (refused.value.code, refused.value.retryable) == ("source.registry", True)


def test_a_registry_that_fails_in_the_middle_makes_no_dead_letters(
    endpoint: Endpoint, brokers: str, way: Way, topic: str
) -> None:
    letters = f"dead_{topic}"
    way.answers["/schemas/ids/"] = 501
    with pytest.raises(DponeError) as stopped:
        read(endpoint, topic, way.address, on_bad_message="dead_letter", dead_letter_topic=letters)
    assert stopped.value.code == "source.registry"
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "looks"})
    assert consumer.get_watermark_offsets(TopicPartition(letters, 0), timeout=10) == (0, 0)
    consumer.close()


def test_a_message_of_a_schema_that_it_does_not_have_is_bad(endpoint: Endpoint, brokers: str, topic: str) -> None:
    produce(brokers, topic, b"\0\0\xff\xff\xff\x02")
    with pytest.raises(DataError) as stopped:
        read(endpoint, topic, registry_of(endpoint))
    assert stopped.value.code == "source.bad_message"
    found = read(
        endpoint, topic, registry_of(endpoint), on_bad_message="dead_letter", dead_letter_topic=f"dead_{topic}"
    )
    assert found == 3


@pytest.mark.parametrize("form", ["avro", "json_schema", "protobuf"])
def test_a_topic_of_schemas_that_it_does_not_have_has_no_columns(
    endpoint: Endpoint, brokers: str, new_topic: NewTopic, form: str
) -> None:
    name = new_topic()
    produce(brokers, name, b"\0\0\xff\xff\xff\x02", b"\0\0\xff\xff\xfe\x02", b"\0\0\xff\xff\xff\x04")
    with pytest.raises(PlanError, match=r"none of the numbers that its messages name: 16777215, 16777214$") as refused:
        read(endpoint, name, registry_of(endpoint), format=form)
    assert refused.value.code == "source.no_columns"
    with SchemaRegistryClient({"url": registry_of(endpoint)}) as registry:
        write = AvroSerializer(
            registry, Schema(SCHEMA, "AVRO"), conf={"subject.name.strategy": lambda *_: f"of-{name}"}
        )
        produce(brokers, name, write({"id": 7}, SerializationContext(name, MessageField.VALUE)) or b"")
    letters: dict[str, Any] = {"on_bad_message": "dead_letter", "dead_letter_topic": f"dead_{name}"}
    if form == "avro":
        assert read(endpoint, name, registry_of(endpoint), **letters) == 1  # whose schema it does have


@pytest.mark.parametrize("last", [b"\0\0\xff\xff\xff\x00", b"\0AVRO\x00", b"\0PROT\xff", b"\0PROT\x02\x08"])
def test_a_message_that_names_nothing_of_protobuf_hides_no_columns(
    endpoint: Endpoint, brokers: str, new_topic: NewTopic, last: bytes
) -> None:
    name = new_topic()
    with SchemaRegistryClient({"url": registry_of(endpoint)}) as registry:
        text = 'syntax = "proto3"; message One { int64 id = 1; }'
        number = registry.register_schema(f"{name}-value", Schema(text, "PROTOBUF"))
        other = registry.register_schema(f"{name}-other", Schema(SCHEMA, "AVRO"))
    head = last.replace(b"AVRO", other.to_bytes(4, "big")).replace(b"PROT", number.to_bytes(4, "big"))
    produce(brokers, name, head, b"\0" + number.to_bytes(4, "big") + b"\0\x08\x01")
    letters: dict[str, Any] = {"on_bad_message": "dead_letter", "dead_letter_topic": f"dead_{name}"}
    assert read(endpoint, name, registry_of(endpoint), format="protobuf", **letters) == 1


def test_its_certificate_is_checked(
    endpoint: Endpoint, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Authority(tmp_path, "ours")
    in_clear = {"tls": "off"}  # of the brokers
    with tls_door((endpoint.host, endpoint.ports["registry"]), ours.sign("registry")) as port:
        address = f"https://localhost:{port}"
        with pytest.raises(DponeError, match="unable to get local issuer certificate") as refused:
            read(endpoint, topic, address, in_clear)
        assert refused.value.code == "source.not_trusted"
        assert read(endpoint, topic, address, {**in_clear, "ca_file": ours.file}) == 3
        monkeypatch.setattr("dpone_kafka.registry.system_authorities", lambda: str(ours.file))
        assert read(endpoint, topic, address, in_clear) == 3


def test_files_that_hold_nothing_are_named(endpoint: Endpoint, topic: str, tmp_path: Path) -> None:
    """Of the registry and of the brokers, which are told of the same."""
    ours = Authority(tmp_path, "ours")
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("hello")
    certificate, key = ours.sign("client")
    _, other = ours.sign("other")
    files: list[tuple[dict[str, Any], Path]] = [
        ({"tls": "off", "ca_file": wrong}, wrong),
        ({"tls": "verify", "ca_file": wrong}, wrong),
        ({"tls": "verify", "cert_file": wrong, "key_file": key}, wrong),
        ({"tls": "verify", "cert_file": certificate, "key_file": wrong}, wrong),
        ({"tls": "verify", "cert_file": certificate, "key_file": other}, other),
    ]
    for given, named in files:
        with pytest.raises(UsageError, match=f"{named} cannot be used for TLS: expected a ") as refused:
            read(endpoint, topic, registry_of(endpoint), given)
        assert refused.value.code == "connection.file_unusable"


def test_authorities_of_this_system_that_are_none_are_named(
    endpoint: Endpoint, topic: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wrong.pem").write_text("hello")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "wrong.pem"))
    with pytest.raises(UsageError, match=f"{tmp_path}/wrong.pem cannot be used") as refused:
        read(endpoint, topic, "https://localhost:1")
    assert refused.value.code == "connection.file_unusable"
