"""A second referee: what a strategy sends goes to another emulator of BigQuery as well, and their answers are compared.

goccy's emulator has the analyzer of GoogleSQL itself, and neither sessions nor copies. So each statement runs on its
own there, and a copy, where it is refused, as the query that it amounts to. `differences` says where the two part.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from msgspec import Struct, field
from requests import PreparedRequest, Response, Session

from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.testing.services.launched import Launch, LaunchedService
from dpone.testing.services.launcher import Command
from dpone.testing.services.ports import LOOPBACK, free_port
from dpone.testing.services.scratch import Scratch
from dpone_bigquery.emulator.service import DATASET, PROJECT

_FORMAT = {"formatOptions": {"useInt64Timestamp": True}}
BINARY = "DPONE_BIGQUERY_REFEREE"  # in the environment: where goccy's emulator is
# What differences look like as `Referee` words them, and why they are there; docs/testing/bigquery-emulators.md says
# it for people. Each was found by asking goccy's alone.
KNOWN = {
    r"CREATE TABLE x COPY x \| done \| x: failed to analyze: CREATE TABLE COPY is not supported.*": "it has no copies",
    r".* \| (\d+|x) rows \| None rows": "it does not count the rows of a change",
    r"SELECT COUNT\(\*\) FROM x\.x\.x AS t \| \[\[x\]\] \| \[\[x\]\]": "so rows of such a change are",
}
# Strategies whose target is another one there: goccy's takes a correlated `EXISTS` in a change to be always true.
UNLIKE = frozenset({"incremental_merge", "snapshot_diff", "scd2", "cdc"})
_OF_SESSIONS = re.compile(r"(BEGIN|COMMIT|ROLLBACK) TRANSACTION|CALL BQ\.ABORT_SESSION.*", re.DOTALL)
_COPY = re.compile(r"(CREATE (?:OR REPLACE )?TABLE \S+(?: \S+)*?) COPY (\S+)")
_LITERALS = re.compile(r"'(?:[^'\\]|\\.)*'|`[^`]*`|\b\d+(?:\.\d+)?\b")


class GoccyBigQuery(LaunchedService):
    """`with GoccyBigQuery(binary) as endpoint:` goccy's emulator, with the project and the dataset that ours has."""

    kind = "bigquery-goccy"

    def __init__(self, binary: str) -> None:
        super().__init__()
        self._binary = binary

    def prepare(self, scratch: Scratch) -> Launch:
        http, grpc = free_port(), free_port()
        file = scratch.path / "bigquery.sqlite"
        names = (f"--project={PROJECT}", f"--dataset={DATASET}", f"--database={file}")
        command = Command(
            (self._binary, *names, f"--port={http}", f"--grpc-port={grpc}"),
            directory=scratch.path,
            log=scratch.path / "server.log",
            environment={"PATH": "/usr/bin:/bin", "HOME": str(scratch.path), "TZ": "UTC"},
            keep=(scratch.lock,),
        )
        endpoint = Endpoint(
            connector="bigquery",
            host=LOOPBACK,
            ports={"http": http, "grpc": grpc},
            provider=Provider.EMULATED,
            fidelity=Fidelity.EMULATED,
            database=DATASET,
            extra={"project": PROJECT},
        )
        return Launch(command, lambda _: _is_ready(http), endpoint)


def _is_ready(port: int) -> bool:
    status, _ = ask(port, "GET", f"/bigquery/v2/projects/{PROJECT}/datasets/{DATASET}")
    return status == 200


def ask(
    port: int, method: str, path: str, body: bytes | None = None, kind: str = "application/json"
) -> tuple[int, Any]:
    """The status and the body of an answer."""
    connection = HTTPConnection(LOOPBACK, port, timeout=60)
    try:
        connection.request(method, path, body, {"Content-Type": kind} if body else {})
        answer = connection.getresponse()
        text = answer.read()
    except OSError as error:
        return 0, {"error": {"message": type(error).__name__}}
    finally:
        connection.close()
    try:
        return answer.status, json.loads(text or b"{}")
    except ValueError:
        return answer.status, {"error": {"message": text.decode(errors="replace")}}


class Referee(Struct):
    """Hears each request and what was answered to it, and asks the other emulator the same."""

    port: int
    compared: int = 0
    differences: list[str] = field(default_factory=list)

    def hear(self, sent: PreparedRequest, answer: Response) -> None:
        parts = urlsplit(sent.url or "")
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        body: Any = sent.body
        data = body.encode() if isinstance(body, str) else body
        if sent.method == "GET":
            return
        configuration = {} if not data or data.startswith(b"--") else json.loads(data).get("configuration", {})
        if "query" in configuration:
            self._query(configuration["query"]["query"], answer.json(), parts.path, parts.port or 0)
            return
        kind: Any = sent.headers.get("Content-Type")  # an upload's comes as bytes
        kind = kind.decode() if isinstance(kind, bytes) else str(kind)
        status, found = ask(self.port, sent.method or "", path, _as_documented(data), kind)
        if (status < 400) is not answer.ok:
            self._differ(f"{sent.method} {_shape_of_path(parts.path)}", answer.status_code, _said(status, found))
        elif data and data.startswith(b"--") and (error := found.get("status", {}).get("errorResult")):
            self._differ("a load job", "done", _said(status, {"error": error}))

    def _query(self, text: str, answered: dict[str, Any], jobs: str, ours_at: int) -> None:
        ours = _outcome_of(answered)
        for part in (piece.strip() for piece in text.split(";\n")):
            if _OF_SESSIONS.fullmatch(part):
                continue
            found = self.run(part.replace("@@session_id", "'session'"), jobs)
            if copied := _COPY.fullmatch(part) if isinstance(found, str) else None:
                self._differ("CREATE TABLE x COPY x", ours, found)
                found = self.run(f"{copied[1]} AS SELECT * FROM {copied[2]}", jobs)
            if isinstance(found, str) and ours == "done":
                self._differ(_shape(part), ours, found)
            elif not isinstance(found, str) and part == text:
                self._compare(part, answered, found, f"{jobs.replace('/jobs', '/queries')}", ours_at)

    def run(self, statement: str, jobs: str) -> dict[str, Any] | str:
        """What the other emulator answers to the statement, or how it refuses it."""
        body = json.dumps({"query": statement, "useLegacySql": False, **_FORMAT})
        status, found = ask(self.port, "POST", jobs.replace("/jobs", "/queries"), body.encode())
        return found if status == 200 else _said(status, found)

    def _compare(self, text: str, answered: dict[str, Any], found: dict[str, Any], queries: str, ours_at: int) -> None:
        """Rows of a query and counts of a change; what the clock says is not compared."""
        if "CURRENT_TIMESTAMP" in text or "error" in answered:
            return
        if text.startswith(("SELECT", "WITH")):
            _, ours = ask(ours_at, "GET", f"{queries}/{answered['jobReference']['jobId']}")
            self.compared += 1
            if (expected := _rows(ours)) != (theirs := _rows(found)):
                self._differ(_shape(text), *(_LITERALS.sub("x", str(rows))[:80] for rows in (expected, theirs)))
            return
        counted = answered["statistics"]["query"].get("numDmlAffectedRows")
        theirs_counted = found.get("numDmlAffectedRows")
        self.compared += counted is not None
        if counted is not None and str(counted) != str(theirs_counted):
            self._differ(_shape(text), f"{counted} rows", f"{theirs_counted} rows")

    def _differ(self, what: str, ours: object, theirs: object) -> None:
        self.differences.append(f"{what} | {ours} | {theirs}")


def _as_documented(data: bytes | None) -> bytes | None:
    """Google's client writes these as numbers; goccy's reads them as the documentation has them, as texts."""
    return data and re.sub(rb'"(precision|scale|maxLength)": (\d+)', rb'"\1": "\2"', data)


def _rows(answer: dict[str, Any]) -> list[Any]:
    """The rows of an answer, in an order of their own."""
    return sorted(([cell["v"] for cell in row["f"]] for row in answer.get("rows", ())), key=json.dumps)


def rows_of(port: int, table: str) -> list[Any]:
    """The rows of a table of the dataset."""
    body = json.dumps({"query": f"SELECT * FROM `{PROJECT}`.`{DATASET}`.`{table}`", "useLegacySql": False, **_FORMAT})
    status, found = ask(port, "POST", f"/bigquery/v2/projects/{PROJECT}/queries", body.encode())
    assert status == 200, found
    names = [column["name"] for column in found["schema"]["fields"]]
    return [_comparable(dict(zip(names, row, strict=True))) for row in _rows(found)]


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    """Without decimals, all of which goccy's reads as 0 from Parquet; floats as numbers, since it prints 1 for 1.0."""
    return {name: float(value) if name == "score" else value for name, value in row.items() if name != "amount"}


def is_known(difference: str) -> bool:
    return any(re.fullmatch(pattern, difference, re.DOTALL) for pattern in KNOWN)


def _outcome_of(answered: dict[str, Any]) -> str:
    error = answered.get("status", {}).get("errorResult") or answered.get("error")
    return "done" if error is None else "refused"


def _said(status: int, body: dict[str, Any]) -> str:
    error = body.get("error") or {}
    message = str(error.get("message") if isinstance(error, dict) else error)
    return _LITERALS.sub("x", f"{status}: {message}".partition("\n")[0])[:160]


def _shape(statement: str) -> str:
    return _LITERALS.sub("x", statement)[:160]


def _shape_of_path(path: str) -> str:
    return re.sub(r"/(projects|datasets|tables|jobs)/[^/]+", r"/\1/x", path.partition("/bigquery/v2")[2])


@contextmanager
def refereed(port: int) -> Iterator[Referee]:
    """Whatever the client sends within the context goes to the other emulator as well, once ours has answered."""
    made = Referee(port)
    send = Session.send

    def heard(self: Session, request: PreparedRequest, **more: Any) -> Response:
        answer = send(self, request, **more)
        made.hear(request, answer)
        return answer

    with patch.object(Session, "send", heard):
        yield made
