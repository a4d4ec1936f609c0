"""The pure renderer against the oracle: the messages of random loads, folded, are the oracle's rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from random import Random
from typing import Any

import pytest

from dpone import oracle
from dpone.connector import Layout
from dpone.errors import DataError, PlanError
from dpone.ops import (
    Append,
    DeleteAbsent,
    DeleteKeys,
    Hard,
    Ignore,
    Program,
    Recreate,
    ReplaceAll,
    ReplaceSlice,
    Upsert,
)
from dpone.schema import INT64, STRING, Field, Schema
from dpone.stage import Live, Sealed
from dpone.testing.suite.shapes import FREE
from dpone.where import Compare, Condition, Row
from dpone_kafka.rendering import Changed, Known, Need, Render, Staged, need_of

KEYED = Layout(Schema((Field("id", INT64), Field("v", STRING)), ("id",)))
LOOSE = Layout(Schema(KEYED.schema.fields))
COLUMNS = ("id", "v")


def key_of(row: Row, columns: tuple[str, ...]) -> bytes:
    return json.dumps([row[c] for c in columns]).encode()


def hash_of(row: Row) -> bytes:
    return json.dumps([row[c] for c in COLUMNS]).encode()


class Topic:
    """A topic in memory: the last value of each key."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.messages: dict[bytes, Row] = {}
        self.loads = 0

    def load(self, program: Program, stage: Sealed, key: tuple[str, ...], *, values: bool) -> tuple[int, int]:
        self.loads += 1
        rows = stage.rows
        staged = Staged(
            keys=[key_of(r, key) for r in rows] if key else [],
            hashes=[hash_of(r) for r in rows],
            row=lambda n: rows[n],
            columns=COLUMNS,
            dead=frozenset(json.dumps(list(k)).encode() for k in stage.dead),
            present=frozenset(json.dumps(list(k)).encode() for k in stage.present),
            cleared=stage.cleared,
        )
        known = {k: Known(hash_of(r), r if values else None) for k, r in self.messages.items()}
        render = Render(self.layout, staged, key_of, lambda n: f"{self.loads}:{n}".encode())
        found = render.carry_out(program, known)
        self._apply(found.writes, rows)
        for gone in found.tombstones:
            del self.messages[gone]
        return len(found.writes), len(found.tombstones)

    def _apply(self, writes: Mapping[bytes, Any], rows: list[Row]) -> None:
        for key, slot in writes.items():
            self.messages[key] = slot.row if isinstance(slot, Changed) else rows[slot]


def stage_of(random: Random, *, dead: bool) -> Sealed:
    ids = random.sample(range(12), random.randint(1, 9))
    split = random.randint(0, len(ids) // 2) if dead else 0
    live = tuple(Live({"id": n, "v": random.choice(["a", "b", None])}) for n in ids[split:])
    return Sealed(live, tuple((n,) for n in ids[:split]))


KEY = ("id",)
WHERE = (Condition("v", Compare.EQ, "a"),)
PROGRAMS: list[Any] = [
    pytest.param(KEYED, (Recreate(FREE),), id="recreate"),
    pytest.param(KEYED, (ReplaceAll((), FREE),), id="replace"),
    pytest.param(KEYED, (Upsert(KEY), DeleteKeys(KEY, Hard())), id="merge"),
    pytest.param(KEYED, (Upsert(KEY), DeleteKeys(KEY, Ignore())), id="merge_ignoring"),
    pytest.param(KEYED, (DeleteAbsent(KEY, Hard(), FREE), Upsert(KEY)), id="diff"),
    pytest.param(KEYED, (DeleteAbsent(KEY, Hard(), FREE, WHERE), Upsert(KEY)), id="diff_within"),
    pytest.param(KEYED, (Append("x", KEY),), id="append_new"),
    pytest.param(LOOSE, (Recreate(FREE),), id="recreate_loose"),
    pytest.param(LOOSE, (ReplaceAll((), FREE),), id="replace_loose"),
    pytest.param(LOOSE, (Append("x"),), id="append_loose"),
    pytest.param(LOOSE, (Upsert(KEY),), id="upsert_loose"),
]


@pytest.mark.parametrize("layout, program", PROGRAMS)
@pytest.mark.parametrize("seed", range(12))
def test_the_messages_of_random_loads_are_the_oracles_rows(layout: Layout, program: Program, seed: int) -> None:
    random = Random(seed)
    topic, table = Topic(layout), oracle.Table(COLUMNS)
    key = KEY if any(hasattr(op, "key") or getattr(op, "unless", ()) for op in program) or layout is KEYED else ()
    values = need_of(program, layout, COLUMNS) is Need.VALUES
    for number in range(5):
        stage = stage_of(random, dead=any(isinstance(op, DeleteKeys) for op in program))
        if any(isinstance(op, DeleteAbsent) and op.within for op in program):
            stage = Sealed(tuple(Live({**e.row, "v": "a"}) for e in stage.live))
        named = tuple(Append(f"load {number}", op.unless) if isinstance(op, Append) else op for op in program)
        topic.load(named, stage, key, values=values)
        table, _ = oracle.apply(named, table, stage)
        assert sorted(map(repr, topic.messages.values())) == sorted(map(repr, table.rows))


@pytest.mark.parametrize("layout, program", [p for p in PROGRAMS if "append" not in str(p.id)])
def test_the_same_stage_again_sends_nothing(layout: Layout, program: Program) -> None:
    topic = Topic(layout)
    rows = tuple(Live({"id": n, "v": "a"}) for n in range(5))
    values = need_of(program, layout, COLUMNS) is Need.VALUES
    key = () if layout is LOOSE and not any(hasattr(op, "key") for op in program) else KEY
    assert topic.load(program, Sealed(rows), key, values=values) == (5, 0)
    assert topic.load(program, Sealed(rows), key, values=values) == (0, 0)


def test_two_rows_under_one_key_are_refused() -> None:
    topic = Topic(KEYED)
    twice = Sealed((Live({"id": 1, "v": "a"}), Live({"id": 1, "v": "b"})))
    with pytest.raises(DataError) as refused:
        topic.load((Recreate(FREE),), twice, KEY, values=False)
    assert refused.value.code == "sink.key_taken"


def test_what_a_topic_cannot_do_is_refused() -> None:
    with pytest.raises(PlanError):
        need_of((ReplaceSlice("id"),), KEYED, COLUMNS)
