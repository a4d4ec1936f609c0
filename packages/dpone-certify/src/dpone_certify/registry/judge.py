"""Whether a run counts as evidence: recomputed from its record, whatever its own status says."""

from __future__ import annotations

from collections.abc import Iterator

from dpone_certify.documents.document import Blocker
from dpone_certify.registry.report import RunResult, StreamResult

FINAL = {"succeeded", "failed", "interrupted", "lost"}


def judge(result: RunResult) -> Iterator[Blocker]:
    """Every reason why this run is no proof that data arrived."""
    if result.status != "succeeded":
        yield Blocker(
            code=f"run_result.not_succeeded:{result.status}",
            message=f"run {result.run_id} is {result.status}",
            action="`dpone runs show` says where it stopped; run again",
        )
    elif result.finished_at is None:
        yield Blocker(
            code="run_result.not_finished",
            message=f"run {result.run_id} has no end",
            action="register the run after it has ended",
        )
    if not result.streams:
        yield Blocker(
            code="run_result.empty", message="the run carried out no stream", action="run at least one stream"
        )
    for stream in result.streams:
        yield from _judge_stream(stream)


def _judge_stream(stream: StreamResult) -> Iterator[Blocker]:
    if stream.status != "succeeded":
        reason = f": [{stream.error_code}] {stream.error}" if stream.error else ""
        yield Blocker(
            code=f"run_result.stream_not_succeeded:{stream.name}",
            message=f"{stream.name} is {stream.status}{reason}",
            action="correct what the error names, and run again",
        )
    expected = stream.rows_before + stream.inserted - stream.deleted
    if stream.loads and stream.rows_after != expected:
        yield Blocker(
            code=f"run_result.counts_differ:{stream.name}",
            message=f"{stream.rows_after} rows after, where {stream.rows_before} + {stream.inserted} - "
            f"{stream.deleted} is {expected}",
            action="the record does not add up: run again, and do not change it by hand",
        )
