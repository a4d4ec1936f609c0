"""Our broker and Apache's are asked the same, and answer the same; what they do not is written down in the docs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dpone.testing.services.endpoint import Provider
from dpone_kafka.apache import jars
from dpone_kafka.testkit import testkit
from tests.integration.kafka.scenes import SCENES, Broker

pytestmark = [
    pytest.mark.integration_kafka,
    pytest.mark.skipif(jars.why_unavailable() is not None, reason=f"no Apache Kafka here: {jars.why_unavailable()}"),
]


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Broker, Broker]]:
    with testkit.service(Provider.EMULATED) as ours, testkit.service(Provider.EMBEDDED) as apache:
        yield Broker(f"{ours.host}:{ours.port}"), Broker(f"{apache.host}:{apache.port}")


@pytest.mark.parametrize("scene", SCENES)
def test_two_brokers_answer_the_same(scene: str, pair: tuple[Broker, Broker]) -> None:
    ours, apache = (SCENES[scene](broker) for broker in pair)
    assert ours == apache
