"""The final act: a fence, the state as it is then, and one transaction of messages, index, ledger and position."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from confluent_kafka import KafkaException, Producer
from msgspec.structs import replace

from dpone.books import exchanges_all, is_own, refuse_conflict, target_missing
from dpone.connector import Applied, Commit, Layout, SchemaChange, Stage, StageSpec
from dpone.errors import DponeError, RemoteError, StateError
from dpone.failpoints import hit
from dpone.ops import Append, Program, domain
from dpone.probes import Measurement, Probe, Rows
from dpone.schema import Schema
from dpone.stage import outside
from dpone.strategies import Load
from dpone.where import Row
from dpone_kafka import index as indexes
from dpone_kafka.client import Client, plain
from dpone_kafka.difference import Difference, column_of_load, constants
from dpone_kafka.encoding import Encoder, encoder_of
from dpone_kafka.faults import translated
from dpone_kafka.index import Segments, content_hashes, refuse_other_keys, settled
from dpone_kafka.json_text import json_objects
from dpone_kafka.layouts import columns_of
from dpone_kafka.lease import fence, refuse_lost
from dpone_kafka.measuring import measure
from dpone_kafka.piles import Buckets, buckets_for
from dpone_kafka.plain_rows import nulls_of
from dpone_kafka.rendered import RenderedDifference
from dpone_kafka.rendering import Known, Need, Render, Staged, need_of
from dpone_kafka.sending import Sender, put
from dpone_kafka.spills import Spill
from dpone_kafka.staging import SpillStage
from dpone_kafka.state import (
    INDEX,
    STATE,
    Kept,
    commit_entries,
    load,
    refuse_other_partitions,
    stands,
    target_entry,
)
from dpone_kafka.streaming import StreamedDifference
from dpone_kafka.values import arrow_column, arrow_table, python_rows

if TYPE_CHECKING:
    import pyarrow as pa

    from dpone_kafka.reading_back import TargetReader

_AT_ONCE = 20_000  # rows that are hashed together

BEGIN, WRITTEN, STATED, COMMITTED = (
    "log.begin",  # the transaction is open
    "log.written",  # all messages are on their way, and what the index says of them
    "log.stated",  # ledger and position are, too
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
        # somebody has removed the topic: of what is known of its rows nothing holds any more
        self._is_gone = self._kept.layout is not None and not stands(client, self._topic, self._kept)
        if self._is_gone:
            self._kept = replace(self._kept, layout=None, formats={}, partitions=None, rows=0)
        self._layout = spec.layout
        self._spill: Spill | None = None  # what waits on disk until this ends
        self._index: tuple[Buckets, Segments] | None = None
        self._known: Mapping[bytes, Known] | None = None
        self._difference: Difference | None = None
        self._need = Need.NOTHING
        self._stage: SpillStage | None = None
        self._saved: Commit | None = None
        self._open = False

    # ------------------------------------------------------------------ the program

    def ensure(self, layout: Layout, changes: Sequence[SchemaChange]) -> None:
        """The layout that messages will have. The topic itself is made when the load is committed."""
        self._refuse_window()
        self._layout = layout
        self._encoder: Encoder = encoder_of(self._client, self._topic, self._options, layout)
        if self._kept.layout is None:
            self._refuse_foreign()

    def _refuse_window(self) -> None:
        """Raises when the topic is gone with rows that the state remembers: only a window of them would come again."""
        stored = self._kept.stored.get(self._spec.pipeline)
        loads_all = stored is None or stored.position is None or exchanges_all(self._spec.program)
        if self._is_gone and not loads_all:
            raise target_missing(self._topic)

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
        if need is not Need.NOTHING:
            refuse_other_partitions(self._client, self._topic, self._kept)
        self._need = need
        self._difference = self._streamed(program, stage) or self._rendered(program, stage)
        self._refuse_null()
        # the messages are made of the stage itself: to compare the two would prove nothing
        return Applied(self._difference.counts, adopted=True)

    def _streamed(self, program: Program, stage: SpillStage) -> Difference | None:
        """The difference of prepared rows; None where they have to be looked at together."""
        if stage.plain is None or self._need is Need.VALUES:
            return None
        entries = None if self._need is Need.NOTHING else self._whole_index(stage.plain.live)[0]
        if entries is not None and entries.rows and not self._layout.schema.key:
            return None  # rows without a key are told apart by their content
        found = StreamedDifference(
            layout=self._layout,
            encoder=self._encoder,
            plain=stage.plain,
            program=program,
            index=entries,
            segments=self._segments(),
            appended_before=self._kept.appended,
            fresh=self._fresh,
            values=lambda: self._known_rows(Need.VALUES),
            folder=self._folder(),
        )
        for _ in program:
            hit("after_each_op")
        return found

    def _rendered(self, program: Program, stage: SpillStage) -> Difference:
        sealed = stage.sealed
        staged = self._staged(stage)
        render = Render(
            layout=self._layout,
            staged=staged,
            encode=self._key_of,
            fresh=self._fresh,
            appended=self._kept.appended,
            hit=lambda: hit("after_each_op"),
        )
        known = {} if self._need is Need.NOTHING else self._known_rows(self._need)
        return RenderedDifference(
            layout=self._layout,
            encoder=self._encoder,
            live=sealed.live,
            staged=staged,
            rendered=render.carry_out(program, known),
            before={key: known_.hash for key, known_ in known.items()},
            segments=self._segments(),
            values=lambda: self._known_rows(Need.VALUES),
        )

    def _fresh(self, number: int) -> bytes:
        return self._encoder.row_key(f"{self._load.id}:{number}")

    def _staged(self, stage: SpillStage) -> Staged:
        sealed = stage.sealed
        rows: list[Row] = []

        def row(number: int) -> Row:
            if not rows:
                rows.extend(python_rows(sealed.live, stage.schema.fields))
            return rows[number]

        indexed = self._options.get("index", True)
        return Staged(
            keys=sealed.keys,
            hashes=self._hashed(sealed.live) if indexed else [b""] * sealed.live.num_rows,
            row=row,
            columns=self._spec.columns,
            dead=sealed.dead,
            present=sealed.present,
            cleared=sealed.cleared,
            stamps=constants(self._layout),
        )

    def _known_rows(self, need: Need) -> Mapping[bytes, Known]:
        if self._known is None or (need is Need.VALUES and any(k.row is None for k in self._known.values())):
            hashes = self._all_hashes()
            if need is Need.VALUES:
                stored = self._reader().rows()
                keys = list(hashes)
                inside = dict(zip(self._encoder.keys(keys), keys, strict=True))
                found = {inside.get(key, key): row for key, row in stored.items()}
                refuse_other_keys(self._topic, hashes, found)
                self._known = {key: Known(hashes[key], row) for key, row in found.items()}
            else:
                self._known = {key: Known(hash_) for key, hash_ in hashes.items()}
        return self._known

    def _all_hashes(self) -> dict[bytes, bytes]:
        entries, _ = self._whole_index(0)
        found: dict[bytes, bytes] = {}
        for bucket in map(settled, entries):
            keys: Any = bucket.column("key").to_pylist()
            hashes: Any = bucket.column("hash").to_pylist()
            found |= zip(keys, hashes, strict=True)
        return found

    def _whole_index(self, staged: int) -> tuple[Buckets, Segments]:
        """The index of the target as it is now, in buckets that hold little, as do as many of so many staged rows."""
        if self._index is None:
            folder = self._folder()
            entries = Buckets(folder, "index", indexes.SCHEMA, buckets_for(max(self._kept.rows, staged)))
            segments = indexes.read(self._client, self._topic, entries, folder)
            if self._is_gone:
                entries = Buckets(folder, "new index", indexes.SCHEMA, entries.count)
                segments = replace(segments, are_void=True)
            self._index = entries, segments
        return self._index

    def _segments(self) -> Segments:
        """Of an index that was not read nothing is known, unless it has to be written anew."""
        return self._whole_index(0)[1] if self._index is not None or self._is_gone else Segments()

    def _folder(self) -> Path:
        if self._spill is None:
            self._spill = Spill.new(self._client.label, self._topic)
        return self._spill.path

    def _reader(self) -> TargetReader:
        from dpone_kafka.reading_back import TargetReader

        layout = self._layout if self._kept.layout is None else self._kept.layout
        return TargetReader(self._client, self._topic, self._options, layout, self._layout)

    def _hashed(self, live: pa.Table) -> list[bytes]:
        """Of what each row holds in the content's columns, NULL where the load does not carry one."""
        found: list[bytes] = []
        fields = list(self._layout.schema)
        for batch in live.to_batches(_AT_ONCE):
            columns = [column_of_load(batch, f) for f in fields]
            found += content_hashes(json_objects(columns, fields)).to_pylist()
        return found

    def _key_of(self, row: Row, columns: tuple[str, ...]) -> bytes:
        fields = [self._layout.schema[name] for name in columns]
        texts = json_objects([arrow_column([row.get(f.name)], f.type) for f in fields], fields)
        return str(texts[0].as_py()).encode()

    def _refuse_null(self) -> None:
        """Raises when a required column would hold NULL."""
        assert self._stage is not None
        nulls, rows = nulls_of(self._stage, self._layout.schema.names)
        for field in self._layout.schema:
            if not field.nullable and rows and nulls.get(field.name, rows):
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
        if self._difference is not None:
            # of what was there a program that need not know it takes nothing away
            rows = [*(rows if self._need is Need.NOTHING else ()), *self._difference.result()]
        return measure(arrow_table(rows, schema.fields), schema, probe)

    def _count(self) -> int:
        if self._difference is None:
            return self._kept.rows
        before = self._kept.rows if self._need is Need.NOTHING else 0
        return before + self._difference.rows

    # ------------------------------------------------------------------ the commit

    def save_position(self, commit: Commit) -> None:
        found = self._kept.stored.get(self._spec.pipeline)
        if not is_own(found, commit):
            refuse_conflict(found, self._topic, commit)
        self._saved = commit

    def commit(self) -> None:
        commit, difference = self._saved, self._difference
        assert difference is not None  # apply() comes first
        if commit is not None and commit.new.load_id in self._kept.loads:
            return  # the answer to this very commit was lost
        self._make_topics()
        with translated("sink", self._client.label):
            self._producer.begin_transaction()
            self._open = True
            hit(BEGIN)
            self._send(difference, commit)
            hit(WRITTEN)
            self._state(difference, commit)
            hit(STATED)
            self._end()
        self._open = False
        hit(COMMITTED)
        if difference.written or difference.gone:
            with suppress(DponeError):  # the load is committed, whatever becomes of the brokers now
                self._client.await_readers(self._topic)

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

    def _send(self, difference: Difference, commit: Commit | None) -> None:
        """Every write and every tombstone is on its way, and what the index must know of them."""
        sender = Sender(self._producer, self._topic, self._encoder, indexed=bool(self._options.get("index", True)))
        sender.send(
            difference,
            self._kept.epoch + 1 if difference.epoch else None,
            commit.new.load_id if commit is not None else self._load.id,
        )

    def _state(self, difference: Difference, commit: Commit | None) -> None:
        state = STATE + self._topic
        rows, epoch = self._count(), self._kept.epoch + difference.epoch
        partitions = self._kept.partitions or self._client.partitions(self._topic)
        entries = [target_entry(self._layout, self._options, rows=rows, epoch=epoch, partitions=partitions)]
        if commit is not None:
            new = frozenset(difference.appended) - self._kept.appended
            entries += commit_entries(self._spec.pipeline, commit, self._kept, new)
        for entry, said in entries:
            put(self._producer, state, None if said is None else plain(said), plain(entry), 0)

    def close(self) -> None:
        """What was not committed is undone."""
        if self._open:
            try:
                self._producer.abort_transaction(self._client.patience)
            except KafkaException:
                self._client.writers.pop(self._topic, None)  # the next fence undoes it
        if self._spill is not None:
            self._spill.drop()


_DEFAULT_LARGEST = 1_000_000


def _refuse_outside(program: Program, stage: SpillStage) -> None:
    """Raises when a key that the program needs is NULL; filters are looked at before."""
    bound = domain(program)
    nulls, _ = nulls_of(stage, bound.not_null)
    null_keys = 0 if stage.plain is not None else stage.sealed.null_keys
    broken = null_keys + sum(nulls.get(c, 0) for c in bound.not_null)
    if broken:
        raise outside("stage.null_key", broken)
