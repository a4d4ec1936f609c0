"""What `dpone diff` says of each strategy's target: equal after a run, and every planted difference by its key."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dpone.api import loaded
from dpone.diff import comparing
from dpone.errors import PlanError
from dpone.manifest import Manifest
from dpone.testing.memory.segments import MemorySegments
from dpone.testing.shop import AT, MANIFEST, Dpone, Shop
from dpone.testing.testkit import Delete, Insert, Update

OLD = AT + timedelta(seconds=30)  # before everything that a cursor would read again
PLANTED = (
    Update({"id": 1}, {"v": "changed"}),
    Insert({"id": 50, "v": "late", "updated_at": OLD}),
    Delete({"id": 2}),
)
STRATEGIES = (
    "{mode: full_refresh}",
    "{mode: replace}",
    "{mode: snapshot_diff, key: [id]}",
    "{mode: snapshot_diff, key: [id], deletes: {soft: gone_at}}",
    "{mode: incremental_merge, key: [id], cursor: {column: updated_at, lag: 0s}}",
    "{mode: xmin, key: [id], reconcile: true}",
    "{mode: scd2, key: [id]}",
    "{mode: partition_replace, column: updated_at, grain: hour}",
    "{mode: backfill, column: id, bounds: {from: 0, to: 200}, chunk: 50}",
    "{mode: cdc, key: [id]}",
)


class Nothing:
    """An ability that no end has."""


def manifest(strategy: str, more: str = "") -> str:
    return f"{MANIFEST[: MANIFEST.index('strategy:')]}strategy: {strategy}\n{more}"


def compare(dpone: Dpone, *args: str) -> tuple[int, dict[str, Any]]:
    answer = dpone("diff", "orders.yaml", "--format", "json", *args)
    assert answer.out, answer.err
    report = json.loads(answer.out)
    assert report["schema_version"] == "dpone.diff.v1"
    (stream,) = report["streams"]
    assert report["passed"] is stream["equal"] is (answer.code == 0)
    return answer.code, stream


def keys(stream: dict[str, Any]) -> tuple[list[int], list[int], list[int]]:
    found = (stream["missing"], stream["extra"], [d["key"] for d in stream["different"]])
    missing, extra, different = ([key["id"] for key in part] for part in found)
    return missing, extra, different


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_target_is_equal_after_a_run_and_unlike_after_changes(shop: Shop, dpone: Dpone, strategy: str) -> None:
    shop.change()
    shop.write(manifest(strategy))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    code, stream = compare(dpone)
    assert (code, stream["method"], stream["rows_fetched"]) == (0, "checksums", {"source": 0, "target": 0})
    assert stream["rows"] == {"source": 10, "target": 10}
    shop.change(*PLANTED)
    code, stream = compare(dpone)
    found = keys(stream)
    if "xmin" in strategy:  # whatever was written since waits; a deletion is what reconciling would find
        assert (code, found, stream["waiting"]) == (1, ([], [2], []), 2)
        return
    assert (code, found) == (1, ([50], [2], [1]))
    assert stream["different"][0]["columns"] == ["v"]
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    if "cursor" not in strategy:
        assert compare(dpone)[0] == 0


def test_rows_that_the_next_run_reads_are_no_differences(shop: Shop, dpone: Dpone) -> None:
    shop.write(manifest("{mode: incremental_merge, key: [id], cursor: {column: updated_at, lag: 0s}}"))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    new = AT + timedelta(hours=1)
    shop.change(Update({"id": 1}, {"v": "new", "updated_at": new}), Insert({"id": 60, "v": "new", "updated_at": new}))
    code, stream = compare(dpone)
    assert (code, stream["waiting"]) == (0, 2)
    shop.change(Insert({"id": 61, "v": "lost", "updated_at": OLD}))
    code, stream = compare(dpone)
    assert (code, keys(stream), stream["waiting"]) == (1, ([61], [], []), 2)


def test_an_append_keeps_what_the_source_no_longer_has(shop: Shop, dpone: Dpone) -> None:
    shop.write(manifest("{mode: incremental_append, cursor: {column: updated_at, lag: 0s}}"))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    assert compare(dpone)[0] == 0
    shop.change(Delete({"id": 2}), Update({"id": 3}, {"v": "again", "updated_at": datetime.now(UTC)}))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    code, stream = compare(dpone)
    assert (code, stream["kept"], keys(stream)) == (0, 1, ([], [], []))
    assert "append" in stream["kept_because"]
    shop.change(Insert({"id": 4_000, "v": "slipped through", "updated_at": OLD}))
    assert keys(compare(dpone)[1]) == ([4_000], [], [])


def test_deletes_that_the_manifest_ignores_are_no_differences(shop: Shop, dpone: Dpone) -> None:
    shop.write(manifest("{mode: snapshot_diff, key: [id], deletes: ignore}"))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    shop.change(Delete({"id": 2}))
    code, stream = compare(dpone)
    assert (code, stream["kept"]) == (0, 1)


def test_a_filter_is_asked_at_both_ends(shop: Shop, dpone: Dpone) -> None:
    shop.write(manifest("{mode: replace}", "where: [{column: id, op: '<', value: 5}]\n"))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    code, stream = compare(dpone)
    assert (code, stream["rows"]) == (0, {"source": 5, "target": 5})


def test_renamed_and_left_out_columns(shop: Shop, dpone: Dpone) -> None:
    columns = "columns: [{name: id, as: number}, v]\n"
    shop.write(manifest("{mode: snapshot_diff, key: [number]}", columns))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    shop.change(Update({"id": 1}, {"v": "changed"}))
    code, stream = compare(dpone)
    assert (code, stream["columns"]) == (1, ["number", "v"])
    assert stream["different"] == [{"key": {"number": 1}, "columns": ["v"]}]
    code, stream = compare(dpone, "--skip", "v")
    assert (code, stream["skipped"]) == (0, ["v"])


@pytest.mark.parametrize("change", ["{name: v, hash: sha256}", "{name: v, mask: '***'}", "{name: id, cast: string}"])
def test_values_that_change_on_their_way_are_compared_as_they_land(shop: Shop, dpone: Dpone, change: str) -> None:
    shop.write(manifest("{mode: snapshot_diff, key: [id]}", f"columns: [{change}, '*']\n"))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    code, stream = compare(dpone)
    assert (code, stream["method"]) == (0, "rows")
    assert any("changed on the way" in why for why in stream["why_rows"])
    shop.change(Delete({"id": 2}), Insert({"id": 50, "v": None, "updated_at": OLD}))
    code, stream = compare(dpone)
    missing, extra, _ = keys(stream)
    assert (code, [str(m) for m in missing], [str(e) for e in extra]) == (1, ["50"], ["2"])


def test_both_methods_find_the_same(shop: Shop, dpone: Dpone, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.write(manifest("{mode: snapshot_diff, key: [id]}"))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    shop.change(*PLANTED)
    by_checksums = compare(dpone)[1]
    monkeypatch.setattr(comparing, "Segmented", Nothing)
    by_rows = compare(dpone)[1]
    assert (by_checksums["method"], by_rows["method"]) == ("checksums", "rows")
    assert keys(by_rows) == keys(by_checksums) == ([50], [2], [1])
    assert by_rows["different"] == by_checksums["different"]


def test_a_column_that_the_target_lacks_is_a_difference(shop: Shop, dpone: Dpone) -> None:
    shop.write(manifest("{mode: snapshot_diff, key: [id]}", "columns: [id, v]\n"))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    shop.write(manifest("{mode: snapshot_diff, key: [id]}"))
    code, stream = compare(dpone)
    assert (code, stream["columns_absent"]) == (1, ["updated_at"])


def test_the_search_ends_at_its_limit(shop: Shop, dpone: Dpone) -> None:
    shop.write(manifest("{mode: snapshot_diff, key: [id]}"))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    shop.change(*(Update({"id": n}, {"v": "changed"}) for n in range(10)))
    code, stream = compare(dpone, "--limit", "3")
    assert (code, len(stream["different"]), stream["complete"]) == (1, 3, False)
    code, stream = compare(dpone, "--limit", "0")
    assert (len(stream["different"]), stream["complete"]) == (10, True)


def test_a_table_that_is_not_there_yet(shop: Shop, dpone: Dpone) -> None:
    answer = dpone("diff", "orders.yaml")
    assert (answer.code, "diff.target_missing" in answer.err) == (1, True)


@pytest.mark.parametrize(
    "args, code",
    [
        (("--key", "nothing"), "diff.unknown_column"),
        (("--skip", "id"), "diff.key_not_compared"),
        (("--key", "v", "--skip", "v"), "diff.key_not_compared"),
    ],
)
def test_wrong_columns_are_refused(shop: Shop, dpone: Dpone, args: tuple[str, ...], code: str) -> None:
    shop.write(manifest("{mode: snapshot_diff, key: [id]}"))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    answer = dpone("diff", "orders.yaml", *args)
    assert (answer.code, code in answer.err) == (2, True), answer.err


def test_a_key_with_null_tells_no_rows_apart(shop: Shop, dpone: Dpone) -> None:
    shop.write(manifest("{mode: full_refresh}"))
    shop.change(Insert({"id": 50, "v": None, "updated_at": OLD}))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    answer = dpone("diff", "orders.yaml", "--key", "v")
    assert (answer.code, "diff.null_key" in answer.err) == (1, True)


def test_the_text_names_every_key(shop: Shop, dpone: Dpone) -> None:
    shop.write(manifest("{mode: snapshot_diff, key: [id]}"))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    shop.change(*PLANTED)
    answer = dpone("diff", "orders.yaml", "--output", "report.json")
    assert answer.code == 1
    for line in ("missing     id=50", "extra       id=2", "different   id=1  (v)"):
        assert f"  {line}" in answer.out
    assert json.loads((shop.folder / "report.json").read_text())["passed"] is False


@pytest.mark.parametrize(
    "strategy",
    [
        "{mode: snapshot_diff, key: [id]}",
        "{mode: incremental_merge, key: [id], cursor: {column: updated_at, lag: 0s}}",
        "{mode: cdc, key: [id]}",
    ],
)
def test_a_repair_lands_the_differing_keys_and_no_others(shop: Shop, dpone: Dpone, strategy: str) -> None:
    shop.write(manifest(strategy))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    shop.change(*PLANTED)
    before = shop.landed()
    answer = dpone("diff", "orders.yaml", "--repair")
    assert (answer.code, shop.landed()) == (1, before), "a plan changes nothing"
    assert "1 inserted, 1 updated, 1 deleted" in answer.out
    answer = dpone("diff", "orders.yaml", "--repair", "--yes")
    assert answer.code == 0, answer.err
    assert answer.out.rstrip().splitlines()[-1].startswith("  fetched")
    assert {row["id"] for row in shop.landed()} == {50, *range(10)} - {2}
    assert compare(dpone)[0] == 0
    assert list((shop.folder / ".dpone/replay").glob("resync_*_evidence.json"))


def test_a_repair_needs_all_keys_and_the_strategys_own(shop: Shop, dpone: Dpone) -> None:
    shop.write(manifest("{mode: snapshot_diff, key: [id]}"))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    shop.change(*PLANTED)
    before = shop.landed()
    for args, status, code in (
        (("--limit", "1", "--repair", "--yes"), 1, "diff.incomplete"),
        (("--key", "v", "--repair", "--yes"), 2, "diff.other_key"),
        (("--yes",), 2, "usage.nothing_to_confirm"),
    ):
        answer = dpone("diff", "orders.yaml", *args)
        assert (answer.code, code in answer.err) == (status, True), answer.err
    shop.write(manifest("{mode: full_refresh}"))
    answer = dpone("diff", "orders.yaml", "--repair", "--yes")
    assert (answer.code, "replay.no_key" in answer.err) == (2, True), answer.err
    assert shop.landed() == before


def test_a_table_that_was_written_meanwhile_does_not_pass(
    shop: Shop, dpone: Dpone, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.write(manifest("{mode: snapshot_diff, key: [id]}"))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    monkeypatch.setattr(MemorySegments, "is_steady", lambda _: False)
    code, stream = compare(dpone)
    assert (code, stream["steady"], keys(stream)) == (1, False, ([], [], []))
    assert "compare again" in dpone("diff", "orders.yaml").out
    monkeypatch.setattr(MemorySegments, "is_steady", lambda _: None)
    assert (compare(dpone)[0], compare(dpone)[1]["steady"]) == (0, None)


def test_a_log_of_what_came_is_no_table_to_compare(shop: Shop) -> None:
    stream = loaded("orders.yaml").streams[0]
    assert stream.sink.connector.sink is not None
    log = replace(stream.sink.connector, sink=replace(stream.sink.connector.sink, atomic="log"))
    stream = stream.model_copy(update={"sink": stream.sink.model_copy(update={"connector": log})})
    with pytest.raises(PlanError) as refused:
        comparing.diff(Manifest(name="orders", streams=(stream,)))
    assert refused.value.code == "diff.not_readable"


def test_a_target_that_cannot_be_read_back_is_refused(
    shop: Shop, dpone: Dpone, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.write(manifest("{mode: snapshot_diff, key: [id]}"))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    stream = loaded("orders.yaml").streams[0]
    mute = replace(stream.sink.connector, source=None)
    stream = stream.model_copy(update={"sink": stream.sink.model_copy(update={"connector": mute})})
    assert comparing.diff(Manifest(name="orders", streams=(stream,))).passed, "it computes checksums itself"
    monkeypatch.setattr(comparing, "Segmented", Nothing)
    with pytest.raises(PlanError) as refused:
        comparing.diff(Manifest(name="orders", streams=(stream,)))
    assert refused.value.code == "diff.not_readable"


def test_what_a_source_cannot_filter_is_filtered_here(
    shop: Shop, dpone: Dpone, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = "where: [{column: id, op: '!=', value: 4}]\ncolumns: [{name: v, mask: '***'}, '*']\n"
    shop.write(manifest("{mode: backfill, column: id, bounds: {from: 2, to: 7}}", more))
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    stream = loaded("orders.yaml").streams[0]
    assert stream.source.connector.source is not None
    blunt = replace(stream.source.connector, source=replace(stream.source.connector.source, pushes_where=False))
    stream = stream.model_copy(update={"source": stream.source.model_copy(update={"connector": blunt})})
    (found,) = comparing.diff(Manifest(name="orders", streams=(stream,))).streams
    assert (found.equal, found.method, found.rows.source, found.rows.target) == (True, "rows", 4, 4)
