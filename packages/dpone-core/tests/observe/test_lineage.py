"""What a run tells of itself while it happens, and what a killed one leaves to be told."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

import dpone
from dpone import failpoints
from dpone.errors import MissingPackage
from dpone.observe import lineage
from dpone.observe.openlineage import Identity, Parent
from dpone.signals import Interrupted
from dpone.testing.shop import MANIFEST, Shop
from dpone.testing.testkit import Update

pytest.importorskip("openlineage", reason="needs dpone-core[lineage]")

Event = dict[str, Any]
CHECKS = "checks: [{not_null: [id]}, {not_null: [v]}]\n"


@pytest.fixture
def folder(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where lineage goes; from now on it is on."""
    monkeypatch.setenv("DPONE_LINEAGE", "lineage")
    return shop.folder / "lineage"


def told(folder: Path, run_id: str | None = None) -> list[Event]:
    files = sorted(folder.glob(f"{run_id or '*'}.openlineage.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]


def said(found: Sequence[Event]) -> list[tuple[str, str]]:
    return [(event["job"]["name"], event["eventType"]) for event in found]


def test_a_run_tells_its_begin_its_stage_and_its_end(
    shop: Shop, folder: Path, refuse_invalid: Callable[[Event], int]
) -> None:
    shop.write(MANIFEST + "checks: [{not_null: [id]}, {min_rows: 1}]\nwhere: [{column: id, op: '>', value: 2}]\n")
    dpone.run("orders.yaml", run_id="first")
    found = told(folder)
    assert said(found) == [
        ("orders", "START"),
        ("orders.orders", "START"),
        ("orders.orders", "RUNNING"),
        ("orders.orders", "COMPLETE"),
        ("orders", "COMPLETE"),
    ]
    assert sum(map(refuse_invalid, found)) > 20
    (end,) = [e for e in found if (e["job"]["name"], e["eventType"]) == ("orders.orders", "COMPLETE")]
    (read,), (written,) = end["inputs"], end["outputs"]
    assert (read["namespace"], read["name"]) == ("memory://shop", "public.orders")
    assert (written["namespace"], written["name"]) == ("memory://dwh", "raw.orders")
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 7
    assert read["inputFacets"]["inputStatistics"]["rowCount"] == 7
    assert [(a["name"], a["success"]) for a in read["inputFacets"]["dataQualityAssertions"]["assertions"]] == [
        ("not_null(id)", True),
        ("row_count", True),
    ]
    columns = written["facets"]["columnLineage"]
    assert {name: field["inputFields"][0]["field"] for name, field in columns["fields"].items()} == {
        "id": "id",
        "v": "v",
        "updated_at": "updated_at",
    }
    assert [field["field"] for field in columns["dataset"]] == ["id", "updated_at"]  # the filter and the cursor
    assert [field["name"] for field in written["facets"]["schema"]["fields"]] == ["id", "v", "updated_at"]
    assert end["job"]["facets"]["sourceCode"]["sourceCode"] == shop.manifest.read_text(encoding="utf-8")
    assert end["run"]["facets"]["parent"]["job"] == {"namespace": "dpone", "name": "orders"}
    assert end["run"]["facets"]["parent"]["run"]["runId"] == found[0]["run"]["runId"]
    assert end["run"]["facets"]["processing_engine"]["name"] == "dpone"
    assert not list((shop.folder / ".dpone/runs").glob("*.lineage"))


def test_changed_columns_say_what_is_done_to_them(shop: Shop, folder: Path) -> None:
    shop.write(MANIFEST + "columns: [id, {name: v, as: name, hash: sha256}, {name: updated_at, cast: string}]\n")
    # the cursor is cast away from its order, so that this stream is read whole
    text = shop.manifest.read_text(encoding="utf-8")
    shop.write(
        text.replace("incremental_merge", "snapshot_diff").replace("  cursor: {column: updated_at, lag: 5m}\n", "")
    )
    dpone.run("orders.yaml")
    fields = told(folder)[-2]["outputs"][0]["facets"]["columnLineage"]["fields"]
    (hashed,) = fields["name"]["inputFields"]
    assert hashed["field"] == "v"
    assert (hashed["transformations"][0]["subtype"], hashed["transformations"][0]["masking"]) == (
        "TRANSFORMATION",
        True,
    )
    assert fields["updated_at"]["inputFields"][0]["transformations"][0]["description"] == "cast"
    assert fields["id"]["inputFields"][0]["transformations"][0]["subtype"] == "IDENTITY"


def test_a_failed_check_is_an_assertion_that_did_not_hold(
    shop: Shop, folder: Path, refuse_invalid: Callable[[Event], int]
) -> None:
    shop.change(Update({"id": 3}, {"v": None}))
    shop.write(MANIFEST + CHECKS)
    assert dpone.run("orders.yaml").status == "failed"
    found = told(folder)
    assert said(found)[-2:] == [("orders.orders", "FAIL"), ("orders", "FAIL")]
    list(map(refuse_invalid, found))
    failed = found[-2]
    (wrong,) = failed["inputs"][0]["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert (wrong["assertion"], wrong["column"], wrong["success"]) == ("not_null", "v", False)
    assert failed["run"]["facets"]["errorMessage"]["message"].startswith("[check.not_null] ")
    assert "outputStatistics" not in failed["outputs"][0]["outputFacets"]


def test_an_interrupted_run_is_aborted(shop: Shop, folder: Path, refuse_invalid: Callable[[Event], int]) -> None:
    def stop() -> None:
        raise Interrupted(signal.SIGTERM)

    with failpoints.arm("after_first_batch", stop), pytest.raises(Interrupted):
        dpone.run("orders.yaml")
    found = told(folder)
    assert said(found)[-2:] == [("orders.orders", "ABORT"), ("orders", "ABORT")]
    list(map(refuse_invalid, found))


def killed(place: str, run_id: str) -> None:
    environ = {**os.environ, "DPONE_FAILPOINT": place}
    command = [sys.executable, "-c", "from dpone.cli import main; main()", "run", "orders.yaml", "--run-id", run_id]
    answer = subprocess.run(command, env=environ, check=False, capture_output=True, timeout=60)
    assert answer.returncode == -signal.SIGKILL, answer.stderr


def test_a_killed_run_is_failed_at_the_next_start(
    shop: Shop, folder: Path, refuse_invalid: Callable[[Event], int]
) -> None:
    killed("after_seal", "dead")
    assert said(told(folder, "dead")) == [("orders", "START"), ("orders.orders", "START")]
    dpone.run("orders.yaml", run_id="next")
    found = told(folder, "dead")
    assert said(found)[2:] == [("orders.orders", "FAIL"), ("orders", "FAIL")]
    list(map(refuse_invalid, found))
    begin, end = found[1], found[2]
    assert begin["run"]["runId"] == end["run"]["runId"]
    assert end["run"]["facets"]["errorMessage"]["message"].startswith("[run.lost] ")
    assert end["outputs"][0]["name"] == "raw.orders"
    dpone.run("orders.yaml", run_id="third")
    assert len(told(folder, "dead")) == 4  # told once
    assert said(told(folder, "next"))[-1] == ("orders", "COMPLETE")


def test_a_run_that_was_never_begun_in_lineage_is_not_ended_in_it(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    killed("after_seal", "dead")
    monkeypatch.setenv("DPONE_LINEAGE", "lineage")
    dpone.run("orders.yaml", run_id="next")
    assert told(tmp_path / "lineage", "dead") == []


def test_a_run_that_goes_on_elsewhere_is_not_ended(shop: Shop, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    def look() -> None:
        outbox = lineage.Outbox([])
        assert lineage.tell_lost(Path(".dpone/runs"), lambda _: outbox) == []

    with failpoints.arm("after_seal", look):
        assert dpone.run("orders.yaml").succeeded
    assert caplog.text == ""


def test_a_failing_sender_is_reported_once_by_its_kind_and_asked_again_for_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked: list[str] = []

    def refuse(event: Event) -> None:
        asked.append(event["eventType"])
        raise ConnectionError("https://me:canary-password@lineage")

    outbox = lineage.Outbox([refuse])
    assert [outbox.put({"eventType": kind}) for kind in ("START", "RUNNING", "COMPLETE")] == [False, False, False]
    assert asked == ["START", "COMPLETE"]
    assert len(caplog.records) == 1
    assert "ConnectionError" in caplog.text
    assert "canary" not in caplog.text


class Server(HTTPServer):
    """Keeps what it is sent, or answers with an error."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.events: list[Event] = []
        self.keys: set[str | None] = set()
        self.answer = 201


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.keys.add(self.headers.get("Authorization"))
        self.server.events.append(json.loads(body))
        self.send_response(self.server.answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the library gave it
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def test_events_go_to_a_server(shop: Shop, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OPENLINEAGE_API_KEY", "a-key")
    monkeypatch.setenv("OPENLINEAGE_NAMESPACE", "warehouse")
    run = "0193d7a2-5a3c-7c4d-9d9b-111111111111"
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", f"airflow/nightly.orders/{run}")
    assert dpone.run("orders.yaml").succeeded
    assert said(server.events)[-1] == ("orders", "COMPLETE")
    assert server.keys == {"Bearer a-key"}
    assert {event["job"]["namespace"] for event in server.events} == {"warehouse"}
    whole, stream = server.events[0], server.events[1]
    assert whole["run"]["facets"]["parent"]["run"]["runId"] == run
    assert stream["run"]["facets"]["parent"]["root"]["job"] == {"namespace": "airflow", "name": "nightly.orders"}


@pytest.mark.parametrize("url", ["http://user:canary-password@127.0.0.1:9", "http://user:canary-password@[bad"])
def test_a_server_that_does_not_answer_is_reported_and_fails_nothing(
    shop: Shop, url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", url)
    with caplog.at_level(logging.WARNING, logger="dpone"):
        assert dpone.run("orders.yaml").succeeded
    reports = [record.getMessage() for record in caplog.records if record.name.startswith("dpone")]
    assert len(reports) == 1
    assert "lineage" in reports[0]
    assert "canary" not in caplog.text


def test_a_server_that_refuses_keeps_the_note_and_is_told_at_the_next_start(
    shop: Shop, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", f"http://127.0.0.1:{server.server_port}")
    server.answer = 400
    assert dpone.run("orders.yaml", run_id="unheard").succeeded
    server.answer, server.events = 201, []
    assert dpone.run("orders.yaml", run_id="heard").succeeded
    assert said(server.events)[:2] == [("orders.orders", "COMPLETE"), ("orders", "COMPLETE")]
    assert server.events[0]["run"]["runId"] == str(Identity("unheard", "orders").uuid_of("orders"))


def test_a_missing_package_is_reported_with_its_pip_line(
    shop: Shop, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "openlineage.client.transport.file", None)
    assert dpone.run("orders.yaml").succeeded
    assert "pip install 'dpone-core[lineage]'" in caplog.text
    with pytest.raises(MissingPackage):
        lineage.to_file(folder)


def test_a_password_of_a_connection_is_in_no_event(shop: Shop, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("dpone_postgres", reason="needs dpone-connectors-postgres")
    monkeypatch.setenv("DPONE_CONN_FAR", "postgresql://me:canary-password@127.0.0.1:1/shop")
    shop.write(MANIFEST.replace("{type: memory, connection: shop", "{type: postgres, connection: far"))
    assert not dpone.run("orders.yaml").succeeded
    found = told(folder)
    assert found[1]["inputs"][0]["namespace"] == "postgres://127.0.0.1:1"
    assert found[1]["inputs"][0]["name"] == "shop.public.orders"
    assert "canary" not in json.dumps(found)


def test_ids_are_the_same_in_every_process_and_differ_between_streams() -> None:
    identity = Identity("one", "orders")
    assert identity.uuid_of("a") == Identity("one", "other").uuid_of("a")
    assert len({identity.uuid, identity.uuid_of("a"), identity.uuid_of("b"), Identity("two", "orders").uuid}) == 4


@pytest.mark.parametrize("text", ["", "a/b", "a/b/not-a-uuid", "/b/0193d7a2-5a3c-7c4d-9d9b-111111111111"])
def test_a_parent_that_is_none_is_left_out(text: str) -> None:
    assert Parent.read(text) is None


def test_a_parent_job_may_hold_slashes() -> None:
    run = UUID("0193d7a2-5a3c-7c4d-9d9b-111111111111")
    assert Parent.read(f"airflow/dag/task/{run}") == Parent("airflow", "dag/task", run)
