"""`ops certification-suite`: green when everything holds, and red by the exact name of what does not."""

from __future__ import annotations

import json

from dpone.testing.shop import Dpone
from evidence.conftest import SUITE, World, full


def test_the_full_profile_is_green(world: World, call: Dpone) -> None:
    answer = call(*full())
    assert answer.code == 0, answer.out
    found = json.loads((world / SUITE).read_text())
    assert found["blockers"] == []
    assert found["suite_kind"] == "matrix"
    assert (found["executed_count"], found["contract_count"]) == (200, 0)
    assert all(item["passed"] and item["required"] for item in found["items"])


def test_the_full_profile_is_green_under_the_key(world: World, call: Dpone) -> None:
    answer = call(*full("--public-key", str(world.public), "--require-measured", "--max-age", "1h"))
    assert answer.code == 0, answer.out
