"""Lineage while it happens: an observer that sends OpenLineage events to a file or a server.

It is switched on by the environment: `OPENLINEAGE_URL` names a server, `DPONE_LINEAGE` a folder or a file. No failure
here fails a run; it is reported once, by its kind alone, since an address may hold a password. A run that was killed
left a note of what it had begun; the next start sends its FAIL.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct, field
from msgspec.structs import replace

from dpone import events
from dpone.errors import DponeError, MissingPackage
from dpone.manifest.models import Manifest
from dpone.observe.openlineage import (
    DEFAULT_NAMESPACE,
    ENDS,
    Identity,
    Json,
    Moment,
    Origin,
    Parent,
    manifest_event,
    stream_event,
)
from dpone.observe.record import StreamReport, fold, read_record, stream_of

if TYPE_CHECKING:
    from openlineage.client.transport import Transport

URL, PLACE, NAMESPACE, PARENT = "OPENLINEAGE_URL", "DPONE_LINEAGE", "OPENLINEAGE_NAMESPACE", "OPENLINEAGE_PARENT_ID"
SUFFIX = ".lineage"  # beside the record of a run: its events that are still without an end
_ONE_FILE = {".json", ".jsonl", ".ndjson"}
_TIMEOUT = 5.0  # seconds; the rows of the run wait for it
LOST = "the process ended without a word; what it had not yet committed is not in the target"

log = logging.getLogger(__name__)


class Sender(Protocol):
    """Takes one event to where lineage is kept, or raises."""

    def __call__(self, event: Json) -> None: ...


def senders(run_id: str, environ: Mapping[str, str]) -> list[Sender]:
    """Where the environment wants lineage; nothing unless it says so."""
    found: list[Sender] = []
    if place := environ.get(PLACE):
        found.append(to_file(file_of(Path(place), run_id)))
    if url := environ.get(URL):
        found.append(to_server(url, environ))
    return found


def file_of(place: Path, run_id: str) -> Path:
    """One file for all runs when the place is a file's name, else one for each run in that folder."""
    if place.suffix in _ONE_FILE and not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        return place
    place.mkdir(parents=True, exist_ok=True)
    return place / f"{run_id}.openlineage.jsonl"


def to_file(path: Path) -> Sender:
    """Events are lines at the end of this file."""
    with _required():
        from openlineage.client.transport.file import FileConfig, FileTransport
    return through(FileTransport(FileConfig(log_file_path=str(path), append=True)))


def to_server(url: str, environ: Mapping[str, str]) -> Sender:
    """Events are posted, with at most one more try, because the run waits."""
    with _required():
        from openlineage.client.transport.http import HttpConfig, HttpTransport
    retry = {"total": 1, "backoff_factor": 0.1, "status_forcelist": [500, 502, 503, 504], "allowed_methods": ["POST"]}
    config: dict[str, Any] = {"url": url, "timeout": _TIMEOUT, "retry": retry}
    if endpoint := environ.get("OPENLINEAGE_ENDPOINT"):
        config["endpoint"] = endpoint
    if key := environ.get("OPENLINEAGE_API_KEY"):
        config["auth"] = {"type": "api_key", "apiKey": key}
    return through(HttpTransport(HttpConfig.from_dict(config)))


def through(transport: Transport) -> Sender:
    """A sender that goes through openlineage-python's client, with its filters, tags and OPENLINEAGE_DISABLED."""
    from openlineage.client import OpenLineageClient
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState

    client = OpenLineageClient(transport=transport)

    def send(event: Json) -> None:
        client.emit(
            RunEvent(
                eventType=RunState(event["eventType"]),
                eventTime=event["eventTime"],
                producer=event["producer"],
                run=Run(**event["run"]),
                job=Job(**event["job"]),
                inputs=[InputDataset(**dataset) for dataset in event["inputs"]],
                outputs=[OutputDataset(**dataset) for dataset in event["outputs"]],
            )
        )

    return send


@contextmanager
def _required() -> Iterator[None]:
    """Within it, a missing openlineage-python answers with its pip line."""
    try:
        yield
    except ModuleNotFoundError:
        message = "lineage needs openlineage-python, which is not installed"
        raise MissingPackage(message, install="'dpone-core[lineage]'") from None


class Outbox(Struct):
    """Events on their way to every sender; a sender that failed is tried again only with the end of a run."""

    senders: Sequence[Sender]
    failed: dict[int, str] = field(default_factory=dict)

    def put(self, event: Json) -> bool:
        """True when every sender took the event."""
        final = event["eventType"] in {end.value for end in ENDS.values()}
        taken = True
        for index, send in enumerate(self.senders):
            if index in self.failed and not final:
                taken = False
                continue
            try:
                send(event)
            except Exception as error:  # noqa: BLE001 - whatever a transport raises, the run goes on
                taken = False
                if index not in self.failed:
                    log.warning("lineage could not be sent: %s; the run goes on without it", type(error).__name__)
                self.failed[index] = type(error).__name__
        return taken


class Lineage:
    """An observer that tells the begin, the sealed stage and the end of every stream, and of the manifest as a whole.

    `note` is the file that remembers what has begun and not ended; without it a killed run is never told.
    """

    def __init__(self, identity: Identity, outbox: Outbox, note: Path | None = None) -> None:
        self._identity = identity
        self._outbox = outbox
        self._note = note
        self._streams: dict[str, StreamReport] = {}
        self._told: set[str] = set()  # streams whose end was sent
        self._lock = Lock()

    def __call__(self, stream: str, event: events.Event) -> None:
        with self._lock:
            if not self._streams:
                self._outbox.put(manifest_event(self._identity, Moment.START, datetime.now(UTC)))
            report = fold(self._streams.get(stream, StreamReport(stream)), event, 0.0)
            self._streams[stream] = report
            match event:
                case events.RunStarted():
                    self._tell(Moment.START, report)
                    self._write_note()
                case events.StageSealed():
                    self._tell(Moment.RUNNING, report)
                case events.RunFinished(status=status):
                    if self._tell(ENDS[status], report):
                        self._told.add(stream)
                    self._write_note()
                case _:
                    pass

    def close(self) -> None:
        """The manifest's own run ends as its streams did."""
        with self._lock:
            if not self._streams:
                return
            ended = {report.status for report in self._streams.values()}
            status = next((s for s in ("interrupted", "failed", "running") if s in ended), "succeeded")
            moment = ENDS.get(status, Moment.FAIL)
            names = [name for name, report in self._streams.items() if report.status != "succeeded"]
            error = f"not succeeded: {', '.join(names)}" if moment is Moment.FAIL else None
            told = self._outbox.put(manifest_event(self._identity, moment, datetime.now(UTC), error))
            if told and self._told >= self._streams.keys() and self._note is not None:
                self._note.unlink(missing_ok=True)

    def _tell(self, moment: Moment, report: StreamReport) -> bool:
        return self._outbox.put(stream_event(self._identity, moment, datetime.now(UTC), report))

    def _write_note(self) -> None:
        if self._note is None:
            return
        left = sorted(self._streams.keys() - self._told)
        text = json.dumps({"namespace": self._identity.namespace, "streams": left}, sort_keys=True)
        try:
            beside = self._note.with_suffix(f"{SUFFIX}.part")
            beside.write_text(text + "\n", encoding="utf-8")
            beside.replace(self._note)
        except OSError as error:
            log.warning("lineage keeps no note of this run: %s", type(error).__name__)


def tell_lost(runs: Path, outbox_of: Callable[[str], Outbox]) -> list[str]:
    """The end of every run that left a note and whose process is gone is sent; the ids of those runs."""
    told = []
    for note in sorted(runs.glob(f"*{SUFFIX}")):
        try:
            record = read_record(runs, note.stem)
            if record["status"] == "running":
                continue
            begun = json.loads(note.read_text(encoding="utf-8"))
            if _tell_end(record, begun, outbox_of(note.stem)):
                note.unlink(missing_ok=True)
                told.append(note.stem)
        except (DponeError, OSError, ValueError, KeyError, TypeError) as error:
            log.warning("the lineage note %s cannot be read: %s", note, type(error).__name__)
    return told


def _tell_end(record: Mapping[str, Any], note: Mapping[str, Any], outbox: Outbox) -> bool:
    """True when every stream's end, and the manifest's, was sent."""
    identity = Identity(record["run_id"], record.get("name") or record["manifest"], note["namespace"])
    now = datetime.now(UTC)
    reports = {entry["name"]: stream_of(entry) for entry in record["streams"]}
    done = True
    for name in note["streams"]:
        report = reports.get(name, StreamReport(name))
        if report.status == "running":
            report = replace(report, status="lost", error_code="run.lost", error=LOST)
        done &= outbox.put(stream_event(identity, ENDS[report.status], now, report))
    whole = ENDS[record["status"]]
    return outbox.put(manifest_event(identity, whole, now, LOST if record["status"] == "lost" else None)) and done


def of(manifest: Manifest, run_id: str, runs: Path, environ: Mapping[str, str]) -> Lineage | None:
    """The observer that the environment asks for, after the runs that were lost before it have been told."""
    identity = Identity(
        run_id,
        manifest.name,
        environ.get(NAMESPACE) or DEFAULT_NAMESPACE,
        Parent.read(environ.get(PARENT, "")),
        Origin.of(manifest.path) if manifest.path else Origin(),
    )
    try:
        outbox = Outbox(senders(run_id, environ))
        tell_lost(runs, lambda run_id: Outbox(senders(run_id, environ)))
    except Exception as error:  # noqa: BLE001 - lineage that cannot begin must not keep the run from it
        reason = f"{error.message}; {error.hint}" if isinstance(error, DponeError) else type(error).__name__
        log.warning("no lineage is sent: %s", reason)
        return None
    return Lineage(identity, outbox, runs / f"{identity.run_id}{SUFFIX}")
