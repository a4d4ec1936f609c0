"""docs/reference/strategies.md shows of every strategy what the oracle makes of it."""

from __future__ import annotations

import runpy
from pathlib import Path

from dpone.strategies import STRATEGIES

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_oracle_says() -> None:
    made = runpy.run_path(str(ROOT / ".ci" / "strategies_page.py"))
    assert made["PAGE"].read_text("utf-8") == made["page"](), "run `python .ci/strategies_page.py`"
    assert made["SCENES"].keys() == STRATEGIES.keys()
