"""What a connector ships so that tests can drive it: how its engine is had, how tables get there, what lands in them.

The conformance suite and the certification know connectors through a testkit alone. `Testkit` is what every connector
has; one that can be read also has `SourceTestkit`, one that can be written has `SinkTestkit`. Further abilities are
small protocols that the suite finds with `isinstance`; a test that needs one which is missing is skipped, loudly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from msgspec import Struct

from dpone.connector import AddColumn, Connector, Dataset, Json, RelaxColumn, Target, WidenColumn
from dpone.schema import INT64, STRING, Field, Kind, Schema, decimal, timestamptz
from dpone.strategies import Read
from dpone.testing.services.endpoint import Endpoint, Fidelity, Provider
from dpone.where import Row

if TYPE_CHECKING:
    import pyarrow as pa

# ------------------------------------------------------------------ what is seeded


class Native(Struct, frozen=True):
    """A value that the engine is given as `text`, a literal of its own, because no Python value says it exactly.

    `value` is what dpone must read: `Native("'infinity'::date", "infinity")`.
    """

    text: str
    value: object


class SeedTable(Struct, frozen=True):
    """A source table and its rows; `label` is the bare name, which may hold quotes, spaces or any Unicode.

    A field whose `native` names this engine is created with exactly that type, any other with the type in which the
    engine keeps every value of `field.type`. `schema.key` becomes the primary key where there are such. Values of
    rows are Python values: int, float, Decimal, str, bytes, bool, date, time, naive or aware datetime, list, dict;
    str for UUID, JSON, INTERVAL and OPAQUE; `Native` anywhere; a missing column is NULL.
    """

    label: str
    schema: Schema
    rows: tuple[Row, ...] = ()
    reads: frozenset[Read] = frozenset({Read.SCAN})  # how it will be read: CHANGES means that its change log must be on


class Insert(Struct, frozen=True):
    row: Row


class Update(Struct, frozen=True):
    """Values of the one row with this key; a change of the key when `values` holds key columns."""

    key: Row
    values: Row


class Delete(Struct, frozen=True):
    key: Row


class Truncate(Struct, frozen=True):
    """All rows at once, by the engine's own TRUNCATE."""


Mutation = Insert | Update | Delete | Truncate


class DropColumn(Struct, frozen=True):
    name: str


Alteration = AddColumn | WidenColumn | RelaxColumn | DropColumn


class Sample(Struct, frozen=True):
    """A native type of a source and its edge values; `refused` is the error code when dpone must not read it.

    A column of the type also holds NULL, unless the engine has none for it.
    """

    native: str  # as in CREATE TABLE: "numeric(38,9)"
    values: tuple[object, ...]
    refused: str | None = None
    nullable: bool = True


# ------------------------------------------------------------ what is known of a service


class Identity(Struct, frozen=True):
    """What answers at an endpoint, by its own words. `genuine` is true for the vendor's own engine and nothing else.

    Emulators, embedded builds and look-alikes are not genuine; `evidence` says by what that was decided.
    """

    product: str
    version: str
    genuine: bool
    evidence: str = ""


class Deviation(Struct, frozen=True):
    """A test of the conformance suite that this connector does not pass, and why.

    `test` is `file::test_name`, or `file::test_name[parameters]` for one of its cases. The suite runs it all the
    same: at endpoints of this fidelity it must fail with a DponeError whose code is `code`. If it passes, or fails
    otherwise, the suite is red.
    """

    test: str
    fidelity: Fidelity
    reason: str
    link: str
    code: str


class Lacking(Exception):
    """A server that somebody gave cannot do what a test is about; its testkit raises this with the reason.

    The suite then skips the test, loudly. Services that are had in any other way have no such excuse.
    """


class Names(Struct, frozen=True):
    """The limits of an engine's names: `longest` just fits, `too_long` must be refused and never cut.

    `refused` are those labels of `HOSTILE_LABELS` that the engine itself cannot have: they must be refused by name.
    With `folds_case`, names that differ in case alone are one name to the engine.
    """

    longest: str
    too_long: str | None = None
    refused: frozenset[str] = frozenset()
    folds_case: bool = False


HOSTILE_LABELS: tuple[str, ...] = (
    "select",
    "Order Lines",
    "semi;colon--",
    'double"quote',
    "single'quote",
    "back`tick",
    "square]bracket[",
    "back\\slash",
    "dotted.name",
    "per%cent %s {0} $1 :x ?",
    "größe_Ω_表_😀",
    "UPPER_and_lower",
    "-dash-1st",
)


# ----------------------------------------------------------------------- the protocols


class Testkit(Protocol):
    """What every connector ships, as the value of an entry point in `dpone.testkits`."""

    @property
    def connector(self) -> Connector[Any]: ...

    @property
    def deviations(self) -> Sequence[Deviation]: ...

    @property
    def tables(self) -> Names: ...

    @property
    def columns(self) -> Names: ...

    def providers(self) -> Sequence[Provider]:
        """The ways in which its service can be had on this machine now, best first; nothing is started to find out."""
        ...

    def service(self, provider: Provider) -> AbstractContextManager[Endpoint]:
        """Within the context the service answers. What tests make there is gone afterwards, at a given server too."""
        ...

    def identify(self, endpoint: Endpoint) -> Identity: ...

    def connection(self, endpoint: Endpoint) -> Mapping[str, Json]:
        """What `connector.config` is made of, secrets in clear: it also goes to the stdin of a process that will be
        killed.
        """
        ...


@runtime_checkable
class SourceTestkit(Protocol):
    """How a source is filled and changed, by other code than the connector's."""

    @property
    def cursors(self) -> frozenset[Kind]:
        """Kinds of columns that can be a cursor; empty where SINCE goes by the source's own positions."""
        ...

    @property
    def samples(self) -> Sequence[Sample]:
        """The corpus of native types."""
        ...

    @property
    def storable(self) -> frozenset[Kind]:
        """Kinds of columns that `seed` can create and fill without losing a value."""
        ...

    @property
    def mutations(self) -> frozenset[type[Mutation]]: ...

    @property
    def alterations(self) -> frozenset[type[Alteration]]: ...

    def dataset(self, endpoint: Endpoint, table: SeedTable) -> Dataset:
        """What the connector is asked for to read this table."""
        ...

    def seed(self, endpoint: Endpoint, table: SeedTable) -> None:
        """The table exists with exactly these rows, committed; an earlier one of that label is gone."""
        ...

    def change(self, endpoint: Endpoint, table: SeedTable, mutations: Sequence[Mutation]) -> None:
        """The mutations are committed, in this order, in one transaction where the engine has such."""
        ...

    def alter(self, endpoint: Endpoint, table: SeedTable, alteration: Alteration) -> None: ...


@runtime_checkable
class SinkTestkit(Protocol):
    """What an independent reader sees in a sink."""

    def target(self, endpoint: Endpoint, label: str) -> Target:
        """What the connector is given to write a table of this bare name."""
        ...

    def rows(self, endpoint: Endpoint, target: Target) -> pa.Table:
        """The committed rows, read without any code of the sink; LookupError when there is no such table."""
        ...


# -------------------------------------------------------------------- optional abilities


@runtime_checkable
class Crashes(Protocol):
    """The server can be killed."""

    def crash(self, endpoint: Endpoint) -> None:
        """The server was ended by SIGKILL and answers again at the same address with what it had committed."""
        ...


@runtime_checkable
class HoldsSnapshots(Protocol):
    """A reader can keep an old snapshot while a load is published (REPEATABLE READ and its like)."""

    def snapshot(self, endpoint: Endpoint, target: Target) -> AbstractContextManager[Callable[[], pa.Table]]:
        """The call reads the target as it was when the context began."""
        ...


@runtime_checkable
class HoldsFiniteFloats(Protocol):
    """The engine's floats are numbers alone: rows of the suite are then finite, and one with NaN or an infinity must be
    refused by name, and nothing of its load be seen.
    """

    finite_floats: bool


@runtime_checkable
class LosesAnswers(Protocol):
    """The answer to a commit can be lost on its way."""

    def lose_commit_answer(self, endpoint: Endpoint) -> AbstractContextManager[None]:
        """Within the context the server carries out the next commit, and its client sees a broken connection."""
        ...


@runtime_checkable
class TampersWithState(Protocol):
    """State tables and markers can be changed behind the sink's back."""

    def forget_state(self, endpoint: Endpoint, target: Target) -> None:
        """What the state tables hold of this target is gone; the target is untouched."""
        ...

    def forget_marker(self, endpoint: Endpoint, target: Target) -> None:
        """The target carries no marker; the state tables are untouched. Only asked of a sink that publishes."""
        ...


@runtime_checkable
class RemovesTargets(Protocol):
    """A target can be removed behind the sink's back."""

    def remove(self, endpoint: Endpoint, target: Target) -> None:
        """There is no such target; what dpone keeps beside it is untouched."""
        ...


@runtime_checkable
class ListsLeftovers(Protocol):
    """Stages and shadows can be counted by other code than the sink's."""

    def leftovers(self, endpoint: Endpoint, target: Target) -> Sequence[str]:
        """The names of all stages, shadows and spills of this target that are there now."""
        ...


# ------------------------------------------------------------- a schema for every engine

PLAIN: Schema = Schema(
    (
        Field("id", INT64, nullable=False),
        Field("name", STRING),
        Field("amount", decimal(18, 4)),
        Field("updated_at", timestamptz(6)),
    ),
    key=("id",),
)


def values_read(row: Row) -> dict[str, object]:
    """The row as dpone must read it: what a `Native` means stands in its place."""
    return {name: value.value if isinstance(value, Native) else value for name, value in row.items()}


# pytest would otherwise take the protocol for a class of tests wherever it is imported
Testkit.__test__ = False  # type: ignore[attr-defined] # read by pytest alone
