from __future__ import annotations

import json
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dpone import api
from dpone.errors import DponeError
from dpone.replay.evidence import ReplayEvidence
from dpone.replay.scope import Keys, Partition, Range, Scope, Whole, read_keys, spell_key
from dpone.testing.memory.config import MemoryConfig
from dpone.testing.memory.store import open_store
from dpone.testing.shop import AT, MANIFEST, Dpone, Shop
from dpone.testing.testkit import Delete, Insert, Update

HEAD = MANIFEST[: MANIFEST.index("strategy:")]
STRATEGIES = {
    "full_refresh": "{mode: full_refresh}",
    "replace": "{mode: replace}",
    "snapshot_diff": "{mode: snapshot_diff, key: [id]}",
    "incremental_merge": "{mode: incremental_merge, key: [id], cursor: {column: updated_at}}",
    "incremental_append": "{mode: incremental_append, key: [id], cursor: {column: id, lag: 0}}",
    "xmin": "{mode: xmin, key: [id]}",
    "partition_replace": "{mode: partition_replace, column: updated_at, grain: hour}",
    "backfill": "{mode: backfill, column: id, bounds: {from: 0, to: 200}, chunk: 50}",
    "cdc": "{mode: cdc, key: [id]}",
}
SCOPES: dict[str, Scope] = {
    "all": Whole(),
    "range": Range("id", "3", "6"),
    "partition": Partition("id", ("3", "4", "5")),
}


def texts(rows: list[dict[str, Any]]) -> dict[int, str]:
    return {row["id"]: row["v"] for row in rows}


def spoil(shop: Shop) -> None:
    """Behind the pipeline's back the target loses row 4, gets a row 45 and other values in rows 3 and 8."""
    store = open_store(MemoryConfig(path=shop.folder / "store"))

    def spoilt(cell: Any) -> Any:
        table = cell.table
        rows = [(x, {**r, "v": "spoilt"} if r["id"] in {3, 8} else r) for x, r in table.rows if r["id"] != 4]
        rows.append((1, {**table.rows[0][1], "id": 45, "v": "extra"}))
        return replace(cell, table=replace(table, rows=tuple(rows)))

    store.transact(("raw", "orders"), spoilt)


GOOD = {n: f"v{n}" for n in range(10)}


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
@pytest.mark.parametrize(
    "scope, sink", [*((scope, "memory") for scope in SCOPES), ("range", "memory_publish")], ids=lambda value: value
)
def test_a_scope_is_as_the_source_has_it_and_nothing_beside_it_is_touched(
    shop: Shop, strategy: str, scope: str, sink: str
) -> None:
    shop.change()
    connections = shop.folder / "connections.yml"
    connections.write_text(connections.read_text().replace("dwh: {type: memory", f"dwh: {{type: {sink}"))
    shop.write(HEAD.replace("sink: {type: memory", f"sink: {{type: {sink}") + f"strategy: {strategy}\n")
    assert api.run("orders.yaml").succeeded
    spoil(shop)
    spoilt = texts(shop.landed())
    planned = api.resync("orders.yaml", SCOPES[scope])
    assert texts(shop.landed()) == spoilt, "a plan changes nothing"
    done = api.resync("orders.yaml", SCOPES[scope], yes=True)
    if scope == "all":
        assert texts(shop.landed()) == GOOD
    else:
        assert texts(shop.landed()) == {**GOOD, 8: "spoilt", 45: "extra"}
    assert done.passed
    assert not planned.passed
    (plan,), (effect,) = planned.effects, done.effects
    assert plan.model_dump() == effect.model_dump(), "a plan says what is done"
    report = api.run("orders.yaml")
    assert report.succeeded, report.streams[0].error
    assert {n: v for n, v in texts(shop.landed()).items() if n in {3, 4, 5}} == {n: GOOD[n] for n in (3, 4, 5)}


def test_keys_are_landed_again_those_that_are_gone_as_well(shop: Shop) -> None:
    assert api.run("orders.yaml").succeeded
    spoil(shop)
    done = api.resync("orders.yaml", Keys(((3,), (4,), (45,))), yes=True)
    assert texts(shop.landed()) == {**GOOD, 8: "spoilt"}
    (effect,) = done.effects
    assert (effect.rows_staged, effect.inserted, effect.updated, effect.deleted) == (2, 1, 1, 1)
    assert (effect.rows_before, effect.rows_after) == (10, 10)


def test_an_append_without_a_key_is_landed_again_whole_and_goes_on_from_there(shop: Shop) -> None:
    shop.write(HEAD + "strategy: {mode: incremental_append, cursor: {column: id, lag: 0}}\n")
    assert api.run("orders.yaml").succeeded
    shop.change(Insert({"id": 50, "v": "late", "updated_at": AT}), Update({"id": 2}, {"v": "changed"}))
    spoil(shop)
    assert api.resync("orders.yaml", Whole(), yes=True).passed
    landed = {**GOOD, 2: "changed", 50: "late"}
    api.run("orders.yaml")
    assert texts(shop.landed()) == landed
    assert len(shop.landed()) == len(landed), "a row that was landed again is not appended once more"
    with pytest.raises(DponeError) as caught:
        api.resync("orders.yaml", Range("id", 1, 2), yes=True)
    assert caught.value.code == "replay.needs_key"
    assert caught.value.exit_code == 2


def test_a_history_gets_new_versions_and_loses_none(shop: Shop) -> None:
    shop.write(HEAD + "strategy: {mode: scd2, key: [id]}\n")
    assert api.run("orders.yaml").succeeded
    shop.change(Update({"id": 3}, {"v": "changed"}), Update({"id": 8}, {"v": "changed"}), Delete({"id": 4}))
    assert api.resync("orders.yaml", Range("id", 3, 6), yes=True).passed
    versions = [(r["id"], r["v"], r["valid_to"] is None) for r in shop.landed() if r["id"] in {3, 4, 8}]
    assert sorted(versions) == [(3, "changed", True), (3, "v3", False), (4, "v4", True), (8, "v8", True)]
    assert api.resync("orders.yaml", Whole(), yes=True).passed
    assert {r["id"] for r in shop.landed() if r["valid_to"] is None} == set(GOOD) - {4}


def test_rows_that_are_gone_go_by_the_policy_of_the_manifest(shop: Shop) -> None:
    shop.write(
        HEAD + "strategy: {mode: incremental_merge, key: [id], cursor: {column: updated_at}, deletes: {soft: gone}}\n"
    )
    assert api.run("orders.yaml").succeeded
    shop.change(Delete({"id": 4}))
    assert api.resync("orders.yaml", Partition("id", (3, 4, 5)), yes=True).passed
    (row,) = [r for r in shop.landed() if r["gone"] is not None]
    assert row["id"] == 4
    assert row["gone"] > AT


def test_an_emptied_source_empties_nothing_unless_that_is_meant(shop: Shop) -> None:
    assert api.run("orders.yaml").succeeded
    shop.change(*(Delete({"id": n}) for n in range(10)))
    with pytest.raises(DponeError) as caught:
        api.resync("orders.yaml", Whole(), yes=True)
    assert caught.value.code.startswith("guard.")
    assert len(shop.landed()) == 10
    assert api.resync("orders.yaml", Whole(), yes=True, allow_empty=True).passed
    assert shop.landed() == []


def test_position_and_later_runs_are_as_if_nothing_had_been_landed_again(shop: Shop, dpone: Dpone) -> None:
    assert api.run("orders.yaml").succeeded
    before = json.loads(dpone("state", "show", "orders.yaml", "--format", "json").out)[0]["stored"]
    assert api.resync("orders.yaml", Whole(), yes=True).passed
    after = json.loads(dpone("state", "show", "orders.yaml", "--format", "json").out)[0]["stored"]
    assert after["position"] == before["position"]
    assert after["generation"] == before["generation"] + 1
    shop.change(Update({"id": 3}, {"v": "changed", "updated_at": AT + timedelta(hours=1)}))
    report = api.run("orders.yaml")
    assert report.streams[0].updated == 1


# ------------------------------------------------------------------ the command


def test_the_command_plans_and_does_and_leaves_evidence(shop: Shop, dpone: Dpone) -> None:
    assert api.run("orders.yaml").succeeded
    spoil(shop)
    answer = dpone("resync", "orders.yaml", "--partition", "id=3", "--partition", "id=4", "--run-id", "r1")
    assert answer.code == 0
    assert "raw.orders: DeleteAbsent" in answer.out
    assert "1 inserted, 1 updated, 0 deleted; 10 rows before, 11 after" in answer.out
    plan = ReplayEvidence.model_validate_json(Path(".dpone/replay/resync_r1_evidence.json").read_text())
    assert (plan.mode, plan.passed) == ("plan", False)
    assert [o.status for o in plan.operations] == ["rehearsed", "rehearsed", "rehearsed", "planned"]
    answer = dpone(*shlex.split(f"{plan.reproduction_command} --yes")[1:], "--run-id", "r1", "--format", "json")
    assert answer.code == 0
    done = ReplayEvidence.model_validate_json(answer.out)
    assert (done.mode, done.passed, done.run_id) == ("execute", True, "r1")
    assert [o.name for o in done.operations] == ["validate_staging", "finalise", "reconcile", "commit_state"]
    assert {o.status for o in done.operations} == {"done"}
    assert "**" not in Path(".dpone/replay/resync_r1_evidence.md").read_text()
    assert texts(shop.landed()) == {**GOOD, 8: "spoilt", 45: "extra"}
    spoil(shop)
    assert dpone(*shlex.split(done.reproduction_command)[1:]).code == 0
    assert texts(shop.landed())[3] == "v3"


def test_many_keys_are_named_by_a_file_beside_the_evidence(shop: Shop, dpone: Dpone) -> None:
    assert api.run("orders.yaml").succeeded
    spoil(shop)
    keys = tuple((n,) for n in range(150))
    evidence = api.resync("orders.yaml", Keys(keys), run_id="r1")
    assert "--keys-from .dpone/replay/resync_r1_keys.txt" in evidence.reproduction_command
    assert dpone(*shlex.split(f"{evidence.reproduction_command} --yes")[1:]).code == 0
    assert texts(shop.landed()) == GOOD


@given(st.lists(st.text(min_size=1) | st.integers(), min_size=1, max_size=3))
def test_a_key_that_is_spelled_is_read_again(values: list[object]) -> None:
    key = tuple(values)
    text = spell_key(key)
    assert "\n" not in text
    (found,) = read_keys([text])
    assert [str(value) for value in found] == [str(value) for value in values]


@pytest.mark.parametrize(
    "words, code, exit_code",
    [
        ((), "replay.no_scope", 2),
        (("--all", "--key", "1"), "replay.no_scope", 2),
        (("--partition", "id"), "replay.wrong_scope", 2),
        (("--partition", "id=1", "--partition", "v=1"), "replay.wrong_scope", 2),
        (("--partition", "idd=1"), "replay.unknown_column", 2),
        (("--partition", "id=one"), "manifest.invalid_value", 2),
        (("--partition", "v=1", "--grain", "day"), "replay.wrong_scope", 2),
        (("--range", "v", "a", "b"), "plan.unordered_filter", 2),
        (("--key", "[1, 2]"), "replay.wrong_key", 2),
        (("--keys-from", "absent.txt"), "replay.wrong_scope", 2),
        (("--all", "--run-id", "a/b"), "usage.invalid_run_id", 2),
        (("--all", "--select", "nothing"), "manifest.nothing_matched", 2),
        (("--all",), "replay.never_loaded", 1),
    ],
)
def test_what_makes_no_sense_is_refused_by_name_and_changes_nothing(
    shop: Shop, dpone: Dpone, words: tuple[str, ...], code: str, exit_code: int
) -> None:
    if code != "replay.never_loaded":
        assert api.run("orders.yaml").succeeded
    before = shop.landed() if code != "replay.never_loaded" else []
    answer = dpone("resync", "orders.yaml", "--yes", *words)
    assert f"[{code}]" in answer.err
    assert answer.code == exit_code
    if before:
        assert shop.landed() == before


def test_a_refused_resync_leaves_red_evidence(shop: Shop, dpone: Dpone) -> None:
    assert dpone("resync", "orders.yaml", "--all", "--yes", "--run-id", "r1").code == 1
    found = ReplayEvidence.model_validate_json(Path(".dpone/replay/resync_r1_evidence.json").read_text())
    assert not found.passed
    assert [b.code for b in found.blockers] == ["replay.failed:replay.never_loaded"]


def test_a_run_id_is_used_once(shop: Shop, dpone: Dpone) -> None:
    assert dpone("run", "orders.yaml", "--quiet", "--run-id", "r1").code == 0
    answer = dpone("resync", "orders.yaml", "--all", "--yes", "--run-id", "r1")
    assert "[state.run_id_used]" in answer.err
    Path(".dpone/runs/r1.json").unlink()
    answer = dpone("resync", "orders.yaml", "--all", "--yes", "--run-id", "r1")
    assert "[state.run_id_used]" in answer.err


def test_a_resync_is_among_the_runs(shop: Shop, dpone: Dpone) -> None:
    assert api.run("orders.yaml").succeeded
    assert dpone("resync", "orders.yaml", "--all", "--yes", "--run-id", "r9").code == 0
    record = json.loads(dpone("runs", "show", "r9", "--format", "json").out)
    assert (record["action"], record["status"]) == ("resync", "succeeded")
