"""Replay as an operator meets it: a run stopped, or rows are wrong; afterwards all is right, nothing else touched."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from dpone import api, failpoints
from dpone.replay.evidence import ORDER, ReplayEvidence
from dpone.replay.scope import Whole
from dpone.testing.deaths import patiently
from dpone.testing.shop import Dpone
from tests.integration.replay.worlds import ROWS, PostgresWorld, World, day_of, killed

pytestmark = pytest.mark.integration_replay

Id = Callable[[], str]
PARTITION = "{mode: partition_replace, column: day}"
BACKFILL = "{mode: backfill, column: id, bounds: {from: 0, to: 10000}, chunk: 2500}"


def good(rows: int = ROWS) -> dict[int, str]:
    return {n: f"v{n}" for n in range(rows)}


def loaded(world: World, strategy: str | None = None, rows: int = ROWS) -> None:
    """The rows have landed once."""
    world.seed(rows)
    if strategy is None:
        world.write()
    else:
        world.write(strategy)
    assert api.run("orders.yaml", run_id="first").succeeded
    assert len(world.landed()) == rows


def stopped(world: World, run: str, rows: int = ROWS) -> None:
    """A second run, of one row, failed in its merge."""
    loaded(world, rows=rows)
    world.change(7, "changed")
    with world.broken():
        assert not api.run("orders.yaml", run_id=run).succeeded
    assert world.landed() == good(rows)


def test_one_row_whose_merge_failed_is_resumed_among_ten_thousand(
    world: World, dpone: Dpone, run_id: Id, artifacts: Path, asked: list[str]
) -> None:
    run = run_id()
    stopped(world, run)
    before = world.versions()
    plan = dpone("resume", run)
    assert plan.code == 0, plan.err
    assert "0 inserted, 1 updated, 0 deleted; 10,000 rows before, 10,000 after" in plan.out
    assert world.versions() == before, "a plan changes nothing"
    asked.clear()
    answer = dpone("resume", run, "--yes", "--artifact-dir", str(artifacts), "--format", "json")
    assert answer.code == 0, answer.err
    evidence = ReplayEvidence.model_validate_json(answer.out)
    assert evidence.passed
    assert [(o.name, o.status) for o in evidence.operations] == [(name, "done") for name in ORDER]
    assert world.landed() == {**good(), 7: "changed"}
    after = world.versions()
    assert {n for n in after if after[n] != before[n]} == {7}
    assert world.leftovers() == 0
    assert "sink.stage" not in asked
    assert "stage.seal" not in [a for a in asked if world.name == "postgres"]
    law = [a for a in asked if a in LAW]
    assert list(dict.fromkeys(law)) == LAW, "validate the stage, finalise, reconcile, commit the state"
    assert law.index("stage.measure") < law.index("publication.apply") < law.index("publication.commit")


LAW = [
    "sink.lease",
    "sink.adopt_stage",
    "stage.measure",
    "publication.ensure",
    "publication.measure",
    "publication.apply",
    "publication.save_position",
    "publication.commit",
]


def test_a_stage_that_was_not_sealed_is_discarded_and_read_again(world: World, run_id: Id, artifacts: Path) -> None:
    run = run_id()
    loaded(world, rows=200)
    world.change(7, "changed")
    assert killed("before_seal", lambda: api.run("orders.yaml", run_id=run), world)
    world.change(8, "changed too")
    assert patiently(lambda: api.resume(run, yes=True, artifact_dir=artifacts)).passed
    assert world.landed() == {**good(200), 7: "changed", 8: "changed too"}
    assert world.leftovers() == 0


def test_a_backfill_is_resumed_at_its_next_chunk(world: World, run_id: Id, artifacts: Path) -> None:
    run = run_id()
    world.seed()
    world.write(BACKFILL)
    assert killed("after_save_position:3", lambda: api.run("orders.yaml", run_id=run), world)
    assert sorted(world.landed()) == list(range(5000))
    before = world.versions()
    answer = patiently(lambda: api.resume(run, yes=True, artifact_dir=artifacts))
    assert answer.passed
    assert [o.load_id for o in answer.operations][::4] == [f"{run}.5000..7500.orders", f"{run}.7500..10000.orders"]
    assert world.landed() == good()
    after = world.versions()
    assert {n: after[n] for n in before} == before, "chunks that had landed are not touched"


@pytest.mark.parametrize("strategy", [None, PARTITION], ids=["merge", "partition_replace"])
def test_a_resync_of_one_partition_touches_no_other_row(
    world: World, dpone: Dpone, run_id: Id, artifacts: Path, strategy: str | None
) -> None:
    loaded(world, strategy)
    world.spoil(3, 13, 4)
    world.delete_source(23)
    before = world.versions()
    words = ("resync", "orders.yaml", "--partition", f"day={day_of(3)}", "--run-id", run_id())
    plan = dpone(*words)
    assert plan.code == 0, plan.err
    assert world.versions() == before, "a plan changes nothing"
    done = dpone(*words, "--yes", "--artifact-dir", str(artifacts), "--format", "json")
    assert done.code == 0, done.err
    assert ReplayEvidence.model_validate_json(done.out).passed
    expected = {**good(), 4: "spoilt"}
    del expected[23]
    assert world.landed() == expected
    after = world.versions()
    outside = {n for n in expected if day_of(n) != day_of(3)}
    assert {n: after[n] for n in outside} == {n: before[n] for n in outside}
    if strategy is None:
        assert {n for n in after if after[n] != before[n]} == {3, 13}, "rows that are equal are not touched either"


@pytest.mark.parametrize(
    "words", [("--range", "id", "0", "20"), ("--key", "3", "--key", "13"), ("--all",)], ids=" ".join
)
def test_a_range_keys_and_the_whole_table_are_landed_again(
    world: World, dpone: Dpone, run_id: Id, artifacts: Path, words: tuple[str, ...]
) -> None:
    loaded(world, rows=500)
    world.spoil(3, 13, 100)
    kept = {} if "--all" in words else {100: "spoilt"}
    answer = dpone("resync", "orders.yaml", *words, "--yes", "--run-id", run_id(), "--artifact-dir", str(artifacts))
    assert answer.code == 0, answer.err
    assert world.landed() == {**good(500), **kept}
    world.change(5, "changed")
    assert api.run("orders.yaml").succeeded
    assert world.landed() == {**good(500), **kept, 5: "changed"}


def test_the_command_in_the_evidence_reproduces_it(world: World, dpone: Dpone, run_id: Id, artifacts: Path) -> None:
    loaded(world, rows=100)
    for _ in range(2):
        world.spoil(3)
        answer = dpone(
            "resync",
            "orders.yaml",
            "--key",
            "3",
            "--yes",
            "--run-id",
            run_id(),
            "--artifact-dir",
            str(artifacts),
            "--format",
            "json",
        )
        assert answer.code == 0, answer.err
        world.spoil(3)
        command = shlex.split(json.loads(answer.out)["reproduction_command"])
        assert command[0] == "dpone"
        assert dpone(*command[1:]).code == 0
        assert world.landed() == good(100)
    run = run_id()
    world.change(7, "changed")
    with world.broken():
        assert not api.run("orders.yaml", run_id=run).succeeded
    planned = json.loads(dpone("resume", run, "--format", "json").out)
    assert dpone(*shlex.split(planned["reproduction_command"])[1:], "--yes").code == 0
    assert world.landed()[7] == "changed"


# ------------------------------------------------------------------------ kills

RESUMED = [
    p for p in failpoints.RUN if p not in {"after_open", "after_first_batch", "before_seal", "after_seal", "after_keep"}
]


@pytest.mark.parametrize("first", ["after_seal", "after_keep", "after_save_position"])
def test_a_resume_that_is_killed_anywhere_is_resumed_again(
    world: World, run_id: Id, artifacts: Path, first: str
) -> None:
    loaded(world, rows=100)
    places = list(failpoints.RUN) if first == "after_seal" else RESUMED
    value = ""
    for number, place in enumerate(places):
        run, value = run_id(), f"changed {number}"
        world.change(7, value)
        assert killed(first, lambda: api.run("orders.yaml", run_id=run), world), place  # noqa: B023 - called at once
        assert killed(place, lambda: patiently(lambda: api.resume(run, yes=True)), world), place  # noqa: B023 - called at once
        again = patiently(lambda: api.resume(run, yes=True, artifact_dir=artifacts))  # noqa: B023 - called at once
        assert again.passed, place
        assert world.landed() == {**good(100), 7: value}, place
        assert world.leftovers() == 0


def test_a_resync_that_is_killed_anywhere_is_run_again(world: World, run_id: Id, artifacts: Path) -> None:
    loaded(world, rows=100)
    for place in failpoints.RUN:
        world.spoil(3, 13)
        assert killed(place, lambda: patiently(lambda: api.resync("orders.yaml", Whole(), yes=True)), world), place
        again = patiently(lambda: api.resync("orders.yaml", Whole(), yes=True, run_id=run_id(), artifact_dir=artifacts))
        assert again.passed, place
        assert world.landed() == good(100), place
        assert world.leftovers() == 0


# ------------------------------------------------------------------- wrong uses


def moved(world: World, run: str) -> None:
    """Another run did the work."""
    assert api.run("orders.yaml").succeeded


def edited(world: World, run: str) -> None:
    path = Path(f".dpone/runs/{run}.json")
    path.write_text(path.read_text().replace('"rows_staged": ', '"rows_staged": 1'))


def swept(world: World, run: str) -> None:
    api.sweep("orders.yaml", older_than=timedelta(0))


WRONG: dict[str, tuple[str, Callable[[World, str], object]]] = {
    "unknown run": ("run.unknown", lambda _, run: Path(f".dpone/runs/{run}.json").unlink()),
    "wrong target": ("replay.wrong_target", lambda world, _: world.write(target="others")),
    "moved position": ("replay.position_moved", moved),
    "edited record": ("replay.record_edited", edited),
    "stage that was swept": ("replay.unsealed_stage", swept),
    "other strategy": ("replay.other_strategy", lambda world, _: world.write("{mode: snapshot_diff, key: [id]}")),
    "changed manifest": (
        "replay.manifest_changed",
        lambda world, _: world.write("{mode: incremental_merge, key: [id], cursor: {column: updated_at, lag: 6m}}"),
    ),
    "other pipeline": ("replay.other_pipeline", lambda world, _: world.write(name="others")),
    "no manifest": ("replay.manifest_missing", lambda world, _: world.manifest.unlink()),
    "finished run": ("replay.already_finished", lambda _, run: api.resume(run, yes=True)),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_use_changes_nothing_and_says_its_name(world: World, dpone: Dpone, run_id: Id, what: str) -> None:
    run = run_id()
    stopped(world, run, rows=100)
    code, spoil = WRONG[what]
    spoil(world, run)
    before = world.versions()
    state = dpone("state", "show", "orders.yaml", "--format", "json").out if world.manifest.exists() else ""
    answer = dpone("resume", run, "--yes")
    assert f"[{code}]" in answer.err
    assert answer.code in {1, 2}
    assert world.versions() == before
    if world.manifest.exists():
        assert dpone("state", "show", "orders.yaml", "--format", "json").out == state


def test_a_whole_table_whose_slot_is_lost_is_landed_again_and_followed_from_there(
    postgres_world: PostgresWorld, run_id: Id, artifacts: Path
) -> None:
    world = postgres_world
    loaded(world, "{mode: cdc, key: [id]}", rows=200)
    slots = "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()"
    ((slot,),) = world.db.execute(slots).fetchall()
    assert not api.resync("orders.yaml", Whole()).passed
    world.change(7, "changed")
    assert api.run("orders.yaml").succeeded, "a plan leaves the slot as it is"
    world.db.execute("SELECT pg_drop_replication_slot(%s)", (slot,))
    world.change(8, "changed, and lost with the slot")
    assert api.run("orders.yaml").streams[0].error_code == "source.slot_lost"
    assert killed("after_seal", lambda: api.resync("orders.yaml", Whole(), yes=True), world)
    run = run_id()
    assert patiently(lambda: api.resync("orders.yaml", Whole(), yes=True, run_id=run, artifact_dir=artifacts)).passed
    world.change(9, "changed after it")
    assert api.run("orders.yaml").succeeded
    assert world.landed() == {
        **good(200),
        7: "changed",
        8: "changed, and lost with the slot",
        9: "changed after it",
    }
    world.db.execute("SELECT pg_drop_replication_slot(%s)", (slot,))


@pytest.mark.parametrize(
    "strategy",
    [
        "{mode: full_refresh}",
        "{mode: replace}",
        "{mode: snapshot_diff, key: [id]}",
        "{mode: incremental_append, key: [id], cursor: {column: updated_at, lag: 1d}}",
        "{mode: xmin, key: [id]}",
        PARTITION,
    ],
    ids=lambda text: text.split()[1].strip(",}"),
)
@pytest.mark.parametrize("place", ["after_keep", "after_save_position"])
def test_each_strategy_is_resumed(world: World, run_id: Id, artifacts: Path, strategy: str, place: str) -> None:
    loaded(world, strategy, rows=100)
    world.change(7, "changed")
    run = run_id()
    assert killed(place, lambda: api.run("orders.yaml", run_id=run), world)
    assert world.landed() == good(100)
    assert patiently(lambda: api.resume(run, yes=True, artifact_dir=artifacts)).passed
    kept = "append" in strategy  # a row whose key is there already is not appended again
    assert world.landed() == (good(100) if kept else {**good(100), 7: "changed"})
    assert world.leftovers() == 0
