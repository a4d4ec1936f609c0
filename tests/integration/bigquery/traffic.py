"""Records what the client sends, and prints it without what differs from run to run.

`python -m tests.integration.bigquery.traffic` writes the golden files anew: their difference is to be reviewed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from msgspec import Struct, field
from requests import PreparedRequest, Response, Session

from dpone.connector import Position
from dpone.strategies import STRATEGIES, Read
from dpone.testing.suite.jobs import Job, deliver, job
from dpone.testing.suite.rig import SinkRig, rigged
from dpone.testing.suite.shapes import DAY_ZERO, FREE, MIXED, changed, gone, rows

GOLDEN = Path(__file__).with_name("golden")
AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
_OPTIONS: dict[str, dict[str, Any]] = {
    "incremental_append": {"key": ("id",)},
    "partition_replace": {"slice_column": "day"},
    "backfill": {"slice_column": "day", "bounds": (DAY_ZERO, DAY_ZERO + timedelta(days=9))},
}
_GUARDED = {"full_refresh", "replace", "partition_replace", "backfill", "snapshot_diff", "scd2"}
_CHANGES = {"cdc", "incremental_merge"}
# What differs from run to run, and what stands for it.
_VARIABLE = (
    (re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])"), "token"),
    (re.compile(r"(?<![0-9a-f])[0-9a-f]{12}(?![0-9a-f])"), "mark"),
    (re.compile(r"'\d+@[^']*'"), "holder"),
    (re.compile(r"(?<=expiration_timestamp = )TIMESTAMP '[^']*'"), "expiration"),
    (re.compile(r"(?<=\"expirationTime\": \")\d+(?=\")"), "expiration"),
)


class Request(Struct):
    """One request; of an upload, the description of its job. `answer` is the body of what was answered."""

    method: str
    path: str
    body: Any
    answer: Any

    @property
    def statement(self) -> str | None:
        """What a query job runs."""
        query = (self.body or {}).get("configuration", {}).get("query") if isinstance(self.body, dict) else None
        return query["query"] if query else None


class Recording(Struct):
    requests: list[Request] = field(default_factory=list)

    def add(self, sent: PreparedRequest, answer: Response) -> None:
        parts = urlsplit(sent.url or "")
        path = parts.path.partition("/bigquery/v2")[2]
        if parts.path.startswith("/upload"):
            path += f"?{parts.query}"
        body = _body(sent)
        found = answer.json() if answer.content else None
        self.requests.append(Request(sent.method or "", path, body, found))

    def print(self) -> str:
        """What was sent, one request after another; questions about jobs that were just answered are left out."""
        lines = []
        for one in self.requests:
            if one.method == "GET" and "/tables" not in one.path:
                continue
            lines.append(f"{one.method} {one.path}")
            if one.body:
                lines.append(json.dumps(_shown(one.body), sort_keys=True, ensure_ascii=False))
            if one.statement:
                lines.append(one.statement)
            lines.append("")
        return _stable("\n".join(lines))


def _body(sent: PreparedRequest) -> Any:
    raw: Any = sent.body
    if not raw:
        return None
    data: bytes = raw.encode() if isinstance(raw, str) else raw
    if data.startswith(b"--"):  # a multipart upload: the job first, then the file
        data = data.split(b"\r\n\r\n", 1)[1].split(b"\r\n--", 1)[0]
    return json.loads(data)


def _shown(body: Any) -> Any:
    """The body without the statement, which is printed below it as it is."""
    if not isinstance(body, dict):
        return body
    return {k: "(below)" if k == "query" and isinstance(v, str) else _shown(v) for k, v in body.items()}


def _stable(text: str) -> str:
    """The same text for every run: what varies is named by its kind and the order in which it came."""
    for pattern, kind in _VARIABLE:
        text = pattern.sub(_Named(kind), text)
    return text


class _Named:
    """What was found, by its kind and a number that is the same for the same text."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._seen: dict[str, str] = {}

    def __call__(self, found: re.Match[str]) -> str:
        return self._seen.setdefault(found[0], f"<{self._kind} {len(self._seen) + 1}>")


@contextmanager
def recording() -> Iterator[Recording]:
    """Whatever the client sends within the context."""
    made = Recording()
    send = Session.send

    def heard(self: Session, request: PreparedRequest, **more: Any) -> Response:
        answer = send(self, request, **more)
        if request.method != "HEAD":  # whether anybody answers there is asked once in a process, by whoever comes first
            made.add(request, answer)
        return answer

    with patch.object(Session, "send", heard):
        yield made


def made_job(rig: SinkRig, strategy: str) -> Job:
    from msgspec.structs import replace

    given = dict(_OPTIONS.get(strategy, {}))
    if strategy in _GUARDED:
        given["guard"] = FREE
    found = job(rig, strategy, MIXED, target=rig.target(f"orders_{strategy}"), **given)
    return replace(found, changes=strategy in _CHANGES, audit=True, writers=1)


def loads_of(strategy: str) -> tuple[Sequence[Any], Sequence[Any]]:
    """What a first and a second load stage."""
    if strategy in _CHANGES:
        first = [changed(n, n) for n in (1, 2, 3)]
        return first, [changed(2, 1, region="b"), gone(3, 2), changed(4, 3)]
    return rows(1, 2, 3), rows(2, 3, 4, region="b")


def recorded(rig: SinkRig, strategy: str) -> Recording:
    """A first and a second load of the strategy."""
    the_job = made_job(rig, strategy)
    with recording() as made:
        for number, entries in enumerate(loads_of(strategy), start=1):
            at, position = AT + timedelta(days=number), Position(Read.SINCE, {"load": number})
            deliver(rig, the_job, entries, load_id=f"load-{number}", at=at, position=position)
    return made


def main() -> None:
    GOLDEN.mkdir(exist_ok=True)
    with rigged("bigquery", "emulated") as rig:
        sink = SinkRig(rig.spec, rig.kit, rig.endpoint)
        for strategy in STRATEGIES:
            (GOLDEN / f"{strategy}.txt").write_text(recorded(sink, strategy).print(), encoding="utf-8")


if __name__ == "__main__":
    main()
