from __future__ import annotations

from pathlib import Path

import pytest

from dpone.cli import main
from dpone.testing.shop import Answer, Dpone, Shop, open_shop


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DPONE_TESTING", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    return open_shop(tmp_path)


@pytest.fixture
def dpone(capsys: pytest.CaptureFixture[str]) -> Dpone:
    def call(*args: str) -> Answer:
        with pytest.raises(SystemExit) as ended:
            main(list(args))
        code = ended.value.code
        assert code is None or isinstance(code, int)
        out, err = capsys.readouterr()
        return Answer(code or 0, out, err)

    return call
