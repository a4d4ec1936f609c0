"""A seeded table of a run: its rows before and after the change, as values and as what comparisons go by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct, field

from dpone.schema import Field, Schema, timestamptz
from dpone.strategies import Read
from dpone.testing.testkit import Delete, Insert, Mutation, SeedTable, Update
from dpone_certify.certification import asked, seeded
from dpone_certify.certification.comparing import Digests
from dpone_certify.certification.document import Volume
from dpone_certify.certification.landed import Landed, Speller
from dpone_certify.certification.seeded import CORE, KEY, NAME, WIDE, Row
from dpone_certify.certification.serving import Served
from dpone_certify.certification.wide import WideColumn, sparse

_TWICE = 5  # one row in so many is changed twice
_SYSTEM = tuple(Field(name, timestamptz(6)) for name in asked.INTERVAL)


class Source(Struct):
    """A seeded table with its rows before and after the change, as values and as what the comparison goes by."""

    served: Served
    label: str
    volume: Volume
    columns: tuple[WideColumn, ...]
    sparse: dict[Any, Row] = field(default_factory=dict)
    before: list[Row] = field(default_factory=list)
    after: list[Row] = field(default_factory=list)
    digests: Digests[Landed] = field(default_factory=Digests)  # of rows without times of their load, for all cases
    _spellers: dict[tuple[Field, ...], Speller] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.before = seeded.before(self.volume, self._wide)
        self.after = seeded.after(self.volume, self._wide)

    @property
    def by_cursor(self) -> bool:
        """Reading since goes by a column; otherwise by the source's own positions, as in a log."""
        found: bool = self.served.kit.connector.source.by_cursor
        return found

    def _wide(self, number: int, version: int) -> object:
        key = (number, version)
        if key not in self.sparse:
            self.sparse[key] = sparse(self.columns, number, version, self.volume.seed)
        return key

    def values(self, row: Mapping[str, object]) -> Row:
        """The row as it is seeded: what is not named is NULL."""
        core = {n: v for n, v in row.items() if n != WIDE and v is not None}
        return {**core, **self.sparse.get(row.get(WIDE), {})}

    def table(self, rows: Iterable[Row] = (), *extra: Field) -> SeedTable:
        schema = Schema((*CORE, *(c.field for c in self.columns), *extra), (KEY,))
        reads = self.served.kit.connector.source.reads
        return SeedTable(self.label, schema, tuple(self.values(row) for row in rows), reads)

    def speller(self, strategy: str, *extra: Field) -> Speller:
        """How rows under this strategy are spelled; what was spelled for one case is known for the next."""
        core = (*CORE, *extra, *(_SYSTEM if strategy == "scd2" else ()))
        if core not in self._spellers:
            self._spellers[core] = Speller(core, [c.field for c in self.columns])
        return self._spellers[core]

    def changes(self) -> list[Mutation]:
        """What leads from `before` to `after`."""
        return [
            *(Delete({KEY: n}) for n in seeded.deleted_ids(self.volume)),
            *(one for row in seeded.updated(self.volume, self._wide) for one in self._twice(row)),
            *(Insert(self.values(row)) for row in seeded.inserted(self.volume, self._wide)),
        ]

    def _twice(self, row: Row) -> Iterator[Update]:
        """The change of a row; where the source keeps a log of changes, now and then after another one."""
        if Read.CHANGES in self.served.kit.connector.source.reads and int(str(row[KEY])) % _TWICE == 0:
            yield Update({KEY: row[KEY]}, {NAME: "written before the last change"})
        yield update(self, row)


def update(source: Source, row: Row, **more: object) -> Update:
    """All values of the row, those that become NULL too."""
    emptied = {c.field.name: None for c in source.columns}
    core = {n: v for n, v in row.items() if n not in {KEY, WIDE}}
    return Update({KEY: row[KEY]}, {**emptied, **core, **source.sparse[row[WIDE]], **more})
