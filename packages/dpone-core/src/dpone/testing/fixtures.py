"""A shop and the command line, as pytest fixtures: a conftest imports those that its tests ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from dpone.cli import main
from dpone.testing.shop import Answer, Dpone, Shop, open_shop

OBSERVERS = (
    "DPONE_LINEAGE",
    "DPONE_METRICS_FILE",
    "OPENLINEAGE_NAMESPACE",
    "OPENLINEAGE_PARENT_ID",
    "OPENLINEAGE_URL",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop in the current folder, which is home as well; nothing of the environment asks for observers."""
    for name in OBSERVERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DPONE_TESTING", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return open_shop(tmp_path)


@pytest.fixture
def dpone(capsys: pytest.CaptureFixture[str]) -> Dpone:
    """The command line, in this process."""

    def call(*args: str) -> Answer:
        with pytest.raises(SystemExit) as ended:
            main(list(args))
        code = ended.value.code
        assert code is None or isinstance(code, int)
        out, err = capsys.readouterr()
        return Answer(code or 0, out, err)

    return call
