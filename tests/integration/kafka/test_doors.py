"""Brokers behind passwords and TLS, ours and Apache's: who is let in, and what it is told who is not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from msgspec import Struct

import dpone
from dpone.errors import RemoteError
from dpone.testing.certificates import Authority
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.services.secret import Secret
from dpone_kafka import KafkaConfig
from dpone_kafka.apache import jars
from dpone_kafka.apache.service import ApacheKafka
from dpone_kafka.client import Client
from dpone_kafka.doors import Doors, Identity
from dpone_kafka.emulator.service import EmulatedKafka

pytestmark = pytest.mark.integration_kafka
APACHE = pytest.mark.skipif(
    jars.why_unavailable() is not None, reason=f"no Apache Kafka here: {jars.why_unavailable()}"
)
MECHANISMS = ("plain", "scram_sha_256", "scram_sha_512")
WRONG = "not the password of anybody"


class House(Struct, frozen=True):
    """A broker with all its doors, and what opens them."""

    endpoint: Endpoint
    password: str
    authority: Authority
    stranger: Authority

    def brokers(self, door: str) -> str:
        return f"{self.endpoint.host}:{self.endpoint.ports[door]}"

    def client(self, door: str, side: Any = "source", **given: Any) -> Client:
        return Client(KafkaConfig(brokers=self.brokers(door), **{"request_timeout": 4, **given}), side)

    def login(self, mechanism: str) -> dict[str, Any]:
        return {"sasl": mechanism, "user": "alice", "password": self.password}


@pytest.fixture(scope="module", params=[EmulatedKafka, pytest.param(ApacheKafka, marks=APACHE)])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("certificates")
    ours, stranger, password = Authority(folder, "ours"), Authority(folder, "stranger"), Secret.generate()
    server, _ = ours.sign("server")
    with request.param(Doors({"alice": password}, Identity(server, ours.file))) as endpoint:
        yield House(endpoint, password.reveal(), ours, stranger)


def refused(client: Client) -> RemoteError:
    with pytest.raises(RemoteError) as found:
        client.topics()
    return found.value


@pytest.mark.parametrize("door", ["sasl", "sasl_tls"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_who_has_the_password_is_let_in_and_who_has_not_is_told_so(house: House, mechanism: str, door: str) -> None:
    trust = {"ca_file": house.authority.file} if door == "sasl_tls" else {}
    assert house.client(door, **house.login(mechanism), **trust).topics() is not None
    for wrong in ({"password": WRONG}, {"user": "mallory"}):
        for side in ("source", "sink"):
            # with five minutes' patience: who is refused is told at once
            patient = {**house.login(mechanism), **trust, **wrong, "request_timeout": 300}
            error = refused(house.client(door, side, **patient))
            assert error.code == f"{side}.login_refused"
            assert not error.retryable
            assert WRONG not in str(error)
            assert house.password not in str(error)


def test_a_certificate_that_is_not_trusted_is_said_to_be_so(house: House) -> None:
    login = house.login("scram_sha_512")
    for given in ({"tls": "verify"}, {"ca_file": house.stranger.file}):
        assert refused(house.client("sasl_tls", **login, **given, request_timeout=300)).code == "source.not_trusted"
    assert house.client("sasl_tls", **login, tls="require").topics() is not None, "encrypted, and not verified"


def test_a_certificate_of_our_own_is_shown_where_brokers_ask_for_one(house: House) -> None:
    trust = {"ca_file": house.authority.file}
    certificate, key = house.authority.sign("alice")
    assert house.client("tls", **trust, cert_file=certificate, key_file=key).topics() is not None
    forged, its_key = house.stranger.sign("mallory")
    for given in ({}, {"cert_file": forged, "key_file": its_key}):
        assert refused(house.client("tls", **trust, **given)).code in {"source.not_trusted", "source.unreachable"}


def test_the_wrong_door_does_not_answer_and_the_error_names_what_to_check(house: House) -> None:
    for door, given in (("sasl", {}), ("tls", {}), ("broker", {"ca_file": house.authority.file})):
        error = refused(house.client(door, **given))
        assert error.code in {"source.unreachable", "source.not_trusted"}
        assert "tls" in (error.hint or "")
    assert refused(house.client("broker", **house.login("plain"))).code == "source.login_refused", "nobody asked"


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_pipeline_logs_in_at_both_ends(
    house: House, mechanism: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = f"in_{uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": house.brokers("broker")})
    (made,) = admin.create_topics([NewTopic(topic, 1)]).values()
    made.result(20)
    producer = Producer({"bootstrap.servers": house.brokers("broker")})
    for number in range(5):
        producer.produce(topic, json.dumps({"id": number}), json.dumps({"id": number}))
    assert producer.flush(20) == 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SECRET", house.password)
    login = {"type": "kafka", "user": "alice", "password": "${env:SECRET}", "sasl": mechanism}
    connections = {
        "there": {**login, "brokers": house.brokers("sasl_tls"), "ca_file": str(house.authority.file)},
        "here": {**login, "brokers": house.brokers("sasl")},
    }
    Path("connections.yml").write_text(json.dumps(connections))
    source = {"type": "kafka", "connection": "there", "topic": topic, "columns": {"id": "int64"}}
    source |= {"key_columns": ["id"], "key_format": "json"}
    manifest: dict[str, Any] = {"version": 1, "name": "doors", "source": source}
    manifest["strategy"] = {"mode": "incremental_merge", "key": ["id"]}
    manifest["sink"] = {"type": "kafka", "connection": "here", "topic": f"out_{topic}"}
    Path("doors.yaml").write_text(json.dumps(manifest))
    report = dpone.run("doors.yaml")
    assert report.succeeded, report.streams[0].error
    written = "".join(p.read_text(errors="replace") for p in tmp_path.rglob("*") if p.is_file())
    assert house.password not in written
    monkeypatch.setenv("SECRET", WRONG)
    failed = dpone.run("doors.yaml")
    assert not failed.succeeded
    assert "login_refused" in str(failed.streams[0])
