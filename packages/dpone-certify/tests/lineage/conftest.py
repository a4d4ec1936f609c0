"""A shop with the command line beside it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dpone.cli import main
from dpone.testing.shop import Answer, Dpone, Shop, open_shop

Record = dict[str, Any]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    for name in ("OPENLINEAGE_URL", "DPONE_LINEAGE", "DPONE_METRICS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DPONE_TESTING", "1")
    return open_shop(tmp_path)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Dpone:
    def answer(*args: str) -> Answer:
        with pytest.raises(SystemExit) as ended:
            main(list(args))
        code = ended.value.code
        assert code is None or isinstance(code, int)
        out, err = capsys.readouterr()
        return Answer(code or 0, out, err)

    return answer


@pytest.fixture
def record(shop: Shop) -> Callable[..., Path]:
    """The record of a run that succeeded, with some of its keys changed by hand."""

    def make(stream: Record | None = None, **changes: object) -> Path:
        import dpone

        path = shop.folder / ".dpone/runs/one.json"
        if not path.exists():
            dpone.run("orders.yaml", run_id="one")
        found = json.loads(path.read_text(encoding="utf-8"))
        found |= changes
        for each in found["streams"]:
            each.update(stream or {})
        path.write_text(json.dumps(found), encoding="utf-8")
        return path

    return make
