from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import dpone as api
from dpone import failpoints
from dpone.connector import ReadRequest, Target
from dpone.testing.memory import connector
from dpone.testing.memory.source import MemorySource
from dpone.testing.memory.testkit import testkit
from dpone.testing.shop import AT, MANIFEST, STREAMS, Dpone, Shop
from dpone.testing.testkit import Delete, Insert, Update

LATER = AT + timedelta(hours=1)
CHANGES = (
    Update({"id": 5}, {"v": "changed", "updated_at": LATER}),
    Insert({"id": 100, "v": "new", "updated_at": LATER}),
    Delete({"id": 7}),
)


def test_a_first_run_a_changed_source_and_a_run_without_changes(shop: Shop, dpone: Dpone) -> None:
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    assert shop.landed() == [dict(row) for row in shop.table.rows]
    shop.change(*CHANGES)
    answer = dpone("run", "orders.yaml", "--quiet", "--format", "json")
    (stream,) = json.loads(answer.out)["streams"]
    assert (stream["inserted"], stream["updated"], stream["deleted"]) == (1, 1, 0)
    answer = dpone("run", "orders.yaml", "--quiet", "--format", "json")
    (stream,) = json.loads(answer.out)["streams"]
    assert (stream["inserted"], stream["updated"], stream["deleted"]) == (0, 0, 0)
    assert {r["id"]: r["v"] for r in shop.landed()}[5] == "changed"


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_table_is_not_loaded_into_itself(shop: Shop, dpone: Dpone, command: str) -> None:
    Path("orders.yaml").write_text(MANIFEST.replace("dwh", "shop").replace("raw.orders", "public.orders"))
    answer = dpone(command, "orders.yaml")
    assert answer.code == 2
    assert "plan.onto_itself" in answer.err
    assert "public.orders" in answer.err


@pytest.mark.parametrize(
    "strategy, expected",
    [
        ("{mode: full_refresh}", 10),
        ("{mode: replace}", 10),
        ("{mode: snapshot_diff, key: [id]}", 10),
        ("{mode: incremental_merge, key: [id], cursor: {column: updated_at}}", 11),
        ("{mode: incremental_append, cursor: {column: id, lag: 0}}", 11),
        ("{mode: xmin, key: [id]}", 11),
        ("{mode: xmin, key: [id], reconcile: true}", 10),
        ("{mode: scd2, key: [id]}", 12),
        ("{mode: partition_replace, column: updated_at, grain: hour}", 10),
        ("{mode: backfill, column: id, bounds: {from: 0, to: 200}, chunk: 50}", 10),
        ("{mode: cdc, key: [id]}", 10),
    ],
)
@pytest.mark.parametrize("sink", ["memory", "memory_publish"])
def test_every_strategy_runs_by_manifest_and_a_rerun_changes_nothing(
    shop: Shop, dpone: Dpone, strategy: str, expected: int, sink: str
) -> None:
    shop.change()
    _into(shop, sink, f"strategy: {strategy}\n")
    for _ in range(2):
        answer = dpone("run", "orders.yaml", "--quiet")
        assert answer.code == 0, answer.err
    shop.change(*CHANGES)
    for _ in range(2):
        answer = dpone("run", "orders.yaml", "--quiet")
        assert answer.code == 0, answer.err
        assert len(shop.landed()) == expected


def _into(shop: Shop, sink: str, strategy: str = MANIFEST[MANIFEST.index("strategy:") :]) -> None:
    """The manifest writes to a sink of this kind, by this strategy."""
    text = MANIFEST[: MANIFEST.index("strategy:")].replace("sink: {type: memory", f"sink: {{type: {sink}")
    connections = Path("connections.yml")
    connections.write_text(connections.read_text().replace("dwh: {type: memory", f"dwh: {{type: {sink}"))
    shop.write(text + strategy)


def test_a_position_of_another_way_of_reading_is_refused(shop: Shop, dpone: Dpone) -> None:
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    before = shop.landed()
    shop.change(*CHANGES)
    shop.write(MANIFEST[: MANIFEST.index("strategy:")] + "strategy: {mode: xmin, key: [id]}\n")
    answer = dpone("run", "orders.yaml", "--quiet")
    assert (answer.code, "source.other_position" in answer.err) == (1, True)
    assert shop.landed() == before


def test_a_dry_run_and_a_plan_say_the_same_and_touch_nothing(shop: Shop, dpone: Dpone) -> None:
    plan = dpone("plan", "orders.yaml")
    assert plan.code == 0
    assert dpone("run", "orders.yaml", "--dry-run").out == plan.out
    assert "Upsert" in plan.out
    assert "is created" in plan.out
    assert not Path(".dpone/runs").exists()
    (as_json,) = json.loads(dpone("plan", "orders.yaml", "--format", "json").out)
    assert as_json["format"] == "rows"
    assert as_json["target_exists"] is False


def test_a_plan_says_which_options_are_for_another_target(
    shop: Shop, dpone: Dpone, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connector.sink is not None
    monkeypatch.setattr(connector.sink.options, "of_new", frozenset({"table", "never_given"}))
    assert "stays as it was made" not in dpone("plan", "orders.yaml").out
    dpone("run", "orders.yaml", "--quiet")
    assert "stays as it was made: table is for a new one" in dpone("plan", "orders.yaml").out
    (as_json,) = json.loads(dpone("plan", "orders.yaml", "--format", "json").out)
    assert as_json["unapplied_options"] == ["table"]


def test_a_plan_says_how_a_source_would_read_that_chooses(
    shop: Shop, dpone: Dpone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remarks(_: MemorySource, request: ReadRequest) -> list[str]:
        return [f"{request.read.value} by the second of two ways: the first is not there"]

    monkeypatch.setattr(MemorySource, "remarks", remarks, raising=False)
    assert "  reading   since by the second of two ways: the first is not there" in dpone("plan", "orders.yaml").out
    (as_json,) = json.loads(dpone("plan", "orders.yaml", "--format", "json").out)
    assert as_json["remarks"] == ["since by the second of two ways: the first is not there"]


def test_a_run_id_names_the_record_and_is_used_once(shop: Shop, dpone: Dpone) -> None:
    assert dpone("run", "orders.yaml", "--quiet", "--run-id", "first").code == 0
    assert json.loads(Path(".dpone/runs/first.json").read_text())["status"] == "succeeded"
    assert "| orders | incremental_merge | succeeded |" in Path(".dpone/runs/first.md").read_text()
    again = dpone("run", "orders.yaml", "--quiet", "--run-id", "first")
    assert again.code == 1
    assert "state.run_id_used" in again.err
    assert dpone("run", "orders.yaml", "--run-id", "../escape").code == 2
    Path(".dpone/runs/first.json").unlink()  # another machine has no record of it, but the target has
    assert "state.run_id_used" in dpone("run", "orders.yaml", "--quiet", "--run-id", "first").err


def test_runs_are_listed_and_shown(shop: Shop, dpone: Dpone) -> None:
    dpone("run", "orders.yaml", "--quiet", "--run-id", "first")
    listed = dpone("runs", "list")
    assert "first" in listed.out
    assert "succeeded" in listed.out
    shown = dpone("runs", "show", "first")
    assert "10 inserted" in shown.out
    assert json.loads(dpone("runs", "show", "first", "--format", "json").out)["run_id"] == "first"
    assert dpone("runs", "show", "never").code == 2


def test_state_is_shown_set_and_reset_only_with_yes(shop: Shop, dpone: Dpone) -> None:
    assert "nothing stored" in dpone("state", "show", "orders.yaml").out
    dpone("run", "orders.yaml", "--quiet")
    (row,) = json.loads(dpone("state", "show", "orders.yaml", "--format", "json").out)
    token = json.dumps(row["stored"]["position"]["token"])
    assert "--yes" in dpone("state", "reset", "orders.yaml").out
    assert "nothing stored" not in dpone("state", "show", "orders.yaml").out
    assert dpone("state", "reset", "orders.yaml", "--yes").code == 0
    assert dpone("state", "set", "orders.yaml", "nonsense").code == 2
    assert dpone("state", "set", "orders.yaml", token, "--yes").code == 0
    assert token in dpone("state", "show", "orders.yaml").out
    shown = dpone("state", "show", "orders.yaml").out.removeprefix("orders: ")
    for text in (shown, json.dumps(row["stored"]), json.dumps(row["stored"]["position"])):
        assert dpone("state", "reset", "orders.yaml", "--yes").code == 0
        assert dpone("state", "set", "orders.yaml", text, "--yes").code == 0
        assert token in dpone("state", "show", "orders.yaml").out


@pytest.mark.parametrize("sink", ["memory", "memory_publish"])
def test_a_target_that_somebody_removed_is_begun_anew_by_a_reset(shop: Shop, dpone: Dpone, sink: str) -> None:
    _into(shop, sink)
    dpone("run", "orders.yaml", "--quiet")
    shown = dpone("state", "show", "orders.yaml").out.removeprefix("orders: ")
    testkit.remove(shop.endpoint, Target(("raw", "orders")))
    refused = dpone("run", "orders.yaml", "--quiet")
    assert refused.code == 1
    assert "dpone state reset" in refused.err
    if sink == "memory_publish":
        assert "state.marker_missing" in dpone("state", "set", "orders.yaml", shown, "--yes").err
    assert dpone("state", "reset", "orders.yaml", "--yes").code == 0
    assert dpone("run", "orders.yaml", "--quiet").code == 0
    assert len(shop.landed()) == 10


@pytest.mark.parametrize(
    "position",
    [
        "{}",
        "[]",
        '{"token": {}, "kind": "since"}',
        '{"column": "updated_at"}',
        '{"column": "updated_at", "cursor": null}',
        '{"column": 7, "cursor": 7}',
        '{"kind": "xmin", "token": {"system": "a", "xmin": 7}}',
        '{"position": null, "generation": 1}',
    ],
)
def test_a_position_that_the_source_could_not_have_made_is_refused(shop: Shop, dpone: Dpone, position: str) -> None:
    dpone("run", "orders.yaml", "--quiet")
    before = dpone("state", "show", "orders.yaml").out
    answer = dpone("state", "set", "orders.yaml", position, "--yes")
    assert (answer.code, answer.out) == (2, "")
    assert "usage.invalid_position" in answer.err
    assert '{"column": "id", "cursor": 7}' in answer.err
    assert dpone("state", "show", "orders.yaml").out == before


def test_a_stream_that_reads_everything_has_no_position_to_set(shop: Shop, dpone: Dpone) -> None:
    shop.write(MANIFEST[: MANIFEST.index("strategy:")] + "strategy: {mode: full_refresh}\n")
    answer = dpone("state", "set", "orders.yaml", '{"column": "id", "cursor": 7}', "--yes")
    assert (answer.code, "has no position" in answer.err) == (2, True)


@pytest.mark.parametrize("table", ['we"x', ".x", "public.", "x" * 501])
def test_a_copy_of_what_is_no_name_of_a_table_is_refused(shop: Shop, dpone: Dpone, table: str) -> None:
    source, target = (f"memory://?path={shop.folder}/store#{name}" for name in ("public.orders", table))
    for ends, at in (((source, target), "DST_URL"), ((target, source), "SRC_URL")):
        answer = dpone("copy", *ends, "--quiet")
        assert (answer.code, f"[manifest.invalid_name] {at}: " in answer.err) == (2, True), answer.err


def test_many_streams_run_in_parallel_and_one_that_fails_does_not_stop_the_others(shop: Shop, dpone: Dpone) -> None:
    for number in (1, 2):
        copied = dpone(
            "copy", f"memory://?path={shop.folder}/store#public.orders", f"memory://?path={shop.folder}/store#public.t{number}",
            "--quiet",
        )  # fmt: skip
        assert copied.code == 0, copied.err
    shop.write(STREAMS)
    report = json.loads(dpone("run", "orders.yaml", "--quiet", "--format", "json").out)
    assert sorted(s["name"] for s in report["streams"]) == ["public.orders", "public.t1", "public.t2"]
    shop.write(STREAMS + "  - {name: public.t1, source: {table: public.t1}, checks: [{min_rows: 1000}]}\n")
    answer = dpone("run", "orders.yaml", "--quiet", "--format", "json")
    assert answer.code == 1
    said = json.loads(answer.err)
    assert (said["stream"], said["error"]["code"]) == ("public.t1", "check.row_count")
    told = dpone("run", "orders.yaml", "--quiet")
    assert "error [check.row_count] public.t1: " in told.err
    assert "public.t1: failed [check.row_count]; read 10\n" in told.out
    states = {s["name"]: s["status"] for s in json.loads(answer.out)["streams"]}
    assert states == {"public.orders": "succeeded", "public.t1": "failed", "public.t2": "succeeded"}
    one = json.loads(dpone("run", "orders.yaml", "--quiet", "--format", "json", "--select", "*t2").out)
    assert [s["name"] for s in one["streams"]] == ["public.t2"]


def test_copy_onto_a_target_asks_for_a_strategy(shop: Shop, dpone: Dpone) -> None:
    source, target = (f"memory://?path={shop.folder}/store#{t}" for t in ("public.orders", "raw.orders"))
    assert dpone("copy", source, target, "--quiet").code == 0
    again = dpone("copy", source, target, "--quiet")
    assert again.code == 2
    assert "usage.target_exists" in again.err
    assert dpone("copy", source, target, "--quiet", "--strategy", "snapshot_diff", "--key", "id").code == 0
    assert dpone("copy", source, target, "--strategy", "snapshot_diff").code == 2
    assert dpone("copy", source.partition("#")[0], target).code == 2


def test_init_writes_a_manifest_that_runs(shop: Shop, dpone: Dpone) -> None:
    asked = ("init", "--source", "shop", "--table", "public.orders", "--sink", "dwh", "--into", "raw.orders")
    written = dpone(*asked, "--output", "n.yaml")
    assert written.code == 0, written.err
    assert "incremental_merge" in written.out
    assert dpone("run", "n.yaml", "--quiet").code == 0
    assert len(shop.landed()) == 10
    assert dpone(*asked, "--output", "n.yaml").code == 2
    assert "--table" in dpone("init", "--source", "shop").err


def test_the_python_interface_returns_a_typed_report(shop: Shop) -> None:
    report = api.run("orders.yaml")
    assert report.succeeded
    assert report.streams[0].inserted == 10
    (preview,) = api.preview("orders.yaml")
    assert preview.current is not None


def test_columns_are_selected_renamed_cast_masked_and_hashed_and_rows_filtered(shop: Shop, dpone: Dpone) -> None:
    shop.write(
        MANIFEST[: MANIFEST.index("strategy:")]
        + "columns: [id, {name: v, as: secret, hash: sha256}, {name: updated_at, as: at}]\n"
        + "where: [{column: id, op: in, value: [1, 2, 3]}]\naudit: true\nstrategy: {mode: full_refresh, key: [id]}\n"
    )
    answer = dpone("run", "orders.yaml", "--quiet", "--run-id", "masked")
    assert answer.code == 0, answer.err
    rows = shop.landed()
    assert [r["id"] for r in rows] == [1, 2, 3]
    assert all(len(r["secret"]) == 64 and "v" not in r for r in rows)
    assert {r["_dpone_load_id"] for r in rows} == {"masked.orders"}
    assert "secret must be changed on the way" in dpone("plan", "orders.yaml").out


@pytest.mark.parametrize("place", [p for p in failpoints.RUN if p != "after_each_op"] + ["after_each_op"])
def test_a_run_killed_anywhere_is_right_after_a_rerun(shop: Shop, dpone: Dpone, place: str) -> None:
    dpone("run", "orders.yaml", "--quiet")
    shop.change(*CHANGES)
    command = [sys.executable, "-c", "from dpone.cli import main; main()", "run", "orders.yaml", "--quiet"]
    died = subprocess.run(command, env={**os.environ, "DPONE_FAILPOINT": place}, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert "lost" in dpone("runs", "list").out
    answer = dpone("run", "orders.yaml", "--quiet")
    assert answer.code == 0, answer.err
    rows = {r["id"]: r["v"] for r in shop.landed()}
    assert rows == {**{n: f"v{n}" for n in range(10)}, 5: "changed", 100: "new"}


@pytest.mark.parametrize("signum, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_rolls_back_and_ends_with_its_own_code(shop: Shop, signum: int, code: int) -> None:
    program = (
        "import signal\nfrom dpone import failpoints\nfrom dpone.cli import main\n"
        f"with failpoints.arm('after_seal', lambda: signal.raise_signal({int(signum)})):\n    main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "run", "orders.yaml", "--quiet", "--run-id", "cut"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    assert json.loads(Path(".dpone/runs/cut.json").read_text())["status"] == "interrupted"


def test_the_sources_key_survives_a_full_refresh_that_names_none(shop: Shop, dpone: Dpone) -> None:
    shop.write(MANIFEST[: MANIFEST.index("strategy:")] + "strategy: {mode: full_refresh}\n")
    (preview,) = api.preview("orders.yaml")
    assert preview.prepared.spec.layout.schema.key == ("id",)
    shop.write(MANIFEST[: MANIFEST.index("strategy:")] + "columns: [v, updated_at]\nstrategy: {mode: full_refresh}\n")
    (preview,) = api.preview("orders.yaml")
    assert preview.prepared.spec.layout.schema.key == ()
