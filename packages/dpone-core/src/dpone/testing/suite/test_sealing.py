"""What a stage amounts to: duplicates, windows of changes, TRUNCATE, partial rows, splits that are written again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress

import pytest
from msgspec.structs import replace

from dpone.errors import DponeError
from dpone.ops import ReplaceAll, Upsert
from dpone.stage import Change, Duplicates, OnTruncate
from dpone.testing.suite.jobs import Attempt, deliver
from dpone.testing.suite.refusals import refused
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import COMPOSITE, FREE, MIXED, changed, gone, row, rows, truncated
from dpone.testing.suite.streams import Stream, require_partial, stream, stream_of, tagged


def _merge(sink: SinkRig, *, last: bool = False, order: tuple[str, ...] = ()) -> Stream:
    s = stream_of(sink, (Upsert(("id",)),), MIXED, key=("id",))
    s.job = replace(s.job, duplicates=Duplicates.LAST if last else Duplicates.FAIL, order=order)
    return s


# ------------------------------------------------------------------------ duplicates


def test_duplicate_keys_are_refused(sink: SinkRig) -> None:
    s = _merge(sink)
    s.load(rows(1, 2))
    with refused("stage.duplicate_key"):
        deliver(sink, s.job, [row(3), row(1, region="a"), row(1, region="b")])
    s.check("target after a refused load")


def test_equal_duplicates_are_refused_too(sink: SinkRig) -> None:
    s = _merge(sink)
    with refused("stage.duplicate_key"):
        deliver(sink, s.job, [row(1), row(1)])
    assert not sink.exists(s.job.target)


def test_the_last_duplicate_by_the_declared_order_stays(sink: SinkRig) -> None:
    s = _merge(sink, last=True, order=("score", "amount"))
    entries = [
        row(1, score=1.0, region="early"),
        row(1, score=2.0, region="last"),
        row(1, score=None, region="null is least"),
        row(2, score=None, region="only nulls"),
        row(3, score=1.0, amount=None, region="early"),
        row(3, score=1.0, region="last by the second column"),
    ]
    s.load(entries)
    s.load(list(reversed(entries)))


def test_the_last_duplicate_does_not_depend_on_the_order_of_arrival(sink: SinkRig) -> None:
    s = _merge(sink, last=True, order=("seen_at",))
    s.load([row(n % 3, seen_at=row(n)["seen_at"], region=str(n)) for n in (7, 2, 5, 0, 8, 1, 6, 3, 4)])


def test_equal_last_duplicates_are_one_row(sink: SinkRig) -> None:
    s = _merge(sink, last=True, order=("score",))
    s.load([row(1, score=1.0), row(1, score=1.0), row(1, score=0.5, region="earlier")])


def test_last_duplicates_that_differ_are_refused(sink: SinkRig) -> None:
    s = _merge(sink, last=True, order=("score",))
    with refused("stage.duplicate_key"):
        deliver(sink, s.job, [row(1, score=1.0, region="a"), row(1, score=1.0, region="b")])


def test_keys_are_compared_whole(sink: SinkRig) -> None:
    s = stream_of(sink, (Upsert(COMPOSITE.key),), COMPOSITE, key=COMPOSITE.key)
    s.load(
        [
            {"country": "a", "number": 1, "note": "1"},
            {"country": "A", "number": 1, "note": "case"},
            {"country": "a ", "number": 1, "note": "space"},
            {"country": "", "number": 1, "note": "empty"},
            {"country": "a", "number": 11, "note": "digits"},
        ]
    )


# --------------------------------------------------------------------------- changes


@pytest.mark.parametrize(
    "window",
    [
        pytest.param([changed(9, 1), changed(9, 2, region="last")], id="insert_update"),
        pytest.param([changed(9, 1), gone(9, 2)], id="insert_delete"),
        pytest.param([gone(1, 1), changed(1, 2, region="back")], id="delete_insert"),
        pytest.param([gone(1, 1), changed(1, 2), gone(1, 3)], id="delete_insert_delete"),
        pytest.param([gone(1, 1), changed(9, 2)], id="key_change"),
        pytest.param([gone(1, 1), changed(2, 2, region="taken"), gone(2, 3), changed(1, 4)], id="keys_swapped"),
        pytest.param([changed(2, 30), changed(2, 200, region="last"), changed(2, 4, region="early")], id="by_number"),
        pytest.param([gone(2, 200), changed(2, 4, region="early"), changed(1, 9)], id="delete_by_number"),
        pytest.param([gone(99, 1)], id="delete_of_nothing"),
    ],
)
def test_a_window_is_reduced_to_the_last_change_of_each_key(sink: SinkRig, window: list[Change]) -> None:
    s = tagged(stream(sink, "incremental_merge", MIXED))
    s.load([changed(n, n) for n in (1, 2, 3)])
    staged = s.load(window).staged
    assert staged.received == len(window)


def test_a_stage_says_what_it_holds(sink: SinkRig) -> None:
    s = tagged(stream(sink, "incremental_merge", MIXED))
    s.load([changed(n, n) for n in (1, 2, 3)])
    staged = s.load(
        [changed(1, 1), truncated(2), changed(5, 3), changed(5, 4), changed(6, 5), gone(6, 6), gone(7, 7)]
    ).staged
    assert (staged.received, staged.live, staged.dead, staged.cleared) == (7, 1, 2, True)


def test_changes_of_one_key_without_an_order_are_refused(sink: SinkRig) -> None:
    s = tagged(stream(sink, "incremental_merge", MIXED))
    with refused("stage.duplicate_key"):
        deliver(sink, s.job, [changed(1, 5, region="a"), changed(1, 5, region="b")])


def test_a_truncate_stops_the_load_where_it_is_said_to(sink: SinkRig) -> None:
    s = tagged(stream(sink, "incremental_merge", MIXED))
    s.load([changed(n, n) for n in (1, 2)])
    with refused("stage.truncated"):
        deliver(sink, replace(s.job, on_truncate=OnTruncate.STOP), [changed(3, 1), truncated(2)])
    s.check("target after a refused load")


# ---------------------------------------------------------------------- partial rows


def test_partial_rows_fold_into_the_changes_before_them(sink: SinkRig) -> None:
    require_partial(sink)
    s = stream(sink, "cdc", MIXED)
    s.load([changed(n, n, region=f"stored {n}") for n in (1, 2, 3)])
    s.load(
        [
            changed(1, 1, region="whole"),
            changed(1, 2, region="lost", score=7.0, kept=["region"]),
            changed(2, 3, region="lost", amount=None, kept=["region", "score"]),
            changed(2, 4, region="lost", score=8.0, kept=["region"]),
            changed(3, 5, region="lost", score=None, day=None, kept=["region"]),
        ]
    )


def test_a_partial_row_without_a_base_is_refused(sink: SinkRig) -> None:
    require_partial(sink)
    s = stream(sink, "cdc", MIXED)
    s.load([changed(1, 1)])
    for window in (
        [changed(9, 1, kept=["region"])],
        [gone(1, 1), changed(1, 2, kept=["region"])],
        [truncated(1), changed(1, 2, kept=["region"])],
    ):
        with refused("stage.partial_without_base"):
            deliver(sink, s.job, window)
        s.check("target after a refused load")


# ---------------------------------------------------------------------------- splits


def test_all_splits_are_in_the_stage(sink: SinkRig) -> None:
    s = stream_of(sink, (ReplaceAll((), FREE),), MIXED)
    parts = {"0": rows(1, 2), "1": [], "a b/c": rows(3), 'quote"': rows(4, 5, 6)}
    _deliver_splits(s, list(parts.items()))


def test_a_split_that_is_written_again_replaces_what_it_wrote(sink: SinkRig) -> None:
    s = stream_of(sink, (ReplaceAll((), FREE),), MIXED)
    _deliver_splits(s, [("0", rows(1, 2, 3)), ("1", rows(7)), ("0", rows(4))])


def test_a_split_whose_writer_failed_leaves_nothing(sink: SinkRig) -> None:
    s = stream_of(sink, (ReplaceAll((), FREE),), MIXED)

    class CutError(Exception):
        pass

    with sink.sink() as connected, connected.lease(s.job.target, s.job.pipeline) as lease:
        attempt = Attempt.begin(sink, s.job, connected, lease)
        with connected.stage(attempt.spec) as stage:
            with suppress(CutError), connected.writer(stage.ref, "0") as writer:
                writer.write(attempt.batch(rows(1, 2)))
                raise CutError
            attempt.write(stage, rows(8, 9), "0")
            staged = stage.seal()
            assert (staged.received, staged.live) == (2, 2)
            attempt.publish(stage, None)
    s.expect(s.job, rows(8, 9), attempt.load)
    s.check()


def test_a_writer_that_comes_after_the_seal_changes_nothing(sink: SinkRig) -> None:
    """A worker that its cluster gave up may be at work still."""
    s = _stream_that_travels(sink)
    with sink.sink() as connected, connected.lease(s.job.target, s.job.pipeline) as lease:
        attempt = Attempt.begin(sink, s.job, connected, lease)
        with connected.stage(attempt.spec) as stage:
            attempt.write(stage, rows(1, 2))
            stage.seal()
            with suppress(DponeError), sink.sink() as worker, worker.writer(stage.ref, "0") as writer:
                writer.write(attempt.batch(rows(7, 8, 9)))
            attempt.publish(stage, None)
    s.expect(s.job, rows(1, 2), attempt.load)
    s.check()


@pytest.mark.parametrize("split", ["0", "1"], ids=["again", "another"])
def test_what_a_sealed_stage_holds_is_published_whoever_was_at_work_meanwhile(sink: SinkRig, split: str) -> None:
    """A writer is waited for, or what it brings goes nowhere; that rows are missing then, the runner finds."""
    s = _stream_that_travels(sink)
    with sink.sink() as connected, connected.lease(s.job.target, s.job.pipeline) as lease:
        attempt = Attempt.begin(sink, s.job, connected, lease)
        with connected.stage(attempt.spec) as stage, ThreadPoolExecutor(1) as apart:
            attempt.write(stage, rows(1, 2))
            with suppress(DponeError), sink.sink() as worker, worker.writer(stage.ref, split) as writer:
                writer.write(attempt.batch(rows(7, 8, 9)))
                sealing = apart.submit(stage.seal)
                wait([sealing], timeout=0.5)
            received = sealing.result().received
            attempt.publish(stage, None)
    sealed = {"0": {0: [], 2: [1, 2], 3: [7, 8, 9]}, "1": {2: [1, 2], 5: [1, 2, 7, 8, 9]}}
    s.expect(s.job, rows(*sealed[split][received]), attempt.load)
    s.check()


def _stream_that_travels(sink: SinkRig) -> Stream:
    if not sink.spec_of_sink.stages_travel:
        pytest.skip(f"{sink.connector.name} stages on this machine, where no worker writes")
    return stream_of(sink, (ReplaceAll((), FREE),), MIXED)


def _deliver_splits(s: Stream, parts: list[tuple[str, list[dict[str, object]]]]) -> None:
    with s.rig.sink() as connected, connected.lease(s.job.target, s.job.pipeline) as lease:
        attempt = Attempt.begin(s.rig, s.job, connected, lease)
        with connected.stage(attempt.spec) as stage:
            for split, entries in parts:
                attempt.write(stage, entries, split)
            staged = stage.seal()
            last = dict(parts)
            everything = [r for entries in last.values() for r in entries]
            assert (staged.received, staged.live) == (len(everything), len(everything))
            attempt.publish(stage, None)
    s.expect(s.job, everything, attempt.load)
    s.check()
