from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dpone import api, failpoints
from dpone.connector import Stored
from dpone.errors import DataError, DponeError
from dpone.observe.record import read_record, seal_of
from dpone.process import this_process
from dpone.replay.evidence import ORDER, ReplayEvidence
from dpone.replay.scope import Whole
from dpone.testing import deaths
from dpone.testing.memory.cell import Cell
from dpone.testing.memory.config import MemoryConfig
from dpone.testing.memory.store import forget_store, open_store
from dpone.testing.shop import AT, MANIFEST, Dpone, Shop
from dpone.testing.testkit import Update

HEAD = MANIFEST[: MANIFEST.index("strategy:")]
LATER = AT + timedelta(hours=1)
GOOD = {n: f"v{n}" for n in range(10)}
BACKFILL = HEAD + "strategy: {mode: backfill, column: id, bounds: {from: 0, to: 10}, chunk: 2}\n"


def texts(shop: Shop) -> dict[int, str]:
    return {row["id"]: row["v"] for row in shop.landed()}


def cell(shop: Shop, change: Callable[[Cell], Cell] | None = None) -> Cell:
    store = open_store(MemoryConfig(path=shop.folder / "store"))
    return store.transact(("raw", "orders"), change) if change else store.current(("raw", "orders"))


def fails(place: str, run_id: str = "r1", nth: int = 1) -> None:
    """A run that ends with an error at this place."""
    seen = iter(range(1, 1000))

    def fail() -> None:
        if next(seen) == nth:
            raise DataError("planted", code="test.planted")

    with failpoints.arm(place, fail):
        report = api.run("orders.yaml", run_id=run_id)
    assert not report.succeeded


def change_one(shop: Shop, value: str = "changed") -> None:
    shop.change(Update({"id": 5}, {"v": value, "updated_at": LATER}))


def stopped(shop: Shop, place: str = "after_ensure") -> None:
    """Ten rows have landed; a second run, r1, whose one row is staged, fails at this place."""
    assert api.run("orders.yaml", run_id="r0").succeeded
    change_one(shop)
    fails(place)
    assert texts(shop) == GOOD


def state(shop: Shop) -> tuple[Any, ...]:
    """Everything that a refusal must leave as it was."""
    now = cell(shop)
    return texts(shop), now.stored, now.loads, now.ledger, Path(".dpone/runs/r1.json").read_bytes()


def test_a_run_goes_on_from_its_sealed_stage_without_reading(shop: Shop, dpone: Dpone) -> None:
    stopped(shop)
    change_one(shop, "changed again")
    before = state(shop)
    answer = dpone("resume", "r1")
    assert answer.code == 0
    assert "0 inserted, 1 updated, 0 deleted; 10 rows before, 10 after" in answer.out
    assert "raw.orders: Upsert" in answer.out
    assert state(shop) == before, "a plan changes nothing"
    plan = ReplayEvidence.model_validate_json(Path(".dpone/replay/resume_r1_evidence.json").read_text())
    assert (plan.mode, plan.passed, [b.code for b in plan.blockers]) == ("plan", False, ["replay.not_executed"])
    assert [o.status for o in plan.operations] == ["rehearsed", "rehearsed", "rehearsed", "planned"]
    answer = dpone(*shlex.split(f"{plan.reproduction_command} --yes")[1:], "--format", "json")
    assert answer.code == 0, answer.err
    assert texts(shop) == {**GOOD, 5: "changed"}, "it is what was staged, and not what is there now"
    done = ReplayEvidence.model_validate_json(answer.out)
    assert done.passed
    assert [(o.name, o.status) for o in done.operations] == [(name, "done") for name in ORDER]
    assert "adopted as it was sealed" in done.operations[0].detail
    assert cell(shop).ledger == ()
    record = read_record(Path(".dpone/runs"), "r1")
    assert (record["status"], record["resumed"], record["streams"][0]["kept"]) == ("succeeded", 1, [])
    assert record["seal"] == seal_of(record)
    assert api.run("orders.yaml").succeeded
    assert texts(shop) == {**GOOD, 5: "changed again"}


def test_a_stage_that_was_not_sealed_is_discarded_and_read_again(shop: Shop, dpone: Dpone) -> None:
    stopped(shop, "before_seal")
    change_one(shop, "changed again")
    answer = dpone("resume", "r1")
    assert "not known before it is read" in answer.out
    assert dpone("resume", "--run-id", "r1", "--yes").code == 0
    assert texts(shop) == {**GOOD, 5: "changed again"}
    record = read_record(Path(".dpone/runs"), "r1")
    assert record["streams"][0]["rows_staged"] == record["streams"][0]["staged"]["r1.orders"]["received"]


def test_a_backfill_goes_on_at_its_next_chunk(shop: Shop, dpone: Dpone) -> None:
    shop.write(BACKFILL)
    fails("after_reconcile", nth=3)
    assert sorted(texts(shop)) == [0, 1, 2, 3]
    answer = dpone("resume", "r1", "--format", "json")
    assert [o["load_id"] for o in json.loads(answer.out)["operations"]][::4] == [
        f"r1.{lo}..{lo + 2}.orders" for lo in (4, 6, 8)
    ]
    assert dpone("resume", "r1", "--yes").code == 0
    assert texts(shop) == GOOD
    assert sorted(cell(shop).loads) == [f"r1.{lo}..{lo + 2}.orders" for lo in (0, 2, 4, 6, 8)]
    assert cell(shop).chunks == {}


def test_a_run_that_committed_and_died_is_only_finished(shop: Shop, dpone: Dpone) -> None:
    assert api.run("orders.yaml", run_id="r0").succeeded
    change_one(shop)
    fails("before_settle")
    assert texts(shop)[5] == "changed"
    generation = cell(shop).stored["orders"].generation
    assert dpone("resume", "r1", "--yes").code == 0
    assert cell(shop).stored["orders"].generation == generation
    assert read_record(Path(".dpone/runs"), "r1")["status"] == "succeeded"
    assert "[replay.already_finished]" in dpone("resume", "r1", "--yes").err


def test_only_streams_that_failed_are_resumed(shop: Shop, dpone: Dpone) -> None:
    shop.write(
        "version: 1\nname: both\ndefaults:\n"
        "  source: {type: memory, connection: shop, table: public.orders}\n"
        "  strategy: {mode: snapshot_diff, key: [id]}\n"
        "streams:\n"
        "  - {name: one, sink: {type: memory, connection: dwh, table: raw.orders}}\n"
        "  - {name: two, sink: {type: memory, connection: dwh, table: raw.others}}\n"
    )
    fails("after_ensure", nth=2)
    answer = dpone("resume", "r1", "--yes", "--format", "json")
    assert answer.code == 0, answer.err
    assert {o["load_id"] for o in json.loads(answer.out)["operations"]} == {"r1.two"}
    assert [r["id"] for r in shop.landed("raw", "others")] == list(range(10))
    assert read_record(Path(".dpone/runs"), "r1")["status"] == "succeeded"


def test_a_later_stage_takes_the_place_of_an_earlier_one(shop: Shop) -> None:
    stopped(shop)
    fails("after_ensure", "r2")
    assert [e.kept.load_id for e in cell(shop).ledger if e.kept] == ["r2.orders"]
    with pytest.raises(DponeError) as caught:
        api.resume("r1", yes=True)
    assert caught.value.code == "replay.unsealed_stage"
    assert api.resume("r2", yes=True).passed
    assert texts(shop)[5] == "changed"


def test_sweeping_spares_a_stage_until_it_is_old(shop: Shop, dpone: Dpone) -> None:
    stopped(shop)
    assert "nothing to remove" in dpone("sweep", "orders.yaml").out
    answer = dpone("sweep", "orders.yaml", "--older-than", "0s", "--format", "json")
    ((_, removed),) = json.loads(answer.out).items()
    assert len(removed) == 1
    assert cell(shop).ledger == ()
    assert "[usage.invalid_duration]" in dpone("sweep", "orders.yaml", "--older-than", "soon").err


# ------------------------------------------------------------------- wrong uses


def edit(change: Callable[[dict[str, Any]], None], *, seals: bool = False) -> None:
    """The record of r1 is changed by hand, by somebody who knows how it is sealed or not."""
    path = Path(".dpone/runs/r1.json")
    record = json.loads(path.read_text())
    change(record)
    if seals:
        record["seal"] = seal_of(record)
    path.write_text(json.dumps(record))


def in_stream(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda record: record["streams"][0].update(values)


def drop_stage(shop: Shop) -> None:
    cell(shop, lambda now: replace(now, ledger=()))


def unseal(shop: Shop) -> None:
    cell(shop, lambda now: replace(now, ledger=tuple(replace(e, kept=None) for e in now.ledger)))


def renote(shop: Shop, **values: Any) -> None:
    def changed(now: Cell) -> Cell:
        entries = []
        for entry in now.ledger:
            assert entry.kept is not None
            entries.append(replace(entry, kept=replace(entry.kept, note={**entry.kept.note, **values})))
        return replace(now, ledger=tuple(entries))

    cell(shop, changed)


def lose_rows(shop: Shop) -> None:
    (entry,) = cell(shop).ledger
    for part in (shop.folder / "store").glob(f"{entry.id}.*.part"):
        part.write_text("[]")


def move(shop: Shop) -> None:
    """Another run of the pipeline committed: by other hands, which left the stage of r1."""
    moved = Stored(None, 7, "elsewhere.orders")
    cell(shop, lambda now: replace(now, stored={**now.stored, "orders": moved}))


def another_target(shop: Shop) -> None:
    shop.write(MANIFEST.replace("raw.orders", "raw.others"))


def widen_target(shop: Shop) -> None:
    def changed(now: Cell) -> Cell:
        assert now.table is not None
        fields = tuple(replace(f, nullable=True) for f in now.table.schema)
        layout = replace(now.table.layout, schema=replace(now.table.schema, fields=fields, key=()))
        return replace(now, table=replace(now.table, layout=layout))

    cell(shop, changed)


WRONG: dict[str, tuple[str, Callable[[Shop], object]]] = {
    "an edited record": ("replay.record_edited", lambda _: edit(in_stream(rows_staged=7))),
    "a record of other rows": (
        "replay.record_mismatch",
        lambda _: edit(in_stream(staged={"r1.orders": {"received": 99}}), seals=True),
    ),
    "a record of another plan": ("replay.manifest_changed", lambda _: edit(in_stream(plan_digest="0"), seals=True)),
    "a note of another run": ("replay.record_mismatch", lambda s: renote(s, run_id="r7")),
    "a note that cannot be read": ("replay.damaged_note", lambda s: renote(s, at="yesterday")),
    "a position that moved": ("replay.position_moved", move),
    "a position that is gone": ("replay.position_moved", lambda s: cell(s, lambda now: replace(now, stored={}))),
    "another target": ("replay.wrong_target", another_target),
    "another strategy": (
        "replay.other_strategy",
        lambda s: s.write(HEAD + "strategy: {mode: snapshot_diff, key: [id]}\n"),
    ),
    "another filter": (
        "replay.manifest_changed",
        lambda s: s.write(MANIFEST + "where: [{column: id, op: '<', value: 9}]\n"),
    ),
    "another pipeline": ("replay.other_pipeline", lambda s: s.write(MANIFEST.replace("name: orders", "name: others"))),
    "no manifest": ("replay.manifest_missing", lambda s: s.manifest.unlink()),
    "a stage that was swept": ("replay.unsealed_stage", drop_stage),
    "a stage that is not sealed": ("replay.unsealed_stage", unseal),
    "a stage that lost its rows": ("replay.stage_differs", lose_rows),
    "a target that changed": ("replay.target_changed", widen_target),
    "a run that is alive": (
        "replay.still_running",
        lambda _: edit(lambda r: r.update(status="running", process=this_process()), seals=True),
    ),
    "a run that is done": (
        "replay.already_finished",
        lambda _: edit(lambda r: r.update(status="succeeded"), seals=True),
    ),
    "a resync": ("replay.not_a_run", lambda _: edit(lambda r: r.update(action="resync"), seals=True)),
    "a damaged record": ("run.damaged_record", lambda _: Path(".dpone/runs/r1.json").write_text("{")),
    "a run that never was": ("run.unknown", lambda _: Path(".dpone/runs/r1.json").rename(".dpone/runs/r2.json")),
}


@pytest.mark.parametrize(
    "what, yes",
    [*((what, ("--yes",)) for what in WRONG), ("a position that moved", ()), ("a stage that lost its rows", ())],
)
def test_a_wrong_use_is_refused_by_name_and_changes_nothing(
    shop: Shop, dpone: Dpone, what: str, yes: tuple[str, ...]
) -> None:
    stopped(shop)
    code, spoil = WRONG[what]
    spoil(shop)
    stored, loads, ledger = cell(shop).stored, cell(shop).loads, cell(shop).ledger
    records = {path.name: path.read_bytes() for path in Path(".dpone/runs").glob("*.json")}
    answer = dpone("resume", "r1", *yes)
    assert f"[{code}]" in answer.err
    assert answer.code in {1, 2}
    assert (cell(shop).stored, cell(shop).loads) == (stored, loads)
    assert texts(shop) == GOOD
    if what != "a stage that is not sealed":
        assert cell(shop).ledger == ledger
    assert {path.name: path.read_bytes() for path in Path(".dpone/runs").glob("*.json")} == records


def test_neither_no_run_nor_two_can_be_resumed(dpone: Dpone, shop: Shop) -> None:
    assert "[replay.no_run]" in dpone("resume").err
    assert "[replay.no_run]" in dpone("resume", "r1", "--run-id", "r2").err
    assert "[usage.invalid_run_id]" in dpone("resume", "../r1").err


# ------------------------------------------------------------------------ kills


def killed(place: str, act: Callable[[], object], shop: Shop) -> bool:
    was_killed = deaths.killed(place, act)
    forget_store(MemoryConfig(path=shop.folder / "store"))
    return was_killed


PLACES = [place for place in failpoints.RUN if place != "after_open"]


@pytest.mark.parametrize(
    "first, sink",
    [
        ("after_first_batch", "memory"),
        ("after_keep", "memory"),
        ("after_keep", "memory_publish"),
        ("after_commit", "memory"),
    ],
)
def test_a_run_killed_and_killed_again_while_it_is_resumed_ends_right(shop: Shop, first: str, sink: str) -> None:
    connections = shop.folder / "connections.yml"
    connections.write_text(connections.read_text().replace("dwh: {type: memory", f"dwh: {{type: {sink}"))
    shop.write(MANIFEST.replace("sink: {type: memory", f"sink: {{type: {sink}"))
    assert api.run("orders.yaml", run_id="r0").succeeded
    change_one(shop)
    steps = ["publish.clone", "publish.exchange", "publish.record"] if sink == "memory_publish" else []
    for number, place in enumerate([*PLACES, *steps]):
        value, run_id = f"changed {number}", f"r{number + 1}"
        shop.change(Update({"id": 5}, {"v": value, "updated_at": LATER + timedelta(minutes=number)}))
        assert killed(first, lambda: api.run("orders.yaml", run_id=run_id), shop)  # noqa: B023 - called at once
        was_killed = killed(place, lambda: api.resume(run_id, yes=True), shop)  # noqa: B023 - called at once
        if was_killed:
            assert api.resume(run_id, yes=True).passed, place
        assert texts(shop) == {**GOOD, 5: value}, place
        assert read_record(Path(".dpone/runs"), run_id)["status"] == "succeeded"
        assert cell(shop).ledger == ()


@pytest.mark.parametrize("place", PLACES)
def test_a_resync_that_is_killed_is_run_again(shop: Shop, place: str) -> None:
    assert api.run("orders.yaml", run_id="r0").succeeded

    def spoilt(now: Cell) -> Cell:
        assert now.table is not None
        return replace(now, table=replace(now.table, rows=tuple((x, {**r, "v": "spoilt"}) for x, r in now.table.rows)))

    cell(shop, spoilt)
    killed(place, lambda: api.resync("orders.yaml", Whole(), yes=True, run_id="r1"), shop)
    assert api.resync("orders.yaml", Whole(), yes=True).passed
    assert texts(shop) == GOOD
    assert cell(shop).ledger == ()
