"""The final act: a fence, the state as it is then, and one transaction of messages, index, ledger and position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from confluent_kafka import KafkaException, Producer

from dpone.connector import Applied, Commit, Layout, Role, SchemaChange, Stage, StageSpec, Stored
from dpone.errors import DataError, RemoteError, StateError
from dpone.failpoints import hit
from dpone.ops import Append, Program, domain
from dpone.probes import Measurement, Probe, Rows
from dpone.schema import Field, Schema
from dpone.strategies import Load
from dpone.where import Row
from dpone_kafka import index as indexes
from dpone_kafka.client import Client, plain
from dpone_kafka.encoding import Encoder, encoder_of
from dpone_kafka.faults import translated
from dpone_kafka.index import Index, content_hashes, refuse_other_keys
from dpone_kafka.json_text import json_objects
from dpone_kafka.layouts import columns_of
from dpone_kafka.lease import fence, refuse_lost
from dpone_kafka.measuring import measure
from dpone_kafka.rendering import Changed, Known, Need, Render, Rendered, Staged, need_of
from dpone_kafka.staging import SpillStage
from dpone_kafka.state import INDEX, STATE, Kept, commit_entries, load, target_entry
from dpone_kafka.values import arrow_column, arrow_table, python_rows

if TYPE_CHECKING:
    from dpone_kafka.reading_back import TargetReader

_CONSTANT = frozenset({Role.LOAD_ID, Role.LOADED_AT})
_AT_ONCE = 20_000  # rows that are encoded together
Headers = list[tuple[str, str | bytes | None]]
EPOCH = "dpone_epoch"  # the header of messages of a load that took the place of everything before it

BEGIN, WRITTEN, STATED, COMMITTED = (
    "log.begin",  # the transaction is open
    "log.written",  # all messages are on their way
    "log.stated",  # index, ledger and position are, too
    "log.committed",  # the brokers have answered; nobody has heard it yet
)


class LogPublication:
    """Nothing of it is readable before `commit` returns, save to readers of what is not committed."""

    def __init__(self, client: Client, spec: StageSpec, load_: Load) -> None:
        self._client = client
        self._spec = spec
        self._load = load_
        (self._topic,) = spec.target.name
        self._options = spec.target.options
        self._producer: Producer = client.writers.get(self._topic) or fence(client, self._topic)
        self._kept: Kept = load(client, self._topic)
        refuse_lost(self._topic, self._kept)
        self._layout = spec.layout
        self._index: Index | None = None
        self._known: Mapping[bytes, Known] | None = None
        self._rendered: Rendered | None = None
        self._stage: SpillStage | None = None
        self._hashes: Sequence[bytes] = ()
        self._saved: Commit | None = None
        self._open = False

    # ------------------------------------------------------------------ the program

    def ensure(self, layout: Layout, changes: Sequence[SchemaChange]) -> None:
        """The layout that messages will have. The topic itself is made when the load is committed."""
        self._layout = layout
        self._encoder: Encoder = encoder_of(self._client, self._topic, self._options, layout)
        if self._kept.layout is None:
            self._refuse_foreign()

    def _refuse_foreign(self) -> None:
        """Raises when somebody else's messages are in the topic, and the program would have to know them."""
        count = self._client.partitions(self._topic)
        if count is None or all(isinstance(op, Append) and not op.unless for op in self._spec.program):
            return
        if any(found.size for found in self._client.ranges(self._topic, range(count)).values()):
            raise StateError(
                f"{self._topic} holds messages that dpone did not write",
                code="sink.foreign_rows",
                hint="choose an empty topic, or append by incremental_append",
            )

    def apply(self, program: Program, stage: Stage) -> Applied:
        assert isinstance(stage, SpillStage)  # made by this sink
        _refuse_outside(program, stage)
        self._stage = stage
        need = need_of(program, self._layout, self._spec.columns)
        indexed = bool(self._options.get("index", True))
        if need is not Need.NOTHING and not indexed:
            raise StateError(
                f"{self._topic} has no index, and {', '.join(type(op).__name__ for op in program)} must know its rows",
                code="sink.no_index",
                hint="set `index: true` for a new topic, or append by incremental_append",
            )
        self._hashes = self._hashed(stage.sealed.live) if indexed else [b""] * stage.sealed.live.num_rows
        render = Render(
            layout=self._layout,
            staged=self._staged(stage),
            encode=self._key_of,
            fresh=lambda number: self._encoder.row_key(f"{self._load.id}:{number}"),
            appended=self._kept.appended,
            hit=lambda: hit("after_each_op"),
        )
        known = {} if need is Need.NOTHING else self._known_rows(need)
        self._rendered = render.carry_out(program, known)
        self._refuse_null()
        self._before = 0 if need is not Need.NOTHING else self._kept.rows
        # the messages are made of the stage itself: to compare the two would prove nothing
        return Applied(self._rendered.counts, adopted=True)

    def _staged(self, stage: SpillStage) -> Staged:
        sealed = stage.sealed
        rows: list[Row] = []

        def row(number: int) -> Row:
            if not rows:
                rows.extend(python_rows(sealed.live, stage.schema.fields))
            return rows[number]

        return Staged(
            keys=sealed.keys,
            hashes=self._hashes,
            row=row,
            columns=self._spec.columns,
            dead=sealed.dead,
            present=sealed.present,
            cleared=sealed.cleared,
            stamps={c.field.name: c.value for c in self._layout.system if c.role in _CONSTANT},
        )

    def _known_rows(self, need: Need) -> Mapping[bytes, Known]:
        if self._known is None or (need is Need.VALUES and any(k.row is None for k in self._known.values())):
            index = self._whole_index()
            if need is Need.VALUES:
                stored = self._reader().rows()
                keys = list(index.hashes)
                inside = dict(zip(self._encoder.keys(keys), keys, strict=True))
                found = {inside.get(key, key): row for key, row in stored.items()}
                refuse_other_keys(self._topic, index, found)
                self._known = {key: Known(index.hashes[key], row) for key, row in found.items()}
            else:
                self._known = {key: Known(hash_) for key, hash_ in index.hashes.items()}
        return self._known

    def _whole_index(self) -> Index:
        if self._index is None:
            self._index = indexes.load(self._client, self._topic)
        return self._index

    def _reader(self) -> TargetReader:
        from dpone_kafka.reading_back import TargetReader

        layout = self._layout if self._kept.layout is None else self._kept.layout
        return TargetReader(self._client, self._topic, self._options, layout, self._layout)

    def _hashed(self, live: pa.Table) -> list[bytes]:
        """Of what each row holds in the content's columns, NULL where the load does not carry one."""
        found: list[bytes] = []
        fields = list(self._layout.schema)
        for batch in live.to_batches(_AT_ONCE):
            columns = [_column(batch, f) for f in fields]
            found += content_hashes(json_objects(columns, fields))
        return found

    def _key_of(self, row: Row, columns: tuple[str, ...]) -> bytes:
        fields = [self._layout.schema[name] for name in columns]
        texts = json_objects([arrow_column([row.get(f.name)], f.type) for f in fields], fields)
        return str(texts[0].as_py()).encode()

    def _refuse_null(self) -> None:
        """Raises when a required column would hold NULL."""
        assert self._stage is not None
        live = self._stage.sealed.live
        for field in self._layout.schema:
            lacking = field.name not in live.column_names or live.column(field.name).null_count
            if not field.nullable and lacking and live.num_rows:
                raise RemoteError(
                    f"column {field.name} is required, and a row holds NULL in it",
                    code="sink.rejected_rows",
                    hint="correct the rows at the source, or make the column nullable",
                )

    # ------------------------------------------------------------------- questions

    def measure(self, probe: Probe) -> Measurement:
        """Over the target as it will be; more than its rows is answered by reading it."""
        if set(probe) <= {Rows()}:
            return {asked: self._count() for asked in probe}
        schema = Schema(tuple(columns_of(self._layout)))
        known = self._known_rows(Need.VALUES) if self._kept.layout is not None else {}
        rows: list[Row] = [known_.row for known_ in known.values() if known_.row is not None]
        if self._rendered is not None:
            rows = list(self._rows_after(known))
        return measure(arrow_table(rows, schema.fields), schema, probe)

    def _count(self) -> int:
        if self._rendered is None:
            return self._kept.rows
        return self._before + len(self._rendered.rows)

    def _rows_after(self, known: Mapping[bytes, Known]) -> Iterator[Row]:
        assert self._rendered is not None
        assert self._stage is not None
        staged = self._staged(self._stage)
        for key in known.keys() - self._rendered.rows.keys() if self._before else ():
            row = known[key].row
            assert row is not None  # values were asked for
            yield row
        for key, slot in self._rendered.rows.items():
            match slot:
                case int():
                    yield {**staged.row(slot), **staged.stamps}
                case Changed(row=row):
                    yield row
                case Known():
                    row_ = known[key].row
                    assert row_ is not None  # likewise
                    yield row_

    # ------------------------------------------------------------------ the commit

    def save_position(self, commit: Commit) -> None:
        _refuse_conflict(self._kept.stored.get(self._spec.pipeline), self._topic, commit)
        self._saved = commit

    def commit(self) -> None:
        commit, rendered = self._saved, self._rendered
        assert rendered is not None  # apply() comes first
        if commit is not None and commit.new.load_id in self._kept.loads:
            return  # the answer to this very commit was lost
        self._make_topics()
        with translated("sink", self._client.label):
            self._producer.begin_transaction()
            self._open = True
            hit(BEGIN)
            self._write(rendered)
            hit(WRITTEN)
            self._state(rendered, commit)
            hit(STATED)
            self._end()
        self._open = False
        hit(COMMITTED)

    def _end(self) -> None:
        """The transaction is committed; a message that was not delivered makes it fail."""
        while True:
            try:
                self._producer.commit_transaction(self._client.config.transaction_timeout)
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise
            else:
                return

    def _make_topics(self) -> None:
        options = self._options
        policy = str(options.get("cleanup", "compact")).replace("compact_delete", "compact,delete")
        config = {"cleanup.policy": policy}
        if self._client.config.message_bytes > _DEFAULT_LARGEST:
            config["max.message.bytes"] = str(self._client.config.message_bytes)
        self._client.make(self._topic, options.get("partitions"), options.get("replication"), config)
        if options.get("index", True):
            self._client.make(INDEX + self._topic, 1, options.get("replication"), {"cleanup.policy": "compact"})

    def _write(self, rendered: Rendered) -> None:
        """Every write and every tombstone is on its way."""
        epoch = self._kept.epoch + rendered.epoch
        headers: Headers | None = [(EPOCH, str(epoch).encode())] if rendered.epoch else None
        whole = [(key, slot) for key, slot in rendered.writes.items() if isinstance(slot, int)]
        changed = [(key, slot.row) for key, slot in rendered.writes.items() if isinstance(slot, Changed)]
        for at in range(0, len(whole), _AT_ONCE):
            part = whole[at : at + _AT_ONCE]
            self._send([key for key, _ in part], self._encoder.values(self._complete(part)), headers)
        for at in range(0, len(changed), _AT_ONCE):
            rows = changed[at : at + _AT_ONCE]
            table = arrow_table([row for _, row in rows], columns_of(self._layout))
            self._send([key for key, _ in rows], self._encoder.values(table), headers)
        self._send(rendered.tombstones, [None] * len(rendered.tombstones), headers)

    def _complete(self, part: Sequence[tuple[bytes, int]]) -> pa.Table:
        """Staged rows with all columns of the target: the system's with the load's constants."""
        assert self._stage is not None
        live = self._stage.sealed.live
        numbers = [number for _, number in part]
        first, last = numbers[0], numbers[-1]
        consecutive = last - first == len(numbers) - 1 and numbers == list(range(first, last + 1))
        rows = live.slice(first, len(numbers)) if consecutive else live.take(numbers)
        constants = {c.field.name: c.value for c in self._layout.system if c.role in _CONSTANT}
        table = rows.combine_chunks()
        columns = {}
        for field in columns_of(self._layout):
            if field.name in constants:
                columns[field.name] = arrow_column([constants[field.name]] * len(numbers), field.type)
            else:
                columns[field.name] = _column(table, field)
        return pa.table(columns)

    def _send(
        self,
        keys: Sequence[bytes],
        values: Sequence[bytes | None],
        headers: Headers | None,
    ) -> None:
        topic, produce, poll = self._topic, self._producer.produce, self._producer.poll
        wire = self._encoder.keys(keys)
        extra: dict[str, Any] = {} if headers is None else {"headers": headers}
        for key, value in zip(wire, values, strict=True):
            while True:
                try:
                    produce(topic, value, key, **extra)
                except BufferError:
                    poll(0.1)
                else:
                    break
        poll(0)

    def _state(self, rendered: Rendered, commit: Commit | None) -> None:
        state = STATE + self._topic
        rows, epoch = self._count(), self._kept.epoch + rendered.epoch
        entries = [target_entry(self._layout, rows, epoch)]
        if commit is not None:
            new = frozenset(rendered.appended) - self._kept.appended
            entries += commit_entries(self._spec.pipeline, commit, self._kept, new)
        if self._options.get("index", True):
            put = {key: self._hash_after(slot) for key, slot in rendered.writes.items()}
            before = self._index or Index({}, (), 0)
            name = commit.new.load_id if commit is not None else self._load.id
            for key, value in indexes.written(before, name, put, rendered.tombstones):
                self._producer.produce(INDEX + self._topic, value, key, 0)
        for entry, said in entries:
            self._producer.produce(state, None if said is None else plain(said), plain(entry), 0)

    def _hash_after(self, slot: object) -> bytes:
        if isinstance(slot, int):
            return self._hashes[slot]
        assert isinstance(slot, Changed)  # writes are nothing else
        return self._hash_of(slot.row)

    def _hash_of(self, row: Row) -> bytes:
        fields = list(self._layout.schema)
        texts = json_objects([arrow_column([row.get(f.name)], f.type) for f in fields], fields)
        (found,) = content_hashes(texts)
        flags = [c.field.name for c in self._layout.system if c.role is Role.DELETED_AT]
        # a row that is flagged is no row of that content: when its key returns it is written again
        return found[::-1] if any(row.get(name) is not None for name in flags) else found

    def close(self) -> None:
        """What was not committed is undone."""
        if self._open:
            try:
                self._producer.abort_transaction(self._client.patience)
            except KafkaException:
                self._client.writers.pop(self._topic, None)  # the next fence undoes it


_DEFAULT_LARGEST = 1_000_000


def _column(table: Any, field: Field) -> Any:
    """A column of the batch in the target's type; NULL where the load does not carry it."""
    from dpone.arrow import arrow_type

    wanted = arrow_type(field.type)
    if field.name not in table.schema.names:
        return arrow_column([None] * table.num_rows, field.type)
    column = table.column(field.name)
    found = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return found if found.type == wanted else found.cast(wanted)


def _refuse_outside(program: Program, stage: SpillStage) -> None:
    """Raises when a key that the program needs is NULL; filters are looked at before."""
    bound = domain(program)
    live = stage.sealed.live
    broken = sum(live.column(c).null_count for c in bound.not_null if c in live.column_names)
    if broken or stage.sealed.null_keys:
        raise DataError(
            f"{broken + stage.sealed.null_keys} staged rows are outside the domain of the program",
            code="stage.null_key",
            hint="nothing was published; correct the rows at the source, or filter them out",
        )


def _refuse_conflict(found: Stored | None, topic: str, commit: Commit) -> None:
    """Raises when the stored position is not the one that this load started from, unless it is this load's own."""
    if found is not None and found.load_id == commit.new.load_id:
        return
    expected = commit.expected
    if found == expected and commit.new.generation == (expected.generation if expected else 0) + 1:
        return
    raise StateError(
        f"{topic} is at generation {found.generation if found else 0}; this load started from "
        f"{expected.generation if expected else 0} and would write {commit.new.generation}",
        code="state.conflict",
        hint="another run committed meanwhile; run again from the position that is stored now",
    )
