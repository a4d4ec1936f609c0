"""A broker and a registry of our own for the tests of this package, and topics that no other test has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from dpone.testing.services.endpoint import Endpoint
from dpone_kafka.emulator.service import EmulatedKafka
from dpone_kafka.testkit import close_readers


@pytest.fixture(scope="session")
def service() -> Iterator[EmulatedKafka]:
    found = EmulatedKafka()
    with found as endpoint:
        yield found
        close_readers(endpoint)


@pytest.fixture(scope="session")
def endpoint(service: EmulatedKafka) -> Endpoint:
    return service.endpoint


@pytest.fixture(scope="session")
def brokers(endpoint: Endpoint) -> str:
    return f"{endpoint.host}:{endpoint.port}"


@pytest.fixture(scope="session")
def admin(brokers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": brokers})


@pytest.fixture
def new_topic(admin: AdminClient) -> Callable[..., str]:
    """Makes a topic with so many partitions and this configuration."""

    def make(partitions: int = 1, **config: str) -> str:
        name = f"t_{uuid4().hex[:8]}"
        given = {key.replace("_", "."): value for key, value in config.items()}
        (made,) = admin.create_topics([NewTopic(name, partitions, 1, config=given)]).values()
        made.result(10)
        return name

    return make
