"""The control of the benchmark: a loop of requests that stands alone, its token told to nobody."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from dpone.batch import PG_TEXT
from dpone.schema import INT64, JSON, Field, Schema, decimal
from dpone.testing.plain import JSON_LINES, put
from dpone.testing.services.endpoint import Provider
from dpone.testing.testkit import SeedTable
from dpone_rest import plain
from dpone_rest.control import PAGE, REQUESTS
from dpone_rest.testkit import testkit

SCHEMA = Schema(
    (Field("id", INT64, nullable=False), Field("price", decimal(12, 2)), Field("details", JSON)), key=("id",)
)


def test_it_gives_the_records_that_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = PAGE + 5  # more than a page
    with testkit.service(Provider.EMBEDDED) as endpoint:
        dataset = REQUESTS.fill(endpoint, SeedTable("benched", SCHEMA), rows)
        (*_, url, page, _), environment = REQUESTS.reads(endpoint, dataset, SCHEMA, PG_TEXT)
        assert endpoint.password is not None
        assert endpoint.password.reveal() == environment["DPONE_BENCH_TOKEN"]
        assert endpoint.password.reveal() not in url
        monkeypatch.setenv("DPONE_BENCH_TOKEN", environment["DPONE_BENCH_TOKEN"])
        found = list(plain.records(url, int(page)))
    assert [record["id"] for record in found] == list(range(1, rows + 1))
    text, lines = io.StringIO(), io.StringIO()
    put(found, PG_TEXT, text)
    put(found, JSON_LINES, lines)
    assert len(text.getvalue().splitlines()) == len(lines.getvalue().splitlines()) == rows
    assert json.loads(lines.getvalue().splitlines()[0]) == found[0]


def test_the_program_stands_alone() -> None:
    """It imports the text of rows and nothing else of ours, so that what it costs is what requests costs."""
    file = Path(plain.__file__)
    code = f"import runpy, sys; runpy.run_path({str(file)!r}); print(*(m for m in sys.modules if 'dpone' in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == ["dpone", "dpone.testing", "dpone.testing.plain"]
