"""Changes are sealed bucket by bucket as they are in memory: the same rows, dead keys, present keys and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from dpone.batch import ARROW, Batch
from dpone.connector import Layout, StageSpec, Target
from dpone.errors import DponeError
from dpone.ops import DeleteAbsent, DeleteKeys, Hard, Upsert
from dpone.schema import INT64, STRING, Field, Schema
from dpone.stage import OnTruncate, Sealing
from dpone.testing.suite.shapes import FREE
from dpone_kafka import piles
from dpone_kafka.piles import HELD
from dpone_kafka.spills import Spill
from dpone_kafka.staging import SpillStage, SpillWriter, wire_schema

LAYOUT = Layout(Schema((Field("id", INT64, nullable=False), Field("v", STRING)), ("id",)))
PROGRAM = (Upsert(("id",)), DeleteKeys(("id",), Hard()), DeleteAbsent(("id",), Hard(), FREE))
Entry = tuple[int | None, str | None, int | None, str]  # id, v, number, kind


@pytest.fixture
def spill() -> Iterator[Spill]:
    found = Spill.new("nowhere", "changes")
    yield found
    found.drop()


def _spec(*, changes: bool = True, **how: Any) -> StageSpec:
    sealing = Sealing(("id", "v"), ("id",), changes=changes, **how)
    return StageSpec(Target(("t",)), "load", "p", LAYOUT, ("id", "v"), ARROW, sealing, PROGRAM, present=not changes)


def _filled(spill: Spill, spec: StageSpec, entries: list[Entry]) -> SpillStage:
    """A stage with these entries, in two splits."""
    stage = SpillStage(spill, spec)
    schema = wire_schema(spec)
    for split in range(2):
        part = entries[split::2]
        columns: list[Any] = [*([entry[place] for entry in part] for place in range(4)), [None] * len(part)]
        arrays = [pa.array(column, of) for column, of in zip(columns, schema.types, strict=True)]
        writer = SpillWriter(stage.ref, str(split))
        writer.write(Batch(ARROW, pa.RecordBatch.from_arrays(arrays, schema=schema), len(part), 1))
        writer.close()
    return stage


def _told(stage: SpillStage) -> tuple[Any, ...]:
    """Rows, dead and present keys as the buckets have them."""
    rows = stage.plain
    assert rows is not None
    live = [row for batch in rows.batches(["id", "v"]) for row in batch.to_pylist()]
    assert rows.live == len(live) == sum(table.num_rows for table in rows.entries or ())
    dead, present = (
        {key for table in found or () for key in table.column("key").to_pylist()} for found in (rows.dead, rows.present)
    )
    return sorted((row["id"], row["v"]) for row in live), dead, present, rows.cleared


def _held(stage: SpillStage) -> tuple[Any, ...]:
    """The same as they are found in memory."""
    sealed = stage.sealed
    live = sorted((row["id"], row["v"]) for row in sealed.live.to_pylist())
    return live, set(sealed.dead), set(sealed.present), sealed.cleared


def _random(random: Random, kinds: str) -> list[Entry]:
    found: list[Entry] = []
    for number in random.sample(range(100), random.randint(0, 40)):
        kind = random.choice(kinds)
        key = None if kind == "T" else random.randrange(12)
        found.append((key, random.choice("abc") if kind == "U" else None, number, kind))
    return found


@pytest.mark.parametrize("held", [2, HELD])
@pytest.mark.parametrize("kinds", ["UUUD", "UUDP", "UUUUUUUDDDDDDDT"])
def test_changes_amount_to_what_they_do_in_memory(monkeypatch: pytest.MonkeyPatch, kinds: str, held: int) -> None:
    monkeypatch.setattr(piles, "HELD", held)
    monkeypatch.setattr(piles, "_KEPT", 64)
    for seed in range(30):
        spill = Spill.new("nowhere", "changes")
        stage = _filled(spill, _spec(), _random(Random(seed), kinds))
        counted = stage.seal()
        told, wanted = _told(stage), _held(stage)
        spill.drop()
        assert told == wanted, seed
        assert (counted.live, counted.dead, counted.present) == tuple(map(len, wanted[:3])), seed
        assert counted.cleared == wanted[3]


def test_rows_beside_the_keys_that_are_there_amount_to_what_they_do_in_memory(spill: Spill) -> None:
    entries: list[Entry] = [(n, "v", None, "U") for n in range(5)]
    entries += [(n % 7, None, None, "P") for n in range(20)]
    stage = _filled(spill, _spec(changes=False), entries)
    counted = stage.seal()
    assert _told(stage) == _held(stage)
    assert (counted.live, counted.present) == (5, 7)


REFUSED: list[tuple[list[Entry], dict[str, Any], str]] = [
    ([(1, "a", 5, "U"), (1, "b", 5, "U")], {}, "stage.duplicate_key"),
    ([(1, "a", 5, "U"), (1, None, 5, "D")], {}, "stage.duplicate_key"),
    ([(1, "a", 5, "U"), (None, None, 6, "T")], {"on_truncate": OnTruncate.STOP}, "stage.truncated"),
    ([(1, "a", None, "U"), (1, "b", None, "U")], {"changes": False}, "stage.duplicate_key"),
]


@pytest.mark.parametrize("entries, how, code", REFUSED)
def test_what_has_no_last_change_is_refused(spill: Spill, entries: list[Entry], how: dict[str, Any], code: str) -> None:
    stage = _filled(spill, _spec(**how), entries)
    with pytest.raises(DponeError) as refused:
        stage.seal()
    assert refused.value.code == code
    with pytest.raises(DponeError) as in_memory:
        _ = stage.sealed
    assert in_memory.value.code == code


@pytest.mark.parametrize("kind", ["U", "D"])
def test_a_key_that_is_null_is_looked_at_in_memory(spill: Spill, kind: str) -> None:
    stage = _filled(spill, _spec(), [(None, None, 1, kind), (1, "a", 2, "U")])
    stage.seal()
    assert stage.plain is None
