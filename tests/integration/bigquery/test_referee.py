"""Ours beside goccy's emulator of BigQuery: what each strategy sends is answered the same, but for what is said.

`nox -s bigquery-goccy` builds goccy's and runs all; without it ours is compared with itself, so that a difference is
one of the emulators and not of the comparison.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from dpone.strategies import STRATEGIES
from dpone.testing.suite.rig import SinkRig, rigged
from dpone_bigquery.emulator.service import EmulatedBigQuery
from tests.integration.bigquery.referee import BINARY, KNOWN, GoccyBigQuery, refereed, rows_of
from tests.integration.bigquery.traffic import recorded

GOCCY = os.environ.get(BINARY)
ASKED_FOR = pytest.mark.skipif(
    os.environ.get("DPONE_RUN_INTEGRATION") != "1", reason="comparing ours with itself needs DPONE_RUN_INTEGRATION=1"
)
NOT_BUILT = f"{BINARY} names no binary of goccy's emulator: nox -s bigquery-goccy builds one"


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("itself", marks=ASKED_FOR),
        pytest.param("goccy", marks=pytest.mark.skipif(GOCCY is None, reason=NOT_BUILT)),
    ],
)
def sink_and_referee(request: pytest.FixtureRequest) -> Iterator[tuple[SinkRig, int, frozenset[str]]]:
    """Both begin empty, since what all loads share is made by the first of them; and what may be different."""
    other = GoccyBigQuery(GOCCY or "") if request.param == "goccy" else EmulatedBigQuery()
    known = frozenset(KNOWN) if request.param == "goccy" else frozenset[str]()
    with other as endpoint, rigged("bigquery", "emulated") as rig:
        yield SinkRig(rig.spec, rig.kit, rig.endpoint), endpoint.port, known


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_other_answers_the_same(sink_and_referee: tuple[SinkRig, int, frozenset[str]], strategy: str) -> None:
    sink, port, known = sink_and_referee
    with refereed(port) as referee:
        recorded(sink, strategy)
    assert sorted(set(referee.differences) - known) == []
    assert referee.compared > 10
    ours = int(sink.endpoint.extra["endpoint"].rpartition(":")[2])
    assert rows_of(port, f"orders_{strategy}") == rows_of(ours, f"orders_{strategy}") != []
