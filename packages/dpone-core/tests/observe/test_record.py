"""The record of a run, as it is on disk while the run goes on."""

from __future__ import annotations

from pathlib import Path

from dpone import events
from dpone.observe.record import Recorder, read_record


def test_batches_are_told_as_sums_at_the_next_phase_and_at_the_end(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, "r1", "m.yaml")
    recorder("s", events.LeaseTaken(0, None))
    for _ in range(3):
        recorder("s", events.BatchStaged("0", 10, 100))
    recorder("s", events.StageKept("r1.s"))
    assert [(s["batches"], s["nbytes"]) for s in read_record(tmp_path, "r1")["streams"]] == [(3, 300)]
    recorder("s", events.BatchStaged("0", 1, 5))
    report = recorder.finish("failed")
    assert (report.streams[0].batches, report.streams[0].nbytes) == (4, 305)
    assert [(s["batches"], s["nbytes"]) for s in read_record(tmp_path, "r1")["streams"]] == [(4, 305)]
