"""The server killed at every step of a load that there is, and dpone too where tables keep versions of rows.

The suite of conformance kills dpone at every step of loads into plain tables, and the server at some.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from dpone.errors import DponeError
from dpone.testing.suite.killed import Executioner
from dpone.testing.suite.places import at
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.scenarios import SCENARIOS, Scenario
from dpone.testing.suite.shapes import MIXED
from dpone.testing.suite.test_crashes import CutOff, places_of
from dpone_clickhouse.testkit import replacing, testkit

pytestmark = [pytest.mark.integration_clickhouse, pytest.mark.timeout(1200)]
KITS = {
    "merge_tree": ("dpone_clickhouse.testkit:testkit", testkit),
    "replacing": ("dpone_clickhouse.testkit:replacing", replacing),
}
KEYED = ("merge", "diff", "history")  # by themselves, as the process that is killed has them


@pytest.fixture(scope="module")
def rigs() -> Iterator[dict[str, SinkRig]]:
    with testkit.service(testkit.providers()[0]) as endpoint:
        yield {name: SinkRig(spec, kit, endpoint) for name, (spec, kit) in KITS.items()}


@pytest.fixture(scope="module")
def executioner() -> Iterator[Executioner]:
    with Executioner() as found:
        yield found


def scenario_of(rig: SinkRig, name: str) -> Scenario:
    """The scenario; where tables keep versions it has a key."""
    found = SCENARIOS[name]
    if rig.kit is testkit:
        return found

    def load() -> dict[str, Any]:
        return {**found.load(), "key": MIXED.key}

    return replace(found, load=load)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("kind", KITS)
def test_a_server_that_is_killed_at_any_step_loses_and_doubles_nothing(
    rigs: dict[str, SinkRig], kind: str, name: str
) -> None:
    rig = rigs[kind]
    scenario = scenario_of(rig, name)
    for place in places_of(rig, scenario):
        load = CutOff.prepare(rig, scenario)
        with at(place, lambda: testkit.crash(rig.endpoint)):
            try:
                load.run()
            except DponeError:
                outcome = "failed"
            else:
                outcome = "succeeded"
        load.finish(f"a load that {outcome} when its server was killed at {place}")
        assert testkit.leftovers(rig.endpoint, load.stream.job.target) == []


@pytest.mark.parametrize("name", KEYED)
def test_a_load_of_versions_whose_process_is_killed_at_any_step_is_run_again(
    rigs: dict[str, SinkRig], name: str, executioner: Executioner
) -> None:
    rig, scenario = rigs["replacing"], SCENARIOS[name]
    for place in places_of(rig, scenario):
        load = CutOff.prepare(rig, scenario)
        code, said = executioner.carry_out(load.order(name, place))
        assert code == -9, f"the load was to be killed at {place}, and ended with {code}: {said}"
        load.finish(f"SIGKILL at {place}")
        assert testkit.leftovers(rig.endpoint, load.stream.job.target) == []
