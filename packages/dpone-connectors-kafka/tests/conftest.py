"""A broker and a registry for the tests of this package, and topics that no other test has.

Ours, unless `--provider embedded` asks for Apache's: what is pinned here is pinned of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from dpone.testing.services.endpoint import Endpoint, Provider
from dpone.testing.suite.rig import SinkRig
from dpone_kafka.testkit import testkit


@pytest.fixture(scope="session")
def provider(request: pytest.FixtureRequest) -> Provider:
    return Provider(request.config.getoption("provider") or Provider.EMULATED)


@pytest.fixture(scope="session")
def endpoint(provider: Provider) -> Iterator[Endpoint]:
    with testkit.service(provider) as found:
        yield found


@pytest.fixture(scope="module")
def own(provider: Provider) -> Iterator[SinkRig]:
    """A broker that tests may kill."""
    with testkit.service(provider) as found:
        yield SinkRig("kafka", testkit, found)


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
