"""How a table is stored: as the manifest says where dpone makes it, as it was where it is there already."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any
from unittest.mock import patch

import pytest
from msgspec.structs import replace
from requests import PreparedRequest, Response, Session

from dpone.connector import Explains, Target
from dpone.errors import PlanError
from dpone.ops import Recreate
from dpone.schema import INT64, STRING, Field, Schema
from dpone.testing.suite.jobs import Attempt, deliver, programmed
from dpone.testing.suite.rig import SinkRig, rigged
from dpone.testing.suite.shapes import FREE, MIXED, row, rows
from dpone.testing.suite.streams import Stream, stream
from dpone_bigquery import BigQueryConfig, BigQuerySink
from dpone_bigquery.layouts import MARKER
from dpone_bigquery.naming import Name
from dpone_bigquery.warehouse import connected
from tests.integration.bigquery.traffic import recording

KEY = "projects/p/locations/eu/keyRings/r/cryptoKeys/k"
STORED = {
    "partition_by": {"column": "seen_at", "grain": "month"},
    "partition_expiration": "90d",
    "cluster_by": ("region", "id"),
    "labels": {"team": "sales"},
    "kms_key": KEY,
}


@pytest.fixture(scope="module")
def sink() -> Iterator[SinkRig]:
    with rigged("bigquery", "emulated") as rig:
        yield SinkRig(rig.spec, rig.kit, rig.endpoint)


def target(sink: SinkRig, **options: Any) -> Target:
    """A fresh target with options as a manifest gives them."""
    name = sink.target().name
    return BigQuerySink.model_validate({"table": ".".join(name), **options}).target()


def asked(sink: SinkRig, method: str, table: Target, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What the interface says of a table, or makes of it."""
    connection = HTTPConnection(sink.endpoint.extra["endpoint"].removeprefix("http://"), timeout=30)
    dataset, name = table.name
    path = f"/bigquery/v2/projects/{sink.endpoint.host}/datasets/{dataset}/tables"
    connection.request(method, path if method == "POST" else f"{path}/{name}", json.dumps(body) if body else None)
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return found


def merging(sink: SinkRig, into: Target) -> Stream:
    return stream(sink, "incremental_merge", MIXED, target=into)


def test_a_new_table_is_stored_as_the_manifest_says(sink: SinkRig) -> None:
    s = merging(sink, target(sink, **STORED))
    s.load(rows(1, 2))
    found = asked(sink, "GET", s.job.target)
    ninety_days = str(90 * 86_400_000)
    assert found["timePartitioning"] == {"type": "MONTH", "field": "seen_at", "expirationMs": ninety_days}
    assert found["clustering"] == {"fields": ["region", "id"]}
    assert found["labels"] == {"team": "sales", MARKER: found["labels"][MARKER]}
    assert found["encryptionConfiguration"] == {"kmsKeyName": KEY}
    assert "expirationTime" not in found, "the target would go the way of a stage"
    s.load([row(2, region="b")])
    assert asked(sink, "GET", s.job.target)["labels"] == found["labels"]


def test_ranges_of_a_whole_number_are_partitions_too(sink: SinkRig) -> None:
    s = merging(sink, target(sink, partition_by={"column": "id", "start": 0, "end": 100, "step": 10}))
    s.load(rows(1))
    found = asked(sink, "GET", s.job.target)["rangePartitioning"]
    assert found == {"field": "id", "range": {"start": "0", "end": "100", "interval": "10"}}


@pytest.mark.parametrize(
    "options, code",
    [
        ({"partition_by": {"column": "absent"}}, "sink.unknown_column"),
        ({"cluster_by": ("absent",)}, "sink.unknown_column"),
        ({"partition_by": {"column": "region"}}, "plan.unfit_partition"),
        ({"partition_by": {"column": "day", "grain": "hour"}}, "plan.unfit_partition"),
        ({"partition_by": {"column": "score", "start": 0, "end": 9, "step": 1}}, "plan.unfit_partition"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_made(sink: SinkRig, options: dict[str, Any], code: str) -> None:
    s = merging(sink, target(sink, **options))
    with pytest.raises(PlanError) as refused:
        deliver(sink, s.job, rows(1))
    assert refused.value.code == code
    assert not sink.exists(s.job.target)


def test_a_table_that_asks_for_a_filter_is_loaded_and_asks_again(sink: SinkRig) -> None:
    stored = {"partition_by": {"column": "seen_at"}, "require_partition_filter": True}
    s = merging(sink, target(sink, **stored))
    for number in (1, 2):
        s.load(rows(number))
        assert asked(sink, "GET", s.job.target)["requirePartitionFilter"] is True


def test_a_full_refresh_with_other_columns_keeps_how_the_table_is_stored(sink: SinkRig) -> None:
    into = target(sink)
    made = {
        "tableReference": {"tableId": into.name[1]},
        "schema": {"fields": [{"name": "id", "type": "INT64"}, {"name": "old", "type": "STRING"}]},
        "clustering": {"fields": ["id"]},
        "description": "it's kept",
        "labels": {"owner": "somebody"},
        "rangePartitioning": {"field": "id", "range": {"start": "0", "end": "100", "interval": "10"}},
    }
    asked(sink, "POST", into, made)
    shape = Schema((Field("id", INT64, nullable=False), Field("new", STRING)), key=("id",))
    deliver(sink, programmed(sink, (Recreate(FREE),), shape, target=into), [{"id": 1, "new": "a"}])
    found = asked(sink, "GET", into)
    assert [f["name"] for f in found["schema"]["fields"]] == ["id", "new"]
    kept = ("clustering", "description", "rangePartitioning")
    assert {name: found[name] for name in kept} == {name: made[name] for name in kept}
    assert found["labels"]["owner"] == "somebody"
    assert sink.sink_kit.rows(sink.endpoint, into).to_pylist() == [{"id": 1, "new": "a"}]


@pytest.mark.parametrize(
    "more",
    [
        {"clustering": {"fields": ["old"]}},
        {"schema": {"fields": [{"name": "id", "type": "INT64", "policyTags": {"names": ["projects/p/taxonomies/1"]}}]}},
    ],
    ids=["stored by a column that goes", "policy tags"],
)
def test_what_a_new_table_would_lose_is_refused(sink: SinkRig, more: dict[str, Any]) -> None:
    into = target(sink)
    columns = [{"name": "id", "type": "INT64"}, {"name": "old", "type": "STRING"}]
    asked(sink, "POST", into, {"tableReference": {"tableId": into.name[1]}, "schema": {"fields": columns}, **more})
    shape = Schema((Field("id", INT64, nullable=False), Field("new", STRING)), key=("id",))
    with pytest.raises(PlanError) as refused:
        deliver(sink, programmed(sink, (Recreate(FREE),), shape, target=into), [{"id": 1, "new": "a"}])
    assert refused.value.code == "sink.dependent_objects"


def test_a_plan_shows_the_statements_and_what_they_read(sink: SinkRig) -> None:
    s = merging(sink, target(sink))
    first = _explained(sink, s)
    assert first[-1].startswith("CREATE TABLE ")
    assert " COPY " in first[-1]
    s.load(rows(1))
    s.job = replace(s.job, schema=Schema((*MIXED.fields, Field("more", STRING)), MIXED.key))
    with priced("12345") as asked_for:
        second = _explained(sink, s)
    assert len(asked_for) == 1, "one dry run"
    assert "12345 bytes" in second[0]
    assert any("ADD COLUMN IF NOT EXISTS `more`" in line for line in second)
    assert [line for line in second if "TRANSACTION" in line] == ["BEGIN TRANSACTION", "COMMIT TRANSACTION"]
    s.job = replace(s.job, schema=MIXED)
    s.check("target of a plan, which changes nothing")


@contextmanager
def priced(size: str) -> Iterator[list[str]]:
    """Every dry run is answered by this number of bytes; the emulator knows none."""
    found: list[str] = []
    send = Session.send

    def answered(self: Session, request: PreparedRequest, **more: Any) -> Response:
        answer = send(self, request, **more)
        body = (
            json.loads(request.body)
            if isinstance(request.body, (str, bytes)) and request.body[:1] in {"{", b"{"}
            else {}
        )
        if body.get("configuration", {}).get("dryRun") is True:
            found.append(body["configuration"]["query"]["query"])
            said = answer.content.replace(b'"totalBytesProcessed": "0"', f'"totalBytesProcessed": "{size}"'.encode())
            answer._content = said
        return answer

    with patch.object(Session, "send", answered):
        yield found


def test_jobs_run_where_the_connection_says_and_within_its_limit(sink: SinkRig) -> None:
    config = sink.config
    assert isinstance(config, BigQueryConfig)
    bound = config.model_copy(update={"location": "europe-west3", "maximum_bytes_billed": 10**9})
    into = target(sink).name
    at = Name(sink.endpoint.host, *into)
    with recording() as made, connected(bound) as warehouse:
        warehouse.run("SELECT 1", at)
        warehouse.bytes_of("SELECT 1", at)
        warehouse.burn("burnt-here", at)
    jobs = [one.body for one in made.requests if one.method == "POST"]
    assert [job["jobReference"]["location"] for job in jobs] == ["europe-west3"] * 3
    assert jobs[0]["configuration"]["query"]["maximumBytesBilled"] == str(10**9)


def _explained(sink: SinkRig, s: Stream) -> list[str]:
    with sink.sink() as connected, connected.lease(s.job.target, "suite") as lease:
        attempt = Attempt.begin(sink, s.job, connected, lease)
        assert isinstance(connected, Explains)
        return list(connected.explain(attempt.spec, attempt.evolution.changes))
