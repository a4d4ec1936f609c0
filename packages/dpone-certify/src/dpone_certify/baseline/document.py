"""The document `dpone.benchmark_baseline.v1`: every metric beside its baseline, and where the numbers came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from dpone_certify.baseline.judge import BaselineItem, compare
from dpone_certify.benchmark.document import BenchmarkMetrics
from dpone_certify.documents.canonical import parse, relative
from dpone_certify.documents.document import Artifact, Blocker, Document, Subject, now, verdict
from dpone_certify.documents.markdown import head, table
from dpone_certify.documents.reading import read_document, read_json

METRICS, BASELINE = "benchmark_metrics", "benchmark_baseline"


class BenchmarkBaseline(Document):
    """`typed` numbers are those that somebody wrote; `measured` ones stand in the document of a measurement.

    Only a metric that fell behind its baseline is red; targets that the measurement missed are named beside it.
    """

    schema_version: Literal["dpone.benchmark_baseline.v1"] = "dpone.benchmark_baseline.v1"
    provenance: Literal["typed", "measured"]
    metrics: Artifact | None  # the document of the measurement
    allowed_regression_ratio: float
    baseline: Mapping[str, Any]  # as it was given
    items: tuple[BaselineItem, ...]
    targets_missed: tuple[str, ...] = ()


class Given(Struct, frozen=True):
    """Numbers as they were given: inline or in a file."""

    value: Mapping[str, Any]
    path: Path | None = None
    sha256: str | None = None
    blockers: tuple[Blocker, ...] = ()


def given(name: str, said: str | None) -> Given:
    """What `--metrics-json` or `--baseline-json` says, inline or as `@file`."""
    if said is not None and said.startswith("@"):
        path = Path(said.removeprefix("@"))
        value, digest, blockers = read_json(name, path)
        return Given(value or {}, path, digest, blockers)
    if said is None:
        action = "give it inline or as @file"
        return Given({}, blockers=(Blocker(code=f"{name}.missing", message="it was not given", action=action),))
    try:
        value = parse(said.encode())
        reason = "expected an object" if not isinstance(value, dict) else None
    except (ValueError, RecursionError) as error:
        value, reason = {}, f"not JSON that is read in one way: {error}"
    if reason is not None:
        action = "write one JSON object, each key once, with finite numbers"
        return Given({}, blockers=(Blocker(code=f"{name}.invalid", message=reason, action=action),))
    return Given(value)


def hold(metrics: Given, baseline: Given, ratio: float, folder: Path, subject: Subject) -> BenchmarkBaseline:
    """The document as it will lie in `folder`."""
    blockers = [*metrics.blockers, *baseline.blockers]
    missed: tuple[str, ...] = ()
    measured = metrics.path is not None and str(metrics.value.get("schema_version", "")).startswith("dpone.")
    if measured and not metrics.blockers:
        read = read_document(METRICS, metrics.path, BenchmarkMetrics)
        blockers += read.blockers
        missed = read.found.missed if read.found is not None else ()
        if read.found is not None and not read.found.passed:
            message = f"{metrics.path} does not pass: {', '.join(b.code for b in read.found.blockers)}"
            action = "look at its blockers, and measure again"
            blockers.append(Blocker(code=f"{METRICS}.not_passed", message=message, action=action))
    compared = compare(metrics.value, baseline.value, ratio)
    blockers += () if blockers and not baseline.value else compared.blockers
    artifact = None
    if measured and metrics.path is not None:
        artifact = Artifact(name=METRICS, path=relative(metrics.path, folder), sha256=metrics.sha256)
    return BenchmarkBaseline(
        created_at=now(),
        producer="dpone ops benchmark-baseline",
        subject=subject,
        provenance="measured" if measured else "typed",
        metrics=artifact,
        allowed_regression_ratio=ratio,
        baseline=baseline.value,
        items=compared.items,
        targets_missed=missed,
        **verdict(blockers),
    )


def markdown_of(document: BenchmarkBaseline) -> str:
    lines = head("Benchmark baseline", document)
    said = {
        "measured": f"The numbers are those of {document.metrics.path if document.metrics else ''}.",
        "typed": "**The numbers were typed by a person or a script; nothing here shows that they were measured.**",
    }
    lines += [said[document.provenance], ""]
    if document.targets_missed:
        lines += [f"Targets that the measurement missed: {', '.join(document.targets_missed)}.", ""]
    rows = (
        (i.metric, i.direction or "?", *map(_number, (i.actual, i.baseline, i.allowed_threshold)), _mark(i), i.action)
        for i in document.items
    )
    lines += table(("metric", "better", "actual", "baseline", "allowed", "", "what to do"), rows)
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.6g}"


def _mark(item: BaselineItem) -> str:
    return "holds" if item.passed else "does not hold"
