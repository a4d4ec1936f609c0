"""docs/explanation/architecture.md maps every module of core and names none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE = ROOT / "packages/dpone-core/src/dpone"


def test_the_map_is_complete_and_names_nothing_else() -> None:
    page = (ROOT / "docs/explanation/architecture.md").read_text("utf-8")
    table = page.partition("## The modules of core")[2].partition("\n`dpone_certify`")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    mapped = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    there = {path.stem for path in CORE.glob("*.py")} | {path.parent.name for path in CORE.glob("*/__init__.py")}
    assert sorted(mapped) == sorted(there - {"__init__"})
