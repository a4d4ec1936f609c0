"""docs/reference/errors.md says of every error code what the code says, and of no other."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_code_says() -> None:
    made = runpy.run_path(str(ROOT / ".ci" / "errors_page.py"))
    assert made["PAGE"].read_text(encoding="utf-8") == made["page"](), "run `python .ci/errors_page.py`"


def test_a_code_with_its_sentences_is_found() -> None:
    entries = runpy.run_path(str(ROOT / ".ci" / "errors_page.py"))["entries"]()
    assert "state.run_id_used" in entries
    assert "UsageError" in entries["manifest.unknown_key"].kinds
    assert any("choose a new one" in hint for hint in entries["state.run_id_used"].hints)
