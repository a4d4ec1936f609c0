"""What a run amounts to: its events folded into a typed report, and the report as JSON and Markdown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from dpone import events
from dpone.plan import plain, print_op

SCHEMA_VERSION = "dpone.run_report.v1"


class OpReport(Struct, frozen=True):
    op: str
    inserted: int
    updated: int
    deleted: int


class StreamReport(Struct, frozen=True):
    """What one pipeline did in a run; a chunked load adds its chunks up."""

    name: str
    source: str = ""
    sink: str = ""
    reads: events.DatasetName | None = None
    writes: events.DatasetName | None = None
    strategy: str = ""
    status: str = "running"
    plan_digest: str = ""
    target: str = ""
    expected: Mapping[str, Any] | None = None  # what was stored when the lease was taken; None: it never was
    upto: Any = None  # how far the source was read
    continued: Mapping[str, Any] | None = None  # how much of the reading an earlier process had done, and since when
    kept: tuple[str, ...] = ()  # loads whose sealed stages wait in the sink
    staged: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # what each load was sealed with
    spent: Mapping[str, float] = field(default_factory=dict)  # seconds in each phase, all loads together
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

    def throughput(self) -> dict[str, dict[str, float]]:
        """How long each phase took, and how much it moved in that time."""
        moved = {"read": (self.rows_staged, self.nbytes), "finalise": (self.rows_live + self.keys_dead, 0)}
        found: dict[str, dict[str, float]] = {}
        for phase, seconds in self.spent.items():
            rows, nbytes = moved.get(phase, (0, 0))
            found[phase] = {"seconds": seconds}
            if rows:
                found[phase] |= {"rows": rows, "rows_per_second": rows / seconds if seconds else 0.0}
            if nbytes:
                found[phase] |= {"bytes": nbytes, "bytes_per_second": nbytes / seconds if seconds else 0.0}
        return found

    @property
    def inserted(self) -> int:
        return sum(op.inserted for op in self.operations)

    @property
    def updated(self) -> int:
        return sum(op.updated for op in self.operations)

    @property
    def deleted(self) -> int:
        return sum(op.deleted for op in self.operations)


class RunReport(Struct, frozen=True):
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
    resumed: int = 0  # how often it was
    schema_version: str = SCHEMA_VERSION

    @property
    def succeeded(self) -> bool:
        return self.status == "succeeded"

    def to_json(self, *, indent: int | None = 2) -> str:
        """Without `indent` on one line, which takes a tenth of the time."""
        return json.dumps(plain_report(self), indent=indent, sort_keys=True, ensure_ascii=False) + "\n"

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
    found: dict[str, Any] = _jsonable(report)
    for stream, entry in zip(report.streams, found["streams"], strict=True):
        entry |= {"inserted": stream.inserted, "updated": stream.updated, "deleted": stream.deleted}
        entry["throughput"] = _jsonable(stream.throughput())
    return found | {"seal": seal_of(found)}


def seal_of(record: Mapping[str, Any]) -> str:
    """One hash over a record but for its seal: whoever edits a record by hand is found out."""
    told = {k: v for k, v in record.items() if k != "seal"}
    return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _jsonable(value: Any) -> Any:
    match value:
        case Struct():
            return _jsonable(asdict(value))
        case Mapping():
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
    return _published(_staged(stream, event, seconds), event, seconds)


def _staged(stream: StreamReport, event: events.Event, seconds: float) -> StreamReport:
    match event:
        case events.RunStarted(source=source, sink=sink, strategy=strategy, reads=reads, writes=writes):
            return replace(stream, source=source, sink=sink, strategy=strategy, reads=reads, writes=writes)
        case events.Planned(digest=digest, columns=columns, decided_by=decided_by, target=target):
            return replace(stream, plan_digest=digest, columns=columns, decided_by=decided_by, target=target)
        case events.LeaseTaken(generation=generation, load_id=load_id):
            return replace(stream, expected={"generation": generation, "load_id": load_id})
        case events.ReadingOpened(upto=upto):
            return replace(stream, upto=plain(upto))
        case events.ReadingContinued(parts=parts, begun=begun):
            return replace(stream, continued={"parts": parts, "begun": begun.isoformat()})
        case events.FormatChosen(choice=choice):
            refused = tuple(f"{r.format}: {r.reason}" for r in choice.refused)
            return replace(stream, format=choice.format, refused_formats=refused)
        case events.NothingNew():
            return replace(stream, nothing_new=True)
        case events.BatchStaged(nbytes=nbytes):
            return replace(stream, batches=stream.batches + 1, nbytes=stream.nbytes + nbytes)
        case events.StageSealed(staged=staged, load_id=load_id, seconds=took):
            return replace(
                stream,
                staged={**stream.staged, load_id: asdict(staged)},
                spent=_more(stream.spent, read=took),
                rows_staged=stream.rows_staged + staged.received,
                rows_live=stream.rows_live + staged.live,
                keys_dead=stream.keys_dead + staged.dead,
                phases={**stream.phases, "staged": seconds},
            )
        case events.CheckPassed(name=name, found=found):
            return replace(stream, checks=(*stream.checks, f"{name}: {found}"))
        case events.StageValidated(seconds=took):
            return replace(stream, spent=_more(stream.spent, validate=took))
        case events.StageKept(load_id=load_id):
            return replace(stream, kept=(*stream.kept, load_id))
        case events.StageAdopted(staged=staged, load_id=load_id):
            return replace(
                stream, staged={**stream.staged, load_id: asdict(staged)}, rows_live=stream.rows_live + staged.live
            )
        case _:
            return stream


def _published(stream: StreamReport, event: events.Event, seconds: float) -> StreamReport:
    match event:
        case events.LayoutEnsured(changes=changes):
            made = tuple(json.dumps(plain(c), ensure_ascii=False, sort_keys=True) for c in changes)
            return replace(stream, schema_changes=stream.schema_changes + made)
        case events.OpApplied(op=op, counts=counts):
            done = OpReport(print_op(op), counts.inserted, counts.updated, counts.deleted)
            return replace(stream, operations=(*stream.operations, done))
        case events.Reconciled(rows_before=before, rows_after=after, finalise_seconds=fin, reconcile_seconds=rec):
            first = before if not stream.loads else stream.rows_before
            phases = {**stream.phases, "reconciled": seconds}
            spent = _more(stream.spent, finalise=fin, reconcile=rec)
            return replace(stream, rows_before=first, rows_after=after, phases=phases, spent=spent)
        case events.StateCommitted(load_id=load_id, position=position, seconds=took):
            return replace(
                stream,
                loads=(*stream.loads, load_id),
                kept=tuple(k for k in stream.kept if k != load_id),
                spent=_more(stream.spent, commit=took),
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


def _more(spent: Mapping[str, float], **took: float) -> Mapping[str, float]:
    return {**spent, **{phase: spent.get(phase, 0.0) + seconds for phase, seconds in took.items()}}


def stream_of(entry: Mapping[str, Any]) -> StreamReport:
    """The report of a stream as it was written into a record; what this version does not know is left out."""
    values = _known(StreamReport, entry)
    for end in ("reads", "writes"):
        if values.get(end) is not None:
            values[end] = events.DatasetName(**_known(events.DatasetName, values[end]))
    values["columns"] = tuple(events.ColumnFlow(**_known(events.ColumnFlow, c)) for c in values.get("columns", ()))
    values["operations"] = tuple(OpReport(**_known(OpReport, op)) for op in values.get("operations", ()))
    for listed in ("refused_formats", "schema_changes", "checks", "loads", "decided_by", "kept"):
        values[listed] = tuple(values.get(listed, ()))
    return StreamReport(**values)


def _known(kind: type[Struct], entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in kind.__struct_fields__ if name in entry}
