"""Runs as numbers: a text file for Prometheus' node_exporter, and OpenTelemetry, from the one stream of events.

`DPONE_METRICS_FILE` names the file. Of every stream it holds the last run; those of other manifests stay in it, and
so does the time of the last success when a later run fails. OpenTelemetry is on where its own variables name an
endpoint. No failure here fails a run; it is reported.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from time import time
from typing import TYPE_CHECKING

from msgspec import Struct

from dpone import events
from dpone.errors import MissingPackage
from dpone.observe.record import StreamReport, fold

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider

FILE = "DPONE_METRICS_FILE"
OTEL = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
LAST_SUCCESS = "dpone_last_success_timestamp_seconds"
HELP = {
    "dpone_last_run_timestamp_seconds": "When the last run of the stream ended.",
    LAST_SUCCESS: "When a run of the stream last succeeded.",
    "dpone_last_run_succeeded": "1 when the last run succeeded, else 0.",
    "dpone_last_run_duration_seconds": "How long the last run took.",
    "dpone_last_run_read_rows": "Rows that the last run read.",
    "dpone_last_run_read_bytes": "Bytes that the last run read.",
    "dpone_last_run_inserted_rows": "Rows that the last run inserted.",
    "dpone_last_run_updated_rows": "Rows that the last run updated.",
    "dpone_last_run_deleted_rows": "Rows that the last run deleted.",
    "dpone_target_rows": "Rows in the target after the last run.",
}
_SAMPLE = re.compile(r'(\w+)\{manifest="((?:[^"\\]|\\.)*)",stream="((?:[^"\\]|\\.)*)"\} (\S+)')

log = logging.getLogger(__name__)
Key = tuple[str, str]  # manifest, stream
Samples = dict[Key, dict[str, float]]


class Streams:
    """Folds the events of every stream; `ended` yields a report once its run is over."""

    def __init__(self) -> None:
        self._reports: dict[str, StreamReport] = {}

    def ended(self, stream: str, event: events.Event) -> StreamReport | None:
        report = fold(self._reports.get(stream, StreamReport(stream)), event, 0.0)
        self._reports[stream] = report
        return report if isinstance(event, events.RunFinished) else None


def measured(report: StreamReport, now: float) -> dict[str, float]:
    """The samples of one run of one stream. The size of the target is known only when something was published."""
    succeeded = report.status == "succeeded"
    found = {
        "dpone_last_run_timestamp_seconds": now,
        "dpone_last_run_succeeded": float(succeeded),
        "dpone_last_run_duration_seconds": report.seconds,
        "dpone_last_run_read_rows": float(report.rows_staged),
        "dpone_last_run_read_bytes": float(report.nbytes),
        "dpone_last_run_inserted_rows": float(report.inserted),
        "dpone_last_run_updated_rows": float(report.updated),
        "dpone_last_run_deleted_rows": float(report.deleted),
    }
    if succeeded:
        found[LAST_SUCCESS] = now
    if report.loads:
        found["dpone_target_rows"] = float(report.rows_after)
    return found


class PrometheusFile:
    """An observer that keeps the file true: after each stream's end it is exchanged for a new one as a whole."""

    def __init__(self, path: Path, manifest: str) -> None:
        self._path = path
        self._manifest = manifest
        self._streams = Streams()
        self._lock = Lock()

    def __call__(self, stream: str, event: events.Event) -> None:
        with self._lock:
            report = self._streams.ended(stream, event)
            if report is None:
                return
            try:
                self._write(report)
            except (OSError, ValueError) as error:
                log.warning("metrics could not be written: %s", type(error).__name__)

    def _write(self, report: StreamReport) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(self._path):
            samples = read_samples(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
            key = (self._manifest, report.name)
            kept = {n: v for n, v in samples.get(key, {}).items() if n in {LAST_SUCCESS, "dpone_target_rows"}}
            samples[key] = {**kept, **measured(report, time())}
            beside = self._path.with_name(f".{self._path.name}.part")  # node_exporter reads *.prom only
            beside.write_text(exposition(samples), encoding="utf-8")
            beside.chmod(0o644)
            beside.replace(self._path)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Within it, no other process exchanges the file."""
    with path.with_name(f".{path.name}.lock").open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def exposition(samples: Samples) -> str:
    """The text format of Prometheus, ordered by metric and labels."""
    lines = []
    for name, text in HELP.items():
        rows = [(key, values[name]) for key, values in sorted(samples.items()) if name in values]
        if rows:
            lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
            lines += [f'{name}{{manifest="{_quoted(m)}",stream="{_quoted(s)}"}} {value!r}' for (m, s), value in rows]
    return "\n".join(lines) + "\n"


def read_samples(text: str) -> Samples:
    """What `exposition` wrote; a line that it would not write is left out."""
    found: Samples = {}
    for line in text.splitlines():
        if (sample := _SAMPLE.fullmatch(line)) and sample[1] in HELP:
            found.setdefault((_plain(sample[2]), _plain(sample[3])), {})[sample[1]] = float(sample[4])
    return found


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", lambda sign: "\n" if sign[1] == "n" else sign[1], text)


class Instrument(Struct, frozen=True):
    name: str
    unit: str
    description: str


ROWS = Instrument("dpone.rows", "{row}", "Rows by what was done with them.")
BYTES = Instrument("dpone.read.bytes", "By", "Bytes that were read.")
RUNS = Instrument("dpone.runs", "{run}", "Runs by their end.")
DURATION = Instrument("dpone.run.duration", "s", "How long runs took.")


class OpenTelemetry:
    """An observer that counts runs, rows and bytes and measures durations, exported when the whole run has ended."""

    def __init__(self, provider: MeterProvider, manifest: str) -> None:
        meter = provider.get_meter("dpone")
        self._provider = provider
        self._manifest = manifest
        self._rows = meter.create_counter(ROWS.name, ROWS.unit, ROWS.description)
        self._bytes = meter.create_counter(BYTES.name, BYTES.unit, BYTES.description)
        self._runs = meter.create_counter(RUNS.name, RUNS.unit, RUNS.description)
        self._duration = meter.create_histogram(DURATION.name, DURATION.unit, DURATION.description)
        self._streams = Streams()
        self._lock = Lock()

    def __call__(self, stream: str, event: events.Event) -> None:
        with self._lock:
            report = self._streams.ended(stream, event)
        if report is None:
            return
        labels = {"dpone.manifest": self._manifest, "dpone.stream": stream, "dpone.strategy": report.strategy}
        done = {
            "read": report.rows_staged,
            "inserted": report.inserted,
            "updated": report.updated,
            "deleted": report.deleted,
        }
        for operation, rows in done.items():
            self._rows.add(rows, {**labels, "dpone.operation": operation})
        self._bytes.add(report.nbytes, labels)
        self._runs.add(1, {**labels, "dpone.status": report.status})
        self._duration.record(report.seconds, {**labels, "dpone.status": report.status})

    def close(self) -> None:
        """Everything counted was exported, or it is said that it was not."""
        try:
            self._provider.shutdown(timeout_millis=5_000)
        except Exception as error:  # noqa: BLE001 - whatever an exporter raises, the run goes on
            log.warning("metrics could not be sent: %s", type(error).__name__)


def to_opentelemetry(manifest: str) -> OpenTelemetry:
    """The observer whose exporter is set up by OpenTelemetry's own variables."""
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    except ModuleNotFoundError:
        message = "metrics for OpenTelemetry need its SDK, which is not installed"
        raise MissingPackage(message, install="'dpone-core[otel]'") from None
    reader = PeriodicExportingMetricReader(OTLPMetricExporter())
    return OpenTelemetry(MeterProvider([reader], shutdown_on_exit=False), manifest)


def observers_of(manifest: str, environ: Mapping[str, str] | None = None) -> Sequence[PrometheusFile | OpenTelemetry]:
    """The observers that the environment asks for."""
    environ = os.environ if environ is None else environ
    found: list[PrometheusFile | OpenTelemetry] = []
    if path := environ.get(FILE):
        found.append(PrometheusFile(Path(path), manifest))
    if any(environ.get(name) for name in OTEL) and environ.get("OTEL_SDK_DISABLED", "").lower() != "true":
        try:
            found.append(to_opentelemetry(manifest))
        except MissingPackage as missing:
            log.warning("%s; %s", missing.message, missing.hint)
        except Exception as error:  # noqa: BLE001 - an exporter that cannot be set up must not keep the run from it
            log.warning("no metrics are sent: %s", type(error).__name__)
    return found
