"""Answers that are lost, jobs that fail halfway, runs that died: run again, nothing is doubled and nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from requests import PreparedRequest, Response, Session
from requests.exceptions import ConnectionError as BrokenConnection

import dpone
from dpone.connector import Position
from dpone.errors import DponeError, RemoteError, StateError
from dpone.failpoints import RUN
from dpone.ops import Append
from dpone.strategies import Read
from dpone.testing.services.endpoint import Endpoint
from dpone.testing.suite.jobs import Attempt, deliver
from dpone.testing.suite.refusals import refused
from dpone.testing.suite.rig import SinkRig, rigged
from dpone.testing.suite.shapes import MIXED, row, rows
from dpone.testing.suite.streams import Stream, stream, stream_of
from dpone_bigquery.lease import lease_table, locked
from dpone_bigquery.naming import Name
from dpone_bigquery.parquet import ParquetFile
from dpone_bigquery.publishing import STEPS
from dpone_bigquery.testkit import testkit as bigquery
from dpone_bigquery.warehouse import connected
from dpone_rest.testkit import testkit as rest
from tests.integration.pipelines import AFTER, BEFORE, MUTATIONS, Pipeline, load


@pytest.fixture(scope="module")
def sink() -> Iterator[SinkRig]:
    with rigged("bigquery", "emulated") as rig:
        yield SinkRig(rig.spec, rig.kit, rig.endpoint)


@contextmanager
def losing(is_lost: Callable[[PreparedRequest], bool]) -> Iterator[list[str]]:
    """The first answer to such a request is lost on its way: the service has carried the request out."""
    lost: list[str] = []
    send = Session.send

    def broken(self: Session, request: PreparedRequest, **more: Any) -> Response:
        answer = send(self, request, **more)
        if not lost and is_lost(request):
            lost.append(str(request.url))
            raise BrokenConnection("the answer was lost")
        return answer

    with patch.object(Session, "send", broken):
        yield lost


def says(text: str) -> Callable[[PreparedRequest], bool]:
    return lambda request: request.method == "POST" and text.encode() in _bytes(request.body)


def _bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else str(body or "").encode()


@pytest.mark.parametrize(
    "text", ["sourceFormat", "BEGIN TRANSACTION", "MERGE INTO", "_dpone_loads", "COMMIT TRANSACTION"]
)
def test_a_job_whose_answer_is_lost_is_asked_for_by_its_id(sink: SinkRig, text: str) -> None:
    """The request goes out again; the service knows the id, and the load goes on as if nothing had been."""
    s = stream(sink, "incremental_merge", MIXED)
    s.load(rows(1, 2))
    with losing(says(text)) as lost:
        s.load([row(2, region="b"), row(3)])
    assert len(lost) == 1


@pytest.mark.parametrize("text", ["INSERT INTO", "COPY `dpone-emulated`"])
def test_a_first_load_whose_answer_is_lost_is_there_once(sink: SinkRig, text: str) -> None:
    s = stream_of(sink, (Append("first"),), MIXED)
    with losing(says(text)) as lost:
        s.load(rows(1, 2))
    assert len(lost) == 1


@contextmanager
def cutting(text: str) -> Iterator[None]:
    """Every such request reaches the service and no answer ever comes back, as if the client had died."""
    send = Session.send

    def broken(self: Session, request: PreparedRequest, **more: Any) -> Response:
        answer = send(self, request, **more)
        if says(text)(request):
            raise BrokenConnection("the answer was lost")
        return answer

    with patch.object(Session, "send", broken), patch("dpone_bigquery.warehouse._PATIENCE", 0.5):
        yield


@pytest.mark.parametrize("text", ["COMMIT TRANSACTION", "COPY `dpone-emulated`"])
def test_a_commit_that_nobody_heard_of_is_found_by_the_next_run(sink: SinkRig, text: str) -> None:
    """The transaction by its position, the new table by its marker."""
    s = stream(sink, "incremental_merge", MIXED)
    if text == "COMMIT TRANSACTION":
        s.load(rows(1, 2))
    number = s.loads
    with cutting(text), pytest.raises(RemoteError) as caught:
        deliver(sink, s.job, rows(2, 3), load_id="unheard", position=Position(Read.SINCE, {"load": number + 1}))
    assert caught.value.retryable
    with sink.sink() as connected_sink, connected_sink.lease(s.job.target, s.job.pipeline) as lease:
        assert lease.stored is not None
        assert (lease.stored.load_id, lease.stored.generation) == ("unheard", number + 1)
        assert lease.committed("unheard")
    assert len(sink.sink_kit.rows(sink.endpoint, s.job.target)) == 2 + number


def test_a_statement_that_fails_halfway_undoes_the_whole_transaction(sink: SinkRig) -> None:
    s = stream(sink, "incremental_merge", MIXED)
    s.load(rows(1, 2))

    def run(self: Any, statement: str, *more: Any, **named: Any) -> Any:
        broken = (
            statement.replace("INSERT INTO", "INSERT INTO nowhere.", 1) if "_dpone_loads" in statement else statement
        )
        return original(self, broken, *more, **named)

    from dpone_bigquery.warehouse import Warehouse

    original = Warehouse.run
    with patch.object(Warehouse, "run", run), pytest.raises(DponeError):
        deliver(sink, s.job, [row(1, region="half")])
    s.check("target after a job that failed halfway")
    s.load([row(1, region="whole")])


def test_a_load_job_that_is_refused_leaves_the_target(sink: SinkRig) -> None:
    s = stream(sink, "incremental_merge", MIXED)
    s.load(rows(1))
    finish = ParquetFile.finish

    def finished(self: ParquetFile) -> None:
        finish(self)
        self.file.seek(0)
        self.file.write(b"no Parquet")

    with patch.object(ParquetFile, "finish", finished), refused("sink.rejected_rows"):
        deliver(sink, s.job, rows(2))
    s.check("target after a load job that failed")


# ------------------------------------------------------------------------- who comes next


def _name(sink: SinkRig, s: Stream) -> Name:
    dataset, table = s.job.target.name
    return Name(sink.endpoint.host, dataset, table)


def test_a_publishing_job_that_was_sent_late_finds_its_id_used_up(sink: SinkRig) -> None:
    """A run is held up before its last job; another takes over. The late job is refused: its id is burnt."""
    s = stream(sink, "incremental_merge", MIXED)
    from dpone_bigquery.config import BigQueryConfig
    from dpone_bigquery.warehouse import Warehouse

    config = sink.config
    assert isinstance(config, BigQueryConfig)
    name = _name(sink, s)
    original = Warehouse.run

    def run(self: Warehouse, statement: str, *more: Any, **named: Any) -> Any:
        if " COPY " in statement:  # what the next one does, while this one is held up
            with connected(config) as other:
                table = lease_table(name)
                past = "TIMESTAMP '2000-01-01 00:00:00+00:00'"
                other.run(f"UPDATE {table.sql} SET until = {past} WHERE token <> ''", table)
                with locked(config, other, name, wait=0):
                    pass
        return original(self, statement, *more, **named)

    with patch.object(Warehouse, "run", run), pytest.raises(StateError) as caught:
        deliver(sink, s.job, rows(1))
    assert caught.value.code == "state.leased"
    assert not sink.exists(s.job.target)
    s.load(rows(2))


def test_a_transaction_that_was_held_up_cannot_commit(sink: SinkRig) -> None:
    s = stream(sink, "incremental_merge", MIXED)
    s.load(rows(1, 2))
    name = _name(sink, s)
    with sink.sink() as connected_sink, connected_sink.lease(s.job.target, s.job.pipeline) as lease:
        attempt = Attempt.begin(sink, s.job, connected_sink, lease)
        with attempt.staged([row(1, region="late")]) as (stage, _):
            with connected(sink.config) as other:  # type: ignore[arg-type]  # a BigQueryConfig
                table = lease_table(name)
                past = "TIMESTAMP '2000-01-01 00:00:00+00:00'"
                other.run(f"UPDATE {table.sql} SET until = {past} WHERE token <> ''", table)
                with locked(sink.config, other, name, wait=0):  # type: ignore[arg-type]  # likewise
                    pass
            with pytest.raises(DponeError):
                attempt.publish(stage, None)
    s.check("target after a late transaction")


# ------------------------------------------------------------------------------- whole runs

PLACES = [*RUN, *STEPS]


@pytest.fixture(scope="module")
def ends() -> Iterator[dict[str, Endpoint]]:
    kits: dict[str, Any] = {"rest": rest, "bigquery": bigquery}
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield {name: stack.enter_context(kit.service(kit.providers()[0])) for name, kit in kits.items()}


@pytest.mark.skipif(os.environ.get("DPONE_RUN_INTEGRATION") != "1", reason="forty runs need DPONE_RUN_INTEGRATION=1")
@pytest.mark.parametrize("strategy", ["incremental_merge", "full_refresh"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("first", [True, False], ids=["first", "second"])
def test_a_killed_run_is_run_again(
    first: bool,  # noqa: FBT001 - a case
    place: str,
    strategy: str,
    ends: dict[str, Endpoint],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pipeline = Pipeline("rest", "bigquery", strategy, ends.__getitem__, f"_{uuid4().hex[:6]}")
    pipeline.write(tmp_path, monkeypatch)
    states: list[list[dict[str, Any]]] = [[]] if first else []
    if not first:
        load()
        states.append(BEFORE)
        pipeline.change(*MUTATIONS)
    after = BEFORE if first else AFTER if strategy == "full_refresh" else [*_gone(), *AFTER]
    command = [sys.executable, "-c", "from dpone.cli import main; main()", "run", "orders.yaml"]
    (scratch := tmp_path / "scratch").mkdir()
    killed = subprocess.run(
        command,
        env={**os.environ, "DPONE_FAILPOINT": place, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not [*scratch.iterdir()], "rows were left behind on this machine"
    shadow_alone = {"publish.promise", "publish.show", "publish.record"}
    is_passed = place not in (({"publish.begin", "publish.commit"}) if first else shadow_alone)
    assert killed.returncode == (-signal.SIGKILL if is_passed else 0), killed.stderr
    seen = _plain(pipeline.rows() if _exists(pipeline) else [])
    assert seen in [_plain(state) for state in (*states, after)]
    assert dpone.run("orders.yaml").succeeded
    assert _plain(pipeline.rows()) == _plain(after)


def _gone() -> list[dict[str, Any]]:
    """Deleted rows leave no trace for a cursor."""
    return [r for r in BEFORE if r["id"] not in {a["id"] for a in AFTER}]


def _plain(found: list[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps([r["id"], r["name"], f"{r['amount'].normalize():f}", str(r["updated_at"])]) for r in found)


def _exists(pipeline: Pipeline) -> bool:
    try:
        pipeline.rows()
    except LookupError:
        return False
    return True
