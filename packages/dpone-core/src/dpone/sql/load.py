"""The SQL side of one load: the tables that its operations work on, and what they need to know of them."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from dpone.connector import CHANGE_FIELDS
from dpone.schema import Field, Type

KEPT = CHANGE_FIELDS[2]


class Ledger(Struct, frozen=True):
    """The table that remembers load ids, so that Append adds a load once; `also` narrows it to one target, say."""

    table: str
    column: str = "load_id"
    also: Mapping[str, object] = field(default_factory=dict)


class SqlLoad(Struct, frozen=True):
    """Tables are text as `Dialect.table` gives it; a view or a query in parentheses will do for the three of the stage.

    `live` holds the content columns; when `partial`, also the mask KEPT, one character per content column in order, "1"
    where the stored value is kept, NULL for a whole row. `dead` and `present` hold the columns of `key`, which is that
    of the sealing. `cleared` is what sealing found. `stamps` are constants of the load beside each landed row.
    """

    target: str
    live: str
    columns: tuple[Field, ...]
    key: tuple[str, ...] = ()
    dead: str | None = None
    present: str | None = None
    cleared: bool = False
    partial: bool = False
    stamps: Mapping[str, object] = field(default_factory=dict)
    ledger: Ledger | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.columns)

    def type_of(self, name: str) -> Type | None:
        """The type of a content column; None for a system column."""
        return next((f.type for f in self.columns if f.name == name), None)
