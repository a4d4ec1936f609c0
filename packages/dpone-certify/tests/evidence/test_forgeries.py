"""No forged, partial, stale or edited evidence gets past a gate: each attempt is red by a blocker with a name."""

from __future__ import annotations

import json

import pytest

from dpone.testing.shop import Dpone
from evidence.conftest import World
from evidence.forgeries_of_chains import CHAINED, RELEASES
from evidence.forgeries_of_reports import NUMBERS, REPORTS, RUNS, prepare
from evidence.forging import Forgery

FORGERIES = [*REPORTS, *NUMBERS, *RUNS, *CHAINED, *RELEASES]
LEAST = 30


def test_there_are_enough() -> None:
    assert len(FORGERIES) >= LEAST
    assert len({f.what for f in FORGERIES}) == len(FORGERIES)


@pytest.mark.parametrize("forgery", [pytest.param(f, id=f.what) for f in FORGERIES])
def test_a_forgery_is_red_by_name(world: World, call: Dpone, forgery: Forgery) -> None:
    prepare(world)
    forgery.forge(world)
    keyed = ("--public-key", str(world.public)) if forgery.needs_key else ()
    if forgery.needs_key:
        assert call(*forgery.command).code == 0, "it is caught without the key, too"
    command = tuple(word for word in forgery.command if not (keyed and word == "--allow-unsigned"))
    if "--suite-id" in command:  # the green verdict without the key stands under the other id
        command = (*command, "--suite-id", "judged_again")
    answer = call(*command, *keyed)
    assert answer.code == 1, answer.out
    assert "Traceback" not in answer.err
    found = json.loads(answer.out)
    assert found["passed"] is False
    named = [b["code"] for b in found["blockers"] if b["code"].startswith(forgery.blocker)]
    assert named, [b["code"] for b in found["blockers"]]
    assert all(b["message"] and b["action"] for b in found["blockers"])
