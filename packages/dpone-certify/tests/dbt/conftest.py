"""Recorded artifacts that a test may change."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ARTIFACTS = Path(__file__).parent / "artifacts"
Record = dict[str, Any]
Change = Callable[[Record, Record], None]


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, ...]]:
    """The options that name a copy of recorded artifacts, changed by a function of manifest and results."""
    monkeypatch.chdir(tmp_path)

    def make(name: str, change: Change | None = None) -> tuple[str, ...]:
        shutil.copytree(ARTIFACTS / name, tmp_path / "target")
        paths = [tmp_path / "target" / file for file in ("manifest.json", "run_results.json")]
        contents = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        if change is not None:
            change(contents[0], contents[1])
            for path, content in zip(paths, contents, strict=True):
                path.write_text(json.dumps(content), encoding="utf-8")
        return ("--manifest", "target/manifest.json", "--run-results", "target/run_results.json")

    return make
