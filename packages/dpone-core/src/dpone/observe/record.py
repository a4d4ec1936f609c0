"""The record of a run: events folded into a typed report, on disk from the first event on, so that a crash shows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

from msgspec.structs import replace

from dpone import events
from dpone.errors import StateError, UsageError
from dpone.observe.report import RunReport, StreamReport, fold, plain_report, seal_of, stream_of
from dpone.process import is_alive, this_process

__all__ = ["Recorder", "RunReport", "StreamReport", "fold", "plain_report", "seal_of", "stream_of"]

# After these the record on disk is brought up to date: what a crash leaves behind says how far the run came.
_PHASES = (
    events.RunStarted,
    events.Planned,
    events.LeaseTaken,
    events.ReadingOpened,
    events.StageSealed,
    events.StageKept,
    events.StateCommitted,
    events.RunFinished,
)


class Recorder:
    """Folds events into the run's report and keeps `<folder>/<run_id>.json` and `.md` true at each phase."""

    def __init__(
        self,
        folder: Path,
        run_id: str,
        manifest: str,
        *,
        name: str = "",
        manifest_sha256: str | None = None,
        action: str = "run",
    ) -> None:
        self.folder = folder
        self._report = RunReport(
            run_id,
            manifest,
            datetime.now(UTC),
            process=this_process(),
            name=name or manifest,
            manifest_sha256=manifest_sha256,
            action=action,
        )
        self._streams: dict[str, StreamReport] = {}
        self._begun: dict[str, float] = {}
        self._batches: dict[str, tuple[int, int]] = {}  # and their bytes, which are not in the reports yet
        self._lock = Lock()
        with suppress(FileExistsError):  # a file of that name: what is written into it says that it is no folder
            folder.mkdir(parents=True, exist_ok=True)
        self._write(exclusive=True)

    def __call__(self, stream: str, event: events.Event) -> None:
        with self._lock:
            begun = self._begun.setdefault(stream, monotonic())
            if isinstance(
                event, events.BatchStaged
            ):  # thousands, of which only the sums are told, and at the next phase
                batches, nbytes = self._batches.get(stream, (0, 0))
                self._batches[stream] = batches + 1, nbytes + event.nbytes
                return
            self._streams[stream] = fold(self._so_far(stream), event, monotonic() - begun)
            if isinstance(event, _PHASES):
                self._write()

    def _so_far(self, stream: str) -> StreamReport:
        found = self._streams.get(stream, StreamReport(stream))
        batches, nbytes = self._batches.pop(stream, (0, 0))
        return replace(found, batches=found.batches + batches, nbytes=found.nbytes + nbytes) if batches else found

    def finish(self, status: str) -> RunReport:
        with self._lock:
            self._streams |= {stream: self._so_far(stream) for stream in tuple(self._batches)}
            self._report = replace(self._report, status=status, finished_at=datetime.now(UTC))
            self._write(indent=2)
            (self.folder / f"{self._report.run_id}.md").write_text(self.report.to_markdown(), encoding="utf-8")
            return self.report

    @property
    def report(self) -> RunReport:
        return replace(self._report, streams=tuple(self._streams.values()))

    def _write(self, *, exclusive: bool = False, indent: int | None = None) -> None:
        path = self.folder / f"{self._report.run_id}.json"
        if exclusive:
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                raise run_id_used(self._report.run_id) from None
        beside = path.with_suffix(".json.part")
        beside.write_text(self.report.to_json(indent=indent), encoding="utf-8")
        beside.replace(path)


_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def run_id_used(run_id: str) -> StateError:
    return StateError(
        f"the run id {run_id} was used before",
        code="state.run_id_used",
        hint="leave --run-id away, or choose a new one; `dpone runs list` shows those that were",
    )


def refuse_bad_run_id(run_id: str) -> None:
    """Raises when the id could not name a file and a load everywhere."""
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(
            f"not a run id: {run_id!r}",
            code="usage.invalid_run_id",
            hint="use letters, digits, dots, dashes and underscores, at most 100, beginning with a letter or digit",
        )


def unknown_run(run_id: str, where: str) -> UsageError:
    return UsageError(
        f"no run {run_id} is known {where}",
        code="run.unknown",
        hint="`dpone runs list` shows those that are, with `--ledger MANIFEST` those that sinks remember",
    )


def read_record(folder: Path, run_id: str) -> dict[str, Any]:
    """The stored record of a run; one that is `running` while its process is gone is `lost`."""
    refuse_bad_run_id(run_id)
    path = folder / f"{run_id}.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise unknown_run(run_id, f"under {folder}") from None
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise StateError(f"the record of run {run_id} is damaged", code="run.damaged_record", hint=f"look at {path}")
    if record.get("status") == "running" and not is_alive(str(record.get("process") or "")):
        record["status"] = "lost"
    return record


def list_records(folder: Path) -> Sequence[dict[str, Any]]:
    """All records under the folder, the newest first; of one that is damaged it is known that there was a run."""
    records = [_listed(folder, path.stem) for path in folder.glob("*.json")]
    return sorted(records, key=lambda r: str(r.get("started_at") or r["run_id"]), reverse=True)


def _listed(folder: Path, run_id: str) -> dict[str, Any]:
    try:
        return read_record(folder, run_id)
    except StateError:
        return {"run_id": run_id, "status": "damaged"}


class ContinuedRecorder(Recorder):
    """That of a run which is resumed by this process: what it did before stays in its record."""

    def __init__(self, folder: Path, record: Mapping[str, Any]) -> None:
        self.folder = folder
        self._report = RunReport(
            str(record["run_id"]),
            str(record["manifest"]),
            datetime.fromisoformat(record["started_at"]),
            process=this_process(),
            name=str(record["name"]),
            manifest_sha256=record["manifest_sha256"],
            resumed=int(record.get("resumed", 0)) + 1,
        )
        self._streams = {entry["name"]: stream_of(entry) for entry in record["streams"]}
        self._begun = {}
        self._batches = {}
        self._lock = Lock()
        self._write()

    def forget(self, stream: str) -> None:
        """What the stream did before is done again."""
        self._batches.pop(stream, None)
        self._streams[stream] = StreamReport(stream)
