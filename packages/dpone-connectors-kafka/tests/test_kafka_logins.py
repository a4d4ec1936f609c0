"""The doors of our broker, through confluent-kafka and kafka-python: what tests of the connector's logins rely on."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kafka
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from msgspec import Struct

from dpone.testing.certificates import Authority
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.services.secret import Secret
from dpone_kafka.doors import MECHANISMS, Doors, Identity
from dpone_kafka.emulator.logins import CONVERSATIONS, RefusedError
from dpone_kafka.emulator.service import EmulatedKafka

SECRETS = {"alice": Secret("pass,=word"), "b=o,b": Secret.generate()}


class House(Struct, frozen=True):
    endpoint: Endpoint
    authority: Path
    stranger: Path
    certificate: tuple[Path, Path]
    forged: tuple[Path, Path]

    def settings(self, door: str, mechanism: str = "", user: str = "alice", **given: Any) -> dict[str, Any]:
        found: dict[str, Any] = {"bootstrap.servers": f"127.0.0.1:{self.endpoint.ports[door]}", "log_level": 2}
        protocol = {"broker": "PLAINTEXT", "sasl": "SASL_PLAINTEXT", "tls": "SSL", "sasl_tls": "SASL_SSL"}
        found["security.protocol"] = protocol[door]
        if mechanism:
            found |= {"sasl.mechanism": mechanism, "sasl.username": user, "sasl.password": SECRETS[user].reveal()}
        if "SSL" in found["security.protocol"]:
            found["ssl.ca.location"] = str(self.authority)
        return {**found, **given}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("certificates")
    ours, stranger = Authority(folder, "ours"), Authority(folder, "stranger")
    server, _ = ours.sign("server")
    with EmulatedKafka(Doors(SECRETS, Identity(server, ours.file))) as endpoint:
        yield House(endpoint, ours.file, stranger.file, ours.sign("alice"), stranger.sign("mallory"))


_BESIDE = {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}  # what is heard besides, and sooner on a busy machine


def refused(settings: dict[str, Any]) -> set[int]:
    """The codes of librdkafka's errors when nobody is let in."""
    heard: list[KafkaError] = []
    told: dict[str, Any] = {**settings, "error_cb": heard.append}
    admin = AdminClient(told)
    for _ in range(20):
        with pytest.raises(KafkaException):
            admin.list_topics(timeout=0.3)
        admin.poll(0)
        if found := {error.code() for error in heard} - _BESIDE:
            return found
    return set()


@pytest.mark.parametrize("door", ["sasl", "sasl_tls"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_messages_go_in_and_out_by_every_mechanism(house: House, door: str, mechanism: str) -> None:
    settings = house.settings(door, mechanism)
    topic = f"t_{door}_{mechanism}"
    admin = AdminClient(settings)
    (made,) = admin.create_topics([NewTopic(topic, 1)]).values()
    made.result(10)
    nodes = admin.list_topics(timeout=5).brokers.values()
    assert [node.port for node in nodes] == [house.endpoint.ports[door]], "clients are sent to the door they came by"
    producer = Producer({**settings, "transactional.id": topic})
    producer.init_transactions(10)
    producer.begin_transaction()
    producer.produce(topic, b"v" * 900_000 if door == "sasl_tls" else b"v", b"k")
    producer.commit_transaction(10)
    consumer = Consumer({**settings, "group.id": "g", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    message = consumer.poll(10)
    assert message is not None
    assert message.key() == b"k"
    consumer.close()


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_wrong_password_and_an_unknown_user_are_refused(house: House, mechanism: str) -> None:
    for wrong in ({"sasl.password": "word"}, {"sasl.username": "mallory"}):
        assert KafkaError._AUTHENTICATION in refused(house.settings("sasl_tls", mechanism, **wrong))


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_another_client_library_logs_in_and_is_refused(house: House, mechanism: str) -> None:
    def asked(password: str) -> set[str]:
        consumer = kafka.KafkaConsumer(
            bootstrap_servers=f"127.0.0.1:{house.endpoint.ports['sasl']}",
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism=mechanism,
            sasl_plain_username="alice",
            sasl_plain_password=password,
            bootstrap_timeout_ms=5_000,
        )
        try:
            return set(consumer.topics())
        finally:
            consumer.close()

    assert asked(SECRETS["alice"].reveal()) is not None
    with pytest.raises(kafka.errors.KafkaError):
        asked("word")


def test_a_name_may_hold_what_the_mechanism_itself_uses(house: House) -> None:
    for mechanism in MECHANISMS:
        assert AdminClient(house.settings("sasl", mechanism, "b=o,b")).list_topics(timeout=5) is not None


def test_a_mechanism_that_is_not_known_is_refused(house: House) -> None:
    settings = house.settings("sasl", "OAUTHBEARER") | {"sasl.oauthbearer.config": "principal=alice"}
    found = refused(settings | {"enable.sasl.oauthbearer.unsecure.jwt": True})
    assert KafkaError._AUTHENTICATION in found


def test_a_login_where_nobody_asks_is_refused(house: House) -> None:
    settings = house.settings("sasl", "PLAIN") | {"bootstrap.servers": f"127.0.0.1:{house.endpoint.ports['broker']}"}
    assert KafkaError._AUTHENTICATION in refused(settings)


def test_a_certificate_of_an_unknown_authority_is_not_trusted(house: House) -> None:
    given = {"ssl.ca.location": str(house.stranger)}
    assert KafkaError._SSL in refused(house.settings("sasl_tls", "PLAIN", **given))


def test_the_door_for_certificates_lets_in_only_who_shows_one_of_the_authority(house: House) -> None:
    def shown(pair: tuple[Path, Path]) -> dict[str, Any]:
        return house.settings("tls", **{"ssl.certificate.location": str(pair[0]), "ssl.key.location": str(pair[1])})

    assert AdminClient(shown(house.certificate)).list_topics(timeout=5) is not None
    refused(shown(house.forged))
    refused(house.settings("tls"))


def test_nothing_is_answered_before_a_login(house: House) -> None:
    metadata = struct.pack(">hhih", 3, 1, 7, -1) + struct.pack(">i", -1)
    with socket.create_connection(("127.0.0.1", house.endpoint.ports["sasl"]), 10) as connection:
        connection.sendall(struct.pack(">i", len(metadata)) + metadata)
        assert connection.recv(100) == b""
    with socket.create_connection(("127.0.0.1", house.endpoint.ports["broker"]), 10) as connection:
        connection.sendall(struct.pack(">i", len(metadata)) + metadata)
        assert connection.recv(100), "the same request is answered where nobody asks who it is"


@pytest.mark.parametrize(
    "said",
    [b"", b"alice", b"n,,n=alice", b"p=tls-unique,,n=alice,r=abc", b"n,a=bob,n=alice,r=abc", b"n,,n=mallory,r=abc"],
)
def test_a_first_message_that_is_none_is_refused(said: bytes) -> None:
    for mechanism in MECHANISMS:
        with pytest.raises(RefusedError):
            CONVERSATIONS[mechanism]({"alice": "secret"}).answer(said)


@pytest.mark.parametrize(
    "said", ["c=biws,r={r}", "c=biws,r={r},p=%%", "c=biws,r={r},p=AAAA", "c=eSws,r={r},p=AAAA", ""]
)
def test_a_proof_that_is_none_is_refused(said: str) -> None:
    talk = CONVERSATIONS["SCRAM-SHA-256"]({"alice": "secret"})
    nonce = talk.answer(b"n,,n=alice,r=abc").decode().split(",")[0].removeprefix("r=")
    assert nonce.startswith("abc")
    assert len(nonce) > len("abc")
    with pytest.raises(RefusedError):
        talk.answer(said.format(r=nonce).encode())
    assert not talk.is_over
