"""Stages: tables beside the target that hold one load's rows, filled by writers, sealed by SQL, dropped at the end.

A stage that may be adopted is made as the next target would be, and needs no second copy of its rows.

Their names say of which target they are, so that they are their own ledger: nothing that has such a name can be there
unknown. A split is written to a table of its own, which a later attempt of the split replaces as a whole.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from uuid import uuid4

from msgspec import Struct, field
from msgspec.structs import asdict, replace

from dpone.connector import CHANGE_FIELDS, Fate, Json, Layout, Staged, StageRef, StageSpec
from dpone.errors import DponeError
from dpone.probes import Measurement, Probe
from dpone.schema import INT64, STRING, Field
from dpone.sql.load import SqlLoad
from dpone.sql.probe import read_probe, render_probe
from dpone.sql.seal import (
    RawStage,
    SealedTables,
    Survey,
    is_sealed_as_it_came,
    read_survey,
    seal_checks,
    sealed_tables,
    survey_query,
)
from dpone_clickhouse.catalog import Name, Table, find_table, full_name
from dpone_clickhouse.config import ClickHouseConfig
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.faults import translated
from dpone_clickhouse.lease import digest_of
from dpone_clickhouse.native import ENGINE
from dpone_clickhouse.session import Session, session
from dpone_clickhouse.shadows import make_empty, refuse_unfit
from dpone_clickhouse.state import books_of, is_committed
from dpone_clickhouse.storage import on_cluster
from dpone_clickhouse.versions import UNMERGED, wants_versions

_RAW, _LIVE, _DEAD, _PRESENT = "raw", "live", "dead", "present"
_SEALED = "dpone sealed stage, do not edit: "
LEFTOVER = re.compile(r"_dpone_([0-9a-f]{16})_(raw|live|dead|present|shadow|delta|rest)_[0-9a-f]{12}(_[0-9a-f]{12})?")

TAGS: tuple[Field, ...] = tuple(
    Field(name, of, native=f"{ENGINE}:{native}")
    for name, of, native in zip(CHANGE_FIELDS, (INT64, STRING, STRING), ("Int64", "String", "String"), strict=True)
)


def new_mark() -> str:
    """What tells the tables of one stage or publication from those of another."""
    return uuid4().hex[:12]


def table_beside(name: Name, part: str, mark: str) -> Name:
    """The name of a table of dpone's own for this target."""
    return name[0], f"_dpone_{digest_of(name)}_{part}_{mark}"


def tables_beside(own: Session, database: str, digest: str) -> list[str]:
    """The names of all such tables that are there."""
    prefix = CLICKHOUSE.text(f"_dpone_{digest}_")
    rows = own.ask(
        f"SELECT name FROM system.tables WHERE database = {CLICKHOUSE.text(database)} AND startsWith(name, {prefix})"
    )
    return sorted(name for (name,) in rows if LEFTOVER.fullmatch(name))


def drop(own: Session, name: Name, options: Mapping[str, Json]) -> None:
    """The table is gone, on the whole cluster where it is made there; readers that are in the middle of it read on."""
    where = on_cluster(options)
    own.run(f"DROP TABLE IF EXISTS {CLICKHOUSE.table(name)}{where} SETTINGS max_table_size_to_drop = 0")


def partitions(own: Session, name: Name) -> list[str]:
    """The ids of the partitions that hold rows."""
    rows = own.ask(f"SELECT DISTINCT _partition_id FROM {CLICKHOUSE.table(name)} {UNMERGED}")
    return sorted(partition for (partition,) in rows)


def attach(own: Session, into: Name, table: Name) -> None:
    """The rows of the second table are in the first one too: their parts are linked there, and not copied."""
    for partition in partitions(own, table):
        named = f"PARTITION ID {CLICKHOUSE.text(partition)}"
        own.run(f"ALTER TABLE {CLICKHOUSE.table(into)} ATTACH {named} FROM {CLICKHOUSE.table(table)}")


def _loose(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """The same columns, NULL allowed: what must not be NULL is refused by name and not replaced by a zero."""
    return tuple(replace(f, nullable=True) for f in fields)


class ClickHouseStage(Struct):
    spec: StageSpec
    own: Session
    target: Name
    mark: str
    base: Table | None  # the target as it was when the stage was made
    becomes_target: bool
    sealed: SealedTables | None = field(default=None)
    is_kept: bool = False

    @property
    def ref(self) -> StageRef:
        columns = (*self.spec.content, *(TAGS if self.spec.is_tagged else ()))
        payload: dict[str, Json] = {
            "table": list(self._name(_RAW)),
            "format": self.spec.format,
            "columns": [[f.name, CLICKHOUSE.spell(replace(f, nullable=True))] for f in columns],
            "required": list(self.spec.sealing.key),
            "stamps": self._stamps() if self.becomes_target else None,
            "partitioned": self.becomes_target and self._has_partitions,
        }
        return StageRef(self._name(_RAW)[1], payload)

    def _stamps(self) -> list[list[str]]:
        """The system columns with a constant, as names and literals."""
        return [
            [c.field.name, CLICKHOUSE.literal(c.value, c.field.type)]
            for c in self.spec.layout.system
            if c.value is not None and c.field.name not in self.spec.columns
        ]

    @property
    def _has_partitions(self) -> bool:
        if self.base is not None:
            return "PARTITION BY" in self.base.storage
        return bool(self.spec.target.options.get("partition_by"))

    def _name(self, part: str) -> Name:
        return table_beside(self.target, part, self.mark)

    def _table(self, part: str) -> str:
        return CLICKHOUSE.table(self._name(part))

    def open(self) -> None:
        if self.becomes_target:
            make_empty(self.own, self._name(_RAW), self.base, self.spec.layout, self.spec.target.options)
            return
        tags = TAGS if self.spec.is_tagged else ()
        self._create(_RAW, (*self.spec.content, *tags))

    def adopted(self, base: Table | None, layout: Layout) -> Name | None:
        """The table that is all that the target will be; None where the stage is no such table."""
        if not self.becomes_target or layout != self.spec.layout or _stored(base) != _stored(self.base):
            return None
        return self._name(_RAW)

    def _create(self, part: str, fields: tuple[Field, ...]) -> None:
        columns = ", ".join(map(CLICKHOUSE.definition, _loose(fields)))
        self.own.run(f"CREATE TABLE {self._table(part)} ({columns}) ENGINE = MergeTree ORDER BY tuple()")

    def seal(self) -> Staged:
        """Live rows, dead keys and present keys each in a table; what must not be staged was refused."""
        with translated("sink", self.own.label):
            return self._seal()

    def _seal(self) -> Staged:
        self._gather()
        raw = RawStage(self._table(_RAW), self.spec.content, tagged=self.spec.is_tagged)
        how = self.spec.sealing
        survey = read_survey(self.own.row(survey_query(raw, how, CLICKHOUSE)))
        for check in seal_checks(raw, how, survey, CLICKHOUSE):
            check.refuse(self.own.value(check.text))
        self.sealed, staged = sealed_tables(raw, how, survey, CLICKHOUSE, self._fill)
        return staged

    def _gather(self) -> None:
        """The rows of all splits are in the raw table. A single split takes its place, where one server has both, and
        where no writer elsewhere may be at work still: what that one brings goes where its table goes.
        """
        prefix = f"{self._name(_RAW)[1]}_"
        beside = tables_beside(self.own, self.target[0], digest_of(self.target))
        splits = [(self.target[0], name) for name in beside if name.startswith(prefix)]
        is_alone = len(splits) == 1 and self.spec.writers is not None
        for split in splits:
            if is_alone and not on_cluster(self.spec.target.options):
                self.own.run(f"EXCHANGE TABLES {self._table(_RAW)} AND {CLICKHOUSE.table(split)}")
            else:
                attach(self.own, self._name(_RAW), split)
            drop(self.own, split, {})

    def keep(self, note: Mapping[str, Json]) -> bool:
        """The raw table says in its comment that the stage is sealed, and how.

        False for one that becomes the target: its comment is the marker's place.
        """
        if self.becomes_target:
            return False
        assert self.sealed is not None  # the runner keeps sealed stages
        parts = [p for p in (_LIVE, _DEAD, _PRESENT) if self._table(p) in self.sealed.tables]
        facts = {
            "load_id": self.spec.load_id,
            "pipeline": self.spec.pipeline,
            "note": note,
            "survey": asdict(self.sealed.survey),
            "parts": parts,
        }
        comment = CLICKHOUSE.text(_SEALED + json.dumps(facts, separators=(",", ":")))
        with translated("sink", self.own.label):
            self.own.run(f"ALTER TABLE {self._table(_RAW)} MODIFY COMMENT {comment}")
        self.is_kept = True
        return True

    def take_up(self, facts: Json) -> Staged:
        """The stage is sealed as an earlier process left it; what its tables hold now."""
        parts = facts["parts"]
        dead, present = (self._table(part) if part in parts else None for part in (_DEAD, _PRESENT))
        survey = Survey(**facts["survey"])
        self.sealed = SealedTables(survey, self._table(_LIVE if _LIVE in parts else _RAW), dead, present)
        self.is_kept = True
        tables = (self._table(_RAW), self.sealed.live, dead, present)
        with translated("sink", self.own.label):
            received, live, gone, there = (
                0 if table is None else int(self.own.value(f"SELECT COUNT(*) FROM {table}")) for table in tables
            )
        return Staged(received, live, gone, there, cleared=survey.cleared)

    def end(self) -> None:
        """All tables of the stage are gone, unless they are kept for a load that is not committed."""
        if self.is_kept and not is_committed(self.own, books_of(self.target), self.spec.load_id):
            return
        self.close()

    def _fill(self, part: str, fields: tuple[Field, ...], query: str) -> tuple[str, int]:
        table = self._table(part)
        self._create(part, fields)
        self.own.run(f"INSERT INTO {table} {query}")
        return table, int(self.own.value(f"SELECT COUNT(*) FROM {table}"))

    def measure(self, probe: Probe) -> Measurement:
        assert self.sealed is not None  # the runner measures sealed stages
        query = render_probe(probe, self.sealed.live, self.spec.content, CLICKHOUSE)
        with translated("sink", self.own.label):
            return read_probe(probe, self.own.row(query))

    @property
    def received_rows(self) -> int:
        """How many rows came, by the server's count."""
        assert self.sealed is not None  # only sealed stages are published
        return self.sealed.survey.received

    def load(self, target: str) -> SqlLoad:
        """The stage as the rendering of operations sees it."""
        assert self.sealed is not None  # only sealed stages are published
        return self.sealed.load(self.spec, target)

    def close(self) -> None:
        """All tables of the stage are gone."""
        for name in tables_beside(self.own, self.target[0], digest_of(self.target)):
            if name.endswith(f"_{self.mark}") or f"_{self.mark}_" in name:
                drop(self.own, (self.target[0], name), self.spec.target.options)


def _stored(table: Table | None) -> Table | None:
    """What of a table decides how the next one is stored."""
    return table and replace(table, comment="")


def why_not_adopted(base: Table | None, spec: StageSpec) -> str | None:
    """What stands against a stage that becomes the target; None when nothing does."""
    if not is_sealed_as_it_came(RawStage("", (), tagged=spec.is_tagged), spec.sealing):
        return "rows are sorted out when the stage is sealed"
    if base.keeps_versions if base is not None else wants_versions(spec.target.options):
        return "the target keeps one row of a key, and staged rows are all counted"
    if spec.target.options.get("ttl") or (base is not None and " TTL " in base.storage):
        return "the server itself removes rows of the target, and would remove staged ones"
    return None


@contextmanager
def staged(config: ClickHouseConfig, spec: StageSpec) -> Iterator[ClickHouseStage]:
    """Room for the rows of one load; in the end its tables are gone, whatever happened."""
    target = full_name(spec.target.name, config.database)
    with session(config, "sink") as own:
        base = find_table(own, target) if spec.fate is Fate.ADOPT else None
        adopts = spec.fate is Fate.ADOPT and why_not_adopted(base, spec) is None
        if adopts and base is not None:
            refuse_unfit(own, base, spec.target.options)
        stage = ClickHouseStage(spec, own, target, new_mark(), base, adopts)
        stage.open()
        try:
            yield stage
        except BaseException:
            with suppress(DponeError), session(config, "sink") as fresh:  # the first error is the one to tell
                stage.own = fresh
                stage.end()
            raise
        stage.end()


class Kept(Struct, frozen=True):
    """A sealed stage that an earlier process left, by what it noted in the comment of its raw table."""

    mark: str
    facts: Json

    def owns(self, table: str) -> bool:
        return table.endswith(f"_{self.mark}") or f"_{self.mark}_" in table


def kept_beside(own: Session, target: Name) -> list[Kept]:
    """The sealed stages of this target that were kept."""
    prefix = f"_dpone_{digest_of(target)}_{_RAW}_"
    rows = own.ask(
        f"SELECT name, comment FROM system.tables WHERE database = {CLICKHOUSE.text(target[0])} "
        f"AND startsWith(name, {CLICKHOUSE.text(prefix)}) AND startsWith(comment, {CLICKHOUSE.text(_SEALED)})"
    )
    return [Kept(name.removeprefix(prefix), json.loads(comment.removeprefix(_SEALED))) for name, comment in rows]


def drop_kept(own: Session, target: Name, kept: Kept, options: Mapping[str, Json]) -> None:
    for name in tables_beside(own, target[0], digest_of(target)):
        if kept.owns(name):
            drop(own, (target[0], name), options)


@contextmanager
def taken_up(config: ClickHouseConfig, spec: StageSpec) -> Iterator[tuple[ClickHouseStage, Staged]]:
    """The kept stage of an earlier process; in the end its tables are gone if its load is committed."""
    target = full_name(spec.target.name, config.database)
    with session(config, "sink") as own:
        (kept,) = [k for k in kept_beside(own, target) if k.facts["load_id"] == spec.load_id]
        stage = ClickHouseStage(spec, own, target, kept.mark, None, becomes_target=False)
        try:
            yield stage, stage.take_up(kept.facts)
        except BaseException:
            with suppress(DponeError), session(config, "sink") as fresh:  # as above
                stage.own = fresh
                stage.end()
            raise
        stage.end()
