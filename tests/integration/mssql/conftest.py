"""What these tests share: an engine for each module, a connection of their own, and a table to read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dpone.strategies import Read
from dpone.testing.suite.plain import many
from dpone.testing.suite.rig import Rig, Seeded, SinkRig, SourceRig, rigged
from dpone.testing.testkit import PLAIN
from dpone_mssql import connector
from dpone_mssql.session import Connection
from dpone_mssql.testkit import testkit


@pytest.fixture(scope="module")
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """By the testkit that the module names, if it does."""
    with rigged(getattr(request.module, "TESTKIT", "mssql"), None) as found:
        yield found


@pytest.fixture(scope="module")
def source(rig: Rig) -> SourceRig:
    return SourceRig(rig.spec, rig.kit, rig.endpoint)


@pytest.fixture(scope="module")
def sink(rig: Rig) -> SinkRig:
    return SinkRig(rig.spec, rig.kit, rig.endpoint)


@pytest.fixture
def connection(rig: Rig) -> Iterator[Connection]:
    made = Connection(connector.config.model_validate(dict(testkit.connection(rig.endpoint))), "sink")
    yield made
    made.close()


@pytest.fixture
def seeded(source: SourceRig) -> Seeded:
    return source.seed(PLAIN, many(5), Read.CHANGES)
