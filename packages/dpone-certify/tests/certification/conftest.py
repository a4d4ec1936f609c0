"""The command line in a folder of its own, and a matrix that needs no service."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dpone.cli import main
from dpone.testing.shop import Answer

Call = Callable[..., Answer]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Call:
    monkeypatch.chdir(tmp_path)

    def answer(*args: str) -> Answer:
        with pytest.raises(SystemExit) as ended:
            main(list(args))
        code = ended.value.code
        assert code is None or isinstance(code, int)
        out, err = capsys.readouterr()
        return Answer(code or 0, out, err)

    return answer
