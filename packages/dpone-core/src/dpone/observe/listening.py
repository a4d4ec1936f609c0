"""The observers that the environment asks for, beside those that a caller gives: lineage and metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from os import environ
from pathlib import Path

from dpone.events import Observer
from dpone.manifest.models import Manifest

LINEAGE = ("OPENLINEAGE_URL", "DPONE_LINEAGE")
METRICS = ("DPONE_METRICS_FILE", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


@contextmanager
def listening(
    manifest: Manifest, run_id: str, runs: Path, asked: Mapping[str, str] | None = None
) -> Iterator[tuple[Observer, ...]]:
    """Within it, these observers are to be told of every event; on leaving they say how the whole ended."""
    asked = environ if asked is None else asked
    found: list[Observer] = []
    with ExitStack() as stack:
        if any(asked.get(name) for name in LINEAGE):
            from dpone.observe import lineage  # nothing of it is loaded by a run that tells nobody

            if (teller := lineage.of(manifest, run_id, runs, asked)) is not None:
                stack.callback(teller.close)
                found.append(teller)
        if any(asked.get(name) for name in METRICS):
            from dpone.observe import metrics  # likewise

            for observer in metrics.observers_of(manifest.name, asked):
                if isinstance(observer, metrics.OpenTelemetry):
                    stack.callback(observer.close)
                found.append(observer)
        yield tuple(found)
