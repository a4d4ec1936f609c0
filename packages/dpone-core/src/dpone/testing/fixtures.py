"""A shop, the command line, and a process with many files, as fixtures: a conftest imports those it offers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpone.cli import main
from dpone.testing.shop import Answer, Dpone, Shop, open_shop

_BEYOND = 1100  # select knows files up to the 1023rd
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


@pytest.fixture
def crowd() -> Iterator[int]:
    """More files are open than `select` can tell apart, so that the next one has a number beyond."""
    resource = pytest.importorskip("resource", reason="this platform counts no open files", exc_type=ImportError)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _BEYOND * 2:
        pytest.skip(f"a process may open {hard} files here, which is too few")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, _BEYOND * 2), hard))
    first = os.open(os.devnull, os.O_RDONLY)
    opened = [first]
    try:
        while opened[-1] <= _BEYOND:
            opened.append(os.dup(first))
        yield opened[-1]
    finally:
        for number in opened:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
