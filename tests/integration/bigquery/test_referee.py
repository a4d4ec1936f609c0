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
from tests.integration.bigquery.referee import BINARY, UNLIKE, GoccyBigQuery, is_known, refereed, rows_of
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
def sink_and_referee(request: pytest.FixtureRequest) -> Iterator[tuple[SinkRig, int, bool]]:
    """Both begin empty, since what all loads share is made by the first of them; and whether it is goccy's."""
    is_goccy = request.param == "goccy"
    other = GoccyBigQuery(GOCCY or "") if is_goccy else EmulatedBigQuery()
    with other as endpoint, rigged("bigquery", "emulated") as rig:
        yield SinkRig(rig.spec, rig.kit, rig.endpoint), endpoint.port, is_goccy


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_other_answers_the_same(sink_and_referee: tuple[SinkRig, int, bool], strategy: str) -> None:
    sink, port, is_goccy = sink_and_referee
    with refereed(port) as referee:
        recorded(sink, strategy)
    assert [found for found in sorted(set(referee.differences)) if not (is_goccy and is_known(found))] == []
    assert referee.compared > 10
    ours = int(sink.endpoint.extra["endpoint"].rpartition(":")[2])
    theirs, expected = rows_of(port, f"orders_{strategy}"), rows_of(ours, f"orders_{strategy}")
    assert expected
    assert (theirs == expected) is not (is_goccy and strategy in UNLIKE)
