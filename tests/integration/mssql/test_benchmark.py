"""The benchmark of SQL Server at a tiny size: dpone and a bare driver write the same table and read the same rows."""

from __future__ import annotations

import pytest

from dpone.batch import PG_TEXT
from dpone_certify.benchmark.bench import Profile, carry_out
from dpone_certify.benchmark.document import document_of
from dpone_certify.benchmark.surroundings import environment
from dpone_certify.benchmark.targets import CONTROL, DPONE
from dpone_certify.documents.subject import subject
from dpone_mssql.testkit import testkit
from dpone_postgres.testkit import testkit as postgres

pytestmark = [pytest.mark.integration_mssql, pytest.mark.timeout(600)]


def test_the_control_does_the_same_work() -> None:
    said: list[str] = []
    profile = Profile("tiny", (300,), 1, 1, copies=(("postgres", "mssql"),), reads=("mssql",))
    found = carry_out([postgres, testkit], profile, None, said.append)
    metrics = document_of(found, environment(), subject())
    assert {c.name: c.control for c in metrics.comparisons[2:]} == {
        "postgres_to_mssql_300": f"psql COPY TO | {testkit.control.takes[PG_TEXT]}, then PRIMARY KEY",
        "read_mssql_300": testkit.control.gives[PG_TEXT],
    }
    assert [m.missing for m in found.measured] == [()] * 4
    for comparison in metrics.comparisons[2:]:
        assert {DPONE, CONTROL} <= set(comparison.contestants)
    assert metrics.engine["beside"].startswith("SQL Server ")
    assert metrics.engine["beside"].endswith("(emulated)")
