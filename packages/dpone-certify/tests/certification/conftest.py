from __future__ import annotations

from pathlib import Path

import pytest

from dpone.testing.shop import Dpone


@pytest.fixture
def call(call: Dpone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dpone:
    """The command line, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return call
