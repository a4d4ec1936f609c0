"""The program of each strategy, and that it emits nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dpone.ops import (
    Absent,
    Append,
    DeleteAbsent,
    DeleteKeys,
    Flag,
    Grain,
    Guard,
    Hard,
    Ignore,
    Program,
    Recreate,
    ReplaceAll,
    ReplaceSlice,
    Upsert,
    Version,
)
from dpone.strategies import AGAIN, STRATEGIES, Load, Read, at_time, rule_of
from dpone.where import Compare, Condition

AT = datetime(2024, 1, 1, tzinfo=UTC)
WHERE = (Condition("v", Compare.EQ, 1),)
GUARD = Guard(0.1)
GONE = Flag("gone", AT)
LOAD = Load(
    id="x",
    at=AT,
    columns=("id", "v", "t"),
    key=("id",),
    where=WHERE,
    newer="t",
    deletes=GONE,
    guard=GUARD,
    slice_column="v",
    grain=Grain.DAY,
    bounds=(1, 2),
)
LATER = replace(LOAD, first=False)
UPSERT = Upsert(("id",), "t", "gone")
SLICE = ReplaceSlice("v", Grain.DAY, (1, 2), GUARD)
ABSENT = DeleteAbsent(("id",), GONE, GUARD, WHERE)
DEAD = DeleteKeys(("id",), GONE)
VERSION = Version(("id",), AT, ("v", "t"), guard=GUARD)


@pytest.mark.parametrize(
    "name,load,program",
    [
        ("full_refresh", LOAD, (Recreate(GUARD),)),
        ("incremental_append", LOAD, (Append("x", ("id",)),)),
        ("incremental_append", replace(LOAD, key=()), (Append("x"),)),
        ("incremental_merge", LOAD, (UPSERT, DEAD)),
        ("incremental_merge", replace(LOAD, deletes=Hard()), (Upsert(("id",), "t"), DeleteKeys(("id",)))),
        ("replace", LOAD, (ReplaceAll(WHERE, GUARD),)),
        ("partition_replace", replace(LOAD, bounds=None), (ReplaceSlice("v", Grain.DAY, None, GUARD),)),
        ("backfill", LOAD, (SLICE,)),
        ("snapshot_diff", LOAD, (ABSENT, UPSERT)),
        ("scd2", LOAD, (VERSION,)),
        (
            "scd2",
            replace(LOAD, compare=("v",), absent=Absent.KEEP),
            (Version(("id",), AT, ("v",), absent=Absent.KEEP, guard=GUARD),),
        ),
        ("xmin", LOAD, (UPSERT,)),
        ("xmin", replace(LOAD, reconcile=True), (ABSENT, UPSERT)),
        ("cdc", LOAD, (ABSENT, UPSERT)),
        ("cdc", LATER, (UPSERT, DEAD)),
        ("cdc", replace(LATER, deletes=Ignore()), (Upsert(("id",), "t"), DeleteKeys(("id",), Ignore()))),
    ],
    ids=str,
)
def test_the_program_of_a_strategy(name: str, load: Load, program: Program) -> None:
    assert STRATEGIES[name].program(load) == program


@given(
    st.sampled_from(sorted(STRATEGIES)),
    st.builds(
        Load,
        id=st.just("x"),
        at=st.just(AT),
        columns=st.just(("id", "v")),
        key=st.sampled_from([(), ("id",)]),
        first=st.booleans(),
        where=st.sampled_from([(), WHERE]),
        newer=st.sampled_from([None, "v"]),
        deletes=st.sampled_from([Hard(), GONE, Ignore()]),
        slice_column=st.just("v"),
        bounds=st.sampled_from([None, (1, 2)]),
        reconcile=st.booleans(),
    ),
)
def test_a_strategy_is_pure_and_emits_what_it_declares(name: str, load: Load) -> None:
    strategy = STRATEGIES[name]
    program = strategy.program(load)
    assert program == strategy.program(load)
    assert {type(op) for op in program} <= strategy.emits


@pytest.mark.parametrize("name", STRATEGIES)
def test_all_that_a_strategy_declares_is_emitted_by_some_load(name: str) -> None:
    loads = [LOAD, LATER, replace(LOAD, reconcile=True)]
    emitted = {type(op) for load in loads for op in STRATEGIES[name].program(load)}
    assert emitted == STRATEGIES[name].emits


def test_how_each_strategy_reads_and_what_it_needs() -> None:
    assert {name: (s.read, sorted(s.needs)) for name, s in STRATEGIES.items()} == {
        "full_refresh": (Read.SCAN, []),
        "incremental_append": (Read.SINCE, []),
        "incremental_merge": (Read.SINCE, ["key"]),
        "replace": (Read.SCAN, []),
        "partition_replace": (Read.SCAN, ["slice_column"]),
        "snapshot_diff": (Read.SCAN, ["key"]),
        "scd2": (Read.SCAN, ["key"]),
        "backfill": (Read.SCAN, ["bounds", "slice_column"]),
        "xmin": (Read.XMIN, ["key"]),
        "cdc": (Read.CHANGES, ["key"]),
    }


def test_a_load_at_another_time_deletes_softly_at_that_time() -> None:
    later = datetime(2024, 2, 2, tzinfo=UTC)
    assert at_time(LOAD, later) == replace(LOAD, at=later, deletes=Flag("gone", later))
    hard = replace(LOAD, deletes=Hard())
    assert at_time(hard, later) == replace(hard, at=later)


@pytest.mark.parametrize("name", [*STRATEGIES, *AGAIN])
def test_a_plan_names_its_strategy_or_the_one_that_lands_again(name: str) -> None:
    assert rule_of(name) is {**STRATEGIES, **AGAIN}[name]
    assert rule_of(name).name == name
