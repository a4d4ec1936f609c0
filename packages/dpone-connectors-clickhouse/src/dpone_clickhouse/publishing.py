"""The final act of a server without transactions: a shadow beside the target, and one exchange that carries its marker.

The shadow begins as a clone, which links the target's parts and copies nothing. Operations rebuild those partitions of
it that they touch. Its comment is the marker. EXCHANGE TABLES shows rows, layout and marker at once; a first load
appears by RENAME. A REPLACE PARTITION would be two steps on the disk, and a server killed between them has old and new
rows: docs/decisions/0010.
"""
# ruff: noqa: S608 - all text here is made of quoted identifiers and encoded literals

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from msgspec.structs import replace

from dpone.books import concurrent_writer, held_elsewhere, is_own, refuse_conflict
from dpone.connector import Applied, Commit, CreateTarget, Fate, Json, Layout, SchemaChange, Stage, StageSpec
from dpone.errors import DponeError, StateError
from dpone.failpoints import hit
from dpone.names import print_name
from dpone.ops import Append, Op, Program, Recreate, ReplaceAll, ReplaceSlice, Upsert, domain
from dpone.oracle import Counts, guard_against
from dpone.probes import Measurement, Probe
from dpone.sql.perform import validate
from dpone.sql.probe import read_probe, render_probe
from dpone.sql.questions import guard_of
from dpone_clickhouse.catalog import (
    Fingerprint,
    Name,
    Table,
    find_mark,
    find_table,
    fingerprint,
    full_name,
    was_written,
)
from dpone_clickhouse.config import ClickHouseConfig
from dpone_clickhouse.dialect import CLICKHOUSE
from dpone_clickhouse.faults import translated
from dpone_clickhouse.lease import Held
from dpone_clickhouse.marker import Marker, read_marker
from dpone_clickhouse.rebuilding import Rebuild, rebuild
from dpone_clickhouse.session import Session, session
from dpone_clickhouse.shadows import make_copy, make_empty, refuse_unfit
from dpone_clickhouse.staging import ClickHouseStage, attach, drop, new_mark, partitions, table_beside
from dpone_clickhouse.state import books_of, enter, is_committed
from dpone_clickhouse.storage import fields_of, on_cluster
from dpone_clickhouse.versions import MERGED, overlay, wants_versions

CLONE, BUILD, MARK, EXCHANGE, RECORD, DROP = STEPS = (
    "publish.clone",  # the shadow has the target's rows in the new layout
    "publish.build",  # the shadow has the rows after the program
    "publish.mark",  # the shadow carries the marker
    "publish.exchange",  # readers see the new rows
    "publish.record",  # the state tables say so too
    "publish.drop",  # the old rows are gone
)


class ShadowPublication:
    """Readers see nothing of it before the exchange, and all of it after."""

    def __init__(self, own: Session, spec: StageSpec, target: Name, held: Held) -> None:
        self._own = own
        self._spec = spec
        self._target = target
        self._held = held
        self._books = books_of(target)
        self._options = spec.target.options
        self._mark = new_mark()
        self._shadow = table_beside(target, "shadow", self._mark)
        self._base: Table | None = None
        self._begun: Fingerprint = {}
        self._marker = Marker()
        self._layout = spec.layout
        self._changes: tuple[SchemaChange, ...] = ()
        self._current: Name = self._shadow  # whose rows are those of the target now
        self._appended: list[str] = []
        self._is_there = False  # this very load was published before, and its answer lost
        self._saved: Commit | None = None
        self._is_dropped = False

    @property
    def _table(self) -> str:
        return CLICKHOUSE.table(self._shadow)

    # ------------------------------------------------------------------ the layout

    def ensure(self, layout: Layout, changes: Sequence[SchemaChange]) -> None:
        """The shadow has the layout, and the rows of the target unless all of them are about to be exchanged."""
        self._layout, self._changes = layout, tuple(changes)
        with translated("sink", self._own.label):
            self._base = find_table(self._own, self._target)
            if self._base is None:
                self._refuse_lost(changes)
            else:
                refuse_unfit(self._own, self._base, self._options)
                self._begun = fingerprint(self._own, self._target)
                self._marker = read_marker(self._base.comment)
                self._current = self._target
            if self._keeps_versions:
                self._own.client.settings |= MERGED
            if self._spec.fate is not Fate.ADOPT:
                self._make_shadow()

    @property
    def _keeps_versions(self) -> bool:
        return wants_versions(self._options) if self._base is None else self._base.keeps_versions

    def _make_shadow(self) -> None:
        """The shadow is there. One that a stage may become waits for what sealing says of the stage."""
        if self._base is None or is_whole(self._spec.program):
            make_empty(self._own, self._shadow, self._base, self._layout, self._options)
        else:
            make_copy(self._own, self._shadow, self._base, self._layout, self._options, self._changes)
            self._current = self._shadow
        hit(CLONE)

    def _refuse_lost(self, changes: Sequence[SchemaChange]) -> None:
        if not any(isinstance(c, CreateTarget) for c in changes):
            raise concurrent_writer(print_name(self._target))

    # ----------------------------------------------------------------- the program

    def apply(self, program: Program, stage: Stage) -> Applied:
        assert isinstance(stage, ClickHouseStage)  # it came from this sink
        with translated("sink", self._own.label):
            next_table = stage.adopted(self._base, self._layout)
            if next_table is None and self._spec.fate is Fate.ADOPT:
                self._make_shadow()
            load = stage.load(CLICKHOUSE.table(self._current))
            if load.partial or load.key or domain(program).not_null or domain(program).where or domain(program).bounds:
                validate(program, load, CLICKHOUSE, self._own.row)
            counts = []
            if next_table is not None:
                counts = self._adopt(program, next_table, stage.received_rows)
                hit(BUILD)
                return Applied(tuple(counts), adopted=True)
            for op in program:
                load = replace(load, target=CLICKHOUSE.table(self._current))
                counts.append(self._carry_out(op, rebuild(op, load)))
                hit("after_each_op")
        hit(BUILD)
        return Applied(tuple(counts))

    def _adopt(self, program: Program, table: Name, rows: int) -> list[Counts]:
        """The stage is the shadow: there is no target yet, or one whose rows are all exchanged."""
        before = 0 if self._base is None else self._count(self._target)
        counts = []
        for op in program:
            guard = guard_of(op)
            if guard is not None and self._base is not None:
                guard_against(guard, before=before, after=rows, removed=max(0, before - rows))
            if isinstance(op, Append):
                self._appended.append(op.load_id)
            adds = isinstance(op, Recreate | ReplaceAll | Append | Upsert | ReplaceSlice)
            counts.append(Counts(inserted=rows if adds else 0, deleted=before))
            hit("after_each_op")
        self._shadow = self._current = table
        hit(CLONE)
        return counts

    def _carry_out(self, op: Op, made: Rebuild) -> Counts:
        if isinstance(op, Append):
            if is_committed(self._own, self._books, op.load_id):
                return Counts()
            self._appended.append(op.load_id)
        guard = guard_of(op)
        if guard is not None and made.guarded is not None:
            before, after, removed = map(int, self._own.row(made.guarded))
            guard_against(guard, before=before, after=after, removed=removed)
        for check in made.checks:
            check.refuse(self._own.value(check.text))
        if is_whole(self._spec.program):
            return self._recreate(made)
        return self._rebuild(made)

    def _recreate(self, made: Rebuild) -> Counts:
        """The shadow is empty still, and takes the staged rows."""
        deleted = 0 if self._current == self._shadow else self._count(self._current)
        for addition in made.added:
            self._insert(self._shadow, addition.columns, addition.query)
        self._current = self._shadow
        return Counts(inserted=self._count(self._shadow), deleted=deleted)

    def _rebuild(self, made: Rebuild) -> Counts:
        """Rows that are added or come back wait beside the shadow until those that go are gone."""
        if self._keeps_versions:
            with self._beside("delta") as delta:
                changed = self._changed(made, made.back) if made.back is not None else ""
                counts = overlay(self._own, self._shadow, delta, self._columns, made, changed)
                attach(self._own, self._shadow, delta)
            return counts
        touched: dict[str, int] = {}
        if made.gone is not None:
            query = f"SELECT t._partition_id, count() FROM {made.rows} WHERE {made.gone} GROUP BY 1"
            touched = {partition: int(rows) for partition, rows in self._own.ask(query)}
        gone = sum(touched.values())
        with self._beside("delta") as delta:
            if made.back is not None and touched:
                self._insert(delta, self._columns, self._changed(made, made.back))
            back = gone if made.back is not None else 0
            for addition in made.added:
                self._insert(delta, addition.columns, addition.query)
            inserted = self._count(delta) - back
            if touched:
                self._keep_rest(made, touched)
            attach(self._own, self._shadow, delta)
        return Counts(inserted=inserted, updated=back, deleted=gone - back)

    def _changed(self, made: Rebuild, back: Mapping[str, str]) -> str:
        values = [
            f"{back.get(c) or f't.{CLICKHOUSE.quote(c)}'} AS {CLICKHOUSE.quote(f'_{n}')}"
            for n, c in enumerate(self._columns)
        ]
        return f"SELECT {', '.join(values)} FROM {made.rows} WHERE {made.gone}"

    def _keep_rest(self, made: Rebuild, touched: Mapping[str, int]) -> None:
        """Each touched partition of the shadow is exchanged for its rows that stay."""
        listed = ", ".join(map(CLICKHOUSE.text, touched))
        with self._beside("rest") as rest:
            stay = f"t._partition_id IN ({listed}) AND NOT ({made.gone})"
            self._insert(
                rest, self._columns, f"SELECT {CLICKHOUSE.names(self._columns, 't')} FROM {made.rows} WHERE {stay}"
            )
            left = set(partitions(self._own, rest))
            for partition in touched:
                named = f"PARTITION ID {CLICKHOUSE.text(partition)}"
                if partition in left:
                    self._own.run(f"ALTER TABLE {self._table} REPLACE {named} FROM {CLICKHOUSE.table(rest)}")
                else:
                    self._own.run(f"ALTER TABLE {self._table} DROP {named}")

    @contextmanager
    def _beside(self, part: str) -> Iterator[Name]:
        """An empty table like the shadow, gone at the end."""
        name = table_beside(self._target, part, new_mark())
        self._own.run(f"CREATE TABLE {CLICKHOUSE.table(name)} AS {self._table}")
        yield name
        drop(self._own, name, {})

    @property
    def _columns(self) -> tuple[str, ...]:
        return tuple(f.name for f in fields_of(self._layout))

    def _insert(self, into: Name, columns: Sequence[str], query: str) -> None:
        self._own.run(f"INSERT INTO {CLICKHOUSE.table(into)} ({CLICKHOUSE.names(columns)}) {query}")

    def _count(self, name: Name) -> int:
        return int(self._own.value(f"SELECT count() FROM {CLICKHOUSE.table(name)}"))

    def measure(self, probe: Probe) -> Measurement:
        fields = fields_of(self._layout)
        with translated("sink", self._own.label):
            return read_probe(
                probe, self._own.row(render_probe(probe, CLICKHOUSE.table(self._current), fields, CLICKHOUSE))
            )

    # ------------------------------------------------------------------ the commit

    def save_position(self, commit: Commit) -> None:
        """The shadow carries the marker; whether it may is asked again by the exchange."""
        with translated("sink", self._own.label):
            self._saved = commit
            self._refuse_conflict(commit)
            if not self._is_there:
                self._marker = self._marker.after(self._spec.pipeline, commit, tuple(self._appended))
                self._own.run(
                    f"ALTER TABLE {self._table}{on_cluster(self._options)} "
                    f"MODIFY COMMENT {CLICKHOUSE.text(self._marker.print())}"
                )
        hit(MARK)

    def _refuse_conflict(self, commit: Commit | None) -> tuple[str, str] | None:
        """The target's uuid and comment; raises when the marker in it is not of the load that this one started from."""
        now = find_mark(self._own, self._target)
        if commit is None:
            return now
        found = read_marker(now[1]).stored(self._spec.pipeline) if now else None
        self._is_there = is_own(found, commit)
        if not self._is_there:
            refuse_conflict(found, print_name(self._target), commit)
        return now

    def commit(self) -> None:
        with translated("sink", self._own.label):
            if not self._is_there:
                self._exchange()
            hit(EXCHANGE)
            if self._saved is not None:
                entry = self._marker.entries.get(self._spec.pipeline)
                if entry is not None and entry.stored == self._saved.new:
                    enter(self._own, self._books, self._spec.pipeline, entry, self._saved.record)
            hit(RECORD)
            self.drop()
            hit(DROP)

    def _exchange(self) -> None:
        self._held.refuse_lost(self._own, print_name(self._target))
        now = self._refuse_conflict(self._saved)
        target, cluster = CLICKHOUSE.table(self._target), on_cluster(self._options)
        if self._base is None:
            if now is not None:
                raise concurrent_writer(print_name(self._target))
            self._own.run(f"RENAME TABLE {self._table} TO {target}{cluster}")
            return
        if now is None or now[0] != self._base.uuid or self._is_written(self._target):
            raise concurrent_writer(print_name(self._target))
        self._own.run(f"EXCHANGE TABLES {self._table} AND {target}{cluster} SETTINGS check_table_dependencies = 0")
        if self._is_written(self._shadow):
            self._save_late_rows()

    def _is_written(self, name: Name) -> bool:
        return was_written(self._begun, fingerprint(self._own, name), merges_rows=self._keeps_versions)

    def _save_late_rows(self) -> None:
        """Somebody wrote in the instant before the exchange: his rows are in the old table, which is kept for him."""
        kept = (self._target[0], f"{self._target[1]}_before_{self._mark}")
        self._own.run(f"RENAME TABLE {self._table} TO {CLICKHOUSE.table(kept)}{on_cluster(self._options)}")
        raise StateError(
            f"somebody wrote to {print_name(self._target)} while the load was published; "
            f"the table with his rows is kept as {print_name(kept)}",
            code="sink.concurrent_writer",
            hint="the load itself is published; move his rows over, drop that table, and let dpone write alone",
        )

    def drop(self) -> None:
        """The shadow, or what stands there after the exchange, is gone."""
        if not self._is_dropped:
            drop(self._own, self._shadow, self._options)
            self._is_dropped = True


def is_whole(program: Program) -> bool:
    """All rows of the target are exchanged, so that no shadow needs to begin with them."""
    match program:
        case (Recreate(),) | (ReplaceAll(where=()),):
            return True
        case _:
            return False


@contextmanager
def publishing(config: ClickHouseConfig, spec: StageSpec, held: Held | None) -> Iterator[ShadowPublication]:
    """A shadow's life; left without commit, the target is as it was and the shadow is gone."""
    target = full_name(spec.target.name, config.database)
    if held is None:
        raise held_elsewhere(print_name(target))
    with session(config, "sink") as own:
        publication = ShadowPublication(own, spec, target, held)
        try:
            yield publication
        except BaseException:
            with suppress(DponeError), session(config, "sink") as fresh:  # the first error is the one to tell
                _drop_all(fresh, target, spec.target.options)
            raise
        publication.drop()


def _drop_all(own: Session, target: Name, options: Mapping[str, Json]) -> None:
    """What a publication that failed left beside the target; stages of the same run stay."""
    from dpone_clickhouse.lease import digest_of
    from dpone_clickhouse.staging import LEFTOVER, tables_beside

    for name in tables_beside(own, target[0], digest_of(target)):
        found = LEFTOVER.fullmatch(name)
        if found is not None and found[2] in {"shadow", "delta", "rest"}:
            drop(own, (target[0], name), options)
