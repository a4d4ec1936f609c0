"""Recreate, ReplaceAll and Append against the oracle: target and oracle end with the same rows."""

from __future__ import annotations

from dpone.ops import (
    Append,
    Recreate,
    ReplaceAll,
)
from dpone.schema import INT64, STRING, Field, Schema
from dpone.testing.suite.rig import SinkRig
from dpone.testing.suite.shapes import (
    FREE,
    MIXED,
    NORTH,
    row,
    rows,
)
from dpone.testing.suite.streams import stream, stream_of


def test_recreate_takes_the_rows_of_the_stage_and_no_others(sink: SinkRig) -> None:
    s = stream_of(sink, (Recreate(FREE),), MIXED)
    s.load(rows(1, 2, 3))
    s.load([row(2, region=None, amount=None, score=None, day=None, seen_at=None), row(4)])
    s.load([])


def test_recreate_takes_the_schema_of_the_stage(sink: SinkRig) -> None:
    s = stream_of(sink, (Recreate(FREE),), MIXED)
    s.load(rows(1, 2))
    other = Schema((Field("id", STRING), Field("größe", INT64)))
    s.job = stream_of(sink, (Recreate(FREE),), other, target=s.job.target).job
    s.load([{"id": "one", "größe": 1}, {"id": None, "größe": None}])


def test_replace_exchanges_all_rows(sink: SinkRig) -> None:
    s = stream_of(sink, (ReplaceAll((), FREE),), MIXED)
    s.load(rows(1, 2, 3))
    s.load(rows(3, 4))
    s.load([])


def test_replace_leaves_rows_outside_of_its_filter(sink: SinkRig) -> None:
    sink.require(ReplaceAll, Append)
    s = stream_of(sink, (Append("first"),), MIXED)
    s.load([*rows(1, 2), row(3, region="south"), row(4, region=None), row(5, region="North")])
    s.job = stream_of(sink, (ReplaceAll(NORTH, FREE),), MIXED, target=s.job.target).job
    s.load([row(2, score=-1.0), row(6)])
    s.load([])


def test_rows_without_a_key_are_kept_apart_from_one_another(sink: SinkRig) -> None:
    keyless = Schema(MIXED.fields)
    s = stream_of(sink, (ReplaceAll((), FREE),), keyless)
    s.load([row(1), row(1), row(1, region=None), row(1, region=None)])


def test_append_adds_rows_once_for_each_load(sink: SinkRig) -> None:
    s = stream(sink, "incremental_append", MIXED)
    s.load(rows(1, 2))
    s.load([row(2), row(3, region=None)])
    s.load([])


def test_append_of_the_same_load_again_adds_nothing(sink: SinkRig) -> None:
    sink.require(Append)
    s = stream_of(sink, (Append("the-load"),), MIXED)
    s.load(rows(1, 2))
    s.load(rows(1, 2))


def test_append_adds_only_new_keys_where_it_has_a_key(sink: SinkRig) -> None:
    s = stream(sink, "incremental_append", MIXED, key=("id",))
    s.load(rows(1, 2))
    s.load([row(2, region="other"), row(3)])
