"""How a stage becomes its target: the best way that loses nothing, with what stood against a better one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from dpone.batch import ARROW
from dpone.connector import Fate, Layout, StageSpec, Target
from dpone.ops import Recreate
from dpone.schema import Field, Schema
from dpone.stage import Sealing
from dpone_mssql.adoption import Adoption, Found, Way, creation, decide, stage_columns, takeover
from dpone_mssql.catalog import TABLE, Attribute, Relation
from dpone_mssql.typemap import read


def column(name: str, native: str, *, nullable: bool = True) -> Field:
    return Field(name, read(native), nullable=nullable, native=f"mssql:{native}")


ID, NAME = column("id", "bigint", nullable=False), column("name", "nvarchar(20)")
SPEC = StageSpec(
    target=Target(("dbo", "orders")),
    load_id="l",
    pipeline="p",
    layout=Layout(Schema((ID, NAME), ("id",))),
    columns=("id", "name"),
    format=ARROW,
    sealing=Sealing(("id", "name"), ("id",)),
    program=(Recreate(),),
    fate=Fate.ADOPT,
    writers=1,
)


def there(*fields: Field, key: tuple[str, ...] = ("id",), **more: bool) -> Relation:
    """A table with these columns, the last of which is as `more` says."""
    plain = {"is_identity": False, "is_computed": False, "has_default": False}
    made = [Attribute(f, **plain, collation="Latin1_General_CI_AS" if f is NAME else "") for f in fields]
    made[-1] = replace(made[-1], **more)
    return Relation(7, ("dbo", "orders"), TABLE, tuple(made), key, "PK")


ALIKE = there(ID, NAME)
OTHER = column("other", "int")
SWITCH = Adoption(Way.SWITCH, otherwise=Way.SWAP)


@pytest.mark.parametrize(
    "spec, relation, found, expected",
    [
        (SPEC, None, Found(), Adoption(Way.RENAME)),
        (SPEC, ALIKE, Found(), SWITCH),
        (SPEC, there(NAME, ID), Found(), SWITCH),
        (SPEC, ALIKE, Found(swap=("grants",)), Adoption(Way.SWITCH)),
        (SPEC, ALIKE, Found(switch=("its key",)), Adoption(Way.SWAP, ("its key",))),
        (SPEC, ALIKE, Found(switch=("its key",), swap=("grants",)), Adoption(Way.COPY, ("its key", "grants"))),
        (SPEC, ALIKE, Found(both=("triggers",)), Adoption(Way.COPY, ("triggers",))),
        (SPEC, there(ID, NAME, OTHER), Found(), Adoption(Way.SWAP, ("its columns change",))),
        (SPEC, there(ID, NAME, key=()), Found(), Adoption(Way.SWAP, ("its key changes",))),
        (
            SPEC,
            there(NAME, ID, is_identity=True),
            Found(),
            Adoption(Way.COPY, ("id is numbered, computed or versioned",)),
        ),
        (
            replace(SPEC, columns=("id",)),
            there(ID, NAME, has_default=True),
            Found(),
            Adoption(Way.COPY, ("the default of name",)),
        ),
        (SPEC, there(ID, NAME, has_default=True), Found(), SWITCH),
        (replace(SPEC, writers=None), ALIKE, Found(), SWITCH),
        (
            replace(SPEC, writers=None, layout=Layout(Schema((ID, NAME)))),
            there(ID, NAME, key=()),
            Found(),
            Adoption(Way.SWAP, ("several writers fill the stage and mark their rows",)),
        ),
    ],
)
def test_the_best_way_that_loses_nothing_is_taken(
    spec: StageSpec, relation: Relation | None, found: Found, expected: Adoption
) -> None:
    assert decide(spec, relation, (), found) == expected


def test_a_stage_that_is_not_the_next_target_is_copied_whatever_is_there() -> None:
    for relation in (None, ALIKE):
        assert decide(SPEC, relation, ("rows are collapsed",), Found()) == Adoption(Way.COPY, ("rows are collapsed",))


def test_a_stage_has_the_order_and_the_collations_of_the_table_that_is_there() -> None:
    assert [f.name for f in stage_columns(SPEC, there(NAME, OTHER, ID))] == ["name", "id"]
    assert creation("[t]", SPEC, there(NAME, ID), ()) == (
        "CREATE TABLE [t] ([name] nvarchar(20) COLLATE Latin1_General_CI_AS NULL, [id] bigint NOT NULL)"
    )
    keyed = replace(SPEC, layout=Layout(Schema((replace(NAME, nullable=False),), ("name",))))
    assert creation("[t]", keyed, None, ("mark",)) == (
        "CREATE TABLE [t] ([name] nvarchar(20) COLLATE Latin1_General_100_BIN2 NOT NULL, [mark] bigint NOT NULL)"
    )


def test_no_way_leaves_rows_of_the_stage_behind() -> None:
    for way in Way:
        texts = takeover(way, "[dbo].[raw]", ("dbo", "it's"), "old")
        assert way is Way.COPY or any("[dbo].[raw]" in text for text in texts)
    assert takeover(Way.SWITCH, "[dbo].[raw]", ("dbo", "it's"), "old") == [
        "TRUNCATE TABLE [dbo].[it's]",
        "ALTER TABLE [dbo].[raw] SWITCH TO [dbo].[it's]",
    ]
