"""A stage that becomes its target: rows are written once, by the way that loses nothing, and readers see no gap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Event, Thread
from typing import cast

import pytest
from msgspec import Struct, field

from dpone.batch import ARROW
from dpone.connector import Explains, Fate, StageSpec, Target
from dpone.errors import PlanError
from dpone.events import OpApplied
from dpone.ops import Recreate
from dpone.oracle import Counts
from dpone.plan import Plan
from dpone.stage import Sealing
from dpone.strategies import Read
from dpone.testing.suite.compare import plain_rows
from dpone.testing.suite.places import at
from dpone.testing.suite.plain import many
from dpone.testing.suite.rig import Rig, Seeded, SinkRig, SourceRig, rigged
from dpone.testing.suite.running import FREE, plan_of, run
from dpone.testing.testkit import PLAIN, HoldsSnapshots, Update
from dpone.where import Row
from dpone_mssql import adoption, connector
from dpone_mssql.adoption import Adoption, Way
from dpone_mssql.session import Connection

pytestmark = pytest.mark.integration_mssql


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Rig]:
    """Rows that come as plain Arrow."""
    with rigged("memory", None) as found:
        yield found


@pytest.fixture
def seeded(elsewhere: Rig) -> Seeded:
    return SourceRig(elsewhere.spec, elsewhere.kit, elsewhere.endpoint).seed(PLAIN, many(30), Read.SCAN)


class Refresh(Struct):
    """A target that is refreshed as a whole, again and again."""

    seeded: Seeded
    sink: SinkRig
    connection: Connection
    target: Target
    said: list[str]
    plan: Plan
    rows: list[Row] = field(default_factory=lambda: many(30))

    @property
    def table(self) -> str:
        return f"[dbo].[{self.target.name[1]}]"

    @property
    def id(self) -> int:
        (found,) = self.connection.one(f"SELECT OBJECT_ID(N'{self.table}')")
        return int(found)

    def carry_out(self) -> Counts:
        """One more load, after which the target is the source, and nothing else is there; what it wrote is `said`."""
        self.said.clear()
        told = run(self.plan, self.seeded, self.sink)
        fields = self.seeded.schema.fields
        assert self.sink.found(self.target, fields) == plain_rows(self.rows, fields)
        assert not self.connection.rows("SELECT name FROM sys.tables WHERE name LIKE '[_]dpone[_]%[_]%[_]%'")
        return next(event.counts for event in told if isinstance(event, OpApplied))

    def change(self) -> None:
        self.seeded.change(Update({"id": 3}, {"name": "changed"}))
        self.rows[3] = {**self.rows[3], "name": "changed"}

    def explain(self) -> str:
        """What `plan` shows of the next load."""
        with self.sink.sink() as opened:
            layout = opened.inspect(self.target)
            assert layout is not None
            assert isinstance(opened, Explains)
            names = self.seeded.schema.names
            spec = StageSpec(
                self.target, "l", "p", layout, names, ARROW, Sealing(names), (Recreate(FREE),), Fate.ADOPT, writers=1
            )
            return "\n".join(opened.explain(spec, ()))

    def copied(self) -> bool:
        return any(text.startswith(f"INSERT INTO {self.table}") for text in self.said)


@pytest.fixture
def refresh(seeded: Seeded, sink: SinkRig, connection: Connection, monkeypatch: pytest.MonkeyPatch) -> Refresh:
    said: list[str] = []
    carried_out = Connection.run

    def run_and_note(self: Connection, text: str, values: Sequence[object] = ()) -> int:
        said.append(text)
        return carried_out(self, text, values)

    monkeypatch.setattr(Connection, "run", run_and_note)
    target = sink.target()
    return Refresh(seeded, sink, connection, target, said, plan_of(seeded, sink, target, "full_refresh", key=("id",)))


def test_a_new_table_is_the_stage_under_its_name(refresh: Refresh) -> None:
    assert refresh.carry_out() == Counts(inserted=30)
    assert not refresh.copied()
    assert [text for text in refresh.said if "sp_rename" in text]


def test_a_table_that_is_there_stays_and_gets_the_rows_of_the_stage(refresh: Refresh) -> None:
    refresh.carry_out()
    before = refresh.id
    refresh.change()
    assert "becomes the target (switch)" in refresh.explain()
    assert refresh.carry_out() == Counts(inserted=30, deleted=30)
    assert refresh.id == before
    assert not refresh.copied()
    assert [text for text in refresh.said if " SWITCH TO " in text]


def test_a_table_whose_columns_change_is_another_one_afterwards(refresh: Refresh) -> None:
    refresh.connection.run(f"CREATE TABLE {refresh.table} (id int NOT NULL PRIMARY KEY, gone nvarchar(9) NULL)")
    refresh.connection.run(f"INSERT INTO {refresh.table} VALUES (1, N'a'), (2, N'b')")
    before = refresh.id
    assert refresh.carry_out() == Counts(inserted=30, deleted=2)
    assert refresh.id != before
    assert not refresh.copied()


@pytest.mark.parametrize(
    "what, named",
    [
        ("CREATE TABLE dbo.child_{1} (id bigint NOT NULL, FOREIGN KEY (id) REFERENCES {0} (id))", "foreign keys"),
        ("ALTER TABLE {0} ADD CHECK (id < 1000)", "check constraints"),
        ("CREATE INDEX by_name ON {0} (id, amount)", "indexes beside its key"),
        ("CREATE VIEW dbo.seen_{1} AS SELECT id FROM {0}", "views or functions bound to it"),
        ("ALTER TABLE {0} ADD numbered int IDENTITY(1, 1) NOT NULL", "numbered is numbered"),
        ("ALTER TABLE {0} ENABLE CHANGE_TRACKING", "Change Tracking"),
        (
            "EXEC sys.sp_cdc_enable_table @source_schema = N'dbo', @source_name = N'{1}', @role_name = NULL",
            "change data capture",
        ),
    ],
)
def test_what_would_be_lost_keeps_the_table_and_is_named(refresh: Refresh, what: str, named: str) -> None:
    refresh.carry_out()
    before = refresh.id
    refresh.connection.run(what.format(refresh.table, refresh.target.name[1]))
    said = refresh.explain()
    assert "the rows of the stage are copied, because of:" in said
    assert named in said
    refresh.change()
    refresh.carry_out()
    assert refresh.copied()
    assert refresh.id == before


@pytest.mark.parametrize("otherwise", [Way.COPY, Way.SWAP])
def test_a_refusal_that_the_catalogue_did_not_tell_leads_to_another_way(
    refresh: Refresh, monkeypatch: pytest.MonkeyPatch, otherwise: Way
) -> None:
    refresh.connection.run(f"CREATE TABLE {refresh.table} (id bigint NOT NULL PRIMARY KEY, gone nvarchar(9) NULL)")
    refresh.connection.run(f"INSERT INTO {refresh.table} VALUES (1, N'a'), (2, N'b')")
    before = refresh.id
    monkeypatch.setattr(adoption, "decide", lambda *_: Adoption(Way.SWITCH, otherwise=otherwise))
    assert refresh.carry_out() == Counts(inserted=30, deleted=2)
    assert [text for text in refresh.said if " SWITCH TO " in text]
    assert bool(refresh.copied()) is (refresh.id == before) is (otherwise is Way.COPY)


def test_what_comes_to_the_table_while_rows_are_staged_is_not_lost(
    refresh: Refresh, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh.carry_out()

    def comes() -> None:
        refresh.connection.run(f"ALTER TABLE {refresh.table} ADD CHECK (id < 1000)")

    with at("before_seal", comes):
        refresh.carry_out()
    assert refresh.copied()
    assert refresh.connection.one(
        f"SELECT COUNT(*) FROM sys.check_constraints WHERE parent_object_id = {refresh.id}"
    ) == (1,)


def test_who_holds_a_snapshot_keeps_the_table(refresh: Refresh, rig: Rig) -> None:
    refresh.carry_out()
    before = refresh.id
    refresh.change()
    assert isinstance(rig.kit, HoldsSnapshots)
    with rig.kit.snapshot(rig.endpoint, refresh.target):
        refresh.carry_out()
    assert refresh.copied()
    assert refresh.id == before
    assert not [text for text in refresh.said if " SWITCH TO " in text]


def test_who_reads_on_is_waited_for_a_second_and_the_position_is_saved_again(refresh: Refresh, rig: Rig) -> None:
    refresh.carry_out()
    refresh.change()
    config = connector.config.model_validate(dict(rig.kit.connection(rig.endpoint)))
    reader = Connection(config, "source")
    try:
        reader.run("BEGIN TRANSACTION")
        reader.rows(f"SELECT id FROM {refresh.table}")
        refresh.carry_out()
    finally:
        reader.close()
    assert refresh.copied()
    assert [text for text in refresh.said if " SWITCH TO " in text or text.startswith("TRUNCATE TABLE")]
    name = ".".join(refresh.target.name)
    assert refresh.connection.one(f"SELECT generation FROM dbo._dpone_state WHERE target = N'{name}'") == (2,)


def test_a_login_that_may_not_look_for_snapshots_takes_them_for_held(refresh: Refresh) -> None:
    class Blind:
        def one(self, text: str) -> tuple[int]:
            if "dm_tran" in text:
                raise PlanError("VIEW SERVER STATE", code="source.forbidden")
            return (1,)

    assert not adoption.may_hold_snapshots(refresh.connection)
    assert adoption.may_hold_snapshots(cast("Connection", Blind()))


def test_readers_see_the_old_rows_or_the_new_ones(refresh: Refresh, rig: Rig) -> None:
    refresh.carry_out()
    seen: set[int] = set()
    failed: list[Exception] = []
    done = Event()

    def read() -> None:
        config = connector.config.model_validate(dict(rig.kit.connection(rig.endpoint)))
        reader = Connection(config, "source")
        try:
            while not done.is_set():
                seen.add(reader.one(f"SELECT COUNT(*) FROM {refresh.table}")[0])
        except Exception as error:  # noqa: BLE001 - told below
            failed.append(error)
        finally:
            reader.close()

    thread = Thread(target=read)
    thread.start()
    try:
        for _ in range(4):
            refresh.carry_out()
    finally:
        done.set()
        thread.join()
    assert not failed
    assert seen == {30}
