"""ClickHouse as a sink: what it is asked for, each thing from the module that does it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta

from dpone.books import HeldLease, marker_missing, never_loaded
from dpone.connector import (
    CreateTarget,
    Dataset,
    Fate,
    Finding,
    Json,
    KeptStage,
    Layout,
    Position,
    SchemaChange,
    Stage,
    Staged,
    StageRef,
    StageSpec,
    Stored,
    Target,
)
from dpone.errors import StateError
from dpone.names import print_name
from dpone.segments import Extent
from dpone.sql.seal import explained
from dpone.strategies import Load
from dpone_clickhouse.catalog import Name, find_table, find_tables, full_name
from dpone_clickhouse.config import ClickHouseConfig
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.examining import examine
from dpone_clickhouse.faults import translated
from dpone_clickhouse.lease import Held, digest_of, locked
from dpone_clickhouse.marker import Entry, Marker, read_marker
from dpone_clickhouse.publishing import ShadowPublication, is_whole, publishing
from dpone_clickhouse.rebuilding import rebuild
from dpone_clickhouse.segments import ClickHouseSegments, segmented
from dpone_clickhouse.session import Session, session
from dpone_clickhouse.staging import (
    LEFTOVER,
    ClickHouseStage,
    drop,
    drop_kept,
    kept_beside,
    staged,
    tables_beside,
    taken_up,
    why_not_adopted,
)
from dpone_clickhouse.state import (
    Books,
    books_of,
    cached,
    committed_chunks,
    ensure_books,
    enter,
    is_committed,
    records,
    remember,
)
from dpone_clickhouse.storage import create_new, on_cluster
from dpone_clickhouse.versions import wants_versions
from dpone_clickhouse.writers import ClickHouseWriter, writing


@contextmanager
def connect(config: ClickHouseConfig) -> Iterator[ClickHouseSink]:
    """A sink. Leases, stages, writers and publications have connections of their own."""
    yield ClickHouseSink(config)


class ClickHouseSink:
    def __init__(self, config: ClickHouseConfig) -> None:
        self._config = config
        self._held: dict[Name, Held] = {}

    def _name(self, target: Target) -> Name:
        for part in target.name:
            CLICKHOUSE.quote(part)  # one that is too long is refused before anything is asked
        return full_name(target.name, self._config.database)

    def inspect(self, target: Target) -> Layout | None:
        name = self._name(target)
        with session(self._config, "sink") as own:
            found = find_table(own, name)
            return None if found is None else found.layout

    @contextmanager
    def lease(self, target: Target, pipeline: str) -> Iterator[HeldLease]:
        """The lease; what runs that died left of this target is mended or removed first."""
        name = self._name(target)
        with locked(self._config, name) as held, session(self._config, "sink") as own:
            self._held[name] = held
            try:
                books = books_of(name)
                ensure_books(own, books)
                marker = _recovered(own, name, books, target.options)
                yield _lease(own, books, marker, pipeline)
            finally:
                del self._held[name]

    def stage(self, spec: StageSpec) -> AbstractContextManager[ClickHouseStage]:
        for column in (*spec.layout.schema.names, *(c.field.name for c in spec.layout.system)):
            CLICKHOUSE.quote(column)
        return staged(self._config, spec)

    def keep_stage(self, stage: Stage, note: Mapping[str, Json]) -> bool:
        assert isinstance(stage, ClickHouseStage)  # it came from this sink
        return stage.keep(note)

    def kept_stages(self, target: Target) -> Sequence[KeptStage]:
        with session(self._config, "sink") as own:
            found = kept_beside(own, self._name(target))
        return [KeptStage(k.facts["load_id"], k.facts["pipeline"], k.facts["note"]) for k in found]

    def adopt_stage(self, spec: StageSpec) -> AbstractContextManager[tuple[ClickHouseStage, Staged]]:
        return taken_up(self._config, spec)

    def drop_stage(self, target: Target, load_id: str) -> None:
        name = self._name(target)
        with session(self._config, "sink") as own:
            for kept in kept_beside(own, name):
                if kept.facts["load_id"] == load_id:
                    drop_kept(own, name, kept, target.options)

    def records(self, target: Target, run_id: str | None = None) -> Sequence[Mapping[str, Json]]:
        books = books_of(self._name(target))
        with session(self._config, "sink") as own:
            ensure_books(own, books)
            return records(own, books, run_id)

    def writer(self, stage: StageRef, split: str) -> AbstractContextManager[ClickHouseWriter]:
        return writing(self._config, stage, split)

    def publication(self, spec: StageSpec, load: Load) -> AbstractContextManager[ShadowPublication]:
        del load  # the program of the spec holds all that matters of it
        return publishing(self._config, spec, self._held.get(self._name(spec.target)))

    def sweep(self, older_than: timedelta) -> Sequence[str]:
        """Stages and shadows of runs that died, of every target whose lease is free."""
        dropped: list[str] = []
        with session(self._config, "sink") as own:
            for (database, digest), tables in _leftovers(own, older_than).items():
                try:
                    with locked(self._config, (database, ""), digest=digest, wait=0):
                        for table in tables:
                            drop(own, (database, table), {})
                            dropped.append(f"{database}.{table}")
                except StateError:
                    continue  # a load is running there
        return dropped

    def explain(self, spec: StageSpec, changes: Sequence[SchemaChange]) -> Sequence[str]:
        """The statements of the publication, the stage's tables under the names of what they hold."""
        name = full_name(spec.target.name, self._config.database)
        target, shadow = CLICKHOUSE.table(name), CLICKHOUSE.table((name[0], "shadow"))
        cluster = on_cluster(spec.target.options)
        created = any(isinstance(c, CreateTarget) for c in changes)
        final = f"RENAME TABLE {shadow} TO {target}" if created else f"EXCHANGE TABLES {shadow} AND {target}"
        last = [f"ALTER TABLE {shadow}{cluster} MODIFY COMMENT '(the marker)'", final + cluster]
        if not created:
            why = "all rows at once, with the marker; REPLACE PARTITION comes apart when the server is killed in it"
            last.insert(1, f"-- shown by one exchange: {why}")
        reason = None
        if spec.fate is Fate.ADOPT:
            with session(self._config, "sink") as own:
                base = find_table(own, name)
            reason = why_not_adopted(base, spec)
            if reason is None:
                return ["-- rows are written into the shadow at once, and copied nowhere", *last]
        load = explained(spec, shadow)
        lines = [f"-- rows are staged and copied: {reason}"] if reason else []
        if created:
            lines.append(create_new((name[0], "shadow"), spec.layout, spec.target.options))
        elif is_whole(spec.program):
            lines.append(f"CREATE TABLE {shadow}{cluster} AS {target}")
        else:
            lines += [f"CREATE TABLE {shadow}{cluster} CLONE AS {target}", *(f"-- {change}" for change in changes)]
        with_versions = self._keeps_versions(name, spec, created=created)
        if with_versions:
            lines.append("-- the table keeps versions: newer ones are added, nothing is rebuilt, readers say FINAL")
        for op in spec.program:
            made = rebuild(op, load)
            if made.gone not in {None, "1"} and with_versions:
                lines.append(f"-- add a version of each row in {made.rows} WHERE {made.gone}")
            elif made.gone not in {None, "1"}:
                lines.append(f"-- rebuild the partitions of rows in {made.rows} WHERE {made.gone}")
            lines += [f"INSERT INTO {shadow} ({CLICKHOUSE.names(a.columns)}) {a.query}" for a in made.added]
        return [*lines, *last]

    def _keeps_versions(self, name: Name, spec: StageSpec, *, created: bool) -> bool:
        if created or not wants_versions(spec.target.options):
            return wants_versions(spec.target.options)
        with session(self._config, "sink") as own:
            base = find_table(own, name)
        return base is not None and base.keeps_versions

    def discover(self, pattern: tuple[str, ...]) -> Sequence[Dataset]:
        with session(self._config, "sink") as own:
            return [Dataset(name) for name in find_tables(own, pattern, self._config.database)]

    def set_position(self, target: Target, pipeline: str, position: Position | None) -> None:
        """An operator's word, in marker and cache alike."""
        name = self._name(target)
        with locked(self._config, name), session(self._config, "sink") as own:
            books = books_of(name)
            ensure_books(own, books)
            table = find_table(own, name)
            marker = Marker() if table is None else read_marker(table.comment)
            entry = marker.entries.get(pipeline)
            if position is None:
                entries = {p: e for p, e in marker.entries.items() if p != pipeline}
                stored = None
            elif table is None or entry is None:
                raise never_loaded(print_name(name), pipeline)
            else:
                stored = Stored(position, entry.stored.generation + 1, entry.stored.load_id)
                entries = {**marker.entries, pipeline: Entry(stored, entry.run_id, None, entry.appended)}
            if table is not None and entries != marker.entries:
                comment = CLICKHOUSE.text(Marker(entries, marker.text).print())
                cluster = on_cluster(target.options)
                own.run(f"ALTER TABLE {CLICKHOUSE.table(name)}{cluster} MODIFY COMMENT {comment}")
            remember(own, books, pipeline, stored)

    def segments(self, extent: Extent) -> AbstractContextManager[ClickHouseSegments]:
        return segmented(self._config, "sink", extent)

    def diagnose(self) -> Sequence[Finding]:
        with session(self._config, "sink", timeout=timedelta(seconds=30)) as own:
            return examine(own, self._config, writes=True)


def _lease(own: Session, books: Books, marker: Marker, pipeline: str) -> HeldLease:
    def committed(load_id: str) -> bool:
        with translated("sink", own.label):
            return is_committed(own, books, load_id)

    def chunks(plan: str) -> frozenset[str]:
        with translated("sink", own.label):
            return committed_chunks(own, books, plan)

    return HeldLease({p: e.stored for p, e in marker.entries.items()}, pipeline, committed, chunks)


def _recovered(own: Session, name: Name, books: Books, options: Mapping[str, Json]) -> Marker:
    """The target's marker, with the cache brought after it; of earlier runs only stages that are kept are left."""
    beside = tables_beside(own, name[0], digest_of(name))
    kept = kept_beside(own, name) if beside else []
    for table in beside:
        if not any(k.owns(table) for k in kept):
            drop(own, (name[0], table), options)
    found = find_table(own, name)
    marker = Marker() if found is None else read_marker(found.comment)
    known = cached(own, books)
    if not marker.entries and known:
        raise marker_missing(print_name(name))
    for pipeline, entry in marker.entries.items():
        if known.get(pipeline) != entry.stored:
            enter(own, books, pipeline, entry)
    for pipeline in known.keys() - marker.entries.keys():
        remember(own, books, pipeline, None)
    for stage in kept:
        if is_committed(own, books, stage.facts["load_id"]):
            drop_kept(own, name, stage, options)
    return marker


def _leftovers(own: Session, older_than: timedelta) -> dict[tuple[str, str], list[str]]:
    seconds = int(older_than.total_seconds())
    rows = own.ask(
        "SELECT database, name FROM system.tables WHERE startsWith(name, '_dpone_') "  # noqa: S608 - a number
        f"AND metadata_modification_time <= now() - toIntervalSecond({seconds})"
    )
    found: dict[tuple[str, str], list[str]] = {}
    for database, table in sorted(rows):
        if named := LEFTOVER.fullmatch(table):
            found.setdefault((database, named[1]), []).append(table)
    return found
