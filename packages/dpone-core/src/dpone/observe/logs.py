"""Log lines for machines: one JSON object per event on a stream, batches summed up once per second."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from threading import Lock
from time import monotonic
from typing import TextIO

from dpone import events
from dpone.plan import plain

_EVERY = 1.0  # seconds between two lines about batches of one stream


class LogLines:
    """An observer that writes."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = Lock()
        self._pending: dict[str, tuple[float, int, int]] = {}

    def __call__(self, stream: str, event: events.Event) -> None:
        with self._lock:
            if isinstance(event, events.BatchStaged):
                since, rows, nbytes = self._pending.get(stream, (monotonic(), 0, 0))
                rows, nbytes = rows + (event.rows or 0), nbytes + event.nbytes
                if monotonic() - since < _EVERY:
                    self._pending[stream] = (since, rows, nbytes)
                    return
                self._pending[stream] = (monotonic(), 0, 0)
                self._line(stream, "BatchesStaged", {"rows": rows, "nbytes": nbytes})
                return
            facts = plain(event)
            assert isinstance(facts, dict)
            if isinstance(event, events.Planned):
                facts = {"kind": facts["kind"], "digest": event.digest}  # the columns are in the plan and in the record
            self._line(stream, str(facts.pop("kind")), facts)

    def _line(self, stream: str, name: str, facts: dict[str, object]) -> None:
        line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "stream": stream, "event": name, **facts}
        self._out.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._out.flush()
