"""The record of a run: events folded into a typed report, on disk from the first event on, so that a crash shows."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import Any

from dpone import events
from dpone.errors import StateError, UsageError
from dpone.plan import plain, print_op
from dpone.process import is_alive, this_process

SCHEMA_VERSION = "dpone.run_report.v1"


@dataclass(frozen=True, slots=True)
class OpReport:
    op: str
    inserted: int
    updated: int
    deleted: int


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What one pipeline did in a run; a chunked load adds its chunks up."""

    name: str
    source: str = ""
    sink: str = ""
    reads: events.DatasetName | None = None
    writes: events.DatasetName | None = None
    strategy: str = ""
    status: str = "running"
    plan_digest: str = ""
    columns: tuple[events.ColumnFlow, ...] = ()
    decided_by: tuple[str, ...] = ()  # columns of the source by which rows are chosen
    format: str = ""
    refused_formats: tuple[str, ...] = ()
    batches: int = 0
    nbytes: int = 0
    rows_staged: int = 0
    rows_live: int = 0
    keys_dead: int = 0
    rows_before: int = 0
    rows_after: int = 0
    schema_changes: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    failed_check: str | None = None
    operations: tuple[OpReport, ...] = ()
    loads: tuple[str, ...] = ()
    chunks_skipped: int = 0
    nothing_new: bool = False
    position: Any = None
    phases: Mapping[str, float] = field(default_factory=dict)  # seconds until each phase ended
    seconds: float = 0.0
    error_code: str | None = None
    error: str | None = None

    @property
    def inserted(self) -> int:
        return sum(op.inserted for op in self.operations)

    @property
    def updated(self) -> int:
        return sum(op.updated for op in self.operations)

    @property
    def deleted(self) -> int:
        return sum(op.deleted for op in self.operations)


@dataclass(frozen=True, slots=True)
class RunReport:
    """A whole run. `status` is succeeded, failed, interrupted or running."""

    run_id: str
    manifest: str
    started_at: datetime
    streams: tuple[StreamReport, ...] = ()
    finished_at: datetime | None = None
    status: str = "running"
    process: str = ""  # which process it is, or was: see dpone.process
    name: str = ""  # of the manifest
    manifest_sha256: str | None = None  # of its file, where there is one
    action: str = "run"  # or resync
    schema_version: str = SCHEMA_VERSION

    @property
    def succeeded(self) -> bool:
        return self.status == "succeeded"

    def to_json(self) -> str:
        return json.dumps(plain_report(self), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

    def to_markdown(self) -> str:
        lines = [
            f"# Run {self.run_id}: {self.status}",
            "",
            f"Manifest `{self.manifest}`, started {self.started_at.isoformat()}.",
            "",
            "| stream | strategy | status | read | inserted | updated | deleted | rows after | seconds |",
            "|---|---|---|--:|--:|--:|--:|--:|--:|",
        ]
        lines += [
            f"| {s.name} | {s.strategy} | {s.status} | {s.rows_staged} | {s.inserted} | {s.updated} | {s.deleted} "
            f"| {s.rows_after} | {s.seconds:.2f} |"
            for s in self.streams
        ]
        lines += [f"\n**{s.name}** {s.error_code}: {s.error}" for s in self.streams if s.error]
        return "\n".join(lines) + "\n"


def plain_report(report: RunReport) -> dict[str, Any]:
    """The report as JSON, with the sums that a reader asks for first."""
    found: dict[str, Any] = _jsonable(asdict(report))
    for stream, entry in zip(report.streams, found["streams"], strict=True):
        entry |= {"inserted": stream.inserted, "updated": stream.updated, "deleted": stream.deleted}
    return found


def _jsonable(value: Any) -> Any:
    match value:
        case dict():
            return {k: _jsonable(v) for k, v in value.items()}
        case list() | tuple():
            return [_jsonable(v) for v in value]
        case float():
            return round(value, 6)
        case datetime():
            return value.isoformat()
        case _:
            return value


def fold(stream: StreamReport, event: events.Event, seconds: float) -> StreamReport:
    """The stream's report after one more event."""
    match event:
        case events.RunStarted(source=source, sink=sink, strategy=strategy, reads=reads, writes=writes):
            return replace(stream, source=source, sink=sink, strategy=strategy, reads=reads, writes=writes)
        case events.Planned(digest=digest, columns=columns, decided_by=decided_by):
            return replace(stream, plan_digest=digest, columns=columns, decided_by=decided_by)
        case events.FormatChosen(choice=choice):
            refused = tuple(f"{r.format}: {r.reason}" for r in choice.refused)
            return replace(stream, format=choice.format, refused_formats=refused)
        case events.NothingNew():
            return replace(stream, nothing_new=True)
        case events.BatchStaged(nbytes=nbytes):
            return replace(stream, batches=stream.batches + 1, nbytes=stream.nbytes + nbytes)
        case events.StageSealed(staged=staged):
            return replace(
                stream,
                rows_staged=stream.rows_staged + staged.received,
                rows_live=stream.rows_live + staged.live,
                keys_dead=stream.keys_dead + staged.dead,
                phases={**stream.phases, "staged": seconds},
            )
        case events.CheckPassed(name=name, found=found):
            return replace(stream, checks=(*stream.checks, f"{name}: {found}"))
        case events.LayoutEnsured(changes=changes):
            made = tuple(json.dumps(plain(c), ensure_ascii=False, sort_keys=True) for c in changes)
            return replace(stream, schema_changes=stream.schema_changes + made)
        case events.OpApplied(op=op, counts=counts):
            done = OpReport(print_op(op), counts.inserted, counts.updated, counts.deleted)
            return replace(stream, operations=(*stream.operations, done))
        case events.Reconciled(rows_before=before, rows_after=after):
            first = before if not stream.loads else stream.rows_before
            phases = {**stream.phases, "reconciled": seconds}
            return replace(stream, rows_before=first, rows_after=after, phases=phases)
        case events.StateCommitted(load_id=load_id, position=position):
            return replace(
                stream,
                loads=(*stream.loads, load_id),
                position=plain(position),
                phases={**stream.phases, "committed": seconds},
            )
        case events.ChunkSkipped():
            return replace(stream, chunks_skipped=stream.chunks_skipped + 1)
        case events.RunFinished(status=status, seconds=total, error_code=code, error=error, cause=cause):
            check = cause.context.get("check") if cause else None
            failed = str(check) if check else None
            return replace(stream, status=status, seconds=total, error_code=code, error=error, failed_check=failed)
        case _:
            return stream


# After these the record on disk is brought up to date: what a crash leaves behind says how far the run came.
_PHASES = (events.RunStarted, events.ReadingOpened, events.StageSealed, events.StateCommitted, events.RunFinished)


def stream_of(entry: Mapping[str, Any]) -> StreamReport:
    """The report of a stream as it was written into a record; what this version does not know is left out."""
    values = _known(StreamReport, entry)
    for end in ("reads", "writes"):
        if values.get(end) is not None:
            values[end] = events.DatasetName(**_known(events.DatasetName, values[end]))
    values["columns"] = tuple(events.ColumnFlow(**_known(events.ColumnFlow, c)) for c in values.get("columns", ()))
    values["operations"] = tuple(OpReport(**_known(OpReport, op)) for op in values.get("operations", ()))
    for listed in ("refused_formats", "schema_changes", "checks", "loads", "decided_by"):
        values[listed] = tuple(values.get(listed, ()))
    return StreamReport(**values)


def _known(kind: Any, entry: Mapping[str, Any]) -> dict[str, Any]:
    return {f.name: entry[f.name] for f in fields(kind) if f.name in entry}


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
        self._lock = Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._write(exclusive=True)

    def __call__(self, stream: str, event: events.Event) -> None:
        with self._lock:
            begun = self._begun.setdefault(stream, monotonic())
            before = self._streams.get(stream, StreamReport(stream))
            self._streams[stream] = fold(before, event, monotonic() - begun)
            if isinstance(event, _PHASES):
                self._write()

    def finish(self, status: str) -> RunReport:
        with self._lock:
            self._report = replace(self._report, status=status, finished_at=datetime.now(UTC))
            self._write()
            (self.folder / f"{self._report.run_id}.md").write_text(self.report.to_markdown(), encoding="utf-8")
            return self.report

    @property
    def report(self) -> RunReport:
        return replace(self._report, streams=tuple(self._streams.values()))

    def _write(self, *, exclusive: bool = False) -> None:
        path = self.folder / f"{self._report.run_id}.json"
        if exclusive:
            try:
                path.touch(exist_ok=False)
            except FileExistsError:
                raise StateError(
                    f"the run id {self._report.run_id} was used before",
                    code="state.run_id_used",
                    hint="leave --run-id away, or choose a new one; `dpone runs list` shows those that were",
                ) from None
        beside = path.with_suffix(".json.part")
        beside.write_text(self.report.to_json(), encoding="utf-8")
        beside.replace(path)


_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def refuse_bad_run_id(run_id: str) -> None:
    """Raises when the id could not name a file and a load everywhere."""
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(
            f"not a run id: {run_id!r}",
            code="usage.invalid_run_id",
            hint="use letters, digits, dots, dashes and underscores, at most 100, beginning with a letter or digit",
        )


def read_record(folder: Path, run_id: str) -> dict[str, Any]:
    """The stored record of a run; one that is `running` while its process is gone is `lost`."""
    refuse_bad_run_id(run_id)
    path = folder / f"{run_id}.json"
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(
            f"there is no run {run_id} under {folder}", code="run.unknown", hint="`dpone runs list` shows them"
        ) from None
    except ValueError:
        raise StateError(
            f"the record of run {run_id} is damaged", code="run.damaged_record", hint=f"look at {path}"
        ) from None
    if record.get("status") == "running" and not is_alive(str(record.get("process") or "")):
        record["status"] = "lost"
    return record


def list_records(folder: Path) -> Sequence[dict[str, Any]]:
    """All records under the folder, the newest first."""
    records = [read_record(folder, path.stem) for path in folder.glob("*.json")]
    return sorted(records, key=lambda r: str(r.get("started_at")), reverse=True)
