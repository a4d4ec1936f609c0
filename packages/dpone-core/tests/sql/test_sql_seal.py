"""Which tables a sealed stage is kept in, and how the rendering of operations sees them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dpone.batch import ARROW
from dpone.connector import Layout, Role, Staged, StageSpec, SystemColumn, Target
from dpone.ops import Append
from dpone.schema import INT64, STRING, Field, Schema, timestamptz
from dpone.sql.dialect import Dialect
from dpone.sql.load import KEPT, Ledger, SqlLoad
from dpone.sql.seal import RawStage, SealedTables, Survey, explained, sealed_tables
from dpone.stage import Sealing

ID, V = Field("id", INT64), Field("v", STRING)
NOW = datetime(2024, 1, 1, tzinfo=UTC)
SYSTEM = (
    SystemColumn(Role.LOADED_AT, Field("loaded_at", timestamptz(6)), NOW),
    SystemColumn(Role.DELETED_AT, Field("deleted_at", timestamptz(6))),
)
LEDGER = Ledger("ledger")


def spec(*, changes: bool = False, present: bool = False) -> StageSpec:
    """A stage of two columns, in an order of their own, of a target of three."""
    layout = Layout(Schema((ID, Field("other", STRING), V), key=("id",)), SYSTEM)
    sealing = Sealing(("v", "id"), ("id",), changes=changes)
    return StageSpec(Target(("t",)), "l1", "p", layout, ("v", "id"), ARROW, sealing, (Append("l1"),), present=present)


class Made:
    """The parts that were made, with their columns, each of so many rows."""

    def __init__(self, **rows: int) -> None:
        self.rows, self.columns = rows, dict[str, tuple[Field, ...]]()

    def __call__(self, part: str, fields: tuple[Field, ...], query: str) -> tuple[str, int]:
        assert query.startswith("SELECT ")
        self.columns[part] = fields
        return f"the {part} table", self.rows[part]


def test_what_is_sealed_as_it_came_stays_where_it_is() -> None:
    made = Made()
    of = spec()
    raw = RawStage("raw", of.content, tagged=of.is_tagged)
    assert sealed_tables(raw, of.sealing, Survey(7), Dialect(), made) == (SealedTables(Survey(7), "raw"), Staged(7, 7))
    assert made.columns == {}


@pytest.mark.parametrize("partial", [False, True])
def test_changes_are_kept_in_tables_of_their_own(partial: bool) -> None:  # noqa: FBT001 - a case
    made, found = Made(live=3, dead=2, present=1), Survey(9, cleared=True, partial=partial)
    of = spec(changes=True)
    raw = RawStage("raw", of.content, tagged=of.is_tagged)
    tables, staged = sealed_tables(raw, of.sealing, found, Dialect(), made)
    live, dead = "the live table", "the dead table"
    assert tables == SealedTables(found, live, dead, "the present table")
    assert staged == Staged(9, 3, 2, 1, cleared=True)
    mask = [Field(KEPT, STRING)] if partial else []
    assert made.columns == {"live": (V, ID, *mask), "dead": (ID,), "present": (ID,)}
    assert tables.tables == {live, dead, "the present table"}


def test_keys_that_are_there_are_kept_beside_rows() -> None:
    made = Made(live=3, present=5)
    of = spec(present=True)
    raw = RawStage("raw", of.content, tagged=of.is_tagged)
    tables, staged = sealed_tables(raw, of.sealing, Survey(8), Dialect(), made)
    assert tables == SealedTables(Survey(8), "the live table", None, "the present table")
    assert staged == Staged(8, 3, 0, 5)


def test_a_load_knows_all_that_operations_ask() -> None:
    found = SealedTables(Survey(9, cleared=True, partial=True), "live table", "dead table", "present table")
    assert found.load(spec(changes=True), "target", LEDGER) == SqlLoad(
        target="target",
        live="live table",
        columns=(V, ID),
        key=("id",),
        dead="dead table",
        present="present table",
        cleared=True,
        partial=True,
        stamps={"loaded_at": NOW},
        ledger=LEDGER,
    )


def test_a_load_knows_the_types_of_its_content_alone() -> None:
    load = explained(spec(), "target")
    assert (load.names, load.type_of("id"), load.type_of("loaded_at")) == (("v", "id"), INT64, None)


@pytest.mark.parametrize(
    "of,dead,present",
    [
        (spec(), None, None),
        (spec(changes=True), "dead", "present"),
        (spec(present=True), None, "present"),
    ],
)
def test_a_load_that_nobody_staged_is_told_by_what_its_tables_would_hold(
    of: StageSpec, dead: str | None, present: str | None
) -> None:
    load = explained(of, "target", LEDGER)
    assert (load.target, load.live, load.dead, load.present) == ("target", "live", dead, present)
    assert (load.columns, load.stamps, load.ledger, load.partial) == ((V, ID), {"loaded_at": NOW}, LEDGER, False)
    assert explained(of, "target").ledger is None
