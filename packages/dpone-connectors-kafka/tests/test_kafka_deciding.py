"""Whole columns decide as the renderer does row by row, and what waits on disk comes back as it went."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from dpone.connector import Layout
from dpone.errors import DataError
from dpone.ops import Append, DeleteAbsent, DeleteKeys, Guard, Hard, Ignore, Op, Program, Recreate, ReplaceAll, Upsert
from dpone.oracle import Counts
from dpone.schema import INT64, STRING, Field, Schema
from dpone.testing.suite.shapes import FREE
from dpone_kafka.deciding import Bucket, Tally, decide
from dpone_kafka.index import SCHEMA, Entry, Segments, SegmentWriter, settled
from dpone_kafka.piles import Buckets, Pile, buckets_for
from dpone_kafka.plain_rows import ENTRIES
from dpone_kafka.rendering import Known, Need, Render, Staged, need_of

LAYOUT = Layout(Schema((Field("id", INT64), Field("v", STRING)), ("id",)))
COLUMNS = ("id", "v")
Entries = dict[bytes, bytes]
Gone = tuple[frozenset[bytes], frozenset[bytes], bool]  # dead keys, present ones, whether all was cleared
PROGRAMS: tuple[Program, ...] = (
    (Recreate(FREE),),
    (ReplaceAll((), FREE),),
    (Append("l", ("id",)),),
    (Upsert(("id",)),),
    (Upsert(("id",)), DeleteKeys(("id",), Hard())),
    (Upsert(("id",)), DeleteAbsent(("id",), Hard(), FREE)),
    (DeleteAbsent(("id",), Hard(), FREE), Upsert(("id",))),
    (Upsert(("id",)), DeleteKeys(("id",), Ignore()), DeleteAbsent(("id",), Ignore(), FREE)),
    (Upsert(("id",)), Append("l", ("id",)), DeleteAbsent(("id",), Hard(), FREE)),
)


def _rows(random: Random, least: int = 0) -> dict[bytes, bytes]:
    return {b"%d" % n: b"%d" % random.randrange(3) for n in random.sample(range(12), random.randint(least, 8))}


def _gone(random: Random, staged: dict[bytes, bytes]) -> Gone:
    """What changes may say beside rows: no key is dead that is staged."""
    dead, present = _rows(random).keys() - staged.keys(), _rows(random).keys()
    if random.random() < 0.3:
        return frozenset(), frozenset(), False
    return frozenset(dead), frozenset(present), random.random() < 0.2


def _table(rows: dict[bytes, bytes]) -> pa.Table:
    return pa.table([pa.array(list(rows), pa.binary()), pa.array(list(rows.values()), pa.binary())], schema=SCHEMA)


def _rendered(
    program: Program,
    staged: dict[bytes, bytes],
    known: dict[bytes, bytes],
    stamps: dict[str, object],
    loads: frozenset[str],
    gone: Gone,
) -> tuple[tuple[Counts, ...], set[bytes], set[bytes], int]:
    stage = Staged(list(staged), list(staged.values()), lambda _: {}, COLUMNS, *gone, stamps=stamps)
    render = Render(LAYOUT, stage, lambda *_: b"", lambda _: b"", loads)
    found = render.carry_out(program, {key: Known(value) for key, value in known.items()})
    return found.counts, set(found.writes), set(found.tombstones), len(found.rows)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: "-".join(type(op).__name__ for op in p))
def test_columns_are_decided_as_rows_are_rendered(program: Program) -> None:
    assert need_of(program, LAYOUT, COLUMNS) is Need.KEYS
    for seed in range(200):
        random = Random(seed)
        staged, known = _rows(random, 1), _rows(random)
        stamps: dict[str, object] = {"at": 1} if random.random() < 0.2 else {}
        loads = frozenset({"l"}) if random.random() < 0.2 else frozenset()
        gone_ = _gone(random, staged)
        wanted = _rendered(program, staged, known, stamps, loads, gone_)
        tally = Tally(program)
        keys: list[Any] = [pa.array(sorted(each), pa.binary()) if each else None for each in gone_[:2]]
        bucket = Bucket(_table(staged), _table(known), keys[0], keys[1], gone_[2])
        found = decide(tally, bucket, stamped=bool(stamps), appended=loads)
        written = set(_table(staged).filter(found.written).column("key").to_pylist())
        gone = set(found.gone.to_pylist())
        assert (tuple(tally.counts), written, gone, tally.rows) == wanted, seed
        assert (tally.written, tally.gone) == (len(written), len(gone))
        assert set(found.untouched.column("key").to_pylist()) == known.keys() - written - gone


def test_a_guard_sees_all_buckets_together() -> None:
    guard = Guard(allow_empty=False, max_removed_share=0.5)
    tally = Tally((DeleteAbsent(("id",), Hard(), guard),))
    three = Bucket(_table({b"1": b"x"}), _table({b"1": b"x", b"2": b"x", b"3": b"x"}))
    decide(tally, three, stamped=False, appended=frozenset())
    with pytest.raises(DataError) as refused:
        tally.reaches[0].refuse_excess()
    assert refused.value.code == "guard.removed_share"
    decide(tally, Bucket(_table({b"4": b"x"}), _table({b"4": b"x"})), stamped=False, appended=frozenset())
    tally.reaches[0].refuse_excess()  # two of four


def test_an_append_refuses_a_key_that_is_taken() -> None:
    same = _table({b"1": b"x"})
    op: Op = Append("l")
    with pytest.raises(DataError) as refused:
        decide(Tally((op,)), Bucket(same, same), stamped=False, appended=frozenset())
    assert refused.value.code == "sink.key_taken"


# ----------------------------------------------------------------------------- the index


def test_of_a_key_the_last_entry_counts() -> None:
    entries = pa.table([[b"a", b"b", b"a", b"c", b"b"], [b"1", b"1", b"2", b"1", None]], schema=SCHEMA)
    found = settled(entries)
    keys, hashes = found.column("key").to_pylist(), found.column("hash").to_pylist()
    assert dict(zip(keys, hashes, strict=True)) == {b"a": b"2", b"c": b"1"}


def test_segments_hold_all_entries_and_are_never_large() -> None:
    random = Random(1)
    keys = [b"%d " % n + b"k" * random.choice((1, 10, 5_000)) for n in range(3_000)]
    writer = SegmentWriter("load")
    messages: list[Entry] = []
    for at in range(0, len(keys), 700):
        part = pa.array(keys[at : at + 700], pa.binary())
        messages += writer.add(part, pa.array([b"h" * 16] * len(part), pa.binary()))
    messages += [*writer.add(pa.array([b"gone"], pa.binary())), *writer.add(pa.array([], pa.binary())), *writer.rest()]
    tables = [pa.ipc.open_stream(value).read_all() for _, value in messages if value is not None]
    whole = pa.concat_tables(tables)
    assert whole.column("key").to_pylist() == [*keys, b"gone"]
    assert whole.column("hash").to_pylist() == [*[b"h" * 16] * len(keys), None]
    assert len({name for name, _ in messages}) == len(messages)
    assert max(len(value or b"") for _, value in messages) < 450_000


def test_the_index_is_written_anew_when_most_of_it_is_outdated() -> None:
    segments = Segments(("a",), 30_000)
    assert not segments.are_outdated(known=10_000, put=0, gone=0)
    assert segments.are_outdated(known=9_999, put=0, gone=1)
    assert segments.are_outdated(known=10_000, put=0, gone=1)


# ------------------------------------------------------------------------------ on disk


def test_a_pile_comes_back_as_it_was_heaped_up(tmp_path: Path) -> None:
    pile = Pile(tmp_path / "pile", SCHEMA, kept=300)
    wanted: list[bytes] = []
    for n in range(50):
        keys = [b"%d-%d" % (n, i) for i in range(n % 7)]
        wanted += keys
        pile.add(_table(dict.fromkeys(keys, b"h")))
    assert (tmp_path / "pile").exists()
    for _ in range(2):
        assert pile.table().column("key").to_pylist() == wanted
    assert pile.rows == len(wanted)


@pytest.mark.parametrize("count", [1, 8])
def test_all_rows_of_a_key_lie_in_one_bucket_in_their_order(tmp_path: Path, count: int) -> None:
    buckets = Buckets(tmp_path, "b", ENTRIES, count)
    random = Random(2)
    keys = [b"%d" % random.randrange(40) for _ in range(500)]
    for at in range(0, 500, 60):
        part = keys[at : at + 60]
        buckets.add(pa.table([part, part, list(range(at, at + len(part)))], schema=ENTRIES))
    found: dict[bytes, list[int]] = {}
    for bucket in buckets:
        here: dict[bytes, list[int]] = {}
        for row in bucket.to_pylist():
            here.setdefault(row["key"], []).append(row["number"])
        assert not here.keys() & found.keys()
        found |= here
    assert found == {key: [n for n, k in enumerate(keys) if k == key] for key in keys}


def test_buckets_are_as_many_as_keep_them_small() -> None:
    assert [buckets_for(n) for n in (0, 1, 131_072, 131_073, 1_000_000, 10**9)] == [1, 1, 1, 2, 8, 256]
