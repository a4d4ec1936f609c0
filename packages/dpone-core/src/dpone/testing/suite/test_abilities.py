"""What ends may offer beside the contract: explaining, measuring, discovering, examining themselves."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dpone.connector import Diagnoses, Discovers, Explains, Measures, ReadRequest
from dpone.ops import Upsert
from dpone.probes import Greatest, Least, Measurement, Nulls, Probe, Rows, Total
from dpone.testing.suite.compare import normal
from dpone.testing.suite.jobs import Attempt
from dpone.testing.suite.plain import ROWS
from dpone.testing.suite.readings import request_of
from dpone.testing.suite.rig import Rig, Seeded, SinkRig, SourceRig
from dpone.testing.suite.shapes import MIXED, rows
from dpone.testing.suite.streams import stream_of
from dpone.testing.testkit import PLAIN, Insert, Mutation
from dpone.where import Compare, Condition


def test_a_sink_explains_a_load_without_doing_it(sink: SinkRig) -> None:
    s = stream_of(sink, (Upsert(("id",)),), MIXED, key=("id",))
    with sink.sink() as connected:
        if not isinstance(connected, Explains):
            pytest.skip(f"{sink.connector.name} does not explain")
        with connected.lease(s.job.target, "suite") as lease:
            attempt = Attempt.begin(sink, s.job, connected, lease)
            lines = connected.explain(attempt.spec, attempt.evolution.changes)
        assert lines
        assert all(line.strip() for line in lines)
        assert connected.inspect(s.job.target) is None, "explaining made the target"
    s.load(rows(1))
    _assert_secret(sink, "\n".join(lines))


PROBE: Probe = (Rows(), Nulls("name"), Total("amount"), Least("id"), Greatest("updated_at"))


def _measured(seeded: Seeded, request: ReadRequest, *meanwhile: Mutation) -> Measurement:
    """What the source answers about an open reading, to which nothing comes that happens after it opened."""
    with seeded.rig.source() as connected:
        if not isinstance(connected, Measures):
            pytest.skip(f"{seeded.rig.connector.name} does not measure")
        with connected.open(request):
            seeded.change(*meanwhile)
            return connected.measure(request, PROBE)


def test_a_source_measures_what_it_gives(source: SourceRig) -> None:
    seeded = source.seed(PLAIN, ROWS)
    found = _measured(seeded, request_of(seeded))
    assert found[Rows()] == len(ROWS)
    assert found[Nulls("name")] == 1
    assert Decimal(str(found[Total("amount")])) == Decimal("1.2501")
    assert normal(found[Least("id")], PLAIN["id"].type) == -(2**63)
    newest = max(row["updated_at"] for row in ROWS if row["updated_at"] is not None)  # type: ignore[type-var]  # instants
    assert normal(found[Greatest("updated_at")], PLAIN["updated_at"].type) == normal(newest, PLAIN["updated_at"].type)


def test_a_source_measures_within_the_filter(source: SourceRig) -> None:
    if not source.spec_of_source.pushes_where:
        pytest.skip(f"core filters the rows of {source.connector.name}")
    seeded = source.seed(PLAIN, ROWS)
    request = request_of(seeded, where=(Condition("id", Compare.LE, 3),))
    assert _measured(seeded, request)[Rows()] == 4  # noqa: PLR2004 - of six


def test_a_source_measures_the_snapshot_that_it_reads(source: SourceRig) -> None:
    if Insert not in source.source_kit.mutations:
        pytest.skip(f"rows of {source.connector.name} cannot be added later")
    seeded = source.seed(PLAIN, ROWS)
    assert _measured(seeded, request_of(seeded), Insert({"id": 77}))[Rows()] == len(ROWS)


def test_tables_are_discovered(source: SourceRig) -> None:
    label = source.fresh("discovered")
    seeded = source.seed(PLAIN, ROWS, label=label)
    source.seed(PLAIN, ROWS, label=source.fresh("other"))
    with source.source() as connected:
        if not isinstance(connected, Discovers):
            pytest.skip(f"{source.connector.name} does not list its tables")
        name = seeded.dataset.name
        found = connected.discover((*name[:-1], "discovered_*"))
        assert [d.name for d in found if d.name == name] == [name]
        assert all(d.name[-1].startswith("discovered_") for d in found)
        assert connected.discover((*name[:-1], source.fresh("absent") + "*")) == []


def test_a_source_examines_itself(source: SourceRig) -> None:
    with source.source() as connected:
        _assert_findings(source, connected)


def test_a_sink_examines_itself(sink: SinkRig) -> None:
    with sink.sink() as connected:
        _assert_findings(sink, connected)


def _assert_findings(rig: Rig, connected: object) -> None:
    if not isinstance(connected, Diagnoses):
        pytest.skip(f"{rig.connector.name} does not examine itself")
    findings = connected.diagnose()
    assert findings
    for finding in findings:
        assert finding.name
        assert finding.found
        assert finding.ok or finding.action, f"{finding.name} is not ok, and nothing is said to do"
        _assert_secret(rig, f"{finding.name} {finding.found} {finding.action}")


def _assert_secret(rig: Rig, text: str) -> None:
    """Nothing of the endpoint's password is in the text."""
    password = rig.endpoint.password
    assert password is None or password.reveal() not in text, "a password is shown"
