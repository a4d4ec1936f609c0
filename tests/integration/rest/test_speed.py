"""The measurement of speed.py at a small size: the reading keeps up, and memory does not grow with the pages."""

from __future__ import annotations

import runpy
from pathlib import Path


def test_a_reading_keeps_up_and_its_memory_stays() -> None:
    found = runpy.run_path(str(Path(__file__).with_name("speed.py")))["measure"](10_000, 3)
    # the target at 100,000 records on a quiet machine is 0.6; here others run beside us
    assert found["speed_by_cpu"] > 0.3
    assert found["growth_mb"] < 20
